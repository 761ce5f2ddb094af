"""Breakers over real attempts: opening, holding, probing, the ramp, closing; manual trip and reset."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from engine.delivery import breakers
from engine.delivery.breakers import Look
from engine.errors import CommandError
from engine.governance.control import kill
from engine.plugin.contracts import Rejected
from engine.plugin.recording import RecordingChannel
from engine.store.tables import AttemptRow, BreakerRow, IntentRow, OutboxRow

EMAIL = ("send_failure", "channel:email")
PAUSE = timedelta(minutes=5)

RISK = """
    kind: breakers
    id: risk
    title: risk
    owner: us
    breakers:
      - id: send_failure
        scope: channel
        metric: send_failure_rate
        window: 10m
        min_samples: 4
        levels: {yellow: {gt: 15%}, red: {gt: 40%}}
        recover: {probe_after: 5m, probes: 2, close_when: {lt: 15%}, ramp: [50%, 100%]}
        held: {resume_within: 6h, then: drop}
    """


def look(desk: Any) -> Look:
    """One look of the breaker's workflow; a second later the world goes on."""
    with desk.store.begin() as session:
        found = breakers.observe(session, desk.shelf, *EMAIL, desk.clock.now())
    desk.clock.advance(timedelta(seconds=1))
    return found


def by_hand(desk: Any, act: Any, *, channel: str = "email", **values: Any) -> Look:
    where = (desk.shelf, "send_failure", f"channel:{channel}")
    with desk.store.begin() as session:
        made: Look = act(session, *where, by="ops.li", reason="maintenance", now=desk.clock.now(), **values)
        return made


async def fail(desk: Any, count: int, *, results: int = 100) -> None:
    """So many messages that the provider refuses."""
    desk.mail = RecordingChannel("mail", results=[Rejected("550")] * results)
    desk.process()
    for number in range(count):
        await desk.deliver(desk.plan(f"bad{number}"))
    desk.clock.advance(timedelta(seconds=1))


def heal(desk: Any) -> None:
    desk.mail = RecordingChannel("mail")
    desk.process()


async def hold(desk: Any, count: int) -> None:
    for number in range(count):
        assert await desk.deliver(desk.plan(f"held{number:02}")) is None


def outcomes(desk: Any) -> Counter[str | None]:
    return Counter(row.outcome for row in desk.rows(IntentRow) if row.key.startswith("held"))


async def test_it_opens_when_sends_fail_and_asks_its_workflow_to_look(desk: Any) -> None:
    desk.publish(breakers=RISK)
    desk.contact()
    await fail(desk, 3)
    assert desk.rows(OutboxRow) == []
    await fail(desk, 4)
    (errand,) = desk.rows(OutboxRow)
    assert (errand.kind, errand.key) == ("breaker.watch", "send_failure/channel:email")
    opened_at = desk.clock.now()
    assert look(desk) == Look("open", "red", 1, opened_at + PAUSE)
    (row,) = desk.rows(BreakerRow)
    assert row.evidence == {"metric": "send_failure_rate", "samples": 4, "failed": 4, "rate": 1.0}


async def test_looking_twice_changes_nothing(desk: Any) -> None:
    desk.publish(breakers=RISK)
    desk.contact()
    await fail(desk, 4)
    assert look(desk) == look(desk)


async def test_open_it_holds_then_probes_then_ramps_and_closes_and_loses_none(desk: Any) -> None:
    desk.publish(breakers=RISK)
    desk.contact()
    await fail(desk, 4)
    look(desk)
    await hold(desk, 20)
    heal(desk)
    await desk.settle_down()
    assert desk.mail.calls == []

    desk.clock.advance(PAUSE)
    assert look(desk).state == "half_open"
    await desk.settle_down()
    assert outcomes(desk) == {"sent": 2, None: 18}
    assert Counter(row.probe for row in desk.rows(AttemptRow, result="accepted")) == {True: 2}

    assert look(desk).state == "half_open"
    (row,) = desk.rows(BreakerRow)
    assert row.ramp == 0.5
    await desk.settle_down()
    sent = outcomes(desk)["sent"]
    assert 2 < sent < 20

    assert look(desk).state == "closed"
    await desk.settle_down()
    assert outcomes(desk) == {"sent": 20}
    assert len(desk.mail.sent) == 20


async def test_a_bad_probe_opens_it_again_and_the_rest_stay_held(desk: Any) -> None:
    desk.publish(breakers=RISK)
    desk.contact()
    await fail(desk, 4)
    look(desk)
    await hold(desk, 5)
    desk.clock.advance(PAUSE)
    look(desk)
    await desk.delivery.deliver_due(50)
    assert look(desk).state == "open"
    assert outcomes(desk)[None] == 3


async def test_a_breaker_whose_probes_nobody_takes_is_looked_at_once_in_a_pause(desk: Any) -> None:
    desk.publish(breakers=RISK)
    desk.contact()
    await fail(desk, 4)
    look(desk)
    desk.clock.advance(PAUSE)
    assert look(desk).state == "half_open"
    desk.clock.advance(12 * PAUSE)
    now = desk.clock.now()
    assert look(desk).next_at == now + PAUSE


async def test_at_most_the_probes_pass_however_many_arrive_at_once(desk: Any) -> None:
    desk.publish(breakers=RISK)
    desk.contact()
    await fail(desk, 4)
    look(desk)
    heal(desk)
    desk.clock.advance(PAUSE)
    look(desk)
    keys = [desk.plan(f"held{number:02}") for number in range(40)]
    await asyncio.gather(*(desk.deliver(key) for key in keys))
    assert outcomes(desk) == {"sent": 2, None: 38}


async def test_a_probe_that_never_reached_the_provider_is_given_back(sqlite_desk: Any) -> None:
    """The kill switch is thrown by the probe's own preflight: reserved, but not handed over."""
    desk = sqlite_desk
    desk.publish(breakers=RISK)
    desk.contact()
    await fail(desk, 4)
    look(desk)
    desk.clock.advance(PAUSE)
    look(desk)

    class Killing(RecordingChannel):
        def preflight(self, message: Any) -> Any:
            with desk.store.begin() as session:
                kill(session, by="ops", reason="", now=desk.clock.now())
            return super().preflight(message)

    desk.mail = Killing("mail")
    desk.process()
    assert await desk.deliver(desk.plan("held00")) is None
    assert desk.row("held00").hold_scope == "kill"
    (row,) = desk.rows(BreakerRow)
    assert row.probes_left == 2


async def test_while_email_is_open_another_channel_carries_on(desk: Any) -> None:
    desk.publish(breakers=RISK)
    desk.contact()
    await fail(desk, 4)
    look(desk)
    desk.plan("other", channels=("email", "app"))
    await desk.deliver("other")
    assert desk.row("other").channel == "app"


@pytest.mark.parametrize("first", ["email", "app"])
async def test_of_two_breakers_that_hold_a_message_the_first_to_close_lets_it_go(
    desk: Any, first: str
) -> None:
    desk.publish(breakers=RISK)
    desk.contact()
    other = {"email": "app", "app": "email"}[first]
    for channel in ("email", "app"):
        by_hand(desk, breakers.trip, level="red", channel=channel)
    desk.plan("held00", channels=("email", "app"))
    assert await desk.deliver("held00") is None
    by_hand(desk, breakers.reset, channel=first)
    await desk.settle_down()
    assert (desk.row("held00").outcome, desk.row("held00").channel) == ("sent", first)
    with desk.store.read() as session:
        found = {row.scope: row.state for row in breakers.list_breakers(session, desk.shelf.live(session))}
    assert found[f"channel:{other}"] == "open"


async def test_what_is_held_too_long_is_dropped_as_expired(desk: Any) -> None:
    desk.publish(breakers=RISK)
    desk.contact()
    by_hand(desk, breakers.trip, level="yellow")
    await hold(desk, 1)
    desk.clock.advance(timedelta(hours=6))
    await desk.settle_down()
    assert desk.reasons("held00") == ["breaker.open", "expired.held_too_long"]
    assert outcomes(desk) == {"expired": 1}


async def test_a_manual_trip_stays_until_a_manual_reset_that_wakes_everything(desk: Any) -> None:
    desk.publish(breakers=RISK)
    desk.contact()
    assert by_hand(desk, breakers.trip, level="black").state == "open"
    await hold(desk, 3)
    desk.clock.advance(timedelta(hours=1))
    assert look(desk) == Look("open", "black", 1, None)
    assert by_hand(desk, breakers.reset).state == "closed"
    await desk.settle_down()
    assert outcomes(desk) == {"sent": 3}


async def test_old_failures_do_not_open_it_again_after_a_reset(desk: Any) -> None:
    desk.publish(breakers=RISK)
    desk.contact()
    await fail(desk, 6)
    look(desk)
    by_hand(desk, breakers.reset)
    assert look(desk).state == "closed"


@pytest.mark.parametrize(
    ("breaker", "scope", "message"),
    [
        ("no_such", "channel:email", "there are: send_failure"),
        ("send_failure", "channel:fax", "write a scope such as channel:app"),
        ("send_failure", "journey:welcome", "watches each channel"),
    ],
)
async def test_a_breaker_that_does_not_exist_cannot_be_tripped(
    sqlite_desk: Any, breaker: str, scope: str, message: str
) -> None:
    sqlite_desk.publish(breakers=RISK)
    with sqlite_desk.store.begin() as session, pytest.raises(CommandError, match=message):
        breakers.trip(
            session,
            sqlite_desk.shelf,
            breaker,
            scope,
            level="red",
            by="ops",
            reason="",
            now=sqlite_desk.clock.now(),
        )


async def test_a_breaker_that_left_the_ruleset_closes_and_lets_go(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.publish(breakers=RISK)
    desk.contact()
    by_hand(desk, breakers.trip, level="red")
    await hold(desk, 2)
    del desk.files["breakers.yaml"]
    desk.publish()
    assert look(desk).state == "closed"
    await desk.settle_down()
    assert outcomes(desk) == {"sent": 2}


async def test_every_breaker_is_listed_in_every_scope_it_can_have(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.publish(breakers=RISK)
    by_hand(desk, breakers.trip, level="red")
    with desk.store.read() as session:
        rows = breakers.list_breakers(session, desk.shelf.live(session))
    assert [(row.scope, row.state) for row in rows] == [("channel:app", "closed"), ("channel:email", "open")]
