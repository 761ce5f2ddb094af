"""Which runs go on when two contacts turn out to be one person; pure, the same for every driver."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from engine.journeys.program import ReentryKind

REASON = "run.contact_merged"


@dataclass(frozen=True)
class KnownRun:
    """A run of one of the two, as far as that decides."""

    run_id: str
    journey: str
    entry_key: str
    is_active: bool
    started_at: datetime
    steps: int = 0
    """How many steps it has come to so far, each visit counted."""

    @property
    def rank(self) -> tuple[int, datetime]:
        """The one further on comes first; of two as far, the one that began first."""
        return -self.steps, self.started_at


@dataclass(frozen=True)
class Giving:
    """A run that ends, for the person is in the journey already."""

    run_id: str
    goes_on: str
    """The run that stands for both; it may be over."""


def give_way(
    survivors: Iterable[KnownRun],
    others: Iterable[KnownRun],
    reentry_of: Callable[[str], ReentryKind],
) -> list[Giving]:
    """The active runs that end, by journey and entry.

    Only runs of different sides can stand in each other's way: what one contact did twice it was allowed to.
    Of two that are as far and as old the survivor's goes on. A journey that somebody enters once was gone
    through once, also by the run that is over. `reentry_of` says for a journey how often one enters it.
    """
    own, theirs = _by_place(survivors, reentry_of), _by_place(others, reentry_of)
    found: list[tuple[KnownRun, Giving]] = []
    for place in own.keys() & theirs.keys():
        may_come_again = place[1] is None
        before_own = _before(theirs[place], may_come_again=may_come_again)
        before_theirs = _before(own[place], may_come_again=may_come_again)
        for run in own[place]:
            ahead = [each for each in before_own if not each.is_active or each.rank < run.rank]
            found += _giving(run, ahead)
        for run in theirs[place]:
            ahead = [each for each in before_theirs if not each.is_active or each.rank <= run.rank]
            found += _giving(run, ahead)
    found.sort(key=lambda each: (each[0].journey, each[0].entry_key, each[0].started_at))
    return [giving for _, giving in found]


def _giving(run: KnownRun, ahead: Sequence[KnownRun]) -> list[tuple[KnownRun, Giving]]:
    if not run.is_active or not ahead:
        return []
    return [(run, Giving(run.run_id, min(ahead, key=lambda each: each.rank).run_id))]


def steps_of(visits: Mapping[str, int]) -> int:
    """How far a run is that has come by its steps this often."""
    return sum(visits.values())


def _before(runs: Sequence[KnownRun], *, may_come_again: bool) -> list[KnownRun]:
    """What of one side can stand in the other's way: its active runs, else one that is over, if that is all.

    Beside an active run of a journey that is entered once, one that is over has given way to it before.
    """
    active = [run for run in runs if run.is_active]
    return active if active or may_come_again else list(runs)


def _by_place(
    runs: Iterable[KnownRun], reentry_of: Callable[[str], ReentryKind]
) -> Mapping[tuple[str, str | None], Sequence[KnownRun]]:
    """The runs by what a person can be in once: a journey with the key of what it is about, or a journey."""
    found: dict[tuple[str, str | None], list[KnownRun]] = {}
    for run in runs:
        kind = reentry_of(run.journey)
        key = {ReentryKind.NEVER: "once", ReentryKind.ONCE_PER: run.entry_key}.get(kind)
        found.setdefault((run.journey, key), []).append(run)
    return found
