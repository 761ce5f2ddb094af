"""The lexicon check: disguised words are found where they stand, harmless ones are left alone."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import cache
from itertools import islice, product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.authoring.loading import load_folder
from engine.plugin import CheckContext, Draft, Finding, Lexicon, LexiconEntry, Severity
from engine.plugin.calling import call_check
from engine.plugin.testing import EXAMPLE_CONTEXT, check_check
from plugins.checks.lexicon import LexiconCheck
from plugins.checks.parts import MOST
from plugins.checks.text import plain as normal

SHIPPED = Path(__file__).parents[2] / "rulesets"
CHECK = LexiconCheck()
"""One for all: it makes ready each word list once."""


@cache
def shipped_lists() -> Mapping[str, Lexicon]:
    bundle = load_folder(SHIPPED).bundle
    assert bundle is not None
    return bundle.lexicons


def shipped() -> Lexicon:
    return shipped_lists()["ad_law_zh"]


def a_list(*entries: LexiconEntry) -> Lexicon:
    return Lexicon("ours", entries, "the tests", "2026-11-21")


def context_of(*lexicons: Lexicon) -> CheckContext:
    return CheckContext("email", "marketing", "zh", {}, lexicons)


def found(text: str, *lexicons: Lexicon) -> list[Finding]:
    return list(CHECK.examine(Draft(text), context_of(*lexicons)))


def words(text: str) -> list[str]:
    """What the shipped list blocks or warns of, as it stands in the original."""
    return [text[finding.start : finding.end] for finding in found(text, shipped())]


def test_it_passes_the_contract_tests() -> None:
    check_check(LexiconCheck())


@pytest.mark.parametrize(
    ("text", "original"),
    [
        ("本店国家级品质", "国家级"),
        ("本店国\u200b家\u2060级品质", "国\u200b家\u2060级"),
        ("国\ufe0f家级", "国\ufe0f家级"),
        ("最\u0301佳选择", "最\u0301佳"),
        ("全网最\u00ad佳", "最\u00ad佳"),
        ("销量Ｎｏ．１", "Ｎｏ．１"),
        ("销量№1", "№1"),
        ("我们是ＴＯＰ１", "ＴＯＰ１"),
        ("本店第一品牌", "第一品牌"),
        ("稳健理财，保本", "保本"),
        ("三个疗程根治", "根治"),
        ("最\u3164佳", "最\u3164佳"),
        ("第\x00一", "第\x00一"),
    ],
)
def test_a_forbidden_word_is_found_in_every_disguise_and_shown_where_it_stands(
    text: str, original: str
) -> None:
    assert words(text) == [original]


@pytest.mark.parametrize(
    "text",
    [
        *("最近有新品上架", "活动最后一天", "第一时间通知您", "第一步，打开页面", "您的第一次下单"),
        *("顾客第一", "顶级域名续费", "本品最佳食用期为三天", "国家级非物质文化遗产传承人", "唯一识别码"),
        *("您最喜欢的口味", "最好提前预约", "本产品不保本", "面包过敏者慎用", "排名进入TOP10", "首先感谢您"),
        *("温度最高温 35 度", "绝对值", "单一最大值"),
    ],
)
def test_harmless_texts_pass(text: str) -> None:
    assert words(text) == []


def test_an_exemption_covers_its_own_place_and_no_other() -> None:
    assert words("最近，这是最佳选择，最佳食用期见包装") == ["最佳"]


def test_an_exemption_is_recognised_in_disguise_too() -> None:
    assert words("最\u200b近有新品") == []


def test_a_longer_word_settles_the_shorter_one_inside_it() -> None:
    (finding,) = found("最佳选择", shipped())
    assert (finding.severity, finding.start, finding.end) == (Severity.BLOCK, 0, 2)


def test_a_milder_longer_word_hides_no_graver_shorter_one() -> None:
    ours = a_list(LexiconEntry("最佳", Severity.INFO), LexiconEntry("最", Severity.BLOCK))
    assert [(f.end - f.start, f.severity) for f in found("最佳", ours)] == [
        (2, Severity.INFO),
        (1, Severity.BLOCK),
    ]


def test_a_finding_says_the_law_the_way_out_and_the_place() -> None:
    draft = Draft("正文", subject="国家级品质", call_to_action="抢最佳")
    findings = LexiconCheck().examine(draft, context_of(shipped()))
    assert [(finding.part, finding.start, finding.end) for finding in findings] == [
        ("subject", 0, 3),
        ("call_to_action", 1, 3),
    ]
    assert findings[0].code == "lexicon.ad_law_zh.absolute"
    assert findings[0].rule == "《广告法》第九条（三）: 国家级"
    assert findings[0].suggestion
    assert "2026-11-22" in findings[0].message


NUMBERS = {"<number>": "3", "<percent>": "30%"}


def ways_of_saying(entry: LexiconEntry) -> Iterator[str]:
    """The entry's words, one of each part."""
    parts = [[NUMBERS.get(word, word) for word in part] for part in entry.parts] or [[entry.term]]
    return (" ".join(words) for words in product(*parts))


def test_every_entry_of_the_shipped_lists_is_found_and_every_exemption_is_harmless() -> None:
    for lexicon in shipped_lists().values():
        for entry in lexicon.entries:
            # What counts in some languages only is asked of in test_restricting.py.
            anywhere = replace(entry, languages=())
            ours, strict = a_list(anywhere), a_list(replace(anywhere, exempt_when=()))
            company = " ".join(entry.only_with[:1])
            ways = list(islice(ways_of_saying(entry), 9))
            assert any(
                {finding.severity for finding in found(f"{said} {company}", ours)} == {entry.severity}
                for said in ways
            ), f"{entry.term}: {ways}"
            for longer in entry.exempt_when:
                assert found(f"{longer} {company}", ours) == [], longer
                hits = found(f"{longer} {company}", strict)
                assert any(hit.start < len(longer) for hit in hits), f"{entry.term} is not in {longer}"
            # Jargon is a matter of taste: no law says anything of it.
            assert entry.law or lexicon.id == "trade_terms", entry.term
            assert entry.suggestion or lexicon.id.startswith("sensitive_words"), entry.term


def test_a_word_in_two_lists_is_reported_for_each() -> None:
    one = a_list(LexiconEntry("bad", Severity.WARN))
    other = Lexicon("theirs", (LexiconEntry("BAD", Severity.BLOCK),), "the tests", "2026-11-21")
    assert {finding.code for finding in found("so bad", one, other)} == {"lexicon.ours", "lexicon.theirs"}


def test_marks_that_are_the_text_itself_are_kept() -> None:
    for text in ("ที่นี่", "हिन्दी", "العَرَبِيَّة", "தமிழ்"):
        assert normal(text).text == "".join(
            letter for letter in unicodedata.normalize("NFKC", text) if unicodedata.category(letter) != "Cf"
        )
    assert normal("e\u0301").text == normal("é").text == "é"
    assert normal("한국").text == normal(unicodedata.normalize("NFD", "한국")).text == "한국"
    assert normal("ｶﾞ").text == "ガ"


def test_a_check_that_could_not_find_anything_blocks_instead() -> None:
    empty = a_list(LexiconEntry("\u200b", Severity.BLOCK))
    with_settings = CheckContext("email", "marketing", "zh", {"strict": True}, (shipped(),))
    for context in (context_of(), context_of(empty), with_settings):
        (finding,) = call_check(LexiconCheck(), Draft("x"), context, timeout=_ample())
        assert (finding.code, finding.severity) == ("check.failed", Severity.BLOCK)


def _ample() -> timedelta:
    return timedelta(seconds=30)


def test_each_tuple_of_lists_is_compiled_once_and_old_ones_are_let_go() -> None:
    check = LexiconCheck()
    check.examine(Draft("x"), EXAMPLE_CONTEXT)
    finder = check.finders.of(EXAMPLE_CONTEXT.lexicons)
    assert check.finders.of(EXAMPLE_CONTEXT.lexicons) is finder
    for number in range(20):
        ours = a_list(LexiconEntry(f"word{number}", Severity.BLOCK))
        assert found(f"a word{number}", ours)
        check.examine(Draft("x"), context_of(ours))
    assert len(check.finders) == 8


def test_a_text_full_of_hits_takes_no_more_than_its_length() -> None:
    check = LexiconCheck()
    context = context_of(shipped())
    begun = time.process_time()
    findings = check.examine(Draft("最佳" * 20_000 + "最近" * 20_000), context)
    assert len(findings) == MOST
    assert {finding.severity for finding in findings} == {Severity.BLOCK}
    assert time.process_time() - begun < 10, "quadratic work would take minutes"


letters = st.one_of(
    st.characters(),
    st.sampled_from(
        "最佳近后国家级第一No.1ＮｏＴＯＰ保本\u200b\u200d\ufe0f\u0301\u3164\u00ad\ud800ﬁ㈱ﷺßİΣ각ﾞ"
    ),
)


@given(st.text(alphabet=letters, max_size=60))
@settings(max_examples=200)
def test_any_text_is_examined_and_every_span_reads_as_a_word_of_the_list(text: str) -> None:
    terms = {normal(entry.term).text for entry in shipped().entries}
    for finding in found(text, shipped()):
        assert 0 <= finding.start < finding.end <= len(text)
        read = normal(text[finding.start : finding.end]).text
        assert any(term in read for term in terms)


@given(
    st.sampled_from(["国家级", "最佳", "保本", "根治"]),
    st.lists(
        st.sampled_from(["", "\u200b", "\u200d", "\u2060", "\ufeff", "\ufe0f", "\u00ad"]),
        min_size=4,
        max_size=4,
    ),
    st.text(alphabet="abc，。 ", max_size=8),
)
@settings(max_examples=150)
def test_invisible_letters_never_hide_a_word(word: str, between: list[str], around: str) -> None:
    disguised = "".join(letter + blank for letter, blank in zip(word, between, strict=False))
    text = f"{around}{disguised}{around}"
    (finding,) = found(text, shipped())
    assert normal(text[finding.start : finding.end]).text == word
