"""The dispatcher tells the durable side everything once more than never, in order per key."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby, pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import col

from engine.clock import FixedClock
from engine.errors import DriverUnavailable
from engine.intake import measuring
from engine.intake.carrying import Carrier
from engine.intake.dispatcher import Backoff, Dispatcher
from engine.journeys.driver import Nudge, OpenWorkflow, RunRef, Standing
from engine.journeys.lanes import Lane
from engine.store.database import Store
from engine.store.tables import OutboxRow
from tests.intake.conftest import NOW


@dataclass
class RecordingDriver:
    """A driver that writes down what it is told; it can be away, or choke on one run."""

    told: list[tuple[str, str, str]] = field(default_factory=list)
    started: list[RunRef] = field(default_factory=list)
    is_away: bool = False
    chokes_on: str = ""
    tried: int = 0
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self, run: RunRef) -> None:
        self._tell("start", run.run_id, run.workflow_id)
        self.started.append(run)

    async def signal(self, run: RunRef, nudge: Nudge) -> None:
        self._tell("signal", run.run_id, f"{nudge.reason}:{nudge.reference}")

    async def cancel(self, run: RunRef, reason: str) -> None:
        self._tell("cancel", run.run_id, reason)

    async def is_running(self, run: RunRef | OpenWorkflow) -> bool:
        return any(run_id == run.run_id for _, run_id, _ in self.told)

    async def watch_breaker(self, breaker: str, scope: str) -> None:
        self._tell("watch", breaker, scope)

    def _tell(self, what: str, key: str, more: str) -> None:
        self.tried += 1
        if self.is_away:
            raise DriverUnavailable("away")
        if key == self.chokes_on:
            raise RuntimeError("choked")
        self.told.append((what, key, more))
        self.heard.set()


@dataclass
class CountingWork:
    """Stands where runs and delivery would; counts how often it is asked."""

    rounds: list[str] = field(default_factory=list)

    async def pick_up_abandoned(self, limit: int) -> int:
        self.rounds.append("abandoned")
        return 0

    async def deliver_due(self, limit: int) -> int:
        self.rounds.append("deliver")
        return 0

    async def recover(self, limit: int) -> int:
        self.rounds.append("recover")
        return 0

    async def sweep(self, limit: int) -> int:
        self.rounds.append("sweep")
        return 0

    async def refresh(self, limit: int) -> int:
        self.rounds.append("refresh")
        return 0


@dataclass
class Desk:
    store: Store
    driver: RecordingDriver = field(default_factory=RecordingDriver)
    work: CountingWork = field(default_factory=CountingWork)
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOW))

    def dispatcher(self, limit: int = 200) -> Dispatcher:
        backoff = Backoff(timedelta(seconds=1), timedelta(seconds=8), random.Random(7))
        return Dispatcher(
            self.store, self.driver, self.work, self.work, self.work, self.clock, limit=limit, backoff=backoff
        )

    def write(self, *rows: tuple[str, str]) -> None:
        with self.store.begin() as session:
            for kind, key in rows:
                payload = {"journey": "j", "contact_id": "c", "entry_key": "once", "version": "v"}
                payload |= {"reason": "why", "reference": "what"}
                session.add(OutboxRow(kind=kind, key=key, payload=payload, created_at=self.clock.now()))
                session.flush()

    def left(self) -> list[OutboxRow]:
        with self.store.read() as session:
            return list(session.scalars(select(OutboxRow).order_by(col(OutboxRow.id))))


@pytest.fixture
def desk(store: Store) -> Desk:
    return Desk(store)


async def work_off(dispatcher: Dispatcher) -> None:
    while await dispatcher.step():
        pass


async def test_every_kind_reaches_the_driver_and_is_done(desk: Desk) -> None:
    desk.write(
        ("run.start", "r1"),
        ("run.signal", "r2"),
        ("run.cancel", "r3"),
        ("breaker.watch", "fail/channel:email"),
    )
    await work_off(desk.dispatcher())
    assert sorted(desk.driver.told) == [
        ("cancel", "r3", "why"),
        ("signal", "r2", "why:what"),
        ("start", "r1", "j/c/once"),
        ("watch", "fail", "channel:email"),
    ]
    assert desk.left() == []


async def test_a_start_tells_how_to_carry_the_run_and_an_older_row_knows_less(desk: Desk) -> None:
    due = NOW + timedelta(days=2)
    payload = {"journey": "j", "contact_id": "c", "entry_key": "once", "version": "v"}
    more = {"priority": 90, "lane": "urgent", "bundle": "b", "revision": 3, "waiting": "timer", "step": "nap"}
    with desk.store.begin() as session:
        for key, row in (("old", payload), ("new", payload | more | {"due_at": due.isoformat()})):
            session.add(OutboxRow(kind="run.start", key=key, payload=row, created_at=NOW))
    await work_off(desk.dispatcher())
    old, new = sorted(desk.driver.started, key=lambda run: run.run_id, reverse=True)
    assert (old.priority, old.lane, old.bundle, old.standing) == (50, Lane.NORMAL, "", None)
    assert (new.priority, new.lane, new.bundle) == (90, Lane.URGENT, "b")
    assert new.standing == Standing(3, "timer", "nap", due)


async def test_what_concerns_one_run_is_told_in_the_order_it_was_written(desk: Desk) -> None:
    rows = [(kind, f"r{number}") for kind in ("run.start", "run.signal", "run.cancel") for number in range(4)]
    desk.write(*rows)
    await work_off(desk.dispatcher(limit=3))
    for number in range(4):
        told = [what for what, key, _ in desk.driver.told if key == f"r{number}"]
        assert told == ["start", "signal", "cancel"]


async def test_a_thousand_signals_of_a_run_are_told_as_one_and_never_past_what_lies_between(
    desk: Desk,
) -> None:
    kinds = ["run.start", *["run.signal"] * 1000, "run.cancel", *["run.signal"] * 3]
    desk.write(*[(kind, "r1") for kind in kinds], *[("run.signal", "r2")] * 2, ("breaker.watch", "fail/all"))
    desk.driver.chokes_on = "r2"
    await work_off(desk.dispatcher(limit=3))
    told = [what for what, key, _ in desk.driver.told if key == "r1"]
    assert told == ["start", "signal", "cancel", "signal"]
    assert [(row.kind, row.key, row.attempts) for row in desk.left()] == [
        ("run.signal", "r2", 1),
        ("run.signal", "r2", 0),
    ], "what was not told is not taken for told"


WRITES = st.tuples(
    st.sampled_from(["run.start", "run.signal", "run.signal", "run.cancel"]), st.sampled_from("ab")
)
ACTS = st.lists(st.one_of(WRITES, st.sampled_from(["step", "die", "away", "back"])), max_size=40)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
def test_every_signal_is_followed_by_one_that_was_told_and_order_is_kept(
    sqlite_store: Store, acts: list[tuple[str, str] | str]
) -> None:
    """Whoever dies or is away in between; being told once more is no loss."""
    desk, written = Desk(sqlite_store), list[tuple[str, str]]()
    told = list[tuple[str, str, int]]()

    async def live() -> None:
        for act in [*acts, "back", "step"]:
            before = len(desk.driver.told)
            match act:
                case "away" | "back":
                    desk.driver.is_away = act == "away"
                case "step" | "die":
                    dispatcher = desk.dispatcher()
                    if act == "die":  # with everything told, and nothing of it written down
                        dispatcher._settle = lambda *_: None  # type: ignore[method-assign]
                    await dispatcher.step() if act == "die" else await work_off(dispatcher)
                    desk.clock.advance(timedelta(seconds=61))
                case (kind, key):
                    desk.write((kind, key))
                    written.append((kind.removeprefix("run."), key))
            told.extend((what, key, len(written)) for what, key, _ in desk.driver.told[before:])

    asyncio.run(live())
    assert desk.left() == []
    for key in "ab":
        for number, (kind, of) in enumerate(written, start=1):
            assert of != key or any(what == kind and at >= number for what, to, at in told if to == key)
        asked = [kind for kind, _ in groupby(kind for kind, of in written if of == key)]
        heard = [what for what, _ in groupby(what for what, to, _ in told if to == key)]
        assert heard == asked or "die" in acts


async def test_with_the_driver_away_nothing_is_lost_and_the_other_jobs_go_on(desk: Desk) -> None:
    desk.write(*[("run.start", f"r{number}") for number in range(50)])
    desk.driver.is_away = True
    dispatcher = desk.dispatcher()
    for _ in range(3):
        assert await dispatcher.step() == 0
    assert {"abandoned", "deliver", "recover"} <= set(desk.work.rounds)
    assert desk.driver.tried < 50
    desk.driver.is_away = False
    desk.clock.advance(timedelta(seconds=60))
    await work_off(dispatcher)
    assert sorted(key for _, key, _ in desk.driver.told) == sorted(f"r{number}" for number in range(50))
    assert desk.left() == []
    desk.write(("run.start", "after"))
    assert await dispatcher.step() == 1


async def test_an_away_driver_is_asked_less_and_less_often(desk: Desk) -> None:
    desk.write(("run.start", "r1"))
    desk.driver.is_away = True
    dispatcher = desk.dispatcher()
    asked: list[int] = []
    for second in range(60):
        before = desk.driver.tried
        await dispatcher.step()
        if desk.driver.tried > before:
            asked.append(second)
        desk.clock.advance(timedelta(seconds=1))
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert pauses[0] <= 2
    assert max(pauses) <= 8
    assert len(asked) < 20
    (row,) = desk.left()
    assert (row.attempts, row.error) == (len(asked), "DriverUnavailable: away")


async def test_an_errand_the_driver_chokes_on_holds_up_its_own_run_only(desk: Desk) -> None:
    desk.write(("run.start", "bad"), ("run.signal", "bad"), ("run.start", "good"))
    desk.driver.chokes_on = "bad"
    await work_off(desk.dispatcher())
    assert [key for _, key, _ in desk.driver.told] == ["good"]
    first, second = desk.left()
    assert (first.kind, first.attempts, first.error) == ("run.start", 1, "RuntimeError: choked")
    assert (second.kind, second.attempts) == ("run.signal", 0)


async def test_what_a_dead_process_had_claimed_is_told_by_another(desk: Desk) -> None:
    desk.write(("run.start", "r1"))
    with desk.store.begin() as session:
        row = session.scalars(select(OutboxRow)).one()
        row.claimed_until = NOW + timedelta(seconds=60)
    dispatcher = desk.dispatcher()
    assert await dispatcher.step() == 0
    desk.clock.advance(timedelta(seconds=61))
    assert await dispatcher.step() == 1
    assert desk.left() == []


async def test_several_dispatchers_share_the_work_without_telling_anything_twice(desk: Desk) -> None:
    desk.write(*[("run.start", f"r{number}") for number in range(60)])
    await asyncio.gather(*(work_off(desk.dispatcher(limit=7)) for _ in range(3)))
    keys = [key for _, key, _ in desk.driver.told]
    assert len(keys) == len(set(keys)) == 60


async def test_it_runs_until_told_to_stop_and_wakes_when_called(sqlite_store: Store) -> None:
    desk = Desk(sqlite_store)
    dispatcher, stop = desk.dispatcher(), asyncio.Event()
    running = asyncio.create_task(dispatcher.run(stop))
    desk.write(("run.start", "r1"))
    dispatcher.wake()
    async with asyncio.timeout(20):
        await desk.driver.heard.wait()
        stop.set()
        await running
    assert desk.left() == []
    assert desk.driver.told == [("start", "r1", "j/c/once")]


async def test_a_job_that_breaks_ends_no_other_and_not_the_process(sqlite_store: Store) -> None:
    class Broken(CountingWork):
        async def sweep(self, limit: int) -> int:
            raise TypeError("a mistake of ours")

    desk = Desk(sqlite_store, work=Broken())
    dispatcher, stop = desk.dispatcher(), asyncio.Event()
    running = asyncio.create_task(dispatcher.run(stop))
    async with asyncio.timeout(20):
        desk.write(("run.start", "r1"))
        dispatcher.wake()
        await desk.driver.heard.wait()
        stop.set()
        await running
    assert measuring.BROKEN.labels("sweep")._value.get() >= 1


@settings(max_examples=60)
@given(st.integers(1, 400), st.integers(0, 2**32))
def test_a_wait_never_leaves_its_bounds(attempts: int, seed: int) -> None:
    backoff = Backoff(timedelta(seconds=1), timedelta(seconds=30), random.Random(seed))
    assert timedelta(seconds=0.5) <= backoff.wait(attempts) <= timedelta(seconds=30)


async def test_the_carrier_carries_what_it_is_handed_and_survives_what_fails() -> None:
    carried: list[str] = []

    async def carry(run_id: str) -> None:
        if run_id == "bad":
            raise DriverUnavailable("no")
        carried.append(run_id)

    carrier = Carrier(carry, at_once=2)
    carrier.hand(["a", "bad", "b", "c"])
    await carrier.drain(10)
    assert carried == ["a", "b", "c"]


async def test_a_full_carrier_leaves_the_rest_to_whoever_finds_it() -> None:
    carried: list[str] = []
    gate = asyncio.Event()

    async def carry(run_id: str) -> None:
        await gate.wait()
        carried.append(run_id)

    carrier = Carrier(carry, longest_queue=2)
    carrier.hand(["a", "b", "c"])
    gate.set()
    await carrier.drain(10)
    assert carried == ["a", "b"]
