"""Fifty edits of one journey, with people at every step: what is foretold happens, and nobody is stranded."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.errors import RulesetError
from engine.gate.model import Outcome
from engine.governance.difference import difference
from engine.governance.outlook import JourneyOutlook
from engine.governance.publishing import publish
from engine.intake.incoming import IncomingEvent
from engine.journeys.interpreter import advance
from engine.journeys.localtime import zone_of
from engine.journeys.program import Ask, InFlight, Send, Wait, WaitFor
from engine.journeys.run import (
    Cause,
    EventSeen,
    OutcomeKnown,
    RunState,
    Started,
    TaskDecided,
    TimerDue,
    WaitKind,
)
from engine.rules.matcher import Matcher
from engine.runs.deciding import decide
from engine.store.database import Store, upgrade
from engine.store.tables import DecisionRow, InFlightRow, IntentRow, RunRow, TaskRow, WaitRow
from tests.runs.conftest import START, Spine

CORPUS = Path(__file__).parents[1] / "cases" / "edits"
VERSIONS = sorted((CORPUS / "versions").glob("*.yaml"))
PAIRS = [(number, number + 1) for number in range(len(VERSIONS) - 1)]
CITIES = (None, "Beijing", "Shanghai")
STANDABLE = (Send, Wait, WaitFor, Ask)
LONGEST = 14
"""Causes after which a way that leads nowhere new is given up."""


@cache
def files(number: int) -> dict[str, str]:
    """The workspace with the journey as it is in one version."""
    shared = {file.name: file.read_text(encoding="utf-8") for file in (CORPUS / "workspace").glob("*.yaml")}
    return {**shared, "trip.yaml": VERSIONS[number].read_text(encoding="utf-8")}


@cache
def bundle(number: int) -> Bundle:
    return bundle_of(files(number))


@dataclass(frozen=True)
class Way:
    """How somebody comes to stand at a step."""

    city: str | None
    causes: tuple[Cause, ...]


@cache
def ways(number: int) -> dict[str, Way]:
    """Step -> a way to it, for every step that one can stand at: the interpreter tried on all there is."""
    program = bundle(number).programs["trip"]
    found: dict[str, Way] = {}
    with closing(Matcher(bundle(number).rules)) as matcher:
        for city in CITIES:
            _explore(number, city, matcher, found)
    return {
        name: found[name]
        for name, step in program.steps.items()
        if isinstance(step, STANDABLE) and name in found
    }


def _explore(number: int, city: str | None, matcher: Matcher, found: dict[str, Way]) -> None:
    made = bundle(number)
    program = made.programs["trip"]
    facts: dict[str, Any] = {"contact.tags": frozenset(), "contact.created_at": START}
    if city is not None:
        facts["contact.city"] = city
    facts["contact.renewal_at"] = START + timedelta(days=90)
    fresh = RunState("r", "trip", "c", "n1")
    ahead: list[tuple[RunState, Cause, tuple[Cause, ...], datetime]] = [(fresh, Started(), (), START)]
    seen: set[tuple[Any, ...]] = set()
    while ahead:
        run, cause, path, now = ahead.pop(0)
        done = advance(
            program, run, cause, facts=facts, zone=zone_of(None, "Asia/Shanghai"), now=now, matcher=matcher
        ).run
        way = path if isinstance(cause, Started) else (*path, cause)
        if done.waiting is None or len(way) > LONGEST:
            continue
        found.setdefault(done.waiting.step, Way(city, way))
        mark = (done.position, *sorted(done.rounds.items()))
        if mark in seen:
            continue
        seen.add(mark)
        due = done.waiting.due_at
        ahead += [
            (done, each, way, max(now, due) if due is not None else now)
            for each in _coming(program.steps[done.waiting.step], due)
        ]


def _coming(step: Any, due: datetime | None) -> Iterator[Cause]:
    match step:
        case Send():
            yield from (OutcomeKnown(step.id, outcome) for outcome in ("sent", "failed", "capped"))
        case WaitFor(events=events) if events:  # a state that is waited for is there at once for some cities
            yield EventSeen("e")
        case Ask():
            yield from (TaskDecided(step.id, choice.id) for choice in step.choices)
    if due is not None:
        yield TimerDue()


class Holding(dict[str, str]):
    """Every message is held, until somebody settles it."""

    def get(self, step: str, default: Any = None) -> Any:
        return "held"


class Town(Spine):
    """People at every step of one version, brought there by events, outcomes, answers and time."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.post.script = Holding()
        self._carried = 0

    def put_in_force(self, number: int, policies: Mapping[str, InFlight] | None = None) -> None:
        with self.store.begin() as session:
            publish(
                session,
                files(number),
                by="test",
                now=self.clock.now(),
                policies=policies or {},
                shelf=self.shelf,
            )

    def hear(self, kind: str, who: str, city: str | None = None, **properties: Any) -> tuple[str, ...]:
        traits = {"renewal_at": "2026-09-01T00:00:00+00:00"} | ({"city": city} if city is not None else {})
        event = IncomingEvent(
            f"m{next(self._numbers)}-{self.clock.now().timestamp()}",
            kind,
            (("user", who),),
            properties,
            traits,
            occurred_at=self.clock.now(),
        )
        return self.intake.accept([event], source="test").run_ids

    def sleep_until(self, moment: datetime) -> None:
        self.clock.advance(max(moment - self.clock.now(), timedelta(0)))

    def settle_down(self, number: int) -> None:
        """Somebody at every step, somebody who has not begun, somebody whose event has come just now."""
        asyncio.run(self._settle_down(number))

    async def _settle_down(self, number: int) -> None:
        for step, way in ways(number).items():
            (run_id,) = self.hear("added", f"at {step}", way.city)
            await self.runs.carry(run_id)
            for cause in way.causes:
                await self._let(run_id, f"at {step}", cause)
            assert self.run(id=run_id).position == step, (number, step, way)
            waits = self.rows(WaitRow, run_id=run_id, kind="step")
            if waits and waits[0].event_type != "*":
                (run_id,) = self.hear("added", f"heard at {step}", way.city)
                await self.runs.carry(run_id)
                for cause in way.causes:
                    await self._let(run_id, f"heard at {step}", cause)
                self.hear("viewed", f"heard at {step}", price=100)
        self.hear("added", "not begun")

    async def _let(self, run_id: str, who: str, cause: Cause) -> None:
        """Let happen to one person what the cause says, and to nobody else."""
        row = self.run(id=run_id)
        match cause:
            case OutcomeKnown(outcome=outcome):
                self.settle(run_id, Outcome(outcome))
            case TimerDue():
                assert row.due_at is not None
                self.sleep_until(row.due_at)
            case EventSeen():
                self.hear("viewed", who, price=100)
            case TaskDecided(choice=choice):
                self.answer(run_id, choice)
        await self.runs.carry(run_id, durable=True)

    def settle(self, run_id: str, outcome: Outcome = Outcome.SENT) -> None:
        row = self.run(id=run_id)
        step = row.position or ""
        (intent,) = self.rows(IntentRow, run_id=run_id, step_id=step, outcome=None)
        self.post.settle(intent.key, outcome)

    def answer(self, run_id: str, choice: str) -> None:
        (task,) = self.rows(TaskRow, run_id=run_id, state="open")
        with self.store.begin() as session:
            decide(session, task.id, choice, by="ana", now=self.clock.now(), key=None, note="")

    def answer_first(self, run_id: str) -> None:
        """The first answer there is, unless the time for it has passed."""
        for task in self.rows(TaskRow, run_id=run_id, state="open"):
            if task.due_at > self.clock.now():
                self.answer(run_id, task.choices[0]["id"])

    def foretold(self, number: int, policies: Mapping[str, InFlight]) -> JourneyOutlook | None:
        with self.store.read() as session:
            found = difference(session, self.shelf, bundle(number), policies)
        return next((each.people for each in found.journeys if each.change.journey == "trip"), None)

    async def live_on(self) -> None:
        """Let time pass and everything happen, until everybody's run has ended."""
        for _ in range(80):
            active = self.rows(RunRow, status="active")
            if not active:
                return
            for row in active:
                if row.waiting == WaitKind.OUTCOME:
                    self.settle(row.id)
                elif row.waiting == WaitKind.TASK:
                    self.answer_first(row.id)
            due = [row.due_at for row in active if row.due_at is not None]
            if due and not any(row.waiting in ("outcome", "ready", "task") for row in active):
                self.sleep_until(min(due))
            await self.take_over()
            for row in active:
                await self.runs.carry(row.id, durable=row.durable)
        raise AssertionError(
            [(row.position, row.waiting, row.due_at) for row in self.rows(RunRow, status="active")]
        )


@cache
def _template() -> Path:
    path = Path(tempfile.mkdtemp(prefix="wayline-edits-")) / "empty.db"
    upgrade(f"sqlite:///{path}")
    return path


@cache
def _settled(number: int) -> tuple[Path, datetime]:
    """A database with people at every step of a version, and its present moment."""
    path = _template().with_name(f"{number:02d}.db")
    shutil.copyfile(_template(), path)
    with closing(Store(f"sqlite:///{path}")) as store:
        town = Town(store)
        town.put_in_force(number)
        town.settle_down(number)
        now = town.clock.now()
        town.shelf.close()
    return path, now


@pytest.fixture
def towns(tmp_path: Path) -> Iterator[Any]:
    """Makes towns: each a copy of the people of one version."""
    opened: list[tuple[Store, Town]] = []

    def make(number: int) -> Town:
        settled, now = _settled(number)
        path = tmp_path / f"{len(opened)}.db"
        shutil.copyfile(settled, path)
        store = Store(f"sqlite:///{path}")
        town = Town(store)
        town.sleep_until(now)
        opened.append((store, town))
        return town

    yield make
    for store, town in opened:
        town.shelf.close()
        store.close()


def expected(outlook: JourneyOutlook | None, policy: InFlight) -> Counter[tuple[str | None, str, str | None]]:
    """(from step, how, to step) -> people, as it was foretold."""
    told: Counter[tuple[str | None, str, str | None]] = Counter()
    for fate in outlook.fates if outlook is not None else ():
        where = outlook.becomes(fate, policy) if outlook is not None else None
        assert where is not None
        told[fate.step, where.how.value, where.step] += fate.people
    return told


def happened(town: Town, before: Sequence[RunRow]) -> Counter[tuple[str | None, str, str | None]]:
    """The same as it came, told by the decisions; who has none stayed on their version."""
    decisions = {
        row.run_id: row for row in town.rows(DecisionRow) if row.reason in ("run.moved", "run.retired")
    }
    came: Counter[tuple[str | None, str, str | None]] = Counter()
    for row in before:
        decision = decisions.get(row.id)
        if decision is None:
            came[row.position, "stays", row.position] += 1
        elif decision.reason == "run.retired":
            came[row.position, "ends", None] += 1
        else:
            evidence = decision.evidence
            assert evidence["from_step"] == row.position
            came[row.position, evidence["how"], evidence["to_step"]] += 1
    return came


async def _until_safe(town: Town) -> None:
    """What holds people back comes to its end: messages are sent, tasks answered."""
    await town.take_over()
    for row in town.rows(RunRow, status="active"):
        if row.waiting == WaitKind.OUTCOME:
            town.settle(row.id)
        elif row.waiting == WaitKind.TASK:
            town.answer_first(row.id)
        else:
            continue
        await town.runs.carry(row.id, durable=True)


def _check(towns: Any, old: int, new: int, policy: InFlight) -> None:
    steps = bundle(old).programs["trip"].steps
    assert ways(old).keys() == {name for name, step in steps.items() if isinstance(step, STANDABLE)}
    _check_town(towns(old), old, new, policy)


def _check_town(town: Town, old: int, new: int, policy: InFlight) -> None:
    before = town.rows(RunRow, status="active")
    assert {row.position for row in before} == {*ways(old), None}
    policies = {"trip": policy}
    outlook = town.foretold(new, policies)
    told = expected(outlook, policy)
    assert sum(told.values()) == len(before)
    assert outlook is not None
    assert outlook.stranded == ()
    town.put_in_force(new, policies)

    async def go_on() -> None:
        await _until_safe(town)
        assert happened(town, before) == told
        if policy in (InFlight.PIN, InFlight.DRAIN):
            assert {row.bundle_hash for row in town.rows(RunRow)} == {bundle(old).hash}
        if policy is InFlight.MIGRATE:
            active = {row.bundle_hash for row in town.rows(RunRow, status="active")}
            assert active <= {bundle(new).hash}
        await town.live_on()

    asyncio.run(go_on())
    ended = Counter(row.outcome for row in town.rows(RunRow))
    assert ended["failed"] == 0
    assert sum(ended.values()) == len(before)


def test_the_corpus_is_fifty_edits_of_one_journey() -> None:
    assert len(PAIRS) == 50
    texts = [file.read_text(encoding="utf-8").split("\n", 1) for file in VERSIONS]
    assert all(one[1] != other[1] for one, other in pairwise(texts))
    assert len({words for words, _ in texts}) == len(texts)


@pytest.mark.parametrize(("old", "new"), PAIRS[::17])
def test_what_is_foretold_happens_and_everybody_comes_to_an_end(towns: Any, old: int, new: int) -> None:
    _check(towns, old, new, InFlight.MIGRATE)


@pytest.mark.parametrize("policy", [InFlight.PIN, InFlight.DRAIN, InFlight.END])
def test_the_other_policies_keep_their_word_too(towns: Any, policy: InFlight) -> None:
    _check(towns, 24, 25, policy)


@pytest.mark.parametrize(("new", "old"), [(4, 3), (26, 25)])
def test_on_the_way_back_people_go_back_or_nothing_is_done(towns: Any, new: int, old: int) -> None:
    _check_back(towns, new, old)


def test_what_is_foretold_happens_on_postgresql(postgres_store: Store) -> None:
    town = Town(postgres_store)
    try:
        town.put_in_force(24)
        town.settle_down(24)
        _check_town(town, 24, 25, InFlight.MIGRATE)
    finally:
        town.shelf.close()


def _check_back(towns: Any, new: int, old: int) -> None:
    """Backwards a step may be gone of which nobody said where people go: then nothing is done at all."""
    town: Town = towns(new)
    policies = {"trip": InFlight.MIGRATE}
    outlook = town.foretold(old, policies)
    assert outlook is not None
    if not outlook.stranded:
        _check(towns, new, old, InFlight.MIGRATE)
        return
    with pytest.raises(RulesetError) as refused:
        town.put_in_force(old, policies)
    missing = {f"trip.{fate.step}" for fate in outlook.stranded}
    assert {problem.path for problem in refused.value.problems} == missing
    assert missing <= {f"trip.{step}" for step in bundle(new).programs["trip"].steps}
    assert not missing & {f"trip.{step}" for step in bundle(old).programs["trip"].steps}
    assert town.rows(InFlightRow) == []
    _check(towns, new, old, InFlight.PIN)


@pytest.mark.long
@pytest.mark.parametrize(("old", "new"), PAIRS)
@pytest.mark.parametrize("policy", list(InFlight))
def test_what_is_foretold_happens_for_every_edit_and_every_policy(
    towns: Any, policy: InFlight, old: int, new: int
) -> None:
    _check(towns, old, new, policy)


@pytest.mark.long
@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_every_edit_is_taken_back_or_refused(towns: Any, old: int, new: int) -> None:
    _check_back(towns, new, old)
