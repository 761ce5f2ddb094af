"""Schedules at work on a real database: when they fire, for whom, after a crash, beside others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, select
from sqlmodel import col

from engine.clock import FixedClock
from engine.delivery.service import Delivery
from engine.governance.publishing import publish
from engine.intake.accepting import Intake
from engine.intake.answering import Receipt
from engine.intake.cursors import zones_in_use
from engine.intake.incoming import Incoming
from engine.intake.scheduling import Schedules
from engine.plugin.recording import RecordingChannel
from engine.plugin.registry import load_registry
from engine.runs.service import Runs
from engine.store.bundles import BundleShelf
from engine.store.control import change_control
from engine.store.database import Store
from engine.store.tables import ContactRow, DecisionRow, EventRow, RunRow, ScheduleRow

START = datetime(2026, 5, 4, 0, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HEAD = "kind: {kind}\nid: {id}\ntitle: t\nowner: us\n"
FILES = {
    "wayline.yaml": HEAD.format(kind="workspace", id="here")
    + "timezone: Asia/Shanghai\nlocales: [en]\nidentities: [email]\nattributes: {vip: {type: boolean}}\n",
    "purposes.yaml": HEAD.format(kind="purposes", id="p")
    + 'purposes: [{id: service, title: s, version: "1", kind: transactional, max_hold: 1d}]\n',
    "channels.yaml": HEAD.format(kind="channels", id="c")
    + "channels: [{id: email, plugin: recording, identity: email, settings: {}}]\n",
    "content.yaml": HEAD.format(kind="content", id="t")
    + "contents: [{id: text, locales: {en: {subject: Hello, body: Hi}}}]\n",
}
TEN = '{cron: "0 10 * * *", timezone: contact}'


def journey(schedule: str, more: str = "", name: str = "daily") -> dict[str, str]:
    text = f"{HEAD.format(kind='journey', id=name)}purpose: service\n"
    text += (
        f"enter: {{schedule: {schedule}{more}}}\nsteps: [{{send: hi, content: text, channels: [email]}}]\n"
    )
    return {f"{name}.yaml": text}


class CrashError(Exception):
    """The process dies here."""


class DyingIntake(Intake):
    """Dies right after a commit, as often as told."""

    deaths = 0

    def accept(self, batch: Sequence[Incoming], *, source: str) -> Receipt:
        receipt = super().accept(batch, source=source)
        if self.deaths:
            self.deaths -= 1
            raise CrashError
        return receipt


class Works:
    """The production services over one database and one clock."""

    def __init__(self, store: Store) -> None:
        self.store, self.clock, self.shelf = store, FixedClock(START), BundleShelf()
        registry = load_registry(entry_points=False, extra=[RecordingChannel()])
        delivery = Delivery(store, self.shelf, registry, self.clock, public_url="http://here", secret="s")
        self.runs = Runs(store, self.shelf, delivery, self.clock)
        self.intake = DyingIntake(store, self.shelf, self.runs, self.clock)
        self.schedules = self.another()

    def another(self) -> Schedules:
        """Another process's share."""
        return Schedules(self.store, self.shelf, self.intake, self.runs, self.clock, page=2)

    def publish(self, *journeys: dict[str, str]) -> None:
        files = dict(FILES)
        for each in journeys:
            files |= each
        with self.store.begin() as session:
            publish(session, files, by="test", now=self.clock.now())

    def people(self, **zones: str | None) -> None:
        with self.store.begin() as session:
            for name, zone in zones.items():
                session.add(ContactRow(id=name, created_at=self.clock.now(), timezone=zone))

    async def until(self, moment: datetime, step: timedelta = HOUR) -> None:
        """Let time go by; whenever something is due it is worked through."""
        while self.clock.moment < moment:
            await self.drain()
            self.clock.advance(min(step, moment - self.clock.moment))
        await self.drain()

    async def drain(self) -> None:
        for _ in range(30):
            if await self.schedules.fire_due() == 0:
                return
            self.clock.advance(timedelta(seconds=1))  # the pause between two pages

    def fired(self) -> list[tuple[str, str]]:
        """(contact, when) of the events written so far."""
        with self.store.read() as session:
            rows = session.scalars(
                select(EventRow).order_by(col(EventRow.occurred_at), col(EventRow.contact_id))
            )
            return [(row.contact_id, f"{row.occurred_at:%d %H:%M}") for row in rows]

    def rows(self) -> dict[str, ScheduleRow]:
        with self.store.read() as session:
            return {row.zone: row for row in session.scalars(select(ScheduleRow))}

    def count(self, table: type[RunRow] | type[DecisionRow]) -> int:
        with self.store.read() as session:
            return len(list(session.scalars(select(table))))


@pytest.fixture
def works(store: Store) -> Iterator[Works]:
    made = Works(store)
    yield made
    made.shelf.close()


@pytest.fixture
def quick(sqlite_store: Store) -> Iterator[Works]:
    made = Works(sqlite_store)
    yield made
    made.shelf.close()


ALWAYS = ", reentry: always"


async def test_ten_in_the_morning_reaches_each_contact_at_its_own_ten(works: Works) -> None:
    works.publish(journey(f"{TEN}", ", reentry: always"))
    works.people(ann="Europe/Berlin", bob=None, eve="Asia/Tokyo", sam="Asia/Shanghai", una="Asia/Shanghai")

    await works.until(START + DAY - HOUR)

    assert works.fired() == [
        ("eve", "04 01:00"),
        ("bob", "04 02:00"),
        ("sam", "04 02:00"),
        ("una", "04 02:00"),
        ("ann", "04 08:00"),
    ]
    assert works.count(RunRow) == 5
    assert {zone: row.entered for zone, row in works.rows().items()} == {
        "": 1,
        "Asia/Shanghai": 2,
        "Asia/Tokyo": 1,
        "Europe/Berlin": 1,
    }


async def test_no_event_is_written_for_people_who_would_not_enter(works: Works) -> None:
    works.publish(journey(TEN, ", when: {contact.vip: true}"))
    works.people(ann=None, bob=None, eve=None)
    with works.store.begin() as session:
        bob = session.get(ContactRow, "bob")
        assert bob is not None
        bob.attributes = {"vip": True}

    await works.until(START + 3 * DAY)

    assert works.fired() == [("bob", "04 02:00")], "and not again: he has entered once, and reentry is never"
    assert works.count(DecisionRow) >= 1


async def test_two_scheduled_journeys_do_not_listen_to_each_other(quick: Works) -> None:
    quick.publish(
        journey('{cron: "0 10 * * *", timezone: workspace}'),
        journey('{cron: "0 11 * * *", timezone: workspace}', name="other"),
    )
    quick.people(ann="Europe/Berlin")

    await quick.until(START + 4 * HOUR)

    assert quick.fired() == [("ann", "04 02:00"), ("ann", "04 03:00")]
    with quick.store.read() as session:
        entries = [row.reason for row in session.scalars(select(DecisionRow)) if row.kind == "entry"]
    assert entries == ["entry.entered", "entry.entered"]


async def test_a_crash_in_the_middle_is_resumed_and_doubles_nothing(works: Works) -> None:
    works.publish(journey('{cron: "0 10 * * *", timezone: workspace}', ALWAYS))
    works.people(**{f"c{number}": None for number in range(7)})
    await works.schedules.fire_due()
    works.clock.advance(2 * HOUR)
    assert await works.schedules.fire_due() == 2
    works.clock.advance(timedelta(seconds=1))
    works.intake.deaths = 1
    with pytest.raises(CrashError):
        await works.schedules.fire_due()
    other = works.another()
    assert await other.fire_due() == 0, "the dead one's lease still runs"
    works.clock.advance(timedelta(minutes=2))
    works.schedules = other
    await works.drain()

    assert works.fired() == [(f"c{number}", "04 02:00") for number in range(7)]
    assert works.count(RunRow) == 7


async def test_several_processes_share_a_firing(works: Works) -> None:
    works.publish(journey('{cron: "0 10 * * *", timezone: workspace}', ALWAYS))
    works.people(**{f"c{number:02}": None for number in range(20)})
    shares = [works.another() for _ in range(3)]
    await works.drain()
    works.clock.advance(2 * HOUR)

    for _ in range(14):
        await asyncio.gather(*(share.fire_due() for share in shares))
        works.clock.advance(timedelta(seconds=1))

    assert works.fired() == [(f"c{number:02}", "04 02:00") for number in range(20)]
    assert works.rows()["*"].entered == 20


async def test_the_runs_of_a_page_start_in_one_statement_of_one_transaction(works: Works) -> None:
    works.publish(journey('{cron: "0 10 * * *", timezone: workspace}', ALWAYS))
    works.people(**{f"c{number:02}": None for number in range(40)})
    works.schedules = Schedules(works.store, works.shelf, works.intake, works.runs, works.clock, page=200)
    await works.drain()
    works.clock.advance(2 * HOUR)
    started: list[str] = []

    def note(*seen: object) -> None:
        if str(seen[2]).startswith("INSERT INTO run "):
            started.append(str(seen[2]))

    event.listen(works.store.engine, "before_cursor_execute", note)
    await works.drain()
    event.remove(works.store.engine, "before_cursor_execute", note)

    assert len(works.fired()) == 40 and works.count(RunRow) == 40
    assert len(started) == 1


async def test_after_a_long_rest_only_the_latest_firing_is_caught_up(quick: Works) -> None:
    quick.publish(journey('{cron: "0 10 * * *", timezone: workspace}', ALWAYS))
    quick.people(ann=None)
    await quick.drain()
    quick.clock.advance(3 * DAY + 5 * HOUR)
    await quick.drain()

    assert quick.fired() == [("ann", "07 02:00")]
    assert (quick.rows()["*"].missed, quick.rows()["*"].missed_because) == (3, "late")


async def test_what_is_older_than_late_after_is_not_caught_up(quick: Works) -> None:
    quick.publish(journey('{cron: "0 10 1 * *", timezone: workspace}', ALWAYS))
    quick.people(ann=None)
    await quick.drain()
    quick.clock.advance(40 * DAY)
    await quick.drain()

    assert quick.fired() == []
    assert quick.rows()["*"].missed == 1
    assert quick.rows()["*"].next_at == datetime(2026, 7, 1, 2, tzinfo=UTC)


async def test_a_new_or_changed_schedule_never_fires_for_the_past(quick: Works) -> None:
    quick.people(ann=None)
    quick.clock.advance(3 * HOUR)
    quick.publish(journey('{cron: "0 10 * * *", timezone: workspace}', ALWAYS))
    await quick.drain()
    quick.publish(journey('{cron: "0 9 * * *", timezone: workspace}', ALWAYS))
    await quick.until(START + DAY + 2 * HOUR)

    assert quick.fired() == [("ann", "05 01:00")]


async def test_a_bundle_without_the_journey_forgets_its_schedule(quick: Works) -> None:
    quick.publish(journey(TEN, ALWAYS))
    quick.people(ann=None)
    await quick.drain()
    quick.publish()
    await quick.until(START + DAY)

    assert quick.fired() == [] and quick.rows() == {}


async def test_a_paused_journey_does_not_fire_and_does_not_make_up_for_it(quick: Works) -> None:
    quick.publish(journey('{cron: "0 10 * * *", timezone: workspace}', ALWAYS))
    quick.people(ann=None)
    await quick.drain()
    with quick.store.begin() as session:
        change_control(session, paused_journeys=["daily"])
    await quick.until(START + 2 * DAY)
    with quick.store.begin() as session:
        change_control(session, paused_journeys=[])
    await quick.until(START + 3 * DAY)

    assert quick.fired() == [("ann", "06 02:00")]
    assert (quick.rows()["*"].missed, quick.rows()["*"].missed_because) == (2, "paused")


async def test_who_came_after_it_was_due_is_not_reached(quick: Works) -> None:
    quick.publish(journey('{cron: "0 10 * * *", timezone: workspace}', ALWAYS))
    await quick.drain()
    quick.clock.advance(3 * HOUR)
    quick.people(ann=None)
    await quick.drain()

    assert quick.fired() == []


async def test_who_moves_west_is_not_reached_twice_by_one_ten_o_clock(quick: Works) -> None:
    quick.publish(journey(TEN, ALWAYS))
    quick.people(ann="Asia/Shanghai", bob="Europe/Berlin")
    await quick.until(START + 4 * HOUR)
    with quick.store.begin() as session:
        ann = session.get(ContactRow, "ann")
        assert ann is not None
        ann.timezone = "Europe/Berlin"
    await quick.until(START + 12 * HOUR)

    assert quick.fired() == [("ann", "04 02:00"), ("bob", "04 08:00")]


async def test_the_pace_of_a_schedule_is_kept(quick: Works) -> None:
    quick.publish(journey('{cron: "0 10 * * *", timezone: workspace, per_second: 1}', ALWAYS))
    quick.people(**{f"c{number}": None for number in range(5)})
    await quick.drain()
    quick.clock.advance(2 * HOUR)
    for _ in range(3):
        assert await quick.schedules.fire_due() == 1
        assert await quick.schedules.fire_due() == 0
        quick.clock.advance(timedelta(seconds=1))

    assert len(quick.fired()) == 3


async def test_what_is_missed_does_not_keep_the_next_firing_waiting(quick: Works) -> None:
    """A dispatcher rests when a job did nothing; a firing that is passed over is something done."""
    quick.publish(
        *(
            journey('{cron: "0 10 * * *", timezone: workspace}', ALWAYS, name)
            for name in ("one", "two", "three")
        )
    )
    quick.people(ann=None)
    assert await quick.schedules.fire_due() == 0
    with quick.store.begin() as session:
        change_control(session, paused_journeys=["one", "three"])
    quick.clock.advance(3 * HOUR)
    assert [await quick.schedules.fire_due() for _ in range(4)] == [1, 1, 1, 0]
    assert [event for event, _ in quick.fired()] == ["ann"]


async def test_a_large_firing_leaves_room_for_others(quick: Works) -> None:
    quick.publish(
        journey('{cron: "0 10 * * *", timezone: workspace}', ALWAYS + ", when: {contact.vip: true}", "large"),
        journey('{cron: "1 10 * * *", timezone: workspace}', ALWAYS, "small"),
    )
    quick.people(**{f"p{number}": None for number in range(8)})
    await quick.drain()
    quick.clock.advance(2 * HOUR + timedelta(minutes=1))
    taken: list[tuple[str, str]] = []
    for _ in range(4):
        await quick.schedules.fire_due()
        quick.clock.advance(timedelta(seconds=1))
        with quick.store.read() as session:
            rows = session.scalars(select(ScheduleRow).where(col(ScheduleRow.journey) == "small"))
            taken += [(row.journey, row.after_id) for row in rows]
    assert taken[-1][1] == "p3", "the pages take turns"


def test_zones_in_use_are_those_of_contacts(works: Works) -> None:
    works.people(ann="Europe/Berlin", bob=None, eve="Asia/Tokyo", sam="Asia/Tokyo")
    with works.store.read() as session:
        assert zones_in_use(session) == ["Asia/Tokyo", "Europe/Berlin", ""]
