"""Fifty edits of one journey, with people at every step: what is foretold happens, and nobody is stranded."""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.errors import RulesetError
from engine.governance.outlook import JourneyOutlook
from engine.journeys.program import InFlight
from engine.journeys.run import WaitKind
from engine.store.database import Store
from engine.store.tables import DecisionRow, InFlightRow, RunRow
from tests.governance.town import Town, people_of
from tests.governance.ways import STANDABLE, VERSIONS, bundle, ways

PAIRS = [(number, number + 1) for number in range(len(VERSIONS) - 1)]


@pytest.fixture
def towns(tmp_path: Path) -> Iterator[Any]:
    """Makes towns: each a copy of the people of one version."""
    opened: list[tuple[Store, Town]] = []

    def make(number: int) -> Town:
        settled, now = people_of(number)
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
