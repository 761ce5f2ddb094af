"""Metrics that plugins declare: what is refused, what becomes of answers, what the contract test finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engine.plugin import Metric
from engine.plugin.counting import Counting
from engine.plugin.describing import describe
from engine.plugin.tallying import tallied
from engine.plugin.testing import check_metric
from engine.risk import metrics
from tests.plugin.vault import loaded, offering


def is_low(_told: str, properties: Mapping[str, Any]) -> bool | None:
    stars = properties.get("stars")
    return stars <= 2 if isinstance(stars, int | float) else None


LOW = Metric("low_ratings", "low ratings", events=("rated",), counts=is_low, of="events")
WATCHED = metrics.Metric(
    "low_ratings", "low ratings", metrics.Samples.EVENTS, events=("rated",), is_plugins=True
)


def counting(**values: Any) -> Counting:
    metric = replace(LOW, **values)
    return Counting(lambda: {metric.name: metric})


def test_what_is_declared_is_found_by_name_and_shown() -> None:
    registry = loaded(offering("ratings", register_metrics=[LOW]))
    assert dict(registry.metrics) == {"low_ratings": LOW}
    (shown,) = describe(registry)
    assert shown["offers"][0]["kind"] == "metric"
    assert (shown["offers"][0]["of"], shown["offers"][0]["events"]) == ("events", ["rated"])


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"name": "Low ratings"}, "lower_snake"),
        ({"name": "bounce_rate"}, "built-in metric"),
        ({"name": "spend"}, "built-in metric"),
        ({"title": ""}, "title"),
        ({"receipts": ("lost",), "of": "messages"}, "receipts must be"),
        ({"events": ["rated"]}, "events must be"),
        ({"events": ()}, "listens to nothing"),
        ({"scopes": ("account",)}, "scopes must be"),
        ({"scopes": ()}, "without a scope"),
        ({"counts": "no"}, "plain function"),
        ({"counts": None}, "needs `counts`"),
        ({"receipts": ("read",)}, "no receipts"),
        ({"of": "people"}, "of must be"),
        ({"within": timedelta(0)}, "within must be"),
    ],
)
def test_a_metric_that_could_not_be_used_is_left_out_and_named(wrong: dict[str, Any], said: str) -> None:
    registry = loaded(offering("ratings", register_metrics=[replace(LOW, **wrong)]))
    (fault,) = registry.faults
    assert fault.code == "PL003" and said in fault.message
    assert not registry.metrics


def test_of_two_metrics_of_one_name_neither_is_used_and_both_plugins_are_named() -> None:
    registry = loaded(offering("one", register_metrics=[LOW]), offering("two", register_metrics=[LOW]))
    assert not registry.metrics
    assert {fault.code for fault in registry.faults} == {"PL002"}
    assert "one" in registry.faults[0].message and "two" in registry.faults[0].message


def test_a_plugin_says_what_counts_and_cannot_change_what_it_is_shown() -> None:
    def meddling(_told: str, properties: Mapping[str, Any]) -> bool:
        properties["stars"] = 5  # type: ignore[index]
        return True

    assert counting().counts(WATCHED, "rated", {"stars": 1}) is True
    assert counting().counts(WATCHED, "rated", {"stars": 5}) is False
    assert counting().counts(WATCHED, "rated", {}) is None
    assert counting(counts=meddling).counts(WATCHED, "rated", {"stars": 1}) is None


@pytest.mark.parametrize(
    ("counts", "why"), [(lambda told, given: 1 / 0, "raised"), (lambda told, given: 0.5, "nonsense")]
)
def test_a_metric_that_raises_or_answers_nonsense_counts_nothing_and_is_noted(counts: Any, why: str) -> None:
    before = tallied("metric", "low_ratings") or {"failures": {}}
    assert counting(counts=counts).counts(WATCHED, "rated", {"stars": 1}) is None
    after = tallied("metric", "low_ratings")
    assert after is not None
    assert after["failures"].get(why, 0) == before["failures"].get(why, 0) + 1


def test_a_metric_whose_plugin_is_gone_counts_nothing() -> None:
    assert Counting(dict).counts(WATCHED, "rated", {"stars": 1}) is None


def test_the_contract_test_passes_what_keeps_it_and_says_what_does_not() -> None:
    check_metric(LOW, examples=[("rated", {"stars": 1}, True), ("rated", {"stars": 3}, False)])
    check_metric(Metric("spoilt", "spoilt", receipts=("bounced",)))
    turns = iter([True, False] * 50)
    broken: list[tuple[dict[str, Any], str]] = [
        ({"counts": lambda told, given: given["stars"] > 2}, "raised KeyError"),
        ({"counts": lambda told, given: "yes"}, "returned str"),
        ({"counts": lambda told, given: next(turns)}, "differently the second time"),
        ({"name": "bounce_rate"}, "built-in"),
    ]
    for wrong, said in broken:
        with pytest.raises(AssertionError, match=said):
            check_metric(replace(LOW, **wrong))
    with pytest.raises(AssertionError, match="answered True"):
        check_metric(LOW, examples=[("rated", {"stars": 1}, False)])
    with pytest.raises(AssertionError, match="does not listen"):
        check_metric(LOW, examples=[("viewed", {}, None)])
