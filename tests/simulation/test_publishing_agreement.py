"""Bundles published in the middle of lives, in SQL and in virtual time: the same decisions and places, and
nobody is left behind."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from sqlalchemy import select
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.errors import RulesetError
from engine.governance.in_flight import PeopleKeeper
from engine.governance.publishing import publish
from engine.intake.incoming import IncomingEvent
from engine.journeys.program import InFlight
from engine.runs.deciding import decide
from engine.simulation.people import Person
from engine.simulation.virtual import VirtualWorld
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import DecisionRow, InFlightRow, IntentRow, RunRow, TaskRow
from tests.simulation.small_workspace import DAY, START
from tests.simulation.two_drivers import SqlLife

CORPUS = Path(__file__).parents[1] / "cases" / "edits"
VERSIONS = sorted((CORPUS / "versions").glob("*.yaml"))
PEOPLE = tuple(
    Person(name, {"email": f"{name}@example.com"}, consents=("marketing",)) for name in ("ann", "bob", "eve")
)
CAPS = """
kind: caps
id: caps
title: Caps
owner: tests
caps:
  - id: one_a_day
    counts: {purpose: marketing}
    limit: 1
    window: {rolling: 30h}
    when_full: defer
    max_defer: 2d
"""
GREET = """
kind: journey
id: greet
title: A second message at once, which the cap holds
owner: tests
purpose: marketing
priority: 10
enter: {event: added, reentry: always}
steps: [{send: greeting, content: text, channels: [email]}]
"""
KEPT = ("from_step", "to_step", "how", "because", "due_was", "due_is", "from_bundle", "to_bundle", "policy")
AFTERWARDS = timedelta(minutes=2)
"""After a publish: by then the transactions that began before it are over."""

PAUSES = [timedelta(0), timedelta(hours=1), timedelta(hours=5), timedelta(hours=30), 4 * DAY]
policies = st.sampled_from([*[InFlight.MIGRATE] * 5, InFlight.PIN, InFlight.DRAIN, InFlight.END])
names = st.sampled_from([person.id for person in PEOPLE])
SHELF = BundleShelf()


@cache
def files(number: int) -> dict[str, str]:
    """One version of the journey that is edited, with messages that a cap holds for a day; a looser one in
    every other version, so that a publish lets go of what waits."""
    shared = {file.name: file.read_text(encoding="utf-8") for file in (CORPUS / "workspace").glob("*.yaml")}
    text = VERSIONS[number].read_text(encoding="utf-8")
    caps = CAPS.replace("limit: 1", f"limit: {1 + number % 2}")
    trip = text.replace("purpose: service", "purpose: marketing")
    return {**shared, "caps.yaml": caps, "greet.yaml": GREET, "trip.yaml": trip}


@cache
def bundle(number: int) -> Bundle:
    return bundle_of(files(number))


Story = tuple[Any, ...]
Place = tuple[Any, ...]


class SqlTown(SqlLife):
    """The production services, a dispatcher's round of taking people over after whatever happens."""

    def __init__(self, store: Store, number: int) -> None:
        super().__init__(store, files(number), shelf=SHELF, people=PEOPLE)
        self.keeper = PeopleKeeper(store, self.shelf, self.clock)
        self._heard = 0

    async def hear(self, who: str, event: str, properties: Mapping[str, Any], traits: Any) -> None:
        await self.round()
        self._heard += 1
        came = IncomingEvent(
            f"m{self._heard}",
            event,
            (),
            properties,
            traits,
            occurred_at=self.clock.now(),
            contact_id=who,
        )
        receipt = self.intake.accept([came], source="simulation")
        assert (receipt.accepted, receipt.dead) == (1, 0)
        for run_id in receipt.run_ids:
            await self.carry(run_id, durable=False)
        await self.carry_told()
        await self.pass_time(self.clock.now(), inclusive=True)

    async def carry(self, run_id: str, *, durable: bool = True) -> None:
        await self.runs.carry(run_id, durable=durable)
        await self.round()

    async def round(self) -> None:
        with self.store.begin() as session:
            for row in session.scalars(select(InFlightRow).where(col(InFlightRow.finished_at).is_(None))):
                row.ready_at = self.clock.now()
        while await self.keeper.take_over():
            pass
        await self.carry_told()

    async def put_in_force(self, number: int, policies: Mapping[str, InFlight]) -> None:
        with self.store.begin() as session:
            publish(
                session,
                files(number),
                by="test",
                now=self.clock.now(),
                policies=policies,
                shelf=self.shelf,
            )
        await self.round()
        await self.delivery.deliver_due(100)
        await self.carry_told()

    async def answer(self, who: str, pick: int) -> tuple[str, str] | None:
        """Answer the task that somebody has open; its step and the answer."""
        with self.store.begin() as session:
            query = select(TaskRow).where(col(TaskRow.contact_id) == who, col(TaskRow.state) == "open")
            task = session.scalars(query).one_or_none()
            if task is None or task.due_at <= self.clock.now():
                return None
            step, choice = task.step_id, task.choices[pick % len(task.choices)]["id"]
            decide(session, task.id, choice, by="ana", now=self.clock.now(), key=None, note="")
        await self.carry_told()
        await self.pass_time(self.clock.now(), inclusive=True)
        return step, choice

    def places(self) -> list[Place]:
        with self.store.read() as session:
            rows = session.scalars(select(RunRow).where(col(RunRow.status) == "active"))
            return sorted(
                (row.contact_id, row.position, row.waiting, str(row.due_at), row.bundle_hash) for row in rows
            )

    def told(self) -> dict[str, list[Story]]:
        stories: dict[str, list[Story]] = {person.id: [] for person in PEOPLE}
        with self.store.read() as session:
            steps = {row.key: row.step_id for row in session.scalars(select(IntentRow))}
            for row in session.scalars(select(DecisionRow).order_by(col(DecisionRow.id))):
                step = steps.get(row.intent_key or "")
                kept = tuple(row.evidence.get(name) for name in KEPT)
                said = row.at, row.kind, row.journey, step, row.verdict, row.reason, row.hold_until
                stories[row.contact_id].append((*said, kept))
        return stories


class Publishing(RuleBasedStateMachine):
    """Whatever happens to people, and whatever is published meanwhile, both drivers do the same."""

    template: ClassVar[Path]

    @initialize(
        number=st.integers(0, len(VERSIONS) - 1),
        waits=st.lists(st.sampled_from([*PAUSES, 2 * DAY, 5 * DAY]), min_size=3, max_size=3),
    )
    def begin(self, number: int, waits: list[timedelta]) -> None:
        self.number = number
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name, "wayline.db")
        shutil.copyfile(self.template, path)
        self.store = Store(f"sqlite:///{path}")
        self.sql = SqlTown(self.store, number)
        self.world = VirtualWorld(bundle(number), START, matcher=SHELF.matcher(bundle(number)))
        self.world.add(*PEOPLE)
        self.is_begun = True
        self.lately = False
        """Whether something was published a moment ago."""
        for person, wait, city in zip(PEOPLE, waits, (None, "Beijing", "Shanghai"), strict=True):
            self.enter(person.id, city, wait)

    @rule(who=names, city=st.sampled_from([None, "Beijing", "Shanghai"]), pause=st.sampled_from(PAUSES))
    def enter(self, who: str, city: str | None, pause: timedelta) -> None:
        traits = {"renewal_at": (START + 40 * DAY).isoformat()} | ({"city": city} if city else {})
        self.sleep(pause)
        if who not in {place[0] for place in self.sql.places()}:
            self.hear(who, "added", {}, traits)

    @rule(
        who=names,
        event=st.sampled_from(["viewed", "viewed", "carted", "paid", "gone"]),
        price=st.sampled_from([10, 100]),
        pause=st.sampled_from(PAUSES),
    )
    def hear_of(self, who: str, event: str, price: int, pause: timedelta) -> None:
        self.sleep(pause)
        self.hear(who, event, {"price": price} if event in ("viewed", "carted") else {}, {})

    @rule(pause=st.sampled_from(PAUSES))
    def sleep(self, pause: timedelta) -> None:
        at = self.world.now + max(pause, AFTERWARDS if self.lately else pause)
        self.lately = False
        self.do(self.sql.pass_time(at, inclusive=False))
        self.do(self.world.run_before(at))
        self.compare_places()

    @rule(who=names, pick=st.integers(0, 2))
    def answer(self, who: str, pick: int) -> None:
        answered = self.do(self.sql.answer(who, pick))
        if answered is not None:
            step, choice = answered
            self.world.answer(who, step, choice, self.world.now, by="ana")
            self.do(self.world.run_until(self.world.now))
            self.compare_places()

    @rule(by=st.sampled_from([1, 2, 8, 25, -1, -2]), policy=policies)
    def publish(self, by: int, policy: InFlight) -> None:
        number = min(max(self.number + by, 0), len(VERSIONS) - 1)
        if number == self.number:
            return
        self.sleep(timedelta(minutes=1))
        said = {"trip": policy}
        before = self.sql.places()
        one = _stranded(lambda: self.do(self.sql.put_in_force(number, said)))
        made = bundle(number)
        other = _stranded(lambda: self.do(self.world.publish(made, said, matcher=SHELF.matcher(made))))
        assert one == other
        self.compare_places()
        if one:
            assert self.sql.places() == before, "nothing is done when somebody would be stranded"
            return
        self.number, self.lately = number, True
        if policy is InFlight.END:
            assert {place[-1] for place in self.sql.places() if place[1] != "greeting"} <= {made.hash}

    def hear(self, who: str, event: str, properties: Mapping[str, Any], traits: Any) -> None:
        now = self.world.now
        self.do(self.sql.hear(who, event, properties, traits))
        self.world.feed(who, event, now, properties, traits=traits)
        self.do(self.world.run_until(now))
        self.compare_places()

    def compare_places(self) -> None:
        runs = ((person.id, run) for person in PEOPLE for run in self.world.runs(person.id))
        places = sorted(
            (
                who,
                run.state.position,
                run.state.waiting.kind.value if run.state.waiting is not None else "ready",
                str(run.state.waiting.due_at if run.state.waiting is not None else None),
                run.bundle.hash,
            )
            for who, run in runs
        )
        assert self.sql.places() == places

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def teardown(self) -> None:
        if not hasattr(self, "is_begun"):
            return
        try:
            end = self.world.now + 120 * DAY
            self.do(self.sql.pass_time(end, inclusive=True))
            self.do(self.world.run_until(end))
            self.compare_places()
            assert self.sql.places() == [], "everybody comes to an end"
            self.compare_stories()
        finally:
            self.runner.close()
            self.store.close()
            self.folder.cleanup()

    def compare_stories(self) -> None:
        in_memory: dict[str, list[Story]] = {person.id: [] for person in PEOPLE}
        for each in self.world.decisions:
            step = each.step if each.kind == "message" else None
            kept = tuple(each.evidence.get(name) for name in KEPT)
            said = each.at, each.kind, each.journey, step, each.verdict, each.reason, each.hold_until
            in_memory[each.contact_id].append((*said, kept))
        assert self.sql.told() == in_memory


def _stranded(publish_it: Callable[[], object]) -> set[str]:
    try:
        publish_it()
    except RulesetError as refused:
        return {problem.path for problem in refused.problems}
    return set()


@pytest.fixture
def machine(_sqlite_template: Path) -> Iterator[type[Publishing]]:
    Publishing.template = _sqlite_template
    yield Publishing


def _run(machine: type[Publishing], examples: int, steps: int) -> None:
    patience = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=patience
        ),
    )


def test_what_is_published_meanwhile_means_the_same_in_sql_and_in_virtual_time(
    machine: type[Publishing],
) -> None:
    _run(machine, 8, 14)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_hundreds_of_lives_with_publishes_in_the_middle_agree(machine: type[Publishing]) -> None:
    _run(machine, 400, 40)
