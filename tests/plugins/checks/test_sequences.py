"""A list may look for a way of speaking: words of several groups, one after another."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plugin import CheckContext, Draft, Finding, Lexicon, LexiconContext, LexiconEntry, Severity
from plugins.checks.lexicon import LexiconCheck

CLAIM = LexiconEntry(
    "范围内的最高级", Severity.WARN, topic="absolute", parts=(("全网", "全国"), ("最低", "第一")), gap=3
)
EFFECT = LexiconEntry("几天见效", Severity.WARN, parts=(("<number>",), ("天", "周"), ("见效",)))
SHARE = LexiconEntry("收益百分之几", Severity.WARN, parts=(("年化",), ("<percent>",)))
ENGLISH = LexiconEntry("cures", Severity.WARN, parts=(("cure", "cures"), ("cancer",)), gap=10)


def found(text: str, *entries: LexiconEntry, contexts: tuple[LexiconContext, ...] = ()) -> list[Finding]:
    lexicon = Lexicon("ours", entries, "the tests", "2026-11-22", contexts)
    return list(LexiconCheck().examine(Draft(text), CheckContext("email", "marketing", "zh", {}, (lexicon,))))


def spans(text: str, *entries: LexiconEntry, contexts: tuple[LexiconContext, ...] = ()) -> list[str]:
    return [text[each.start : each.end] for each in found(text, *entries, contexts=contexts)]


@pytest.mark.parametrize("said", ["全网最低", "全国第一", "全网销量第一", "全国价格 最低", "全國最低"])
def test_a_word_of_each_part_in_order_is_one_finding_over_all_of_it(said: str) -> None:
    assert spans(f"我们{said}，欢迎", CLAIM) == [said]


@pytest.mark.parametrize(
    "said", ["最低全网", "全网，最低", "全网。最低", "全网平台价格都是最低", "全网", "最低"]
)
def test_another_order_another_clause_or_a_wider_gap_is_nothing(said: str) -> None:
    assert spans(said, CLAIM) == []


def test_a_disguised_way_of_speaking_warns_at_the_most() -> None:
    (finding,) = found("全*网最*低", replace(CLAIM, severity=Severity.BLOCK))
    assert (finding.severity, finding.start, finding.end) == (Severity.WARN, 0, 6)
    (plain,) = found("全网最低", replace(CLAIM, severity=Severity.BLOCK))
    assert plain.severity is Severity.BLOCK
    assert "范围内的最高级" in plain.message
    assert "全网最低" in plain.message


@pytest.mark.parametrize("said", ["3天见效", "三天见效", "十五 天见效", "1,000 周见效", "1.5天见效"])
def test_any_number_is_a_number(said: str) -> None:
    assert spans(said, EFFECT) == [said]


@pytest.mark.parametrize(
    ("said", "share"), [("年化 8%", True), ("年化百分之八", True), ("年化８％", True), ("年化 8", False)]
)
def test_a_share_is_a_number_of_hundredths(said: str, share: bool) -> None:
    assert bool(found(said, SHARE)) is share


def test_words_of_letters_stand_for_themselves() -> None:
    assert spans("It cures any cancer", ENGLISH) == ["cures any cancer"]
    assert spans("secure cancer research", ENGLISH) == []


@pytest.mark.parametrize(
    ("said", "harmless"),
    [
        ("不是全网最低", True),
        ("不敢说是全网最低", True),
        ("不是说说而已就是全网最低", False),
        ("全网最低", False),
    ],
)
def test_what_is_near_counts_only_near(said: str, harmless: bool) -> None:
    denied = LexiconContext("denied", before=("不是", "不敢说"), within="near")
    assert (found(said, CLAIM, contexts=(denied,)) == []) is harmless


def test_two_ways_of_saying_one_thing_are_one_finding_and_the_gravest() -> None:
    graver = LexiconEntry("全网最低", Severity.BLOCK, topic="absolute")
    (finding,) = found("全网最低", CLAIM, graver)
    assert finding.severity is Severity.BLOCK


HINT = LexiconEntry("不反弹", Severity.WARN, topic="medical", only_with=("减肥", "祛斑"))
OUTRIGHT = LexiconEntry("根治", Severity.WARN, topic="medical")


@pytest.mark.parametrize(
    ("said", "means_it"),
    [
        ("减肥茶，不反弹", True),
        ("不反弹的减肥茶", True),
        ("不 反弹的减*肥茶", True),
        ("这条弹力绳不反弹", False),
        ("减肥茶。弹力绳不反弹", False),
    ],
)
def test_some_words_say_something_in_company_only(said: str, means_it: bool) -> None:
    assert bool(found(said, HINT)) is means_it


def test_what_means_something_in_company_only_is_no_more_than_told_beside_a_claim_made_outright() -> None:
    told = {
        each.rule: each.severity for each in found("根治，不反弹的减肥茶。减肥茶，不反弹", HINT, OUTRIGHT)
    }
    assert told == {"ours: 根治": Severity.WARN, "ours: 不反弹": Severity.WARN}
    severities = [each.severity for each in found("根治，不反弹的减肥茶。减肥茶，不反弹", HINT, OUTRIGHT)]
    assert severities == [Severity.WARN, Severity.INFO, Severity.WARN]


def test_a_claim_of_another_topic_does_not_quieten_it() -> None:
    (first, second) = found("根治，不反弹的减肥茶", HINT, replace(OUTRIGHT, topic="absolute"))
    assert (first.severity, second.severity) == (Severity.WARN, Severity.WARN)


def test_a_claim_that_is_denied_does_not_quieten_it() -> None:
    denied = LexiconContext("denied", terms=("根治",), before=("不能",), within="near")
    (finding,) = found("不能根治，不反弹的减肥茶", HINT, OUTRIGHT, contexts=(denied,))
    assert finding.severity is Severity.WARN


@given(
    st.lists(st.sampled_from(["减肥茶", "不反弹", "根治", "很好喝", "，", "。"]), max_size=12),
    st.booleans(),
)
def test_a_sentence_without_the_company_says_nothing(said: list[str], outright: bool) -> None:
    text = "".join(said)
    entries = (HINT, OUTRIGHT) if outright else (HINT,)
    meant = [each for each in found(text, *entries) if each.rule.endswith("不反弹")]
    sentences = text.split("。")
    assert len(meant) == sum(each.count("不反弹") for each in sentences if "减肥" in each)
    loud = [each for each in meant if each.severity is Severity.WARN]
    assert len(loud) == sum(
        each.count("不反弹") for each in sentences if "减肥" in each and not (outright and "根治" in each)
    )


@pytest.mark.parametrize(
    ("said", "share"),
    [("年化八成", True), ("年化九成五", True), ("年化一成功", False), ("年化七成新", False)],
)
def test_tenths_are_a_share_too(said: str, share: bool) -> None:
    assert bool(found(said, SHARE)) is share


@given(st.integers(0, 6), st.sampled_from(["全网", "全国"]), st.sampled_from(["最低", "第一"]))
def test_the_gap_is_what_decides(between: int, first: str, last: str) -> None:
    assert bool(found(f"{first}{'啊' * between}{last}", CLAIM)) is (between <= CLAIM.gap)
