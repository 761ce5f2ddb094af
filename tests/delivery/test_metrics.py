"""Breakers by what is told of messages: bounces, complaints and unsubscribing, each message once."""

from __future__ import annotations

import textwrap
from datetime import timedelta
from typing import Any

import pytest

from engine.contacts.suppressing import Blocked, block, newly_returned
from engine.delivery import breakers
from engine.delivery.breakers import Look
from engine.delivery.marks import mark_events, mark_returned
from engine.delivery.receipts import Closing, Receipt, Said, receive
from engine.delivery.viewing import read_situation
from engine.errors import CommandError
from engine.gate.state import Moment
from engine.governance.records import breaker_record
from engine.journeys.event import Event
from engine.plugin.contracts import Rejected
from engine.plugin.recording import RecordingChannel
from engine.store.tables import BreakerRow, MetricMarkRow, OutboxRow

PAUSE = timedelta(minutes=5)


def risk(metric: str = "bounce_rate", scope: str = "channel", *, least: int = 4) -> str:
    return textwrap.dedent(f"""
        kind: breakers
        id: risk
        title: risk
        owner: us
        breakers:
          - id: watch
            scope: {scope}
            metric: {metric}
            window: 1h
            min_samples: {least}
            levels: {{yellow: {{gt: 20%}}, red: {{gt: 60%}}}}
            recover: {{probe_after: 5m, probes: 2, close_when: {{lt: 15%}}, ramp: [50%, 100%]}}
            held: {{resume_within: 6h, then: drop}}
        """)


async def send(desk: Any, *keys: str, **values: Any) -> None:
    for key in keys:
        await desk.deliver(desk.plan(key, **values))
    desk.clock.advance(timedelta(seconds=1))


def hear(desk: Any, said: Said, *keys: str) -> None:
    for key in keys:
        with desk.store.begin() as session:
            now = Moment.of(desk.clock.now(), read_situation(session).time)
            receipt = Receipt(said, now.delivery, key)
            receive(session, receipt, now, Closing({}, None, "test"), shelf=desk.shelf)
    desk.clock.advance(timedelta(seconds=1))


def happen(desk: Any, kind: str, contact: str = "ann", **properties: Any) -> None:
    now = desk.journey_now()
    name = f"e{len(desk.rows(MetricMarkRow))}{desk.clock.now().timestamp()}"
    event = Event(name, kind, contact, now, now, "test", properties)
    with desk.store.begin() as session:
        mark_events(session, desk.shelf.live(session), [event], desk.clock.now())
    desk.clock.advance(timedelta(seconds=1))


def look(desk: Any, scope: str = "channel:email") -> Look:
    with desk.store.begin() as session:
        found = breakers.observe(session, desk.shelf, "watch", scope, desk.clock.now())
    desk.clock.advance(timedelta(seconds=1))
    return found


def listed(desk: Any) -> dict[str, Any]:
    with desk.store.read() as session:
        found = breakers.read_breakers(session, desk.shelf.live(session), desk.clock.now())
        return {row.scope: breaker_record(row, breaker, seen) for row, breaker, seen in found}


async def test_it_opens_by_bounces_and_asks_its_workflow_to_look_only_then(desk: Any) -> None:
    desk.publish(breakers=risk())
    desk.contact()
    await send(desk, "k1", "k2", "k3", "k4")
    await send(desk, "k5")
    hear(desk, Said.BOUNCED, "k1", "k1", "k1")
    hear(desk, Said.DELIVERED, "k2")
    assert desk.rows(OutboxRow) == [], "one of five, however often it is told, is no more than the level"
    hear(desk, Said.BOUNCED, "k3")
    (errand,) = desk.rows(OutboxRow)
    assert (errand.kind, errand.key) == ("breaker.watch", "watch/channel:email")
    assert look(desk).level == "yellow"
    (row,) = desk.rows(BreakerRow)
    assert row.evidence == {"metric": "bounce_rate", "samples": 5, "failed": 2, "rate": 0.4}
    assert await desk.deliver(desk.plan("held")) is None
    assert desk.reasons("held") == ["breaker.open"]


async def test_a_bounce_counts_when_it_is_told_however_long_ago_the_message_left(desk: Any) -> None:
    desk.publish(breakers=risk())
    desk.contact()
    await send(desk, "old1", "old2")
    desk.clock.advance(timedelta(hours=2))
    await send(desk, "k1", "k2", "k3", "k4")
    hear(desk, Said.BOUNCED, "old1", "old2")
    assert listed(desk)["channel:email"]["figure"] == 0.5
    assert look(desk).state == "open"


async def test_after_a_reset_what_comes_back_of_earlier_messages_says_nothing_new(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.publish(breakers=risk())
    desk.contact()
    await send(desk, "k1", "k2", "k3", "k4")
    with desk.store.begin() as session:
        where = ("watch", "channel:email")
        breakers.reset(session, desk.shelf, *where, by="ops", reason="", now=desk.clock.now())
    desk.clock.advance(timedelta(seconds=1))
    await send(desk, "n1", "n2", "n3", "n4")
    hear(desk, Said.BOUNCED, "k1", "k2", "k3", "n1")
    shown = listed(desk)["channel:email"]
    assert (shown["samples"], shown["against"]) == (4, 1)


async def test_probes_are_waited_for_until_they_could_have_come_back(desk: Any) -> None:
    desk.publish(breakers=risk())
    desk.contact()
    await send(desk, "k1", "k2", "k3", "k4")
    hear(desk, Said.BOUNCED, "k1", "k2", "k3")
    assert look(desk).level == "red"
    keys = [desk.plan(f"held{number:02}") for number in range(20)]
    for key in keys:
        assert await desk.deliver(key) is None
    desk.clock.advance(PAUSE)
    assert look(desk).state == "half_open"
    await desk.settle_down()
    assert look(desk).state == "half_open"
    (row,) = desk.rows(BreakerRow)
    assert (row.ramp, row.probes_left) == (None, 0), "two were let through, and nothing is known of them yet"
    hear(desk, Said.BOUNCED, "k4")
    assert look(desk).state == "half_open", "what left before the breaker opened says nothing new"
    desk.clock.advance(PAUSE)
    look(desk)
    (row,) = desk.rows(BreakerRow)
    assert row.ramp == 0.5
    await desk.settle_down()
    assert look(desk).state == "half_open"
    desk.clock.advance(PAUSE)
    assert look(desk).state == "closed"
    await desk.settle_down()
    assert {desk.row(key).outcome for key in keys} == {"sent"}


async def test_a_probe_that_bounces_opens_it_again_at_once(desk: Any) -> None:
    desk.publish(breakers=risk())
    desk.contact()
    await send(desk, "k1", "k2", "k3", "k4")
    hear(desk, Said.BOUNCED, "k1", "k2", "k3")
    look(desk)
    desk.clock.advance(PAUSE)
    look(desk)
    await send(desk, "probe1", "probe2")
    hear(desk, Said.BOUNCED, "probe1")
    assert look(desk).state == "open"


async def test_failed_sends_are_no_samples_of_what_is_told_of_messages(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.publish(breakers=risk("complaint_rate"))
    desk.contact()
    await send(desk, "k1", "k2", "k3")
    desk.mail = RecordingChannel("mail", results=[Rejected("550")] * 5)
    desk.process()
    await send(desk, "bad1", "bad2")
    hear(desk, Said.COMPLAINED, "k1")
    hear(desk, Said.BOUNCED, "k2")
    shown = listed(desk)["channel:email"]
    assert (shown["metric"], shown["samples"], shown["against"]) == ("complaint_rate", 3, 1)


@pytest.mark.parametrize(
    ("scope", "where"),
    [("workspace", "workspace"), ("content", "content:hello"), ("channel", "channel:email")],
)
async def test_who_unsubscribes_does_so_after_their_latest_message(desk: Any, scope: str, where: str) -> None:
    desk.publish(breakers=risk("unsubscribe_rate", scope))
    for name in ("ann", "bob", "eve", "ida"):
        desk.contact(name)
        await send(desk, f"{name}1", f"{name}2", contact_id=name)
    happen(desk, "consent_withdrawn", "ann", purpose="marketing", channel="email")
    happen(desk, "consent_withdrawn", "ann", purpose="*", channel="*")
    happen(desk, "consent_withdrawn", "bob", purpose="service")
    happen(desk, "consent_withdrawn", "eve", purpose="marketing", channel="app")
    assert [row.key for row in desk.rows(MetricMarkRow)] == ["ann2"]
    happen(desk, "consent_withdrawn", "bob", purpose="marketing")
    assert listed(desk)[where]["against"] == 2
    assert look(desk, where).level == "yellow"


async def test_what_is_said_a_week_after_a_message_is_not_about_it(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.publish(breakers=risk("unsubscribe_rate"))
    desk.contact()
    await send(desk, "k1")
    desk.clock.advance(timedelta(days=7))
    happen(desk, "consent_withdrawn", purpose="marketing")
    assert desk.rows(MetricMarkRow) == []


async def test_a_journey_is_watched_by_itself(desk: Any) -> None:
    desk.files["welcome.yaml"] = textwrap.dedent("""
        kind: journey
        id: welcome
        title: welcome
        owner: us
        purpose: marketing
        enter: {event: contact_added}
        steps: [{send: hello, content: hello, channels: [email]}]
        """)
    desk.publish(breakers=risk("bounce_rate", "journey"))
    desk.contact()
    await send(desk, "w1", "w2", "w3", "w4", journey="welcome")
    await send(desk, "o1", "o2", "o3", "o4")
    hear(desk, Said.BOUNCED, "w1", "w2", "o1", "o2", "o3", "o4")
    assert look(desk, "journey:welcome").state == "open"
    assert await desk.deliver(desk.plan("held", journey="welcome")) is None
    await send(desk, "free")
    assert desk.row("free").outcome == "sent"


async def test_a_mail_that_came_back_counts_for_the_latest_message_there(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.publish(breakers=risk())
    desk.contact()
    await send(desk, "k1", "k2")
    await send(desk, "k3", channels=("app",))
    came = [Blocked("email", "ann@example.com", reason) for reason in ("hard_bounce", "complaint")]
    came.append(Blocked("email", "nobody@example.com", "hard_bounce"))
    for _ in range(2):
        with desk.store.begin() as session:
            told = newly_returned(session, came)
            block(session, "secret", came, source="mail", now=desk.journey_now())
            now = Moment.of(desk.clock.now(), read_situation(session).time)
            mark_returned(session, desk.shelf.live(session), told, "email", now)
    assert told == {}, "what is closed was told of before"
    hear(desk, Said.BOUNCED, "k2")
    assert [(row.metric, row.key) for row in desk.rows(MetricMarkRow)] == [("bounce_rate", "k2")]


async def test_what_no_breaker_watches_is_not_written_down(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.publish(breakers=risk("complaint_rate"))
    desk.contact()
    await send(desk, "k1")
    hear(desk, Said.BOUNCED, "k1")
    happen(desk, "consent_withdrawn", purpose="marketing")
    assert desk.rows(MetricMarkRow) == []


def test_a_scope_that_does_not_exist_cannot_be_tripped(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.publish(breakers=risk(scope="content"))
    for scope in ("content:nothing", "channel:email", "workspace"):
        with desk.store.begin() as session, pytest.raises(CommandError, match="such as content:boast"):
            breakers.trip(
                session, desk.shelf, "watch", scope, level="red", by="ops", reason="", now=desk.clock.now()
            )
