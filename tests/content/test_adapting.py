"""A text as its platform shows it: every rule by itself, in their order, and nothing that is ever cut off."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.content.adapting import adapt, links_in
from engine.content.fitting import misfits
from engine.content.markup import without_html, without_markdown
from engine.content.platforms import LengthRule, LineRule, Platform
from engine.plugin.contracts import Draft, Severity

OPT_OUT = LineRule("拒收请回复R", apart=False, others=("退订回TD",), purposes=("marketing",))
SIGNED = LineRule("【小店】", at="first", apart=False)


def platform(**rules: Any) -> Platform:
    return Platform("p", "平台", "平台文档", date(2026, 3, 1), "official", date(2027, 3, 1), **rules)


def body_on(text: str, **rules: Any) -> str:
    return adapt(Draft(text), platform(**rules), "marketing").draft.body


def test_without_rules_it_is_as_it_was_written() -> None:
    draft = Draft("**正文** https://a.example", "主题", "去看看")

    assert adapt(draft, None, "marketing").draft is draft
    assert adapt(draft, platform(), "marketing").done == ()


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("这**重点**是 *强调*、~~划掉~~ 和 `code`", "这重点是 强调、划掉 和 code"),
        ("# 标题\n> 引用\n* 一\n+ 二", "标题\n引用\n- 一\n- 二"),
        ("[看看](https://a.example/x_y_z) ![](https://a.example/i.png)", "看看 https://a.example/x_y_z https://a.example/i.png"),
        ("[https://a.example](https://a.example)", "https://a.example"),
        ("2*3*4=24，138****1234，snake_case_name，a_b_c", "2*3*4=24，138****1234，snake_case_name，a_b_c"),
        ("https://a.example/__init__/*x*", "https://a.example/__init__/*x*"),
    ],
)  # fmt: skip
def test_markdown_is_taken_out_and_nothing_that_only_looks_like_it(written: str, shown: str) -> None:
    assert without_markdown(written) == shown
    assert without_markdown(shown) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("<p>您好，<b>安</b></p><p>再见<br/>明天</p>", "您好，安\n再见\n明天"),
        ("<a class='x' href=\"https://a.example/?a=1&amp;b=2\">点这里</a>", "点这里 https://a.example/?a=1&b=2"),
        ("1 < 2 &amp; 3 > 2, a<b and c>d", "1 < 2 &amp; 3 > 2, a<b and c>d"),
    ],
)  # fmt: skip
def test_html_is_taken_out_and_signs_of_arithmetic_are_not(written: str, shown: str) -> None:
    assert without_html(written) == shown


def test_a_platform_that_knows_markdown_keeps_it() -> None:
    assert body_on("<b>**重点**</b>", markup="markdown") == "**重点**"
    assert body_on("<b>**重点**</b>", markup="none") == "重点"


def test_emoji_are_left_out_whole() -> None:
    assert body_on("好👨‍👩‍👧 的 1️⃣ ❤️ 吗🇨🇳？👍🏽", emoji="left_out") == "好 的 吗？"
    assert body_on("12 # * ©", emoji="left_out") == "12 # * ©"


def test_links_stand_on_lines_of_their_own() -> None:
    assert (
        body_on("详见 https://a.example/x，或 https://b.example。", links="own_line")
        == "详见\nhttps://a.example/x\n或\nhttps://b.example"
    )
    assert body_on("详见\nhttps://a.example\n谢谢", links="own_line") == "详见\nhttps://a.example\n谢谢"


def test_subject_and_call_to_action_find_their_place_or_are_left_out_and_that_is_told() -> None:
    draft = Draft("正文", "主题", "去看看")
    folded = adapt(draft, platform(subject_as="first_line", call_to_action_as="last_line"), "marketing")
    left = adapt(draft, platform(subject_as="left_out", call_to_action_as="left_out"), "marketing")

    assert (folded.draft.subject, folded.draft.body, folded.draft.call_to_action) == (
        "",
        "主题\n正文\n去看看",
        "",
    )
    assert folded.done == ("subject_first_line", "call_to_action_last_line")
    assert (left.draft.subject, left.draft.body, left.draft.call_to_action) == ("", "正文", "")
    assert left.done == ("subject_left_out", "call_to_action_left_out")


def test_a_line_that_is_wanted_is_added_once_and_only_where_it_is() -> None:
    assert body_on("您好", lines=(SIGNED, OPT_OUT)) == "【小店】您好拒收请回复R"
    assert body_on("您好，退订 回td", lines=(OPT_OUT,)) == "您好，退订 回td"
    assert adapt(Draft("您好"), platform(lines=(OPT_OUT,)), "service").draft.body == "您好"
    assert body_on("您好", lines=(LineRule("回复 STOP 退订"),)) == "您好\n回复 STOP 退订"


def test_what_is_added_counts_towards_the_length() -> None:
    rules = platform(lines=(OPT_OUT,), lengths={"body": LengthRule(most=8, source="文档")})
    adapted = adapt(Draft("您好您好"), rules, "marketing").draft

    (finding,) = misfits(adapted, rules)

    assert (finding.code, finding.start, finding.end, finding.severity) == (
        "platform.too_long",
        8,
        10,
        Severity.BLOCK,
    )
    assert not list(misfits(adapt(Draft("您好您好"), rules, "service").draft, rules))


@pytest.mark.parametrize(("unit", "most", "fits"), [("bytes", 7, 2), ("utf16", 4, 3), ("characters", 3, 3)])
def test_a_length_is_counted_as_the_platform_counts(unit: Any, most: int, fits: int) -> None:
    rules = platform(lengths={"body": LengthRule(most=most, unit=unit)})

    (finding,) = misfits(Draft("您好🎉吗"), rules)

    assert finding.start == fits


def test_too_short_and_what_is_refused_are_found_where_they_stand() -> None:
    lengths = {"body": LengthRule(least=99), "subject": LengthRule(least=5)}
    rules = platform(lengths=lengths, links="refused", emoji="refused")

    misfit = misfits(Draft("看 https://a.example. 👍"), rules)
    found = [(each.code, each.start, each.end, each.severity.value) for each in misfit]

    assert found == [
        ("platform.too_short", 0, 22, "warn"),
        ("platform.link", 2, 19, "block"),
        ("platform.emoji", 21, 22, "block"),
    ]


TEXTS = st.text(st.sampled_from("您a1 *_#<>[]()`~\n.。👍🏽\u200d") | st.characters(), max_size=40)
LINKS = st.sampled_from(["https://a.example/x_y", "https://b.example/?q=1*2*3", "http://c.example"])
PIECES = st.lists(TEXTS.filter(lambda text: "http" not in text) | LINKS.map(lambda link: f" {link} "))
RULES = st.fixed_dictionaries(
    {
        "markup": st.sampled_from(["kept", "markdown", "none"]),
        "emoji": st.sampled_from(["kept", "left_out", "refused"]),
        "links": st.sampled_from(["anywhere", "own_line"]),
        "subject_as": st.sampled_from(["subject", "first_line"]),
        "call_to_action_as": st.sampled_from(["button", "last_line"]),
        "lines": st.sampled_from([(), (SIGNED, OPT_OUT)]),
    }
)


@given(pieces=PIECES, subject=TEXTS, rules=RULES)
def test_no_link_and_no_letter_is_ever_lost(pieces: list[str], subject: str, rules: dict[str, Any]) -> None:
    body = "".join(pieces)
    adapted = adapt(Draft(body, subject), platform(**rules), "marketing")

    shown = f"{adapted.draft.subject} {adapted.draft.body}"
    for start, end in links_in(body):
        if body[start:end] in {"https://a.example/x_y", "https://b.example/?q=1*2*3", "http://c.example"}:
            assert body[start:end] in shown
    if not any(sign in f"{subject} {body}" for sign in "<&\u20e3\u200d\ufe0f"):  # no tag, no keycap
        for letter in "您1":
            assert shown.count(letter) >= f"{subject} {body}".count(letter)
    assert adapt(Draft(body, subject), platform(**rules), "marketing") == adapted
