"""Holds: caps that free later, the kill switch, expiry; nothing held is lost."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from datetime import timedelta
from typing import Any

from engine.delivery.intents import withdrawn_answer
from engine.delivery.waking import drop_held
from engine.gate.model import Outcome
from engine.governance.control import kill, unkill
from engine.plugin.contracts import Message, Rejected, SendResult, Unknown
from engine.plugin.recording import RecordingChannel
from engine.store.tables import DecisionRow, IntentRow

HOUR = timedelta(hours=1)


def stop_everything(desk: Any) -> None:
    with desk.store.begin() as session:
        kill(session, by="ops", reason="wrong price", now=desk.clock.now())


def start_again(desk: Any) -> int:
    with desk.store.begin() as session:
        unkill(session, by="ops", now=desk.clock.now())
        woken: int = desk.delivery.wake_scope(session, "kill")
        return woken


def one_a_day(desk: Any, wish: str) -> None:
    from_file = """
        kind: caps
        id: pressure
        title: pressure
        owner: us
        caps:
          - id: one_a_day
            counts: {purpose: marketing}
            limit: 1
            window: {rolling: 24h}
            when_full: WISH
        """
    desk.publish(caps=from_file.replace("WISH", wish))


async def test_a_deferred_message_leaves_when_the_cap_frees_and_not_before(desk: Any) -> None:
    one_a_day(desk, "defer")
    desk.contact()
    desk.plan("k1")
    desk.plan("k2")
    assert await desk.deliver("k1") is Outcome.SENT
    assert await desk.deliver("k2") is None
    assert desk.row("k2").wake_at == desk.journey_now() + 24 * HOUR
    desk.clock.advance(24 * HOUR - timedelta(microseconds=1))
    assert await desk.delivery.deliver_due(10) == 0
    assert await desk.deliver("k2") is None
    desk.clock.advance(timedelta(microseconds=1))
    assert await desk.delivery.deliver_due(10) == 1
    assert desk.row("k2").outcome == "sent"
    assert desk.reasons("k2") == ["cap.full", "sent.accepted"]


CAPS = """
    kind: caps
    id: pressure
    title: pressure
    owner: us
    caps: [{id: daily, counts: {purpose: marketing}, limit: 1, window: {rolling: 24h}, when_full: defer}]
    """
NIGHT = """
    kind: quiet_hours
    id: night
    title: night
    owner: us
    quiet_hours:
      - id: nap
        because: courtesy
        holds_back: {purposes: [marketing]}
        from: "10:00"
        until: "15:00"
        timezone: contact
        when_quiet: defer
    """


async def test_what_caps_hold_goes_when_looser_ones_are_published(desk: Any) -> None:
    desk.publish(caps=CAPS)
    desk.contact()
    for key in ("k1", "k2", "k3"):
        desk.plan(key)
        await desk.deliver(key)
    assert [desk.row(key).state for key in ("k2", "k3")] == ["held", "held"]
    desk.publish(caps=CAPS.replace("limit: 1", "limit: 2"))
    assert await desk.delivery.deliver_due(10) == 2
    assert sorted(desk.row(key).reason for key in ("k2", "k3")) == ["cap.full", "sent.accepted"]
    assert await desk.delivery.deliver_due(10) == 0


async def test_what_quiet_hours_hold_goes_when_they_are_no_more(desk: Any) -> None:
    desk.publish(night=NIGHT)
    desk.contact()
    desk.plan("k1")
    assert await desk.deliver("k1") is None
    assert desk.row("k1").reason.startswith("quiet.")
    del desk.files["night.yaml"]
    desk.publish()
    assert await desk.delivery.deliver_due(10) == 1
    assert desk.row("k1").outcome == "sent"


async def test_what_is_published_beside_the_gate_leaves_held_messages_alone(desk: Any) -> None:
    desk.publish(caps=CAPS)
    desk.contact()
    for key in ("k1", "k2"):
        desk.plan(key)
        await desk.deliver(key)
    held = desk.row("k2")
    desk.publish(caps=CAPS.replace("title: pressure", "title: less pressure"))
    assert (desk.row("k2").state, desk.row("k2").wake_at) == ("held", held.wake_at)
    assert await desk.delivery.deliver_due(10) == 0


async def test_caps_run_on_journey_time(desk: Any) -> None:
    desk.speed_up(24 * 3600)
    one_a_day(desk, "defer")
    desk.contact()
    desk.plan("k1")
    desk.plan("k2")
    await desk.deliver("k1")
    assert await desk.deliver("k2") is None
    desk.clock.advance(timedelta(seconds=1))
    assert await desk.delivery.deliver_due(10) == 1
    assert desk.row("k2").outcome == "sent"


async def test_a_full_cap_that_skips_ends_the_intent_and_takes_no_place(desk: Any) -> None:
    one_a_day(desk, "skip")
    desk.contact()
    desk.plan("k1")
    desk.plan("k2")
    await desk.deliver("k1")
    assert await desk.deliver("k2") is Outcome.CAPPED
    assert (desk.places("k1"), desk.places("k2")) == (["confirmed"], [])


async def test_a_refused_message_gives_its_place_back(desk: Any) -> None:
    one_a_day(desk, "skip")
    desk.mail = RecordingChannel("mail", results=[Rejected("550")])
    desk.process()
    desk.contact()
    desk.plan("k1")
    desk.plan("k2")
    assert await desk.deliver("k1") is Outcome.FAILED
    assert desk.places("k1") == ["released"]
    assert await desk.deliver("k2") is Outcome.SENT


async def test_an_unknown_message_keeps_its_place(desk: Any) -> None:
    one_a_day(desk, "skip")
    desk.mail = RecordingChannel("mail", results=[Unknown()])
    desk.process()
    desk.contact()
    desk.plan("k1")
    desk.plan("k2")
    assert await desk.deliver("k1") is Outcome.UNKNOWN
    assert await desk.deliver("k2") is Outcome.CAPPED


async def test_a_hundred_at_once_for_one_contact_never_over_run_a_cap_of_one(desk: Any) -> None:
    one_a_day(desk, "skip")
    desk.contact()
    keys = [desk.plan(f"k{number:03}") for number in range(100)]
    others = desk.process()
    outcomes = await asyncio.gather(
        *((desk.delivery if n % 2 else others).deliver(key, carried=True) for n, key in enumerate(keys))
    )
    assert Counter(outcomes) == {Outcome.SENT: 1, Outcome.CAPPED: 99}
    assert len(desk.mail.sent) == 1


async def test_a_hundred_at_once_that_may_wait_send_one_and_hold_the_rest(desk: Any) -> None:
    one_a_day(desk, "defer")
    desk.contact()
    keys = [desk.plan(f"k{number:03}") for number in range(100)]
    outcomes = await asyncio.gather(*(desk.deliver(key) for key in keys))
    assert Counter(outcomes) == {Outcome.SENT: 1, None: 99}
    assert Counter(row.state for row in desk.rows(IntentRow)) == {"accepted": 1, "held": 99}


async def test_the_kill_switch_holds_and_its_end_loses_none(desk: Any) -> None:
    desk.contact()
    keys = [desk.plan(f"k{number}") for number in range(20)]
    stop_everything(desk)
    assert await asyncio.gather(*(desk.deliver(key) for key in keys)) == [None] * 20
    assert desk.mail.calls == []
    assert {row.hold_scope for row in desk.rows(IntentRow)} == {"kill"}
    assert await desk.delivery.deliver_due(50) == 0
    assert start_again(desk) == 20
    await desk.settle_down()
    assert Counter(row.outcome for row in desk.rows(IntentRow)) == {"sent": 20}
    assert Counter(row.reason for row in desk.rows(DecisionRow)) == {"kill.switch": 20, "sent.accepted": 20}


async def test_a_kill_after_the_reservation_still_stops_the_hand_over(sqlite_desk: Any) -> None:
    """The switch is thrown between the look at the gate and the hand-over: by the channel's own preflight."""
    desk = sqlite_desk

    class Killing(RecordingChannel):
        def preflight(self, message: Message) -> Any:
            stop_everything(desk)
            return super().preflight(message)

    one_a_day(desk, "skip")
    desk.mail = Killing("mail")
    desk.process()
    desk.contact()
    desk.plan()
    assert await desk.deliver() is None
    assert desk.mail.calls == []
    assert (desk.row().state, desk.row().hold_scope) == ("held", "kill")
    assert desk.places() == ["released"]


async def test_no_hold_is_written_after_everything_held_was_woken(desk: Any) -> None:
    """The switch is released while intents are being held: each ends up sent, none sleeps on."""
    desk.contact()
    keys = [desk.plan(f"k{number}") for number in range(30)]
    stop_everything(desk)
    released = threading.Thread(target=start_again, args=(desk,))

    async def deliver(number: int, key: str) -> None:
        if number == 10:
            released.start()
        await desk.deliver(key)

    await asyncio.gather(*(deliver(number, key) for number, key in enumerate(keys)))
    await asyncio.to_thread(released.join)
    await desk.settle_down()
    assert Counter(row.outcome for row in desk.rows(IntentRow)) == {"sent": 30}


async def test_what_expires_while_everything_is_stopped_ends_and_does_not_spin(desk: Any) -> None:
    desk.contact()
    desk.plan("late", deadline_at=desk.clock.now() + HOUR)
    desk.plan("old", expires_at=desk.journey_now() + 2 * HOUR)
    stop_everything(desk)
    assert [await desk.deliver("late"), await desk.deliver("old")] == [None, None]
    desk.clock.advance(3 * HOUR)
    await desk.settle_down()
    assert {row.key: row.outcome for row in desk.rows(IntentRow)} == {"late": "expired", "old": "expired"}
    assert desk.reasons("late") == ["kill.switch", "expired.deadline"]


async def test_without_an_expiry_of_its_own_the_purposes_longest_hold_counts(desk: Any) -> None:
    desk.contact()
    desk.plan()
    stop_everything(desk)
    await desk.deliver()
    assert desk.row().wake_at == desk.row().created_at + timedelta(days=3)


async def test_a_withdrawal_drops_what_is_held_at_once(desk: Any) -> None:
    one_a_day(desk, "defer")
    desk.contact(consents=("marketing", "service"))
    for key in ("k1", "k2"):
        desk.plan(key)
        await desk.deliver(key)
    desk.plan("s", purpose="service")
    with desk.store.begin() as session:
        dropped = drop_held(
            session,
            answer=withdrawn_answer(),
            now=desk.clock.now(),
            journey_now=desk.journey_now(),
            contact_ids=["ann"],
            stops=lambda purpose, _: purpose == "marketing",
        )
    assert dropped == ["k2"]
    assert (desk.row("k2").outcome, desk.reasons("k2")) == ("blocked", ["cap.full", "consent.withdrawn"])
    assert await desk.deliver("k2") is Outcome.BLOCKED
    assert await desk.deliver("s") is Outcome.SENT


async def test_a_withdrawal_in_the_middle_of_a_delivery_ends_it_there(desk: Any) -> None:
    """The withdrawal comes with the channel's preflight: the intent is leased, and not yet reserved."""

    class Withdrawing(RecordingChannel):
        def preflight(self, message: Message) -> Any:
            with desk.store.begin() as session:
                drop_held(
                    session,
                    answer=withdrawn_answer(),
                    now=desk.clock.now(),
                    journey_now=desk.clock.now(),
                    contact_ids=["ann"],
                )
            return super().preflight(message)

    desk.mail = Withdrawing("mail")
    desk.process()
    desk.contact()
    desk.plan()
    assert await desk.deliver() is Outcome.BLOCKED
    assert desk.mail.calls == []
    assert desk.reasons() == ["consent.withdrawn"]


async def test_two_processes_never_work_on_one_intent(desk: Any) -> None:
    desk.contact()
    desk.plan()
    other = desk.process()
    outcomes = await asyncio.gather(*(worker.deliver("k1") for worker in [desk.delivery, other] * 10))
    assert set(outcomes) <= {Outcome.SENT, None}
    assert len(desk.mail.sent) == 1


async def test_a_planned_intent_left_lying_is_taken_up_by_anybody(desk: Any) -> None:
    desk.contact()
    desk.plan()
    assert await desk.delivery.deliver_due(10) == 0
    desk.clock.advance(timedelta(seconds=30))
    assert await desk.delivery.deliver_due(10) == 1
    assert desk.row().outcome == "sent"


async def test_the_most_important_go_first(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    sent: list[str] = []

    class Noting(RecordingChannel):
        async def send(self, message: Message, idempotency_key: str) -> SendResult:
            sent.append(idempotency_key)
            return await super().send(message, idempotency_key)

    desk.mail = Noting("mail")
    desk.process()
    desk.contact()
    for key, priority in (("low", 10), ("high", 90), ("middle", 50)):
        desk.plan(key, priority=priority)
    desk.clock.advance(timedelta(minutes=1))
    for _ in range(3):
        await desk.delivery.deliver_due(1)
    assert sent == ["high", "middle", "low"]
