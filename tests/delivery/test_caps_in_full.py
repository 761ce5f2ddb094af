"""Quotas, tolerance, silence and the look ahead, through the whole of delivery on both databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import update

from engine.gate.arbitration import GRACE
from engine.gate.model import Outcome
from engine.store.tables import ContactRow, IntentRow, RunRow
from tests.delivery.conftest import START

HOUR = timedelta(hours=1)
DAY = 24 * HOUR
HEAD = """
    kind: caps
    id: pressure
    title: pressure
    owner: us
"""
LOOKING_AHEAD = f"""{HEAD}
    caps:
      - id: one_a_day
        counts: {{purpose: marketing}}
        limit: 1
        window: {{rolling: 24h}}
        when_full: skip
        look_ahead: 6h
"""
JOURNEY = """
    kind: journey
    id: later
    title: later
    owner: us
    purpose: marketing
    priority: 80
    enter: {event: contact_added}
    steps:
      - {wait: some, for: 3h}
      - {send: best, content: hello, channels: [app]}
"""


def contact_is(desk: Any, **values: Any) -> None:
    with desk.store.begin() as session:
        session.execute(update(ContactRow).values(**values))


async def test_a_quota_binds_service_messages_too(desk: Any) -> None:
    desk.publish(
        caps=f"""{HEAD}
    caps:
      - id: platform
        counts: {{channels: [email]}}
        limit: 1
        window: {{calendar: month, timezone: workspace}}
        when_full: skip
        quota: {{source: the platform, as_of: "2026-03-01"}}
    """
    )
    desk.contact()
    desk.plan("k1", purpose="service")
    desk.plan("k2", purpose="service")
    assert await desk.deliver("k1") is Outcome.SENT
    assert await desk.deliver("k2") is Outcome.CAPPED
    assert desk.reasons("k2") == ["cap.quota"]
    assert desk.places("k1") == ["confirmed"]


async def test_a_limit_is_scaled_by_the_contact_as_it_stands_when_the_place_is_taken(desk: Any) -> None:
    desk.publish(
        caps=f"""{HEAD}
    caps:
      - {{id: two, counts: {{}}, limit: 2, window: {{rolling: 7d}}, when_full: skip}}
    tolerance:
      scale: [{{when: {{contact.order_count: {{gte: 3}}}}, factor: 1.5}}]
    """
    )
    desk.contact()
    for number in range(4):
        desk.plan(f"k{number}")
    assert await desk.deliver("k0") is Outcome.SENT
    assert await desk.deliver("k1") is Outcome.SENT
    assert await desk.deliver("k2") is Outcome.CAPPED
    contact_is(desk, order_count=3)
    assert await desk.deliver("k3") is Outcome.SENT


async def test_silence_pauses_marketing_until_a_sign_of_life_or_its_end(desk: Any) -> None:
    desk.publish(
        caps=f"""{HEAD}
    caps:
      - {{id: many, counts: {{}}, limit: 99, window: {{rolling: 7d}}, when_full: skip}}
    tolerance: {{pause_after_silence: {{after: 3d, for: 14d}}}}
    """
    )
    desk.contact()
    desk.plan("k1")
    assert await desk.deliver("k1") is Outcome.SENT
    desk.clock.advance(2 * DAY)
    desk.plan("k2")
    assert await desk.deliver("k2") is Outcome.SENT
    desk.clock.advance(DAY)
    desk.plan("k3")
    desk.plan("service", purpose="service")
    assert await desk.deliver("k3") is Outcome.CAPPED
    assert desk.reasons("k3") == ["cap.silence"]
    assert await desk.deliver("service") is Outcome.SENT
    contact_is(desk, silent_since=None)  # as every sign of life does
    desk.plan("k4")
    assert await desk.deliver("k4") is Outcome.SENT
    desk.clock.advance(3 * DAY)
    desk.plan("k5")
    assert await desk.deliver("k5") is Outcome.CAPPED
    desk.clock.advance(14 * DAY)
    desk.plan("k6")
    assert await desk.deliver("k6") is Outcome.SENT
    (contact,) = desk.rows(ContactRow)
    assert contact.silent_since == desk.journey_now()


def coming(desk: Any, at: timedelta) -> None:
    """Somebody's run stands before its message, which is due then."""
    desk.publish(later=JOURNEY)
    live = desk.intent("k", "ann").bundle_hash
    with desk.store.begin() as session:
        session.add(
            RunRow(
                id="run",
                journey="later",
                version="v",
                bundle_hash=live,
                contact_id="ann",
                entry_key="once",
                position="some",
                waiting="timer",
                priority=80,
                due_at=START + at,
                next_send_at=START + at,
                started_at=START,
            )
        )


async def test_the_last_place_is_kept_for_a_run_and_used_when_it_does_not_come(desk: Any) -> None:
    desk.publish(caps=LOOKING_AHEAD)
    desk.contact()
    coming(desk, 3 * HOUR)
    desk.plan("low", priority=20)
    assert await desk.deliver("low") is None
    assert desk.row("low").wake_at == START + 3 * HOUR + GRACE
    assert desk.row("low").reason == "cap.yielded"
    assert desk.places("low") == []
    desk.clock.advance(3 * HOUR + GRACE)
    await desk.settle_down()
    assert desk.row("low").outcome == "sent"


async def test_the_last_place_is_left_to_a_message_of_higher_value_that_waits(desk: Any) -> None:
    desk.publish(caps=LOOKING_AHEAD)
    desk.contact()
    desk.plan("high", priority=80)
    with desk.store.begin() as session:
        session.execute(update(IntentRow).values(state="held", wake_at=START + HOUR, lease_until=None))
    desk.plan("low", priority=20)
    assert await desk.deliver("low") is None
    desk.clock.advance(HOUR)
    await desk.settle_down()
    assert desk.row("high").outcome == "sent"
    desk.clock.advance(GRACE)
    await desk.settle_down()
    assert desk.row("low").outcome == "capped"
    assert desk.reasons("low") == ["cap.yielded", "cap.full"]
