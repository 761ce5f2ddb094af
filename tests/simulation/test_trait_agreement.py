"""What senders state of a contact, in SQL and in virtual time: the same facts, entries and leaves."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.authoring.rule_tests.reading import IDENTIFY
from engine.clock import FixedClock
from engine.contacts.profile import contact_facts
from engine.contacts.rows import profile_of
from engine.governance.publishing import publish
from engine.intake.accepting import Intake
from engine.intake.incoming import IncomingEvent
from engine.runs.service import Runs
from engine.simulation.people import Person
from engine.simulation.virtual import VirtualWorld
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import ContactRow, DecisionRow, IdentityRow, RunRow

START = datetime(2026, 3, 1, tzinfo=UTC)
HEAD = "kind: {kind}\nid: {id}\ntitle: t\nowner: us\n"
FILES = {
    "wayline.yaml": HEAD.format(kind="workspace", id="default")
    + "timezone: UTC\nlocales: [en, zh]\nidentities: [email, sms, whatsapp]\n"
    + "numbers: {sms: {country: CN}, whatsapp: {}}\n"
    + "attributes: {city: {type: text}, visits: {type: number}, trial_ends_at: {type: instant}}\n",
    "purposes.yaml": HEAD.format(kind="purposes", id="p")
    + 'purposes: [{id: care, title: c, version: "1", kind: transactional, max_hold: 1d}]\n',
    "events.yaml": HEAD.format(kind="events", id="e") + "events: [{id: said, title: s}]\n",
    "tags.yaml": HEAD.format(kind="tags", id="t")
    + "tags: [{tag: near, level: basic, when: {contact.city: Shanghai}}]\n",
    "greet.yaml": HEAD.format(kind="journey", id="greet")
    + "purpose: care\nenter: {event: said, when: {contact.tags: {has: near}}, reentry: always}\n"
    + "leave: [{when: {contact.tags: {has_any: [quit, gone]}}}]\nsteps: [{wait: long, for: 365d}]\n",
    "wake.yaml": HEAD.format(kind="journey", id="wake")
    + "purpose: care\nenter: {event: said, reentry: always}\n"
    + 'steps: [{wait: till_nine, at: "09:00"}]\n',
}
TRAITS: list[dict[str, Any]] = [
    {},
    {"city": "Shanghai"},
    {"city": None},
    {"city": 5},
    {"visits": 3, "unheard_of": True},
    {"trial_ends_at": "2026-03-09T00:00:00+08:00"},
    {"tags": ["quit"]},
    {"tags": "quit"},
    {"tags": {"remove": ["quit"]}},
    {"timezone": "Asia/Shanghai", "locale": "zh-CN"},
    {"timezone": "Nowhere"},
    {"sms": "138 1234 5678"},
    {"sms": "+1 650-253-0000"},
    {"sms": "12345"},
    {"sms": "none"},
    {"whatsapp": "+447911123456"},
    {"whatsapp": "+61412345678", "timezone": "Asia/Shanghai"},
    {"whatsapp": "13812345678"},
]

lives = st.lists(
    st.tuples(st.sampled_from(["said", IDENTIFY]), st.integers(0, 30), st.sampled_from(TRAITS)),
    min_size=1,
    max_size=10,
)
Life = list[tuple[str, int, dict[str, Any]]]


@cache
def the_bundle() -> Bundle:
    return bundle_of(FILES)


@settings(max_examples=25)
@given(life=lives)
def test_sql_and_virtual_time_make_the_same_of_traits(life: Life, _sqlite_template: Path) -> None:
    in_memory = asyncio.run(live_in_memory(life))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            assert live_in_sql(store, life) == in_memory


async def live_in_memory(life: Life) -> tuple[list[Any], list[Any]]:
    world = VirtualWorld(the_bundle(), START)
    world.add(Person("ann"))
    at, facts = START, []
    for event, pause, traits in life:
        at += timedelta(hours=pause)
        world.feed("ann", event, at, traits=traits)
        await world.run_until(at)
        facts.append((world.facts("ann"), world.zone("ann"), world.zone_candidates("ann")))
    world.close()
    return [(each.at, each.kind, each.verdict, each.reason) for each in world.decisions], facts


def carry_due(store: Store, runs: Runs, clock: FixedClock, until: datetime) -> None:
    """Let the waits end that end until then, each at its moment, as the workflows would."""
    while True:
        with store.read() as session:
            query = select(RunRow).where(col(RunRow.due_at) <= until).order_by(col(RunRow.due_at)).limit(1)
            row = session.scalars(query).one_or_none()
        if row is None or row.due_at is None:
            clock.moment = until
            return
        clock.moment = row.due_at
        asyncio.run(runs.carry(row.id, durable=True))


def live_in_sql(store: Store, life: Life) -> tuple[list[Any], list[Any]]:
    clock, shelf, bundle = FixedClock(START), BundleShelf(), the_bundle()
    nothing_to_deliver: Any = None
    runs = Runs(store, shelf, nothing_to_deliver, clock)
    intake = Intake(store, shelf, runs, clock)
    with store.begin() as session:
        publish(session, FILES, by="test", now=START)
        session.add(ContactRow(id="ann", created_at=START))
        session.add(IdentityRow(platform="user", address="ann", contact_id="ann", added_at=START))
    facts = []
    for number, (event, pause, traits) in enumerate(life):
        at = clock.moment + timedelta(hours=pause)
        # What comes at the moment at which a wait is over comes in time.
        carry_due(store, runs, clock, at - timedelta(microseconds=1))
        clock.moment = at
        who = (("user", "ann"),)
        came = IncomingEvent(f"m{number}", event, who, traits=traits, occurred_at=clock.moment)
        receipt = intake.accept([came], source="test")
        assert receipt.accepted == 1
        for run_id in receipt.run_ids:
            asyncio.run(runs.carry(run_id))
        carry_due(store, runs, clock, at)
        with store.read() as session:
            profile = profile_of(session.get_one(ContactRow, "ann"))
        zone = profile.timezone or bundle.workspace.timezone
        facts.append((contact_facts(profile, bundle, clock.moment), zone, profile.timezone_candidates))
    with store.read() as session:
        rows = list(session.scalars(select(DecisionRow).order_by(col(DecisionRow.id))))
    shelf.close()
    return [(row.at, row.kind, row.verdict, row.reason) for row in rows], facts
