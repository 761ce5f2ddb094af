"""Finds what sounds like a fact: numbers of people, rankings, awards, warranties, times of delivery, proofs.

A sign and no understanding: it points at what somebody would have to prove, and knows nothing of whether it
is so. Offers (a discount, a price) are no claims here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from plugins.checks.text import Form

_N = r"(?:\d[\d,.]{0,12}|[一二三四五六七八九十百千两半几数]{1,6})"
_PEOPLE = r"(?:用户|顾客|客户|消费者|会员|家庭|妈妈|女性|男性|人群|网友|买家)"
_GOODS = r"(?:件|单|瓶|盒|支|台|套|次|份|杯)"

SIGNS: dict[str, tuple[str, ...]] = {
    "share": (
        rf"(?:{_N}\s?%|百分之{_N}|{_N}成)(?:以上)?的?{_PEOPLE}",
        rf"(?:满意度|好评率|回购率|复购率|有效率|推荐率|合格率|转化率)(?:高?达|超过?|为|是)?{_N}",
        rf"(?:提升|提高|增长|降低|减少|改善)(?:了|达)?{_N}\s?%",
        r"\d[\d.,]{0,8}\s?%\s(?:of\s)(?:our\s|all\s|the\s)?"
        r"(?:customers|users|people|members|buyers|readers|patients|women|men)\b",
    ),
    "number": (
        rf"{_N}[万亿]?[+余多]?(?:名|位|个|家|户)?(?:的)?(?:忠实|真实)?{_PEOPLE}(?:的)?(?:选择|信赖|都在用|在用|好评|推荐)",
        rf"(?:累计|已有|突破|超过|服务|售出|卖出|热销|销量)[^，。！？；\n]{{0,6}}?{_N}[万亿]?[+余多]?(?:名|位|人|家|{_GOODS})",
        r"\b(?:trusted|loved|used|chosen) by (?:over |more than )?\d[\d,.]{0,12}",
        r"\b(?:over|more than) \d[\d,.]{0,12} (?:sold|customers|users|members)\b",
    ),
    "ranking": (
        r"(?:销量|口碑|排名|市占率|市场份额|行业|全国|全网|全球|同类)[^，。！？；\n]{0,4}?(?:第一|冠军|领先|前[一二三五十\d])",
        r"\b(?:no\.\s?1|number one|market leader|best[- ]selling|leading brand)\b",
    ),
    "award": (
        r"(?:获得?|荣获|斩获|摘得)[^，。！？；\n]{0,14}?(?:奖|金牌|称号|认证|认可)",
        r"\baward[- ]winning\b",
    ),
    "certificate": (
        r"(?:通过|取得|经|符合)[^，。！？；\n]{0,14}?(?:认证|检测|检验|鉴定|标准)",
        r"(?:国家|发明|实用新型|独家)?专利(?:技术|配方|产品|成分)?",
        r"\b(?:iso\s?\d{3,5}|fda|sgs|gmp|haccp)\b",
        r"\b(?:certified|patented|fda[- ]approved)\b",
    ),
    "proof": (
        r"(?:实验|临床|测试|检测|研究|数据|报告|调查)[^，。！？；\n]{0,4}?(?:证明|证实|表明|显示|验证)",
        r"\b(?:clinically|scientifically|dermatologically)[ -](?:proven|tested)\b",
        r"\bstud(?:y|ies) (?:show|shows|prove|proves)\b",
    ),
    "warranty": (
        rf"{_N}[天日][^，。！？；\n]{{0,4}}?(?:退换?货?|退款|包退|包换|保价)",
        rf"{_N}年[^，。！？；\n]{{0,4}}?(?:质保|保修|联保|包换)",
        r"无理由退换?货?|终身(?:质保|保修|维护)|假一赔[\d一二三五十百]|正品保证|官方正品|不满意[^，。]{0,3}退",
        r"\b\d{1,3}[- ](?:day|month|year)s?[- ][a-z -]{0,20}?(?:guarantee|warranty|returns?|refund)\b",
        r"\b(?:money[- ]back|lifetime) (?:guarantee|warranty)\b",
    ),
    "delivery": (
        rf"{_N}(?:个)?(?:小时|分钟|天|日)[内之]{{0,2}}(?:送达|发货|到货|到账|必达|送到)",
        r"(?:次日|当日|隔日)(?:送达|达|发货)|(?:全国|全场|全店)包邮",
        r"\bfree (?:shipping|delivery|returns)\b|\b(?:same|next)[- ]day delivery\b",
        r"\b(?:delivered|shipped|arrives) (?:with)?in \d{1,3} (?:hours?|days?)\b",
    ),
    "history": (
        rf"(?:创立|成立|始|源|创始)于\s?\d{{4}}|{_N}年(?:老店|品牌|历史|经验|老字号)|百年(?:老店|品牌|老字号|传承)",
        r"\b(?:since|established in|founded in) (?:1[6-9]|20)\d\d\b",
    ),
    "origin": (
        r"原装进口|产自[^，。！？；\n\s]{2,8}|原产地|有机(?:认证|种植|食品)|纯天然|(?:零|无|0)添加",
        r"\b(?:100% natural|certified organic|all[- ]natural)\b",
    ),
}
"""Kind of claim -> how it is said, in texts in their plain form."""

_ALL = re.compile("|".join(f"(?P<{kind}>{'|'.join(signs)})" for kind, signs in SIGNS.items()))


@dataclass(frozen=True)
class Sign:
    """A place that sounds like a fact, in the original text."""

    kind: str
    start: int
    end: int


def signs_in(form: Form) -> Iterator[Sign]:
    """What sounds like a fact, in the order of the text; of signs that overlap the first."""
    for found in _ALL.finditer(form.text):
        yield Sign(str(found.lastgroup), *form.original(found.start(), found.end()))
