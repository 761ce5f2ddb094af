"""Every check that the shipped rulesets switch on: what it points at, how gravely, and what it lets pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.authoring.outgoing import outgoing, sent_by_journeys
from engine.delivery.examining import DIMENSIONS, Examination, examine
from engine.plugin.contracts import Draft, Provenance
from engine.plugin.registry import Registry

NOW = datetime(2026, 11, 22, tzinfo=UTC)
LONG = (
    "我们在这一个月里把店里所有的商品都重新整理了一遍并且按照大家平时最常用的场合分成了十二个类目方便您挑选"
)


@pytest.fixture(scope="module")
def bundle(shipped_files: Mapping[str, str]) -> Bundle:
    return bundle_of(shipped_files)


def examined(
    bundle: Bundle,
    registry: Registry,
    draft: Draft,
    purpose: str = "marketing",
    channel: str = "email",
    content: str = "",
) -> Examination:
    return examine(
        draft,
        bundle,
        registry.checks,
        channel=channel,
        purpose=purpose,
        timeout=timedelta(seconds=30),
        now=NOW,
        content=content,
    )


EMAIL, SERVICE, PHONE = ("marketing", "email"), ("service", "email"), ("marketing", "app")
ENGLISH = "your order has left us this morning"
POINTED_AT = [
    ("ad_law", EMAIL, "国家级面霜", "lexicon.ad_law_zh.absolute", "block"),
    ("sensitive_words", SERVICE, "网上赌场开业", "lexicon.sensitive_words.gambling", "block"),
    ("personal_data", SERVICE, "您的证件号 11010519491231002X 已核验", "personal_data.id_number", "block"),
    ("investment_risk", EMAIL, "新发理财产品，随时申赎", "required_line.missing", "block"),
    ("health_food", EMAIL, "每日一片的保健食品", "required_line.missing", "block"),
    ("brand", EMAIL, "宝子们，新品到了", "brand.banned", "block"),
    ("brand", SERVICE, "客服小妹会联系您", "brand.preferred", "warn"),
    ("brand", EMAIL, "本店销量全网第一", "brand.claim.ranking", "warn"),
    ("marketing_language", EMAIL, ENGLISH, "language.foreign", "block"),
    ("service_language", SERVICE, ENGLISH, "language.foreign", "warn"),
    ("marketing_tone", EMAIL, "您太差劲了，又不付款，真让人失望，非常糟糕", "tone.unkind", "warn"),
    ("service_tone", SERVICE, "太差劲，不付款，让人失望，垃圾，糟糕，太差，骗子", "tone.unkind", "warn"),
    ("duplicates", EMAIL, "按您常买的类目，我们留了几样刚到的新品。", "duplicates.of_content", "warn"),
    (
        *("marketing_terms", EMAIL, "我们用私域触达和裂变提升复购率，形成闭环，欢迎了解"),
        *("jargon_density.too_dense", "warn"),
    ),
    (
        *("service_terms", SERVICE, "您的订单由附近的前置仓发出，预计明天送到您手上，请留意"),
        *("jargon_density.too_dense", "warn"),
    ),
    ("readability", EMAIL, LONG, "readability.long_clause", "warn"),
    (
        *("readability_on_phones", PHONE, "为您挑好了几样适合这个季节在家里和办公室都能用的东西，欢迎来看看"),
        *("readability.long_clause", "warn"),
    ),
]
"""The check, of which messages, the text, and what is found in it."""


@pytest.mark.parametrize(("check", "message", "text", "code", "severity"), POINTED_AT)
def test_it_points_at_what_a_careful_operator_would(
    bundle: Bundle,
    registry: Registry,
    check: str,
    message: tuple[str, str],
    text: str,
    code: str,
    severity: str,
) -> None:
    found = examined(bundle, registry, Draft(text, locale="zh"), *message)

    told = {(each.check, each.finding.code): each.finding.severity.value for each in found.found}
    assert told.get((check, code)) == severity
    assert found.passes is ("block" not in told.values())


def test_what_a_model_wrote_has_to_say_so(bundle: Bundle, registry: Registry) -> None:
    by_model = Provenance("llm", "a-model", ai_generated=True)
    text = Draft("新品到了，欢迎来看看", locale="zh", provenance=by_model)
    labelled = replace(text, body=f"{text.body}（AI生成）")

    assert [each.check for each in examined(bundle, registry, text).found] == ["ai_label"]
    assert examined(bundle, registry, labelled).found == ()


def test_every_check_that_is_switched_on_is_tried_here(bundle: Bundle) -> None:
    assert {each.id for each in bundle.checks} == {check for check, *_ in POINTED_AT} | {"ai_label"}


@pytest.mark.parametrize(
    ("purpose", "channel", "text", "locale"),
    [
        ("marketing", "email", "大家好，新品到了，客服同事随时可以回答您", "zh"),
        ("marketing", "email", "本店支持七天无理由退货", "zh"),
        ("marketing", "email", "Your order has left us this morning.", "en"),
        ("service", "email", "如果问题还没有解决，或者收到的商品有破损，请直接回复。", "zh"),
        ("service", "email", "您的订单由附近的仓库发出，预计明天送到您手上，请留意", "zh"),
        ("marketing", "email", "为您挑好了几样适合这个季节在家里和办公室都能用的东西，欢迎来看看", "zh"),
    ],
)
def test_it_lets_pass_what_says_the_same_as_it_should_be_said(
    bundle: Bundle, registry: Registry, purpose: str, channel: str, text: str, locale: str
) -> None:
    assert examined(bundle, registry, Draft(text, locale=locale), purpose, channel).found == ()


def test_nothing_is_found_in_the_shipped_texts_but_in_the_one_that_shows_what_is_blocked(
    bundle: Bundle, registry: Registry
) -> None:
    objected = {
        content: {each.check for each in found.found}
        for content, channel, purpose in sent_by_journeys(bundle)
        for text in outgoing(bundle, content, channel, purpose)
        if (found := examined(bundle, registry, text.adapted.draft, purpose, channel, content)).found
    }

    assert objected == {"repurchase_old_claim": {"ad_law"}}


def test_every_message_is_scored_in_every_dimension(bundle: Bundle, registry: Registry) -> None:
    for purpose in ("marketing", "service"):
        for channel in bundle.channels:
            text = "按您常买的类目，我们留了几样刚到的新品，欢迎来看看。"
            found = examined(bundle, registry, Draft(text, locale="zh"), purpose, channel)
            assert set(found.scores) == set(DIMENSIONS), (purpose, channel)


def test_what_two_entries_of_one_check_find_is_told_once_and_by_the_graver(
    bundle: Bundle, registry: Registry
) -> None:
    draft = Draft("your order has left us this morning", locale="zh")

    (told,) = [
        each
        for each in examined(bundle, registry, draft, purpose="").found
        if each.finding.code == "language.foreign"
    ]
    assert (told.check, told.finding.severity.value) == ("marketing_language", "block")
