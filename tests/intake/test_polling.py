"""Platforms that do not call are asked: as often as wished, by one process at a time, from where it was."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from textwrap import dedent

import pytest
from sqlalchemy import select

from engine.clock import FixedClock
from engine.delivery.service import Delivery
from engine.governance.publishing import publish
from engine.intake.accepting import Intake
from engine.intake.callbacks import Callbacks
from engine.intake.polling import FIRST_LOOK, Polling
from engine.plugin.callbacks import Happened, Inbound, Polled
from engine.plugin.contracts import Capabilities
from engine.plugin.registry import load_registry
from engine.plugin.testing import RecordingChannel
from engine.runs.service import Runs
from engine.store.bundles import BundleShelf
from engine.store.control import ensure_control
from engine.store.database import Store
from engine.store.tables import EventRow, PollRow
from tests.intake.conftest import NOW

EVERY = timedelta(minutes=5)
FILES = {
    "wayline.yaml": """
        kind: workspace
        id: small
        title: small
        owner: us
        timezone: Asia/Shanghai
        locales: [zh]
        identities: [phone]
        """,
    "channels.yaml": """
        kind: channels
        id: channels
        title: channels
        owner: us
        channels: [{id: slow, plugin: asked, identity: phone}]
        """,
}


class Asked(RecordingChannel):
    """A platform that says, whenever it is asked, who was added."""

    def __init__(self) -> None:
        super().__init__("asked")
        self.capabilities = Capabilities(poll_every=EVERY)
        self.asked: list[datetime] = []
        self.answer: Polled | Exception = Polled((), NOW)

    async def poll(self, since: datetime) -> Polled:
        self.asked.append(since)
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Bench:
    """A published workspace with a channel that is asked, and any number of processes that ask."""

    def __init__(self, store: Store, shelf: BundleShelf) -> None:
        self.store = store
        self.shelf = shelf
        self.clock = FixedClock(NOW)
        self.channel = Asked()
        with store.begin() as session:
            ensure_control(session, NOW)
            publish(session, {name: dedent(text).lstrip() for name, text in FILES.items()}, by="us", now=NOW)

    def process(self) -> Polling:
        registry = load_registry(entry_points=False, extra=[self.channel])
        delivery = Delivery(self.store, self.shelf, registry, self.clock, public_url="http://x", secret="s")
        runs = Runs(self.store, self.shelf, delivery, self.clock)
        intake = Intake(self.store, self.shelf, runs, self.clock)
        callbacks = Callbacks(self.store, self.shelf, delivery.outlets, intake, self.clock)
        return Polling(self.store, self.shelf, registry, delivery.outlets, callbacks, runs, self.clock)


@pytest.fixture
def bench(store: Store, shelf: BundleShelf) -> Bench:
    return Bench(store, shelf)


async def test_of_several_processes_one_asks_and_next_time_from_where_it_was(bench: Bench) -> None:
    processes = [bench.process() for _ in range(3)]
    until = NOW - timedelta(minutes=1)
    bench.channel.answer = Polled((), until)
    assert sum(await asyncio.gather(*(process.ask_due() for process in processes))) == 1
    assert bench.channel.asked == [NOW - FIRST_LOOK]
    bench.clock.advance(EVERY - timedelta(seconds=6))
    assert sum([await process.ask_due() for process in processes]) == 0
    bench.clock.advance(timedelta(seconds=7))
    assert sum([await process.ask_due() for process in processes]) == 1
    assert bench.channel.asked[1:] == [until]


async def test_what_is_told_twice_happens_once(bench: Bench) -> None:
    polling = bench.process()
    added = Happened("contact_added", "+8613800138000", NOW, "e1")
    bench.channel.answer = Polled((added,), NOW)
    for _ in range(2):
        assert await polling.ask_due() == 1
        bench.clock.advance(EVERY)
    with bench.store.read() as session:
        assert len(session.scalars(select(EventRow)).all()) == 1


async def test_what_an_answer_has_to_name_comes_with_the_event(bench: Bench) -> None:
    named = {"conversation": "c-1", "message": "m-1"}
    whom = "+8613800138000"
    bench.channel.answer = Polled(
        (
            Inbound(whom, "多少钱", NOW, "m-1", properties={"kind": "text"}, reply_to=named),
            Happened("contact_added", whom, NOW, "e1", reply_to=named),
        ),
        NOW,
    )
    assert await bench.process().ask_due() == 1
    with bench.store.read() as session:
        events = session.scalars(select(EventRow)).all()
    assert {event.type: event.properties.get("reply_to") for event in events} == {
        "message_received": named,
        "contact_added": named,
    }


async def test_a_platform_that_cannot_be_asked_is_asked_the_same_later(bench: Bench) -> None:
    polling = bench.process()
    for answer in (RuntimeError("phone +8613800138000"), Polled((), datetime(2026, 1, 1))):  # noqa: DTZ001
        bench.channel.answer = answer
        assert await polling.ask_due() == 0
        bench.clock.advance(EVERY)
    bench.channel.answer = Polled((), NOW)
    assert await polling.ask_due() == 1
    assert set(bench.channel.asked) == {NOW - FIRST_LOOK}
    with bench.store.read() as session:
        (row,) = session.scalars(select(PollRow))
    assert row.since == NOW.astimezone(UTC)
