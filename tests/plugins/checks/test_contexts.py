"""What stands around a word of a list can make it harmless, as the law exempts it, or ask for evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.plugin import CheckContext, Draft, Finding, Lexicon, LexiconContext, LexiconEntry, Severity
from plugins.checks.lexicon import LexiconCheck
from plugins.checks.parts import LONGEST

GOAL = LexiconContext("goal", law="第五条", before=("目标是",), after=("是我们的目标",))
PROVEN = LexiconContext(
    "proven",
    law="第六条",
    suggestion="留存报告",
    terms=("第一",),
    together=(("年",), ("统计", "数据来源")),
    within="sentence",
    evidence=True,
)
WORDS = Lexicon(
    "ours",
    (LexiconEntry("最好", Severity.BLOCK, topic="absolute"), LexiconEntry("第一", Severity.BLOCK)),
    "the tests",
    "2026-11-22",
    (GOAL, PROVEN),
)


def found(text: str, lexicon: Lexicon = WORDS, **settings: str) -> list[Finding]:
    context = CheckContext("email", "marketing", "zh", settings, (lexicon,))
    return list(LexiconCheck().examine(Draft(text), context))


@pytest.mark.parametrize(
    "text",
    ["我们的目标是做到最好", "做到最好是我们的目标", "我 们 的 目*标*是 做 到 最 好", "目標是做到最好"],
)
def test_words_around_a_term_make_it_harmless_in_every_form(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "text", ["最好，目标是省钱", "目标是省钱，最好的锅", "目标是省钱。最好的锅", "最好的目标"]
)
def test_words_in_another_part_of_the_sentence_do_not(text: str) -> None:
    (finding,) = found(text)
    assert (finding.code, finding.severity) == ("lexicon.ours.absolute", Severity.BLOCK)


def test_a_context_is_looked_for_in_the_whole_sentence_if_it_says_so() -> None:
    whole = replace(WORDS, contexts=(replace(GOAL, within="sentence"),))
    assert found("目标是省钱，做最好的锅", whole) == []
    assert len(found("目标是省钱。最好的锅", whole)) == 1


def test_a_stated_fact_asks_for_its_evidence_and_no_longer_blocks() -> None:
    (finding,) = found("据2025年统计，本品牌在华东销量第一")
    assert (finding.code, finding.severity) == ("lexicon.ours.evidence", Severity.INFO)
    assert finding.rule == "第六条: 第一"
    assert finding.suggestion == "留存报告"


def test_a_context_of_some_terms_exempts_no_other() -> None:
    (finding,) = found("据2025年统计，本品牌最好")
    assert finding.severity is Severity.BLOCK


@pytest.mark.parametrize(
    ("topics", "terms", "exempt"),
    [((), (), True), (("absolute",), (), True), ((), ("最好",), True), (("other",), ("第一",), False)],
)
def test_a_context_applies_to_its_topics_and_terms(
    topics: tuple[str, ...], terms: tuple[str, ...], exempt: bool
) -> None:
    narrowed = replace(WORDS, contexts=(replace(GOAL, topics=topics, terms=terms),))
    assert (found("目标是最好", narrowed) == []) is exempt


def test_a_disguised_word_warns_unless_the_ruleset_says_that_it_blocks() -> None:
    (plain_finding,) = found("最好")
    (disguised,) = found("最*好")
    (blocked,) = found("zui好", disguised="block")
    assert [each.severity for each in (plain_finding, disguised, blocked)] == [
        Severity.BLOCK,
        Severity.WARN,
        Severity.BLOCK,
    ]
    assert "in disguise" in disguised.message


def test_a_disguised_longer_word_hides_no_plain_one_that_blocks() -> None:
    longer = replace(WORDS, entries=(*WORDS.entries, LexiconEntry("第一品牌", Severity.BLOCK)))
    assert Severity.BLOCK in {each.severity for each in found("第一品*牌", longer)}


def test_a_word_of_letters_stands_for_itself() -> None:
    letters = Lexicon("en", (LexiconEntry("ass", Severity.BLOCK),), "the tests", "2026-11-22")
    assert found("class assessment passes", letters) == []
    assert len(found("an ass, a-s-s and A S S", letters)) == 3


def test_a_text_beyond_all_measure_blocks_without_being_read() -> None:
    (finding,) = found("最好" * LONGEST)
    assert (finding.code, finding.severity) == ("text.too_long", Severity.BLOCK)
    assert found("好" * LONGEST) == []
