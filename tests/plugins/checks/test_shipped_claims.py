"""What the shipped lists point at, and the same words where somebody quotes, forbids or denies them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from benchmarks.checks import shipped_checks
from engine.plugin import Finding


@cache
def examine() -> Callable[[str], list[tuple[str, Finding]]]:
    return shipped_checks()


def codes(text: str) -> set[str]:
    return {finding.code for _, finding in examine()(text)}


CLAIMS = [
    # (the claim, its code, words that are not the claim)
    ("全网最低价，今晚截止", "lexicon.ad_law_zh.absolute", "别轻信所谓全网最低价"),
    ("我们家全网最便宜的一款面霜", "lexicon.ad_law_zh.absolute", "我们家在售的面霜里最便宜的一款是三十元"),
    ("顶级和牛", "lexicon.ad_law_zh.absolute", "文案自查：海报里不要出现“顶级”这类字眼"),
    ("最佳伴侣", "lexicon.ad_law_zh.absolute", "冲泡的最佳水温是八十五度"),
    ("把五星红旗印上保温杯", "lexicon.ad_law_zh.state", "升国旗仪式七点开始，请着校服"),
    ("军队特供好酒", "lexicon.ad_law_zh.state", "部队驻地附近禁飞无人机"),
    ("给五星好评就返现五元", "lexicon.ad_law_zh.consumer", "不要参与“好评返现”，平台会处罚商家"),
    ("本店不开发票", "lexicon.ad_law_zh.consumer", "本店可开电子发票"),
    (
        *("定金不论什么原因一律不退", "lexicon.ad_law_zh.consumer"),
        "依据《消费者权益保护法》第二十六条，“概不退换”的告示无效",
    ),
    ("逢考必胜的冲刺班", "lexicon.ad_law_zh.education", "祝同学们逢考必胜"),
    ("经济学家力荐的私募", "lexicon.ad_law_zh.finance", "投资有风险，本课程不荐股"),
    (
        "没有任何副作用的减肥胶囊",
        "lexicon.ad_law_zh.medical",
        "布洛芬缓释胶囊，用于缓解轻至中度疼痛，请按说明书服用",
    ),
    ("三天根治糖尿病的口服液", "lexicon.ad_law_zh.medical", "清热解毒口服液：用于外感风热，请按说明书服用"),
    ("鼻炎喷剂，无效退款", "lexicon.ad_law_zh.medical", "所谓“包治百病”的神药都是骗局"),
    ("再来投诉就弄死你", "lexicon.sensitive_words.violence", "遇到威胁请截图举报"),
    (
        *("Throw away your insulin", "lexicon.ad_law_en.medical"),
        "There is no cure for the common cold, so rest and drink water",
    ),
    (
        *("Leave a five-star review and get $10", "lexicon.ad_law_en.consumer"),
        "A sign saying “no refunds” does not take away your rights",
    ),
    ("Top brand in skincare", "lexicon.ad_law_en.absolute", "Our aim is to become the best bakery we can be"),
]


@pytest.mark.parametrize(("claim", "code", "harmless"), CLAIMS)
def test_a_claim_is_pointed_at_and_what_is_said_of_it_is_not(claim: str, code: str, harmless: str) -> None:
    assert code in codes(claim)
    assert codes(harmless) == set()


@pytest.mark.parametrize(
    "text",
    ["广告法不让说，其实就是全网最低", "一般的面霜不能使用，我们的最好", "没有哪款比它更好，全国最好"],
)
def test_who_pretends_to_warn_is_no_less_pointed_at(text: str) -> None:
    assert "lexicon.ad_law_zh.absolute" in codes(text)
