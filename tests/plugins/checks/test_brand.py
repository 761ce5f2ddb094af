"""The check of the brand book: its words, its claims, and the day on which a claim ends."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.plugin import (
    BannedWord,
    BrandBook,
    CheckContext,
    Claim,
    Draft,
    Finding,
    PreferredWord,
    Severity,
)
from engine.plugin.answers import fault_of_findings
from engine.plugin.testing import check_check
from plugins.checks.brand import BrandCheck
from plugins.checks.claims import signs_in
from plugins.checks.text import plain

BOOK = BrandBook(
    tone=("温和",),
    preferred=(PreferredWord("会员", ("老客户", "VIP客户"), ("老客户回馈日",)),),
    banned=(
        BannedWord("亲", "太随便", "您", ("父亲", "亲自")),
        BannedWord("cheap", suggestion="good value"),
    ),
    claims=(
        Claim("支持七天无理由退货", "售后政策 2026 版"),
        Claim("连续三年销量第一", "行业协会 2025 年统计", date(2026, 12, 31)),
        Claim("free shipping on every order", "the contract with the carrier"),
    ),
)
CHECK = BrandCheck()
LAST_DAY = date(2026, 12, 31)


def context_of(book: BrandBook | None = BOOK, today: date | None = LAST_DAY, **said: Any) -> CheckContext:
    return CheckContext("email", "marketing", "zh", said, (), book, today)


def found(text: str, **how: Any) -> list[Finding]:
    return list(CHECK.examine(Draft(text), context_of(**how)))


def codes(text: str, **how: Any) -> list[str]:
    return [each.code for each in found(text, **how)]


def test_it_keeps_the_contract() -> None:
    check_check(CHECK, context=context_of())


def test_a_banned_word_blocks_and_says_what_to_write() -> None:
    (finding,) = found("亲，欢迎回来")

    assert (finding.code, finding.severity, finding.suggestion) == ("brand.banned", Severity.BLOCK, "您")
    assert (finding.start, finding.end) == (0, 1)
    assert "太随便" in finding.message


def test_a_word_is_found_however_it_is_written_and_not_inside_of_another() -> None:
    assert codes("So CHEAP today") == ["brand.banned"]
    assert codes("cheaper, cheapest") == []
    assert codes("祝父亲节快乐，店长亲自送上") == []


def test_a_word_that_the_book_replaces_is_a_warning_with_the_right_one() -> None:
    (finding,) = found("感谢每一位vip客户")

    assert (finding.code, finding.severity, finding.suggestion) == (
        "brand.preferred",
        Severity.WARN,
        "会员",
    )
    assert codes("老客户回馈日开始了") == []


def test_a_claim_may_be_made_in_the_words_of_the_book_only() -> None:
    assert codes("全场支持七天无理由退货。") == []
    assert codes("全场支持 7 天无理由退货。") == []  # the same words, with the number in another writing
    assert codes("Free shipping on every order!") == []
    (finding,) = found("全场三十天无理由退货")
    assert (finding.code, finding.severity) == ("brand.claim.warranty", Severity.WARN)
    assert "支持七天无理由退货" in finding.suggestion


def test_a_claim_ends_with_its_last_day() -> None:
    text = "我们连续三年销量第一"

    assert codes(text, today=LAST_DAY) == []
    (finding,) = found(text, today=date(2027, 1, 1))
    assert (finding.code, finding.severity) == ("brand.claim_ended", Severity.BLOCK)
    assert text[finding.start : finding.end] == "连续三年销量第一"
    assert "2026-12-31" in finding.message


def test_on_a_day_that_nobody_knows_only_what_may_be_claimed_for_good_is_allowed() -> None:
    assert codes("支持七天无理由退货", today=None) == []
    assert codes("连续三年销量第一", today=None) == ["brand.claim_ended"]


CLAIMS = {
    "share": ["98%的用户愿意推荐", "好评率高达99", "九成顾客回购", "95% of our customers come back"],
    "number": ["300万家庭的选择", "累计售出20万件", "Trusted by over 10,000 families"],
    "ranking": ["全国销量第一", "行业领先的工艺", "the number one choice"],
    "award": ["荣获红点设计奖", "our award-winning cream"],
    "certificate": ["通过欧盟有机认证", "采用专利技术", "ISO9001 质量管理"],
    "proof": ["临床研究证明有效", "clinically proven"],
    "warranty": ["两年质保", "假一赔十", "30-day money back guarantee", "lifetime warranty"],
    "delivery": ["48小时内发货", "次日达", "全国包邮", "free shipping"],
    "history": ["创立于1956", "百年老店", "since 1956"],
    "origin": ["原装进口", "零添加", "100% natural"],
}


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, each in CLAIMS.items() for text in each])
def test_what_sounds_like_a_fact_is_asked_about(kind: str, text: str) -> None:
    assert kind in [sign.kind for sign in signs_in(plain(text))]


@pytest.mark.parametrize(
    "text",
    [
        "您好，欢迎加入，随时可以联系我们。",
        "立减20%，满300元可用，三十天内有效。",
        "今晚八点，直播间见。",
        "您购物车里的三件商品还在等您。",
        "第一次见面，送您一张首单券。",
        "请在24小时内完成付款。",
        "研究了一下您的口味，挑了三款。",
        "Hello, your order of 3 items has been shipped.",
        "Take 20% off, today only.",
    ],
)
def test_greetings_offers_and_news_of_an_order_are_no_claims(text: str) -> None:
    assert codes(text) == []


def test_how_grave_each_kind_is_stands_in_the_ruleset() -> None:
    told = {each.code: each.severity for each in found("亲，全国包邮", banned="warn", claims="block")}

    assert told == {"brand.banned": Severity.WARN, "brand.claim.delivery": Severity.BLOCK}
    with pytest.raises(ValidationError):
        found("x", claims="never")


def test_without_a_book_the_message_is_blocked_and_not_passed() -> None:
    with pytest.raises(ValueError, match="no brand book"):
        found("x", book=None)


def test_a_book_is_made_ready_once() -> None:
    check, book = BrandCheck(), BrandBook(banned=(BannedWord("亲"),))

    assert not check.immediate(context_of(book))
    check.examine(Draft("x"), context_of(book))
    assert check.immediate(context_of(book))
    assert not check.immediate(context_of(BrandBook(banned=(BannedWord("亲"),))))


def test_an_empty_book_finds_nothing_but_claims() -> None:
    assert codes("亲，全国包邮", book=BrandBook()) == ["brand.claim.delivery"]


@given(st.text(alphabet="亲父母0123456789%天年无理由退货的用户free shipping，。 cheap", max_size=80))
@settings(max_examples=200)
def test_every_span_lies_in_the_text(text: str) -> None:
    draft = Draft(text, subject=text)
    assert fault_of_findings(CHECK.examine(draft, context_of()), draft) == ""


@given(st.text(alphabet="最全国天年包退换质保第一 %", max_size=40))
@settings(max_examples=200)
def test_a_text_that_consists_of_claims_of_the_book_is_never_asked_about(noise: str) -> None:
    """Whatever a claim says may be said, in the words in which it stands."""
    claim = noise.strip() or "包邮"
    book = BrandBook(claims=(Claim(claim, "evidence"),))
    assert [code for code in codes(claim, book=book) if code.startswith("brand.claim")] == []


@pytest.mark.parametrize(
    "text", ["1" * 60_000, "通过" * 30_000, "获" * 60_000, "9年" * 30_000, "since " * 15_000]
)
def test_texts_made_to_be_slow_are_not(text: str) -> None:
    found(text)
