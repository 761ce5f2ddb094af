"""The rules and events that the matcher and its peers are given: a shop's traffic from a fixed seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from engine.rules.condition import All, Op, Rule, Test
from engine.rules.facts import Facts, FactValue

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVENT_TYPES = (
    "order_paid", "cart_add", "page_view", "search", "comment", "refund",
    "login", "coupon_claim", "app_open", "share", "register", "checkin",
)  # fmt: skip
CITIES = (
    "北京", "上海", "广州", "深圳", "杭州", "成都", "武汉", "西安", "南京", "重庆",
    "苏州", "天津", "长沙", "郑州", "青岛", "东莞", "佛山", "宁波", "合肥", "昆明",
)  # fmt: skip
TIERS = ("普通", "银卡", "金卡", "黑金")
CHANNELS = ("app", "wechat", "web", "pos")
CATEGORIES = tuple(f"category_{place}" for place in range(40))
TAGS = tuple(f"tag_{place}" for place in range(60))


@dataclass(frozen=True)
class Situation:
    """One event: its type, and everything known when it is decided on."""

    shard: str
    facts: Facts


def rules(count: int, seed: int = 11) -> list[Rule]:
    """Conjunctions of four to six tests, each for one event type; two tests are in all of them."""
    draw = random.Random(seed)
    tests: list[Callable[[], Test]] = [
        lambda: Test("event.amount", Op.GTE, draw.randrange(50, 2000, 150)),
        lambda: Test("contact.tier", Op.IN, tuple(sorted(draw.sample(TIERS, draw.randint(1, 2))))),
        lambda: Test("contact.city", Op.IN, tuple(sorted(draw.sample(CITIES, draw.randint(1, 5))))),
        lambda: Test("contact.age", Op.GTE, draw.choice([18, 25, 30, 40])),
        lambda: Test("contact.age", Op.LT, draw.choice([25, 35, 50])),
        lambda: Test("contact.spent", Op.GTE, draw.randrange(500, 10_000, 1_000)),
        lambda: Test("contact.orders_30d", Op.GTE, draw.randint(1, 5)),
        lambda: Test("contact.days_since_order", Op.GT, draw.choice([7, 14, 30, 60])),
        lambda: Test("event.channel", Op.EQ, draw.choice(CHANNELS)),
        lambda: Test("event.category", Op.EQ, draw.choice(CATEGORIES)),
        lambda: Test("contact.tags", Op.HAS, draw.choice(TAGS)),
        lambda: Test("contact.gender", Op.EQ, draw.choice(["F", "M"])),
        lambda: Test("event.hour", Op.GTE, draw.randint(8, 20)),
        lambda: Test("event.rating", Op.LTE, draw.randint(1, 3)),
    ]
    made: list[Rule] = []
    for place in range(count):
        shard = draw.choice(EVENT_TYPES)
        parts = [make() for make in draw.sample(tests, draw.randint(2, 4))]
        parts.append(Test("contact.subscribed", Op.EQ, True))
        parts.append(Test("contact.messages_7d", Op.LT, draw.randint(1, 5)))
        made.append(Rule(f"rule_{place}", shard, All(tuple(parts))))
    return made


def situations(count: int, seed: int = 7) -> list[Situation]:
    """Events of all types alike; every fact is there, as in the study this follows."""
    draw = random.Random(seed)
    return [Situation(draw.choice(EVENT_TYPES), _facts(draw)) for _ in range(count)]


def _facts(draw: random.Random) -> Facts:
    facts: dict[str, FactValue | None] = {
        "event.channel": draw.choice(CHANNELS),
        "event.amount": round(draw.random() ** 3 * 5_000, 2),
        "event.quantity": draw.randint(1, 9),
        "event.category": draw.choice(CATEGORIES),
        "event.rating": draw.randint(1, 5),
        "event.hour": draw.randint(0, 23),
        "event.is_first": draw.random() < 0.1,
        "contact.tier": draw.choices(TIERS, [60, 25, 12, 3])[0],
        "contact.city": draw.choice(CITIES),
        "contact.age": draw.randint(16, 70),
        "contact.gender": draw.choice(["F", "M"]),
        "contact.spent": round(draw.random() ** 2 * 20_000, 2),
        "contact.orders_30d": int(draw.expovariate(0.5)),
        "contact.days_since_order": int(draw.expovariate(0.03)),
        "contact.vip": draw.random() < 0.05,
        "contact.subscribed": draw.random() < 0.7,
        "contact.language": draw.choice(["zh", "zh", "zh", "en"]),
        "contact.tags": frozenset(draw.sample(TAGS, draw.randint(0, 6))),
        "contact.messages_7d": draw.randint(0, 6),
        "contact.pushes_1d": draw.randint(0, 8),
    }
    return facts
