"""Contents that say nearly the same are pointed at, and none that is alike enough is missed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.plugin import CheckContext, ContentSpec, Draft, Finding, Severity
from engine.plugin.answers import fault_of_findings
from engine.plugin.testing import check_check
from plugins.checks.duplicates import DuplicatesCheck
from plugins.checks.likeness import Likenesses, likeness, pairs_of
from plugins.checks.parts import LONGEST

HELLO = "感谢您的关注，我们为您准备了一份新人礼，点击领取"
CONTENTS = (
    ContentSpec("hello", "zh", HELLO),
    ContentSpec("hello", "zh-TW", "感謝您的關注，我們為您準備了一份新人禮，點擊領取"),
    ContentSpec("shipped", "zh", "{{ contact.name }}，您的订单已经发货，预计后天送达，请留意查收"),
    ContentSpec(
        "shipped", "en", "{{ contact.name }}, your order has been shipped and arrives on Monday before ten"
    ),
    ContentSpec("short", "zh", "谢谢光临"),
)
WORDS = st.text(alphabet="甲乙丙丁戊 ，ab", max_size=30)


def found(
    body: str, content: str = "", contents: tuple[ContentSpec, ...] = CONTENTS, **said: object
) -> list[Finding]:
    context = CheckContext("email", "marketing", "zh", said, (), content=content, contents=contents)
    return list(DuplicatesCheck().examine(Draft(body), context))


def test_the_check_keeps_the_contract() -> None:
    check_check(DuplicatesCheck())
    check_check(
        DuplicatesCheck(), context=CheckContext("email", "marketing", "zh", {}, (), contents=CONTENTS)
    )


@pytest.mark.parametrize(
    ("body", "other"),
    [
        (HELLO, "hello"),
        ("感谢您的关注！我们为您准备了一份 新人礼 👉 点击领取", "hello"),
        ("感谢您的关注，我们给您准备了一份新人礼，点击领取", "hello"),
        ("感謝您的關注，我們為您準備了一份新人禮，點擊領取", "hello"),
        ("小王，您的订单已经发货，预计后天送达，请留意查收", "shipped"),
        ("Ann Lee, your order has been shipped and arrives on Monday, before ten!", "shipped"),
    ],
)
def test_a_text_that_another_content_has_is_pointed_at(body: str, other: str) -> None:
    (finding,) = found(body)
    assert (finding.code, finding.severity) == ("duplicates.of_content", Severity.WARN)
    assert (finding.start, finding.end, finding.part) == (0, len(body), "body")
    assert repr(other) in finding.message
    assert other in finding.suggestion


@pytest.mark.parametrize(
    "body",
    [
        "",
        "谢谢光临",
        "感谢您的关注，祝您生活愉快，有问题随时找我们",
        "您的订单已取消，退款将在三个工作日内原路返回",
        "Your order has been cancelled and the money is on its way back to you",
    ],
)
def test_what_only_begins_alike_is_not(body: str) -> None:
    assert found(body) == []


def test_a_content_is_not_a_duplicate_of_itself_in_whatever_language_or_variant() -> None:
    assert found(HELLO, content="hello") == []
    assert len(found(HELLO, content="another")) == 1


def test_how_much_may_be_alike_and_what_follows_is_for_the_ruleset_to_say() -> None:
    body = "感谢您的关注，我们给您准备了一份新人礼，点击领取"
    assert found(body, most=0.95) == []
    (finding,) = found(body, most=0.7, severity="block")
    assert finding.severity is Severity.BLOCK
    assert found(body, least_letters=50) == []
    for wrong in ({"most": 0}, {"severity": "grave"}, {"unheard_of": 1}):
        with pytest.raises(ValidationError):
            found(body, **wrong)


def test_a_sentence_that_stands_there_again_is_pointed_at_and_a_short_one_may() -> None:
    said = "本次活动截至周日晚上十二点"
    body = f"{said}。欢迎光临！谢谢。{said}！谢谢。"
    (finding,) = found(body)
    assert (finding.code, body[finding.start : finding.end]) == ("duplicates.repeated", said)


def test_only_the_likest_are_told() -> None:
    many = tuple(ContentSpec(f"copy_{number}", "zh", HELLO + "吧" * (number % 3)) for number in range(50))
    findings = found(HELLO, contents=many)
    assert len(findings) == 3
    assert all("100%" in each.message for each in findings)


def test_a_ruleset_is_made_ready_once_and_another_one_is_not_taken_for_it() -> None:
    check = DuplicatesCheck()
    ours = CheckContext("email", "marketing", "zh", {}, (), contents=CONTENTS)
    assert check.immediate(ours) is False
    assert len(check.examine(Draft(HELLO), ours)) == 1
    assert check.immediate(ours) is True
    theirs = CheckContext("email", "marketing", "zh", {}, (), contents=CONTENTS[2:])
    assert check.immediate(theirs) is False
    assert check.examine(Draft(HELLO), theirs) == []
    assert check.immediate(CheckContext("email", "marketing", "zh", {}, ())) is True


@given(st.lists(WORDS, max_size=12), WORDS, st.floats(0.31, 1))
@settings(max_examples=200)
def test_no_text_that_is_alike_enough_is_missed(texts: list[str], asked: str, least: float) -> None:
    pairs = pairs_of(asked)
    told = {each.number: each.likeness for each in Likenesses(texts).alike(pairs, least)}
    one_by_one = {number: likeness(pairs, pairs_of(text)) for number, text in enumerate(texts)}
    assert told == {number: share for number, share in one_by_one.items() if share >= least}


@given(st.text(max_size=80))
@settings(max_examples=60)
def test_any_text_is_compared_and_every_span_lies_in_it(text: str) -> None:
    contents = (ContentSpec("one", "zh", text), ContentSpec("two", "zh", text * 3))
    draft = Draft(f"{text}。{text}")
    context = CheckContext("email", "marketing", "zh", {"most": 0.5}, (), contents=contents)
    assert fault_of_findings(DuplicatesCheck().examine(draft, context), draft) == ""


def test_texts_beyond_measure_and_rulesets_of_thousands_are_answered_at_once() -> None:
    assert [each.code for each in found("好" * (LONGEST + 1))] == ["text.too_long"]
    letters = random.Random(1)
    many = tuple(
        ContentSpec(f"c{number}", "zh", "".join(letters.choices("天地玄黄宇宙洪荒日月盈昃辰宿列张", k=60)))
        for number in range(1_000)
    )
    (finding,) = found(many[500].body, contents=many)
    assert "'c500'" in finding.message
