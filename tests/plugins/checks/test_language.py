"""A text in another language than it should be in is pointed at; names, codes and a few words are not."""

from __future__ import annotations

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
from plugins.checks import languages
from plugins.checks.language import LanguageCheck
from plugins.checks.languages import NEAR, WRITTEN_IN, foreign_in, told_apart
from plugins.checks.parts import LONGEST

CASES = Path(__file__).parents[2] / "cases" / "checks"


@cache
def spoken() -> dict[str, str]:
    read: dict[str, str] = yaml.safe_load(
        (CASES / "evaluation" / "language.yaml").read_text(encoding="utf-8")
    )
    return read


@cache
def mixed(verdict: str) -> list[tuple[str, str]]:
    read = yaml.safe_load((CASES / "mixed_languages.yaml").read_text(encoding="utf-8"))
    return [(locale, text) for locale, text in read[verdict]]


def found(text: str, locale: str = "zh-CN", **said: Any) -> list[Finding]:
    return list(LanguageCheck().examine(Draft(text), CheckContext("sms", "marketing", locale, said, ())))


def test_the_check_keeps_the_contract() -> None:
    check_check(LanguageCheck())


def test_the_frozen_languages_are_those_that_are_told_apart() -> None:
    assert set(spoken()) == set(WRITTEN_IN)


def test_no_language_is_accused_of_being_another() -> None:
    assert {language: foreign_in(text, {language}) for language, text in spoken().items()} == dict.fromkeys(
        spoken()
    )


def test_a_sentence_of_each_language_is_seen_to_be_none_of_the_others() -> None:
    pairs = [(text, one, other) for one, text in spoken().items() for other in spoken() if one != other]
    missed = [(one, other) for text, one, other in pairs if foreign_in(text, {other}) is None]
    assert len(missed) <= len(pairs) * 0.01
    related = [*NEAR, {"zh", "ja"}, {"zh", "ko"}]
    assert all(any({one, other} <= group for group in related) for one, other in missed)
    named = [foreign_in(text, {other}) for text, _, other in pairs]
    wrongly = [(one, name) for (_, one, _), name in zip(pairs, named, strict=True) if name not in (None, one)]
    assert len(wrongly) <= len(pairs) * 0.02


@pytest.mark.parametrize(("locale", "text"), mixed("fine"))
def test_names_codes_and_a_few_words_are_no_other_language(locale: str, text: str) -> None:
    assert found(text, locale) == []


@pytest.mark.parametrize(("locale", "text"), mixed("foreign"))
def test_a_text_of_another_country_is_pointed_at(locale: str, text: str) -> None:
    (finding,) = found(text, locale)
    assert (finding.code, finding.severity) == ("language.foreign", Severity.WARN)


def test_of_a_text_that_was_translated_by_half_the_line_is_shown() -> None:
    text = "您的订单已发货。\nYour parcel is on its way and will be with you soon."
    (finding,) = found(text)
    assert text[finding.start : finding.end] == text.splitlines()[1]
    assert "'en'" in finding.message
    assert found(text, allowed="zh, en") == []


def test_what_is_allowed_and_what_follows_is_for_the_ruleset_to_say() -> None:
    text = spoken()["en"]
    assert found(text, "zh", allowed="en") == []
    (finding,) = found(text, "en", allowed="zh,ja", severity="block")
    assert finding.severity is Severity.BLOCK
    for wrong in ({"allowed": "klingon"}, {"severity": "grave"}, {"unheard_of": 1}):
        with pytest.raises(ValidationError):
            found(text, **wrong)


def test_locales_are_understood_as_they_are_written() -> None:
    codes = ("zh-TW", "zh_CN", "EN-us", "no", "fil", "xx", "")
    assert [told_apart(code) for code in codes] == ["zh", "zh", "en", "nb", "tl", None, None]


def test_it_is_immediate_from_the_second_text_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "_read_once", [])
    context = CheckContext("sms", "marketing", "en", {}, ())
    assert LanguageCheck().immediate(context) is False
    assert LanguageCheck().examine(Draft("your order has left us this morning"), context) == []
    assert LanguageCheck().immediate(context) is True


def test_what_is_told_by_its_letters_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(languages, "_read_once", [])
    context = CheckContext("sms", "marketing", "zh-CN", {}, ())
    assert LanguageCheck().immediate(context) is True
    assert LanguageCheck().examine(Draft("您的订单已经发货"), context) == []
    assert languages.is_ready() is False
    both = CheckContext("sms", "marketing", "zh", {"allowed": "zh,en"}, ())
    assert LanguageCheck().immediate(both) is False


@given(st.text(max_size=80), st.sampled_from(["zh", "en-GB", "ja", "sr", "xx", ""]))
@settings(max_examples=100)
def test_any_text_is_examined_and_every_span_lies_in_it(text: str, locale: str) -> None:
    draft = Draft(f"{text}\nthis is a line of plain english words", subject=text)
    context = CheckContext("sms", "marketing", locale, {}, ())
    assert fault_of_findings(LanguageCheck().examine(draft, context), draft) == ""


@pytest.mark.parametrize(
    "text", ["国" * LONGEST, "a" * LONGEST, "{{" * 50_000, "a@" * 50_000, "\ud800" * 50_000, "字\n" * 50_000]
)
def test_texts_made_to_be_slow_are_not(text: str) -> None:
    draft = Draft(text)
    assert fault_of_findings(found(text), draft) == ""
