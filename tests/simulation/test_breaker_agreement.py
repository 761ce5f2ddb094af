"""Breakers that watch what is told of messages open, probe and close alike in SQL and in virtual time."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.authoring.loading import load_files
from engine.delivery import breakers
from engine.delivery.receipts import Closing, Receipt, Said, receive
from engine.delivery.viewing import read_situation
from engine.gate.state import Moment
from engine.intake.incoming import IncomingEvent
from engine.plugin import Metric, hookimpl
from engine.plugin.registry import load_registry
from engine.simulation.people import Person
from engine.simulation.testing import run_tests
from engine.simulation.virtual import VirtualWorld
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import BreakerRow, DecisionRow, IntentRow, MetricMarkRow, OutboxRow
from tests.simulation.small_workspace import START
from tests.simulation.two_drivers import SqlLife

HEAD = "kind: {kind}\nid: {id}\ntitle: t\nowner: us\n"
# Who is let through on a ramp follows from the key of their message, which is another one in each world.
RECOVER = "recover: {probe_after: 313s, probes: 2, close_when: {lt: 20%}, ramp: [99.99%, 100%]}"
HELD = "held: {resume_within: 7h, then: drop}"
FILES = {
    "wayline.yaml": HEAD.format(kind="workspace", id="here")
    + "timezone: UTC\nlocales: [en]\nidentities: [email]\n",
    "purposes.yaml": HEAD.format(kind="purposes", id="p")
    + 'purposes: [{id: news, title: news, version: "1", kind: marketing, max_hold: 2d}]\n',
    "channels.yaml": HEAD.format(kind="channels", id="c")
    + "channels: [{id: email, plugin: recording, identity: email, settings: {}}]\n",
    "content.yaml": HEAD.format(kind="content", id="t")
    + "contents: [{id: text, locales: {en: {subject: Hello, body: Good morning}}}]\n",
    "events.yaml": HEAD.format(kind="events", id="e")
    + "events:\n"
    + "  - {id: asked, title: a, schema: {type: object}}\n"
    + "  - {id: rated, title: r, schema: {type: object, properties: {stars: {type: number}}}}\n",
    "breakers.yaml": HEAD.format(kind="breakers", id="b")
    + "breakers:\n"
    + "".join(
        f"  - {{id: {name}, scope: {scope}, metric: {metric}, window: 1h, min_samples: {least}, "
        f"levels: {{yellow: {{gt: 25%}}, red: {{gt: 60%}}}}, {RECOVER}, {HELD}}}\n"
        for name, scope, metric, least in (
            ("bounces", "channel", "bounce_rate", 3),
            ("complaints", "content", "complaint_rate", 2),
            ("leaving", "journey", "unsubscribe_rate", 3),
            ("anger", "workspace", "low_ratings", 2),
        )
    ),
    "news.yaml": HEAD.format(kind="journey", id="news")
    + "purpose: news\nenter: {event: asked, reentry: always}\n"
    + "steps: [{send: hello, content: text, channels: [email]}]\n",
}
WHO = ("ann", "bob", "eve", "ida", "max")
PEOPLE = tuple(
    Person(name, {"email": f"{name}@example.com"}, consents=("news",), timezone="UTC") for name in WHO
)


class Ratings:
    """A plugin with a metric over events: one to five stars, of which one and two are against."""

    @hookimpl
    def register_metrics(self) -> list[Metric]:
        return [Metric("low_ratings", "low ratings", events=("rated",), counts=is_low, of="events")]


def is_low(_told: str, properties: Mapping[str, Any]) -> bool | None:
    stars = properties.get("stars")
    return stars <= 2 if isinstance(stars, int | float) else None


REGISTRY = load_registry(entry_points=False, extra=[Ratings()])

happenings = st.tuples(
    st.integers(1, 900),
    st.sampled_from(WHO),
    st.sampled_from(
        ["asked", "asked", "asked", "bounced", "complained", "left", "stayed", "low", "high", "odd"]
    ),
)
Life = list[tuple[int, str, str]]
RETURNED = ("bounced", "complained")
"""Only of who got a message."""
TOLD: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "asked": ("asked", {}),
    "bounced": ("message_bounced", {"platform": "email"}),
    "complained": ("message_complained", {"platform": "email"}),
    "left": ("consent_withdrawn", {"purpose": "news"}),
    "stayed": ("consent_granted", {"purpose": "news"}),
    "low": ("rated", {"stars": 1}),
    "high": ("rated", {"stars": 5}),
    "odd": ("rated", {}),
}


@cache
def the_bundle() -> Bundle:
    loaded = load_files(FILES, declared_by=REGISTRY)
    assert loaded.bundle is not None, loaded.problems
    return loaded.bundle


State = tuple[str, str | None, float | None, int, int]


async def in_memory(life: Life) -> tuple[list[dict[Any, State]], list[Any]]:
    world, at, states = VirtualWorld(the_bundle(), START), START, []
    with closing(world):
        world.add(*PEOPLE)
        for pause, who, what in life:
            at += timedelta(seconds=pause)
            event, properties = TOLD[what]
            await world.run_before(at)
            if what not in RETURNED or any(sent.contact_id == who for sent in world.sends):
                world.feed(who, event, at, properties)
            await world.run_until(at)
            states.append(published(world))
        await world.run_until(at + timedelta(hours=1))
        states.append(published(world))
    return states, [(each.at, each.contact_id, each.verdict, each.reason) for each in world.decisions]


def published(world: VirtualWorld) -> dict[Any, State]:
    return {
        key: (each.state, each.level, each.ramp, each.probes_left, each.epoch)
        for key, each in sorted(world.breakers.items())
    }


class WatchedLife(SqlLife):
    """The services over SQL, with a loop that stands for the breakers' workflows as well."""

    looks: dict[tuple[str, str], datetime | None]

    async def carry_told(self) -> None:
        while True:
            with self.store.begin() as session:
                rows = list(session.scalars(select(OutboxRow).order_by(col(OutboxRow.id))))
                told = [(row.kind, row.key) for row in rows]
                for row in rows:
                    session.delete(row)
            due = [key for key, at in self.looks.items() if at is not None and at <= self.clock.now()]
            watched = [key.partition("/")[::2] for kind, key in told if kind == "breaker.watch"]
            for key in sorted({*due, *((name, scope) for name, scope in watched)}):
                with self.store.begin() as session:
                    self.looks[key] = breakers.observe(session, self.shelf, *key, self.clock.now()).next_at
            runs = [key for kind, key in told if kind == "run.signal"]
            for run_id in runs:
                await self.carry(run_id)
            if not told and not due and not await self.delivery.deliver_due(100):
                return

    def next_due_at(self) -> datetime | None:
        moments = [super().next_due_at(), *self.looks.values()]
        return min((moment for moment in moments if moment is not None), default=None)

    def told_of(self, who: str, said: Said) -> None:
        """A receipt for the latest message that somebody got, if they got any."""
        with self.store.begin() as session:
            query = (
                select(col(IntentRow.key))
                .where(col(IntentRow.contact_id) == who, col(IntentRow.outcome) == "sent")
                .order_by(col(IntentRow.handed_over_at).desc(), col(IntentRow.key).desc())
            )
            key = session.scalars(query.limit(1)).first()
            if key is not None:
                now = Moment.of(self.clock.now(), read_situation(session).time)
                receipt = Receipt(said, now.delivery, key, "email", permanent=True)
                receive(session, receipt, now, Closing({"email": "email"}, None, "test"), shelf=self.shelf)

    def states(self) -> dict[Any, State]:
        with self.store.read() as session:
            rows = session.scalars(select(BreakerRow).where(col(BreakerRow.epoch) > 0))
            return {
                (row.breaker_id, row.scope): (row.state, row.level, row.ramp, row.probes_left, row.epoch)
                for row in sorted(rows, key=lambda row: (row.breaker_id, row.scope))
            }


async def in_sql(store: Store, life: Life) -> tuple[list[dict[Any, State]], list[Any]]:
    shelf = BundleShelf(knowing=REGISTRY.knowing)
    world = WatchedLife(store, the_bundle().files, shelf=shelf, people=PEOPLE)
    world.looks, at, states = {}, START, []
    for number, (pause, who, what) in enumerate(life):
        at += timedelta(seconds=pause)
        await world.pass_time(at, inclusive=False)
        if what in RETURNED:
            world.told_of(who, Said(what))
        else:
            event, properties = TOLD[what]
            came = IncomingEvent(f"m{number}", event, (), properties, occurred_at=at, contact_id=who)
            receipt = world.intake.accept([came], source="simulation")
            assert (receipt.accepted, receipt.dead) == (1, 0)
            for run_id in receipt.run_ids:
                await world.runs.carry(run_id)
        await world.carry_told()
        states.append(world.states())
    await world.pass_time(at + timedelta(hours=1), inclusive=True)
    states.append(world.states())
    shelf.close()
    with store.read() as session:
        rows = session.scalars(select(DecisionRow).order_by(col(DecisionRow.id)))
        return states, [(row.at, row.contact_id, row.verdict, row.reason) for row in rows]


def fresh(template: Path, folder: str) -> Store:
    path = Path(folder, "wayline.db")
    shutil.copyfile(template, path)
    return Store(f"sqlite:///{path}")


@settings(max_examples=5, deadline=None)
@given(life=st.lists(happenings, min_size=8, max_size=16))
def test_sql_and_virtual_time_watch_alike_what_is_told_of_messages(
    life: Life, _sqlite_template: Path
) -> None:
    compare(life, _sqlite_template)


@pytest.mark.long
@settings(max_examples=150, deadline=None)
@given(life=st.lists(happenings, min_size=1, max_size=40))
def test_sql_and_virtual_time_watch_alike_what_is_told_in_long_lives(
    life: Life, _sqlite_template: Path
) -> None:
    compare(life, _sqlite_template)


def compare(life: Life, template: Path) -> None:
    said = asyncio.run(in_memory(life))
    with tempfile.TemporaryDirectory() as folder, closing(fresh(template, folder)) as store:
        assert asyncio.run(in_sql(store, life)) == said


def test_a_breaker_opens_by_bounces_and_lets_all_go_when_the_probes_stay_good(_sqlite_template: Path) -> None:
    asked: Life = [(7, who, "asked") for who in WHO]
    life: Life = [
        *asked,
        (5, "ann", "bounced"),
        (5, "bob", "bounced"),
        (3, "eve", "asked"),
        (3, "ida", "asked"),
    ]
    life += [(900, "max", "asked"), (900, "eve", "asked")]
    states, decisions = asyncio.run(in_memory(life))
    key = ("bounces", "channel:email")
    assert states[5] == {}, "one of five is below the level"
    assert states[6][key][:2] == ("open", "yellow")
    assert [reason for _, who, _, reason in decisions if who == "eve"].count("breaker.open") == 1
    assert states[-1][key][0] == "closed"
    assert [reason for *_, reason in decisions[-2:]] == ["sent.accepted", "run.completed"]
    with tempfile.TemporaryDirectory() as folder, closing(fresh(_sqlite_template, folder)) as store:
        assert asyncio.run(in_sql(store, life)) == (states, decisions)


@settings(max_examples=6, deadline=None)
@given(
    told=st.lists(
        st.tuples(st.sampled_from(WHO), st.sampled_from([Said.BOUNCED, Said.READ, Said.COMPLAINED])),
        max_size=12,
    ).flatmap(lambda told: st.permutations(told * 2))
)
def test_whatever_is_told_in_any_order_and_twice_each_message_counts_once_in_a_metric(
    told: list[tuple[str, Said]], _sqlite_template: Path
) -> None:
    async def live(store: Store) -> None:
        shelf = BundleShelf(knowing=REGISTRY.knowing)
        world = WatchedLife(store, the_bundle().files, shelf=shelf, people=PEOPLE)
        world.looks = {}
        for who in WHO:
            receipt = world.intake.accept([IncomingEvent(who, "asked", contact_id=who)], source="test")
            for run_id in receipt.run_ids:
                await world.runs.carry(run_id)
        for who, said in told:
            world.told_of(who, said)
        shelf.close()

    with tempfile.TemporaryDirectory() as folder, closing(fresh(_sqlite_template, folder)) as store:
        asyncio.run(live(store))
        with store.read() as session:
            marks = list(session.scalars(select(MetricMarkRow)))
            whose = {row.key: row.contact_id for row in session.scalars(select(IntentRow))}
    counted = sorted((mark.metric, whose[mark.key]) for mark in marks)
    rates = {Said.BOUNCED: "bounce_rate", Said.COMPLAINED: "complaint_rate"}
    assert counted == sorted({(rates[said], who) for who, said in told if said in rates})


async def test_a_test_of_a_ruleset_may_say_that_messages_came_back() -> None:
    suite = """
ruleset: [breakers.yaml, news.yaml]
start: "2026-03-01T09:00:00+00:00"
until: 2h
tests:
  - name: two of three bounce and the next message waits until probes are let through
    contacts:
      ann: {consents: [news], identities: {email: a@example.com}}
      bob: {consents: [news], identities: {email: b@example.com}}
      eve: {consents: [news], identities: {email: e@example.com}}
    events:
      - {at: 0m, event: asked, contact: ann}
      - {at: 1m, event: asked, contact: bob}
      - {at: 2m, event: asked, contact: eve}
      - {at: 3m, event: message_bounced, contact: ann, properties: {platform: email}}
      - {at: 4m, event: message_bounced, contact: bob, properties: {platform: email}}
      - {at: 5m, event: asked, contact: eve}
      - {at: 6m, event: asked, contact: ann}
    expect:
      - {at: 0m, send: hello, contact: ann}
      - {at: 1m, send: hello, contact: bob}
      - {at: 2m, send: hello, contact: eve}
      - {at: 5m, held: hello, reason: breaker.open, contact: eve}
      - {at: "8m..9m", send: hello, contact: eve}
"""
    loaded = load_files({**FILES, "breakers.test.yaml": suite}, declared_by=REGISTRY)
    assert loaded.bundle is not None, loaded.problems
    report = await run_tests(loaded.bundle)
    assert [(each.test.name, each.failures) for each in report.failed] == []
