"""A word that is an insult in one language and ordinary in another counts in texts of the first only."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.authoring.loading import load_folder
from engine.plugin import CheckContext, Draft, Finding, Lexicon, LexiconEntry, Severity
from plugins.checks import languages
from plugins.checks.languages import WRITTEN_IN
from plugins.checks.lexicon import LexiconCheck
from plugins.checks.text import plain

CHECK = LexiconCheck()
CASES = Path(__file__).parents[2] / "cases" / "sensitive_words.yaml"
SHIPPED = Path(__file__).parents[3] / "rulesets"
FITTA = Lexicon(
    "ours",
    (LexiconEntry("fitta", Severity.BLOCK, topic="insult", languages=("sv",)),),
    "the tests",
    "2026-11-22",
)
SWEDISH = "din jävla fitta du borde ha köpt det för länge sedan"
ITALIAN = "la nebbia era così fitta che la strada non si vedeva bene"


def found(text: str, locale: str, *lexicons: Lexicon) -> list[Finding]:
    return list(CHECK.examine(Draft(text), CheckContext("sms", "marketing", locale, {}, lexicons)))


def severities(text: str, locale: str, lexicon: Lexicon = FITTA) -> list[Severity]:
    return [finding.severity for finding in found(text, locale, lexicon)]


@cache
def shipped() -> tuple[Lexicon, ...]:
    bundle = load_folder(SHIPPED).bundle
    assert bundle is not None
    (check,) = (each for each in bundle.checks if each.id == "sensitive_words")
    return tuple(bundle.lexicons[name] for name in check.lexicons)


@cache
def cases() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(CASES.read_text(encoding="utf-8"))
    return read


@pytest.mark.parametrize("locale", ["sv-SE", "it", "xx", ""])
def test_what_the_text_is_written_in_decides_whatever_it_was_meant_to_be(locale: str) -> None:
    assert severities(SWEDISH, locale) == [Severity.BLOCK]
    assert severities(ITALIAN, locale) == []


def test_a_text_too_short_to_tell_is_taken_to_be_in_the_locale_of_its_content() -> None:
    assert severities("Fitta!", "sv") == [Severity.BLOCK]
    assert severities("Nebbia fitta", "it") == []


@pytest.mark.parametrize("locale", ["zh-CN", "xx", ""])
def test_where_neither_text_nor_locale_tells_it_warns_and_says_why(locale: str) -> None:
    (finding,) = found("Fitta!", locale, FITTA)
    assert finding.severity is Severity.WARN
    assert "it counts in sv, and which language this is does not show" in finding.message


def test_in_letters_that_only_look_like_its_own_it_warns() -> None:
    lookalike = Lexicon("ours", (replace(FITTA.entries[0], term="coka"),), "the tests", "2026-11-22")
    text = "это самая \u0441oka покупка в вашей жизни и она стоит того"
    assert severities(text, "ru", lookalike) == [Severity.WARN]


def test_the_line_in_which_it_stands_is_asked_before_the_whole() -> None:
    assert severities(f"{ITALIAN}\n{ITALIAN}\n{SWEDISH}", "it") == [Severity.BLOCK]
    (finding,) = found(f"{ITALIAN}\n{SWEDISH}\n{ITALIAN}", "it", FITTA)
    assert finding.start > len(ITALIAN)


@pytest.mark.parametrize("text", ["今天全场八折，欢迎到店选购新款毛衣 fitta 明天见", SWEDISH, ITALIAN])
def test_in_what_is_meant_to_be_in_other_letters_it_warns(text: str) -> None:
    assert severities(text, "zh-CN") == [Severity.WARN]


def test_it_is_immediate_where_nobody_has_to_be_asked_and_elsewhere_from_the_second_text_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(languages, "_read_once", [])
    check = LexiconCheck()

    def is_immediate(locale: str) -> tuple[bool, bool]:
        context = CheckContext("sms", "marketing", locale, {}, (FITTA,))
        before = check.immediate(context)
        check.examine(Draft("fitta"), context)
        return before, check.immediate(context)

    assert is_immediate("zh-CN") == (False, True)
    assert not languages.is_ready()
    assert is_immediate("it") == (False, True)
    assert is_immediate("") == (True, True)


def test_a_word_that_does_not_count_settles_no_other_inside_of_it() -> None:
    ours = Lexicon(
        "ours",
        (
            LexiconEntry("nebbia fitta", Severity.BLOCK, languages=("sv",)),
            LexiconEntry("nebbia", Severity.WARN),
        ),
        "the tests",
        "2026-11-22",
    )
    assert severities(f"{ITALIAN} nella nebbia fitta", "it", ours) == [Severity.WARN, Severity.WARN]


def test_a_language_that_is_not_told_apart_is_refused() -> None:
    ours = Lexicon("ours", (LexiconEntry("word", Severity.WARN, languages=("tlh",)),), "tests", "2026-11-22")
    with pytest.raises(ValueError, match="'word' counts in 'tlh', none of af, ar"):
        found("word", "en", ours)


@given(st.text(max_size=60), st.sampled_from(["sv", "it", "zh", "xx", ""]))
@settings(max_examples=100)
def test_any_text_around_it_is_judged_and_what_is_in_no_doubt_stays(around: str, locale: str) -> None:
    certain = Lexicon("ours", (LexiconEntry("fitta", Severity.BLOCK),), "the tests", "2026-11-22")
    text = f"{around} fitta {around}"
    everywhere = {(each.start, each.end) for each in found(text, locale, certain)}
    assert {(each.start, each.end) for each in found(text, locale, FITTA)} <= everywhere


@pytest.mark.parametrize("language", sorted(WRITTEN_IN))
def test_ordinary_sentences_of_each_language_pass(language: str) -> None:
    assert len(cases()["harmless"][language]) >= 2
    for text in cases()["harmless"][language]:
        hits = [(text, text[each.start : each.end]) for each in found(text, language, *shipped())]
        assert hits == []


@pytest.mark.parametrize("language", sorted(WRITTEN_IN))
def test_an_insult_in_each_language_is_blocked_whatever_the_locale(language: str) -> None:
    text = cases()["objectionable"][language]
    for locale in (language, "zh-CN"):
        assert Severity.BLOCK in {each.severity for each in found(text, locale, *shipped())}, locale


def words_of(entry: LexiconEntry) -> tuple[str, ...]:
    if len(entry.parts) > 1:
        return ()
    return entry.parts[0] if entry.parts else (entry.term,)


def test_every_word_is_found_as_gravely_as_it_says_in_a_text_of_its_language() -> None:
    for lexicon in shipped():
        for entry in lexicon.entries:
            locale = entry.languages[0] if entry.languages else "zh-CN"
            for word in words_of(entry):
                hits = found(word, locale, lexicon)
                assert any(
                    (each.start, each.end, each.severity) == (0, len(word), entry.severity) for each in hits
                ), word


def test_no_word_of_another_language_than_chinese_stands_twice() -> None:
    counted = Counter(
        plain(word).text
        for lexicon in shipped()
        for entry in lexicon.entries
        for word in words_of(entry)
        if not any("\u4e00" <= letter <= "\u9fff" for letter in word)
    )
    assert [word for word, times in counted.items() if times > 1] == []


# fmt: off
NAMES = {
    "ja": "日语", "ko": "韩语", "th": "泰语", "vi": "越南语", "id": "印尼语", "ms": "马来语",
    "tl": "他加禄语", "hi": "印地语", "bn": "孟加拉语", "ta": "泰米尔语", "te": "泰卢固语",
    "ur": "乌尔都语", "fa": "波斯语", "ar": "阿拉伯语", "he": "希伯来语", "tr": "土耳其语",
    "sw": "斯瓦希里语", "ru": "俄语", "uk": "乌克兰语", "bg": "保加利亚语", "sr": "塞尔维亚语",
    "hr": "克罗地亚语", "sl": "斯洛文尼亚语", "pl": "波兰语", "cs": "捷克语", "sk": "斯洛伐克语",
    "de": "德语", "nl": "荷兰语", "af": "南非语", "sv": "瑞典语", "nb": "挪威语", "da": "丹麦语",
    "es": "西班牙语", "pt": "葡萄牙语", "ca": "加泰罗尼亚语", "fr": "法语", "it": "意大利语",
    "ro": "罗马尼亚语", "hu": "匈牙利语", "fi": "芬兰语", "et": "爱沙尼亚语", "lv": "拉脱维亚语",
    "lt": "立陶宛语", "el": "希腊语", "sq": "阿尔巴尼亚语", "en": "英语",
}
# fmt: on


@pytest.mark.parametrize("language", sorted(WRITTEN_IN.keys() - {"zh"}))
def test_each_language_has_thirty_words_of_its_own_over_every_topic(language: str) -> None:
    named = [
        entry
        for lexicon in shipped()
        for entry in lexicon.entries
        if NAMES[language] in entry.term.partition("：")[0].split("、")
    ]
    assert sum(len(words_of(entry)) for entry in named) >= 30
    topics = {"insult", "porn", "discrimination", "gambling", "drugs", "violence", "fraud"}
    assert topics == {entry.topic for entry in named}
