"""What breakers may watch: the built-in metrics, and those that plugins declare."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.authoring.declared import FILE, declared_in, with_declared
from engine.authoring.loading import load_files, published_bundle
from engine.plugin import Metric
from engine.plugin.registry import Registry, load_registry
from engine.risk.metrics import BUILT_IN_METRICS, Samples
from tests.authoring.test_declared import FILES, VISITED
from tests.plugin.vault import offering

NOTHING = load_registry(entry_points=False)
SHORT = Metric("short_visits", "short visits", events=("shop_visited",), counts=lambda told, given: True)
BREAKERS = """
kind: breakers
id: b
title: t
owner: us
breakers:
  - id: watched
    scope: {scope}
    metric: {metric}
    window: 1h
    min_samples: 20
    levels: {{yellow: {{gt: 10%}}}}
    recover: {{probe_after: 5m, probes: 20, close_when: {{lt: 5%}}}}
"""


def workspace(metric: str, scope: str = "channel") -> dict[str, str]:
    # What asks for other plugins is left out.
    kept = {name: text for name, text in FILES.items() if name in ("wayline.yaml", "purposes.yaml")}
    return {**kept, "breakers.yaml": BREAKERS.format(metric=metric, scope=scope)}


def declaring(**values: Any) -> Registry:
    offers = offering("shop", register_metrics=[replace(SHORT, **values)], register_event_types=[VISITED])
    return load_registry(entry_points=False, extra=[offers])


def said(files: dict[str, str], registry: Registry = NOTHING) -> list[str]:
    return [
        f"{each.code} {each.path} {each.message}; {each.hint}"
        for each in load_files(files, declared_by=registry).errors
    ]


@pytest.mark.parametrize("scope", ["workspace", "channel", "journey", "content"])
@pytest.mark.parametrize("metric", sorted(BUILT_IN_METRICS))
def test_every_built_in_metric_is_watched_in_every_scope(metric: str, scope: str) -> None:
    bundle = load_files(workspace(metric, scope), declared_by=NOTHING).bundle
    assert bundle is not None
    (breaker,) = bundle.breakers
    assert (breaker.metric, breaker.scope) == (BUILT_IN_METRICS[metric], scope)


@pytest.mark.parametrize(("metric", "scope"), [("account_health", "channel"), ("bounce_rate", "account")])
def test_what_nothing_measures_is_warned_of_and_not_watched(metric: str, scope: str) -> None:
    files = workspace(metric, scope)
    if metric == "account_health":
        files["breakers.yaml"] = files["breakers.yaml"].replace("gt: 10%", "lt: 80")
    loaded = load_files(files, declared_by=NOTHING)
    assert [each.code for each in loaded.problems if each.code == "RW020"]
    assert loaded.bundle is not None and loaded.bundle.breakers == ()


def test_a_metric_of_a_plugin_is_known_while_it_is_declared_and_misspelt_ones_are_pointed_out() -> None:
    bundle = load_files(workspace("short_visits"), declared_by=declaring()).bundle
    assert bundle is not None
    (breaker,) = bundle.breakers
    assert breaker.metric.is_plugins and breaker.metric.samples is Samples.MESSAGES
    (unknown,) = said(workspace("short_visits"))
    assert unknown.startswith("RS260 breakers[0].metric 'short_visits' is no metric")
    (misspelt,) = said(workspace("short_visit"), declaring())
    assert "did you mean 'short_visits'" in misspelt


def test_a_scope_of_which_a_metric_says_nothing_and_an_event_that_is_not_there_are_refused() -> None:
    (scope,) = said(workspace("short_visits", "journey"), declaring(scopes=("channel", "workspace")))
    assert scope.startswith("RS261 breakers[0].scope") and "channel or workspace" in scope
    (event,) = said(workspace("short_visits"), declaring(events=("shop_left",)))
    assert event.startswith("RS047 breakers[0].metric") and "shop_left" in event


def test_what_was_declared_stays_in_a_published_bundle_when_the_plugin_is_gone() -> None:
    files = with_declared(workspace("short_visits"), declaring())
    assert declared_in(files).metrics[0].name == "short_visits"
    assert published_bundle(files).breakers[0].metric.name == "short_visits"
    assert FILE not in with_declared(files, NOTHING)


def test_a_plugin_without_metrics_declares_what_it_declared_before_there_were_any() -> None:
    registry = load_registry(entry_points=False, extra=[offering("shop", register_event_types=[VISITED])])
    assert '"metrics"' not in with_declared({}, registry)[FILE]
