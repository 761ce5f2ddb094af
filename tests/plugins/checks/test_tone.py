"""Reproaches and complaints are pointed at, in Chinese and English; what a shop says on a good day is not."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.plugin import CheckContext, Draft, Finding, Severity
from engine.plugin.answers import fault_of_findings
from engine.plugin.testing import check_check
from plugins.checks.parts import LONGEST
from plugins.checks.sentiment import LANGUAGES, model_of
from plugins.checks.tone import ToneCheck

SENTENCES = Path(__file__).parents[2] / "cases" / "checks" / "tone"
HARSH = "同行的服务简直烂透了，态度恶劣，退货还推三阻四"
FINE = "感谢您一年来的陪伴，送您一张二十元优惠券，祝您生活愉快"


@cache
def sentences(language: str) -> Mapping[str, list[str]]:
    read: dict[str, list[str]] = yaml.safe_load((SENTENCES / f"{language}.yaml").read_text(encoding="utf-8"))
    return read


def context_of(locale: str = "zh-CN", **said: Any) -> CheckContext:
    return CheckContext("sms", "marketing", locale, said, ())


def found(text: str, locale: str = "zh-CN", **said: Any) -> list[Finding]:
    return list(ToneCheck().examine(Draft(text), context_of(locale, **said)))


@pytest.mark.parametrize("locale", ["zh-CN", "en", "fr", ""])
def test_the_check_keeps_the_contract(locale: str) -> None:
    check_check(ToneCheck(), context=context_of(locale))


@pytest.mark.parametrize(("language", "parted", "accused"), [("zh", 0.88, 9), ("en", 0.85, 3)])
def test_harsh_sentences_read_less_kindly_than_fine_ones(language: str, parted: float, accused: int) -> None:
    model = model_of(language)
    harsh, fine = (
        [model.kindness(text)[0] for text in sentences(language)[kind]] for kind in ("harsh", "fine")
    )
    in_order = sum(one < other for one in harsh for other in fine)
    assert in_order / (len(harsh) * len(fine)) >= parted
    # What the check says by itself: it misses more than half, and accuses nobody wrongly.
    assert sum(bool(found(text, language)) for text in sentences(language)["harsh"]) >= accused
    assert not any(found(text, language) for text in sentences(language)["fine"])


@pytest.mark.parametrize(("language", "accuracy"), [("zh", 0.85), ("en", 0.79)])
def test_a_model_says_where_it_comes_from_and_how_it_does_on_what_was_held_back(
    language: str, accuracy: float
) -> None:
    folder = Path(__file__).parents[3] / "plugins" / "checks" / "sentiment"
    lines = (folder / f"{language}.tsv").read_text(encoding="utf-8").splitlines()
    said = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# "))
    assert "(MIT, Copyright" in said["source"]
    assert float(said["accuracy"].rstrip("%")) / 100 >= accuracy
    assert int(said["held back"].split()[0]) > 3_000


def test_the_sentence_at_fault_is_shown_with_what_weighs_most() -> None:
    text = f"{FINE}。\n{HARSH}！欢迎光临"
    (finding,) = found(text)
    assert (finding.code, finding.severity) == ("tone.unkind", Severity.WARN)
    assert text[finding.start : finding.end] == f"{HARSH}！"
    assert "恶劣" in finding.message
    assert finding.suggestion


def test_a_short_sentence_counts_to_the_next_one() -> None:
    assert found("差！") == found("") == []
    text = "差！差劲！太差劲了！服务恶劣，垃圾"
    (finding,) = found(text)
    assert finding.end == len(text)


def test_traditional_characters_read_as_simplified_ones_do() -> None:
    assert len(found("同行的服務簡直爛透了，態度惡劣，退貨還推三阻四", "zh-TW")) == 1


def test_thresholds_and_what_follows_are_for_the_ruleset_to_say() -> None:
    assert found(HARSH, least=0) == []
    assert found(FINE, least=100)
    (finding,) = found(HARSH, severity="block")
    assert finding.severity is Severity.BLOCK
    for wrong in ({"least": 101}, {"severity": "grave"}, {"unheard_of": 1}):
        with pytest.raises(ValidationError):
            found(HARSH, **wrong)


def test_other_languages_and_a_word_or_two_have_no_score() -> None:
    check = ToneCheck()
    assert found(HARSH, "fr") == []
    assert check.score(Draft(HARSH), context_of("fr")) is None
    assert check.score(Draft("好"), context_of()) is None
    assert check.score(Draft(""), context_of()) is None
    low, high = (check.score(Draft(text), context_of()) for text in (HARSH, FINE))
    assert low is not None
    assert high is not None
    assert low < 10 < 50 < high


def test_it_is_immediate_when_its_model_has_been_read() -> None:
    for language in LANGUAGES:
        model_of(language)
        assert ToneCheck().immediate(context_of(language))
    assert ToneCheck().immediate(context_of("fr"))


@given(st.text(max_size=80), st.sampled_from(["zh", "en-GB", "fr", ""]))
@settings(max_examples=100)
def test_any_text_is_judged_and_every_span_lies_in_it(text: str, locale: str) -> None:
    draft = Draft(f"{HARSH}{text}", subject=text)
    check, context = ToneCheck(), context_of(locale, least=100)
    assert fault_of_findings(check.examine(draft, context), draft) == ""
    score = check.score(draft, context)
    assert score is None or 0 <= score <= 100


@pytest.mark.parametrize("text", ["差" * LONGEST, "差！" * 50_000, "a " * 50_000, "好" * (LONGEST + 1)])
def test_texts_beyond_measure_are_answered_at_once(text: str) -> None:
    draft = Draft(text)
    assert fault_of_findings(ToneCheck().examine(draft, context_of()), draft) == ""
