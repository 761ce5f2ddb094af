"""A text is scored in each dimension that a check looks at, by its findings or by the check's own measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from engine.authoring.bundle import Bundle, CheckConfig
from engine.authoring.loading import load_folder
from engine.delivery.examining import Examination, examine
from engine.plugin import CheckContext, Draft, Finding, Severity, hookimpl
from engine.plugin.registry import load_registry
from plugins.checks import duplicates, jargon_density, lexicon, readability, tone

ROOT = Path(__file__).parents[2]


@cache
def shipped() -> Bundle:
    bundle = load_folder(ROOT / "rulesets").bundle
    assert bundle is not None
    return bundle


def examined(text: str, *names: str, extra: Sequence[object] = (), locale: str = "zh") -> Examination:
    modules = (lexicon, readability, jargon_density, duplicates, tone, *extra)
    registry = load_registry(entry_points=False, extra=modules)
    configs = tuple(CheckConfig(name, name, LISTS.get(name, ()), (), (), {}) for name in names)
    bundle = replace(shipped(), checks=configs)
    draft = Draft(text, locale=locale)
    return examine(
        draft, bundle, registry.checks, channel="", purpose="", timeout=timedelta(seconds=30), now=NOW
    )


NOW = datetime(2026, 3, 1, tzinfo=UTC)
LISTS = {"lexicon": ("ad_law_zh",), "jargon_density": ("ad_law_zh",)}
HARSH = "同行的服务简直烂透了，态度恶劣，退货还推三阻四"


def test_every_dimension_has_its_score_in_one_order() -> None:
    found = examined(HARSH, "tone", "readability", "jargon_density", "duplicates", "lexicon")
    assert list(found.scores) == ["compliance", "professionalism", "sentiment", "readability"]
    assert found.unscored == ()
    assert found.scores["sentiment"] < 10
    assert {found.scores[name] for name in ("compliance", "professionalism", "readability")} == {100}
    assert found.as_data()["scores"] == found.scores


def test_what_nobody_looked_at_has_no_score() -> None:
    assert examined(HARSH, "readability").unscored == ("compliance", "professionalism", "sentiment")
    in_french = examined("Bonjour et merci de votre visite", "tone", locale="fr")
    assert dict(in_french.scores) == {}


def test_a_text_that_stands_in_the_ruleset_already_is_less_professional() -> None:
    body = next(spec.body for spec in shipped().texts if spec.id == "welcome_guide" and spec.locale == "zh")
    found = examined(body, "duplicates")
    assert [each.finding.code for each in found.found] == ["duplicates.of_content"]
    assert found.scores["professionalism"] == 85


class Scoring:
    name = "scoring"
    dimension = "taste"

    def __init__(self, score: Any, *, raises: bool = False) -> None:
        self.given, self.raises = score, raises

    def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
        if self.raises:
            raise RuntimeError
        return [Finding("scoring.bland", Severity.WARN, 0, 1, "bland")]

    def score(self, draft: Draft, context: CheckContext) -> Any:
        if isinstance(self.given, Exception):
            raise self.given
        return self.given

    @hookimpl
    def register_checks(self) -> list[Scoring]:
        return [self]


@pytest.mark.parametrize(
    ("given", "scores"),
    [(42, {"taste": 42}), (None, {}), (101, {}), (-1, {}), (True, {}), ("good", {}), (KeyError("x"), {})],
)
def test_a_check_of_a_strangers_may_score_by_itself_and_nonsense_is_no_score(
    given: Any, scores: dict[str, int]
) -> None:
    found = examined("x", "scoring", extra=[Scoring(given)])
    assert dict(found.scores) == scores
    assert [each.finding.code for each in found.found] == ["scoring.bland"]


def test_a_check_that_fails_lowers_its_score_whatever_it_would_have_said() -> None:
    found = examined("x", "scoring", extra=[Scoring(99, raises=True)])
    assert (dict(found.scores), found.passes) == ({"taste": 50}, False)


def test_a_score_that_is_no_method_is_refused() -> None:
    class Wrong(Scoring):
        score = 5  # type: ignore[assignment]

    registry = load_registry(entry_points=False, extra=[Wrong(1)])
    assert "score must be an ordinary method" in str(registry.faults[0])
