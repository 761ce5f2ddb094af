"""A process that dies at any boundary of a delivery: nothing doubled that could be avoided, nothing lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engine.contacts.consent import ConsentEntry, record_consent
from engine.contacts.suppressing import suppress_contact
from engine.delivery.passing import HALTED_PAUSE, Means, pass_gate
from engine.gate.model import Outcome
from engine.gate.state import Claim
from engine.governance.control import kill, unkill
from engine.plugin.contracts import Accepted, Message, Preflight, SendResult
from engine.plugin.recording import RecordingChannel
from engine.store.tables import AttemptRow, IntentRow

LEASE = timedelta(seconds=31)
NIGHT = """\
    kind: quiet_hours
    id: nights
    title: nights
    owner: us
    quiet_hours:
      - {id: night, because: courtesy, holds_back: {}, from: "21:00", until: "08:00"}
"""


class Dying(RecordingChannel):
    """A provider during whose call the process dies: before or after the message went out."""

    def __init__(self, name: str, *, idempotent: bool, after: bool) -> None:
        super().__init__(name, idempotent=idempotent)
        self.after = after
        self.reached = asyncio.Event()
        self.is_dying = True

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        if not self.is_dying:
            return await super().send(message, idempotency_key)
        result: SendResult = Accepted()
        if self.after:
            result = await super().send(message, idempotency_key)
        self.reached.set()
        await asyncio.Event().wait()
        return result


async def die_in(desk: Any, channel: Dying, key: str = "k1") -> None:
    """Deliver until the provider is being called, and stop there for good."""
    task = asyncio.create_task(desk.deliver(key, carried=False))
    await asyncio.wait_for(channel.reached.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    channel.is_dying = False


async def stop_before(desk: Any, boundary: str, key: str = "k1") -> None:
    """Deliver up to the transaction called `boundary`, which the process does not live to begin."""
    delivery = desk.delivery
    means: Means = delivery._means
    stopped = asyncio.Event()

    async def do(work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if work.__name__ == boundary:
            stopped.set()
            await asyncio.Event().wait()
        return await desk.store.run(work, *args, **kwargs)

    claim = await desk.store.run(means.state.claim, key, desk.clock.now())
    assert isinstance(claim, Claim)
    task = asyncio.create_task(pass_gate(claim, replace(means, do=do), carried=False))
    await asyncio.wait_for(stopped.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Killing(RecordingChannel):
    """Throws the kill switch in its preflight: what it is asked about is reserved and not handed over."""

    def __init__(self, name: str, desk: Any) -> None:
        super().__init__(name)
        self._desk = desk
        self.is_killing = True

    def preflight(self, message: Message) -> Preflight:
        if self.is_killing:
            with self._desk.store.begin() as session:
                kill(session, by="ops", reason="stop", now=self._desk.clock.now())
        return super().preflight(message)


async def reserve_and_die(desk: Any, key: str = "k1") -> None:
    """Reserve and die before the no of the kill switch is written; it is off again afterwards."""
    desk.mail = Killing("mail", desk)
    desk.process()
    await stop_before(desk, "conclude", key)
    desk.mail.is_killing = False
    with desk.store.begin() as session:
        unkill(session, by="ops", now=desk.clock.now())
    assert desk.row(key).state == "reserved"


@pytest.mark.parametrize("is_reserved", [False, True])
async def test_dying_before_the_hand_over_costs_nothing_but_time(desk: Any, is_reserved: bool) -> None:
    desk.contact()
    desk.plan()
    await (reserve_and_die(desk) if is_reserved else stop_before(desk, "depart"))
    await desk.settle_down()
    assert desk.mail.calls == []
    desk.clock.advance(LEASE)
    await desk.settle_down()
    assert desk.row().outcome == "sent"
    assert len(desk.mail.sent) == 1


async def test_a_place_reserved_by_the_dead_is_free_again_after_its_lease(desk: Any) -> None:
    desk.publish(
        caps="""
        kind: caps
        id: c
        title: c
        owner: us
        caps: [{id: one, counts: {purpose: marketing}, limit: 1, window: {rolling: 24h}, when_full: skip}]
        """
    )
    desk.contact()
    desk.plan("k1")
    desk.plan("k2")
    desk.plan("k3")
    await reserve_and_die(desk)
    assert await desk.deliver("k2") is Outcome.CAPPED
    desk.clock.advance(LEASE)
    assert await desk.deliver("k3") is Outcome.SENT
    await desk.settle_down()
    assert desk.row("k1").outcome == "capped"
    assert len(desk.mail.sent) == 1


@pytest.mark.parametrize("after", [False, True], ids=["before it left", "after it left"])
async def test_dying_in_a_call_without_keys_leaves_unknown_and_never_repeats(desk: Any, after: bool) -> None:
    desk.mail = Dying("mail", idempotent=False, after=after)
    desk.process()
    desk.contact()
    desk.plan()
    await die_in(desk, desk.mail)
    assert desk.row().state == "handed_over"
    assert await desk.delivery.recover(10) == 0
    desk.clock.advance(LEASE)
    await desk.settle_down()
    assert (desk.row().state, desk.row().outcome) == ("unknown", "unknown")
    assert desk.reasons() == ["unknown.no_answer"]
    assert len(desk.mail.sent) == int(after)


@pytest.mark.parametrize("after", [False, True], ids=["before it left", "after it left"])
async def test_dying_in_a_call_with_keys_has_exactly_one_effect(desk: Any, after: bool) -> None:
    desk.push = Dying("push", idempotent=True, after=after)
    desk.process()
    desk.contact()
    desk.plan(channels=("app",))
    await die_in(desk, desk.push)
    desk.clock.advance(LEASE)
    await desk.settle_down()
    assert desk.row().outcome == "sent"
    assert len(desk.push.sent) == 1


@pytest.mark.parametrize("why", ["too late", "not to be reached"])
async def test_what_must_not_be_repeated_any_more_is_unknown_and_left_alone(desk: Any, why: str) -> None:
    desk.push = Dying("push", idempotent=True, after=True)
    desk.process()
    desk.contact()
    desk.plan(channels=("app",), deadline_at=desk.clock.now() + LEASE if why == "too late" else None)
    await die_in(desk, desk.push)
    if why == "not to be reached":
        with desk.store.begin() as session:
            suppress_contact(session, "ann", "complaint")
    desk.clock.advance(LEASE)
    await desk.settle_down()
    assert (desk.row().state, desk.row().outcome) == ("unknown", "unknown")
    assert len(desk.push.sent) == 1


async def test_what_is_in_doubt_is_not_repeated_to_who_has_withdrawn_since(desk: Any) -> None:
    desk.push = Dying("push", idempotent=True, after=False)
    desk.process()
    desk.contact()
    desk.plan(channels=("app",))
    await die_in(desk, desk.push)
    desk.clock.advance(LEASE)
    with desk.store.begin() as session:
        record_consent(session, ConsentEntry("ann", "marketing", "withdrawn", desk.journey_now()))
    await desk.settle_down()
    assert (desk.row().state, desk.row().outcome) == ("unknown", "unknown")
    assert desk.push.sent == []


@pytest.mark.parametrize("purpose", ["marketing", "service"])
async def test_what_is_in_doubt_is_not_repeated_in_quiet_hours(desk: Any, purpose: str) -> None:
    desk.publish(quiet=NIGHT)
    desk.push = Dying("push", idempotent=True, after=False)
    desk.process()
    desk.contact()
    desk.plan(channels=("app",), purpose=purpose)
    await die_in(desk, desk.push)
    desk.clock.advance(timedelta(hours=10))
    await desk.settle_down()
    assert desk.row().state == "handed_over"
    assert desk.reasons() == ["quiet.hours"]
    assert desk.push.sent == []
    desk.clock.advance(timedelta(hours=12))
    await desk.settle_down()
    assert desk.row().outcome == "sent"
    assert len(desk.push.sent) == 1


async def test_while_everything_is_stopped_a_hand_over_in_doubt_waits(desk: Any) -> None:
    desk.push = Dying("push", idempotent=True, after=True)
    desk.process()
    desk.contact()
    desk.plan(channels=("app",))
    await die_in(desk, desk.push)
    with desk.store.begin() as session:
        kill(session, by="ops", reason="stop", now=desk.clock.now())
    desk.clock.advance(LEASE)
    await desk.settle_down()
    assert desk.row().state == "handed_over"
    with desk.store.begin() as session:
        unkill(session, by="ops", now=desk.clock.now())
    desk.clock.advance(HALTED_PAUSE)
    await desk.settle_down()
    assert desk.row().outcome == "sent"
    assert len(desk.push.calls) == 2


@pytest.mark.parametrize("after", [False, True], ids=["before it left", "after it left"])
async def test_dying_in_a_service_message_repeats_it_as_declared(desk: Any, after: bool) -> None:
    desk.mail = Dying("mail", idempotent=False, after=after)
    desk.process()
    desk.contact()
    desk.plan(purpose="service")
    await die_in(desk, desk.mail)
    desk.clock.advance(LEASE)
    await desk.settle_down()
    assert desk.row().outcome == "sent"
    assert len(desk.mail.sent) == 1 + int(after)


async def test_dying_before_the_record_of_a_result_is_like_dying_in_the_call(desk: Any) -> None:
    desk.contact()
    desk.plan("k1")
    desk.plan("k2", channels=("app",))
    await stop_before(desk, "settle", "k1")
    await stop_before(desk, "settle", "k2")
    desk.clock.advance(LEASE)
    await desk.settle_down()
    assert (desk.row("k1").outcome, desk.row("k2").outcome) == ("unknown", "sent")
    assert (len(desk.mail.sent), len(desk.push.sent)) == (1, 1)


async def test_dying_before_a_no_is_written_decides_again(desk: Any) -> None:
    desk.contact(consents=())
    desk.plan()
    await stop_before(desk, "conclude")
    desk.clock.advance(LEASE)
    await desk.settle_down()
    assert desk.reasons() == ["consent.unknown"]


async def test_a_slow_call_that_comes_back_after_its_lease_settles_what_was_unknown(desk: Any) -> None:
    called, gate = asyncio.Event(), asyncio.Event()

    class Slow(RecordingChannel):
        async def send(self, message: Message, idempotency_key: str) -> SendResult:
            called.set()
            await gate.wait()
            return await super().send(message, idempotency_key)

    desk.mail = Slow("mail")
    desk.process()
    desk.contact()
    desk.plan()
    task = asyncio.create_task(desk.deliver())
    await asyncio.wait_for(called.wait(), 20)
    desk.clock.advance(LEASE)
    await desk.delivery.recover(10)
    assert desk.row().outcome == "unknown"
    gate.set()
    assert await task is Outcome.SENT
    assert (desk.row().state, desk.row().outcome) == ("accepted", "sent")
    assert desk.reasons() == ["unknown.no_answer", "sent.accepted"]


async def test_whatever_dies_where_everything_planned_is_accounted_for(desk: Any) -> None:
    """planned = delivered + held + refused + unknown, and unknown is no more than what was in flight."""
    desk.mail = Dying("mail", idempotent=False, after=True)
    desk.push = Dying("push", idempotent=True, after=True)
    desk.process()
    desk.contact("ann")
    desk.contact("bob", consents=())
    keys = []
    for number in range(12):
        who = "bob" if number % 4 == 3 else "ann"
        keys.append(desk.plan(f"k{number}", who, channels=("app",) if number % 2 else ("email",)))
    tasks = [asyncio.create_task(desk.deliver(key, carried=False)) for key in keys]
    await asyncio.wait_for(asyncio.gather(desk.mail.reached.wait(), desk.push.reached.wait()), 20)
    in_flight = sum(not task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    desk.mail.is_dying = desk.push.is_dying = False
    desk.clock.advance(LEASE)
    await desk.settle_down()
    outcomes = Counter(row.outcome for row in desk.rows(IntentRow))
    assert sum(outcomes.values()) == 12
    assert set(outcomes) <= {"sent", "blocked", "unknown"}
    assert outcomes["blocked"] == 3
    assert outcomes["unknown"] <= in_flight
    delivered = Counter(call.key for call in desk.mail.calls)
    assert max(delivered.values()) == 1
    assert len(desk.push.sent) == len({call.key for call in desk.push.calls})
    assert all(row.result in {"accepted", "unknown"} for row in desk.rows(AttemptRow))
