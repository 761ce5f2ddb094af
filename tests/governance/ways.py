"""The versions of one journey, and how somebody comes to stand at each of its steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.journeys.interpreter import advance
from engine.journeys.localtime import zone_of
from engine.journeys.program import Ask, Send, Wait, WaitFor
from engine.journeys.run import Cause, EventSeen, OutcomeKnown, RunState, Started, TaskDecided, TimerDue
from engine.rules.matcher import Matcher
from tests.runs.conftest import START

CORPUS = Path(__file__).parents[1] / "cases" / "edits"
VERSIONS = sorted((CORPUS / "versions").glob("*.yaml"))


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
