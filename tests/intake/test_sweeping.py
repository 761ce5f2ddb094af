"""What time and new rules change about contacts: incremental and from scratch say the same, nothing twice."""

from __future__ import annotations

import shutil
import tempfile
import textwrap
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import col

from engine.authoring.loading import bundle_of
from engine.clock import FixedClock
from engine.contacts.computing import compute
from engine.contacts.deriving import Derivations
from engine.contacts.rows import profile_of
from engine.governance.publishing import publish
from engine.governance.records import contact_record, find_contact
from engine.intake.accepting import Intake
from engine.intake.incoming import IncomingEvent
from engine.intake.sweeping import Sweeper
from engine.runs.service import Reacting, Runs
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import ContactRow, EventRow, RunRow
from tests.intake.conftest import NOW, NothingToDeliver

DAY = timedelta(days=1)
PEOPLE = ("ann", "bob", "eve")

LAPSED = "{contact.last_order_at: {older_than: 30d}}"
WORKSPACE: Mapping[str, str] = {
    "wayline.yaml": """
        kind: workspace
        id: here
        title: Here
        owner: tests
        timezone: Asia/Shanghai
        locales: [en]
        identities: [email]
    """,
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: Purposes
        owner: tests
        purposes:
          - {id: marketing, title: marketing, version: "1", kind: marketing, max_hold: 2d}
    """,
    "events.yaml": """
        kind: events
        id: events
        title: Events
        owner: tests
        events:
          - id: paid
            title: Paid
            effect: order
            schema: {type: object, properties: {amount: {type: number}}}
          - {id: viewed, title: Viewed}
    """,
    "tags.yaml": """
        kind: tags
        id: tags
        title: Tags
        owner: tests
        counts:
          - {id: views_3d, of: {event: viewed}, within: 3d}
        scores:
          - id: recency
            of: contact.last_order_at
            bands: [{within: 10d, score: 5}, {within: 40d, score: 2}]
        classes:
          - id: activity
            cases:
              - {is: frequent, when: {contact.views_3d: {gte: 2}}}
              - {is: silent, when: {contact.last_active_at: {older_than: 20d}}}
            else: normal
        tags:
          - {tag: hot, level: behaviour, when: {contact.activity: frequent}}
    """,
    "hot.yaml": """
        kind: audience
        id: hot_and_new
        title: Hot
        owner: tests
        when: [{contact.tags: {has: hot}}, {contact.recency: {exists: false}}]
    """,
}


def workspace(lapsed: str = LAPSED, steps: str = "- {wait: pause, for: 60d}", **more: str) -> dict[str, str]:
    """The workspace with an audience of lapsed contacts and a journey that they enter."""
    files = {
        **{name: textwrap.dedent(text) for name, text in WORKSPACE.items()},
        "lapsed.yaml": f"kind: audience\nid: lapsed\ntitle: Lapsed\nowner: tests\nwhen: {lapsed}\n",
        "back.yaml": (
            "kind: journey\nid: back\ntitle: Back\nowner: tests\npurpose: marketing\n"
            "enter: {audience: {entered: lapsed}, reentry: always}\n"
            "leave: [{when: {contact.audiences: {lacks: lapsed}}}]\n"
            f"steps:\n  {steps}\n"
        ),
    }
    return files | more


@dataclass
class Place:
    """A store with the workspace in force, and what works on it."""

    store: Store
    files: Mapping[str, str] = field(default_factory=workspace)
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOW))
    shelf: BundleShelf = field(default_factory=BundleShelf)

    def __post_init__(self) -> None:
        self.runs = Runs(self.store, self.shelf, NothingToDeliver(), self.clock, keeps_no_match=False)
        self.intake = Intake(self.store, self.shelf, self.runs, self.clock)
        self.sweeper = Sweeper(self.store, self.shelf, self.runs, self.clock)
        self.number = 0
        self.publish(self.files)

    def publish(self, files: Mapping[str, str]) -> None:
        with self.store.begin() as session:
            publish(session, files, by="test", now=self.clock.now())

    def happen(self, who: str, event: str, ago: timedelta = timedelta(0)) -> None:
        self.happen_together([(who, event, ago)])

    def happen_together(self, events: list[tuple[str, str, timedelta]]) -> None:
        batch = []
        for who, event, ago in events:
            self.number += 1
            at = self.clock.now() - ago
            batch.append(IncomingEvent(f"m{self.number}", event, (("user", who),), occurred_at=at))
        receipt = self.intake.accept(batch, source="test")
        assert receipt.accepted == len(batch)

    def pass_time(self, by: timedelta) -> None:
        """Let time go by, from one due contact to the next."""
        until = self.clock.now() + by
        while (due_at := self.next_due_at()) is not None and due_at <= until:
            self.clock.moment = max(due_at, self.clock.moment)
            assert self.sweeper.sweep_page(1).contacts == 1
        self.clock.moment = until

    def next_due_at(self) -> datetime | None:
        with self.store.read() as session:
            query = select(col(ContactRow.profile_due_at)).order_by(col(ContactRow.profile_due_at).asc())
            return min((at for at in session.scalars(query) if at is not None), default=None)

    def refresh(self, limit: int = 100) -> int:
        done = 0
        while (swept := self.sweeper.refresh_page(limit)).contacts:
            done += swept.contacts
        return done

    def contacts(self) -> list[ContactRow]:
        with self.store.read() as session:
            return list(session.scalars(select(ContactRow).order_by(col(ContactRow.id))))

    def crossings(self, contact_id: str | None = None) -> list[tuple[str, str, str]]:
        """(event type, audience, because) in the order written."""
        with self.store.read() as session:
            query = select(EventRow).where(col(EventRow.source) == "wayline").order_by(col(EventRow.seq))
            return [
                (row.type, row.properties["audience"], row.properties["because"])
                for row in session.scalars(query)
                if contact_id in (None, row.contact_id)
            ]

    def journeys(self) -> list[tuple[str, str, str | None]]:
        with self.store.read() as session:
            rows = session.scalars(select(RunRow).order_by(col(RunRow.started_at), col(RunRow.entry_key)))
            return [(row.journey, row.status, row.outcome) for row in rows]

    def assert_as_from_scratch(self) -> None:
        """Every contact is what the rules say of them now, and the crossings told lead to where they are."""
        bundle = bundle_of(self.files)
        for row in self.contacts():
            kept, fresh = profile_of(row), profile_of(row)
            matcher = self.shelf.matcher(bundle)
            compute(fresh, bundle, matcher, self.clock.now(), deriving=Derivations(bundle, matcher))
            assert fresh == kept
            inside: set[str] = set()
            for kind, audience, _ in self.crossings(row.id):
                assert (audience in inside) is (kind == "audience_left"), "told twice, or not at all"
                inside = inside | {audience} if kind == "audience_entered" else inside - {audience}
            assert inside == kept.audiences


@pytest.fixture
def place(sqlite_store: Store) -> Place:
    """For what does not depend on the database."""
    return Place(sqlite_store)


@pytest.fixture
def any_place(store: Store) -> Place:
    """On SQLite and on PostgreSQL."""
    return Place(store)


def test_who_is_silent_long_enough_enters_by_the_sweep_and_the_journey_with_them(any_place: Place) -> None:
    any_place.happen("ann", "paid")
    any_place.pass_time(30 * DAY - timedelta(microseconds=1))
    assert ("audience_entered", "lapsed", "time") not in any_place.crossings()

    any_place.pass_time(timedelta(microseconds=1))

    assert any_place.crossings() == [("audience_entered", "lapsed", "time")]
    assert any_place.journeys() == [("back", "active", None)]
    any_place.assert_as_from_scratch()


def test_the_event_that_brings_somebody_back_takes_them_out_in_its_own_transaction(any_place: Place) -> None:
    any_place.happen("ann", "paid")
    any_place.pass_time(31 * DAY)

    any_place.happen("ann", "paid")

    assert any_place.crossings()[1:] == [("audience_left", "lapsed", "event")]
    assert any_place.journeys() == [("back", "ended", "left")]
    (contact,) = any_place.contacts()
    with any_place.store.read() as session:
        events = list(session.scalars(select(EventRow).order_by(col(EventRow.seq))))
    assert [event.type for event in events] == ["paid", "audience_entered", "paid", "audience_left"]
    assert contact.last_event_seq == events[-1].seq


def test_crossings_stand_right_behind_their_cause_within_a_batch(place: Place) -> None:
    place.happen_together([("ann", "viewed", 2 * DAY), ("ann", "viewed", DAY), ("ann", "paid", timedelta(0))])

    with place.store.read() as session:
        types = list(session.scalars(select(col(EventRow.type)).order_by(col(EventRow.seq))))
    assert types == ["viewed", "viewed", "audience_entered", "paid", "audience_left"]
    place.assert_as_from_scratch()


def test_operators_see_what_was_computed_and_when_it_is_next(place: Place) -> None:
    place.happen("ann", "paid")

    with place.store.read() as session:
        record = contact_record(session, find_contact(session, "user:ann"))

    assert record["scores"] == {"recency": 5}
    assert record["classes"] == {"activity": "normal"}
    assert (record["audiences"], record["sends_since_active"]) == ([], 0)
    assert record["profile_due_at"] == (NOW + 10 * DAY).isoformat()


def test_only_who_is_due_is_computed(place: Place) -> None:
    for who in PEOPLE:
        place.happen(who, "paid")
        place.clock.advance(DAY)
    place.clock.advance(8 * DAY)

    assert place.sweeper.sweep_page(100).contacts == 2
    assert place.sweeper.sweep_page(100).contacts == 0


class Died(Exception):
    """The process dies here."""


class DyingRuns(Runs):
    """Its process dies when the runs of a page are about to react, its events written already."""

    def reacting(self, *_: Any) -> Reacting:
        raise Died


def test_a_page_that_dies_before_its_commit_is_done_again_once(place: Place) -> None:
    place.happen("ann", "paid")
    place.clock.advance(30 * DAY)
    dying = DyingRuns(place.store, place.shelf, NothingToDeliver(), place.clock)
    with pytest.raises(Died):
        Sweeper(place.store, place.shelf, dying, place.clock).sweep_page(10)
    assert place.crossings() == []

    assert place.sweeper.sweep_page(10).contacts == 1
    assert place.sweeper.sweep_page(10).contacts == 0
    assert place.crossings() == [("audience_entered", "lapsed", "time")]


def test_new_rules_reach_everybody_in_pages_and_only_once(any_place: Place) -> None:
    for number in range(7):
        any_place.happen(f"p{number}", "paid")
    assert any_place.refresh() == 7
    assert any_place.refresh() == 0
    any_place.clock.advance(5 * DAY)

    any_place.files = workspace("{contact.last_order_at: {older_than: 3d}}")
    any_place.publish(any_place.files)

    assert any_place.sweeper.refresh_page(3).contacts == 3
    assert len(any_place.crossings()) == 3
    assert any_place.refresh(3) == 4
    assert any_place.crossings() == [("audience_entered", "lapsed", "rules")] * 7
    any_place.assert_as_from_scratch()
    assert any_place.refresh() == 0


def test_a_publish_that_leaves_the_rules_as_they_were_computes_nobody(place: Place) -> None:
    place.happen("ann", "paid")
    assert place.refresh() == 1

    place.publish(
        {**place.files, "back.yaml": place.files["back.yaml"].replace("title: Back", "title: Return")}
    )

    assert place.refresh() == 0


def test_nobody_can_send_an_audience_event_in(place: Place) -> None:
    event = IncomingEvent(
        "m", "audience_entered", (("user", "ann"),), {"audience": "lapsed", "because": "time"}
    )

    receipt = place.intake.accept([event], source="test")

    assert [refusal.code for refusal in receipt.refusals] == ["EV005"]
    assert place.journeys() == []


async def test_a_journey_that_throws_people_out_of_its_own_audience_goes_round_once_a_minute(
    sqlite_store: Store,
) -> None:
    files = workspace("{contact.tags: {lacks: seen}}", "- {tag: mark, add: [seen]}")
    files["back.yaml"] = files["back.yaml"].replace("leave:", "# leave:")
    files["again.yaml"] = (
        files["back.yaml"]
        .replace("id: back", "id: again")
        .replace("{entered: lapsed}", "{left: lapsed}")
        .replace("{tag: mark, add: [seen]}", "{tag: unmark, remove: [seen]}")
    )
    place = Place(sqlite_store, files)
    place.happen("ann", "viewed")
    with place.store.read() as session:
        (first,) = session.scalars(select(col(RunRow.id)))
    await place.runs.carry(first)

    computed = 0
    for _ in range(200):
        computed += await place.sweeper.sweep(10)
        place.clock.advance(timedelta(seconds=3))

    assert 9 <= computed <= 10
    assert len(place.journeys()) == computed + 1


stories = st.lists(
    st.tuples(
        st.sampled_from([timedelta(0), timedelta(hours=5), DAY, 4 * DAY, 21 * DAY, 35 * DAY]),
        st.lists(
            st.tuples(
                st.sampled_from(PEOPLE),
                st.sampled_from(["paid", "viewed", "viewed", "viewed"]),
                st.sampled_from([timedelta(0), timedelta(hours=1), 2 * DAY, 33 * DAY]),
            ),
            max_size=4,
        ),
    ),
    min_size=1,
    max_size=6,
)


@cache
def _shelf() -> BundleShelf:
    return BundleShelf()


@settings(max_examples=12)
@given(story=stories)
def test_events_and_sweeps_come_to_what_computing_from_scratch_says(
    story: list[tuple[timedelta, list[tuple[str, str, timedelta]]]], _sqlite_template: Path
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            place = Place(store, shelf=_shelf())
            for pause, events in story:
                place.pass_time(pause)
                if events:
                    place.happen_together(events)
                place.assert_as_from_scratch()
            place.pass_time(50 * DAY)
            place.assert_as_from_scratch()
