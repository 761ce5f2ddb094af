"""The profiles, stages and audiences that come with Wayline, over lives as they happen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.contacts.computing import compute
from engine.contacts.counting import count_event
from engine.contacts.profile import Profile
from engine.contacts.updating import apply_event
from engine.journeys.event import Event
from engine.rules.matcher import Matcher

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

Life = list[tuple[str, str, dict[str, Any]]]


@pytest.fixture(scope="module")
def bundle(shipped_files: Mapping[str, str]) -> Bundle:
    return bundle_of(shipped_files)


@pytest.fixture(scope="module")
def matcher(bundle: Bundle) -> Iterator[Matcher]:
    matcher = Matcher(bundle.rules)
    yield matcher
    matcher.close()


def lived(bundle: Bundle, matcher: Matcher, life: Life, sends: int = 0) -> Profile:
    """The contact after this life: (how long ago, what, its properties), and messages sent since.

    The last of them left three days ago.
    """
    contact = Profile("c1", created_at=NOW - timedelta(days=400))
    units = {"d": "days", "h": "hours", "m": "minutes"}
    for seq, (ago, kind, properties) in enumerate(life, 1):
        at = NOW - timedelta(**{units[ago[-1]]: int(ago[:-1])})
        event = Event(f"e{seq}", kind, "c1", at, at, properties=properties, seq=seq)
        count_event(contact, event, bundle, matcher)
        apply_event(contact, event, bundle.events[kind])
    contact.sends_since_active = sends
    contact.last_send_at = NOW - timedelta(days=3) if sends else None
    compute(contact, bundle, matcher, NOW)
    return contact


VIEW: dict[str, Any] = {"product_id": "p1"}


def order(amount: float) -> dict[str, Any]:
    return {"order_id": "o", "amount": amount}


@pytest.mark.parametrize(
    ("life", "audiences"),
    [
        ([("3d", "video_watched", {"video_id": "v", "percent": 80})], {"potential"}),
        ([("3d", "video_watched", {"video_id": "v", "percent": 74})], set()),
        ([("40d", "video_watched", {"video_id": "v", "percent": 80})], {"dormant"}),
        ([("2d", "video_watched", {"video_id": "v", "percent": 80}), ("1d", "order_paid", order(9))], set()),
        ([("5h", "cart_added", VIEW)], {"hesitating"}),
        ([("30m", "cart_added", VIEW)], set()),
        ([("5h", "cart_added", VIEW), ("4h", "order_paid", order(9))], set()),
        ([("3d", "cart_added", VIEW)], set()),
        ([("30d", "order_paid", order(9))], {"lapsed", "dormant"}),
        ([("30d", "order_paid", order(9)), ("29d", "order_paid", order(9))], set()),
    ],
)
def test_audiences(bundle: Bundle, matcher: Matcher, life: Life, audiences: set[str]) -> None:
    assert lived(bundle, matcher, life).audiences == audiences


@pytest.mark.parametrize(
    ("life", "sends", "activity"),
    [
        ([("1d", "product_viewed", VIEW)] * 3, 0, "frequent"),
        ([("8d", "product_viewed", VIEW)] * 3, 0, "normal"),
        ([("30d", "product_viewed", VIEW)], 0, "silent"),
        ([("1d", "product_viewed", VIEW)], 3, "fading"),
        ([("4d", "product_viewed", VIEW)], 1, "fading"),
        ([], 0, "normal"),
    ],
)
def test_activity(bundle: Bundle, matcher: Matcher, life: Life, sends: int, activity: str) -> None:
    assert lived(bundle, matcher, life, sends).classes["activity"] == activity


@pytest.mark.parametrize(
    ("life", "stage", "rfm"),
    [
        ([("1d", "product_viewed", VIEW)], "new", "none"),
        ([("10d", "order_paid", order(50))], "growing", "fresh"),
        ([("10d", "order_paid", order(1200))], "valued", "fresh"),
        ([("10d", "order_paid", order(900))] * 6, "valued", "champion"),
        ([("100d", "order_paid", order(100))] * 3, "valued", "at_risk"),
        ([("200d", "order_paid", order(100))], "churned", "ordinary"),
    ],
)
def test_stage_and_rfm(bundle: Bundle, matcher: Matcher, life: Life, stage: str, rfm: str) -> None:
    contact = lived(bundle, matcher, life)

    assert (contact.stage, contact.classes["rfm"]) == (stage, rfm)
