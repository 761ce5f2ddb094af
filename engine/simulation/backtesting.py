"""Back-tests: what a bundle would have done to real contacts, and what another one would have done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import chain, islice

from engine.authoring.bundle import Bundle
from engine.simulation.differing import Differences
from engine.simulation.histories import History, live, live_together, meet, share_budgets
from engine.simulation.records import Decided, Sent
from engine.simulation.tallying import Period, Tally
from engine.simulation.virtual import VirtualWorld

MOST_SHARING = 10_000
"""Contacts who live side by side for the sake of budgets: a year of one takes some 60 KiB until the end."""


@dataclass(frozen=True)
class Backtest:
    """What came of it. `here` is the bundle in question, `there` the one it is held against."""

    here: Tally
    there: Tally | None
    differences: Differences | None
    shares_budgets: bool = True
    """Whether all contacts have spent of the same budgets; else each has found them whole."""


async def backtest(
    histories: Iterable[History],
    bundle: Bundle,
    period: Period,
    against: Bundle | None = None,
    *,
    most_sharing: int = MOST_SHARING,
) -> Backtest:
    """Live every history through under one bundle or two, contact by contact; ids must differ.

    Interpreter, matching, gate, caps and consent are those of production; nothing is written and nobody is
    called. What it needs in memory does not grow with the number of contacts, unless a bundle has an
    experiment that is balanced by strata: then all contacts live side by side, in the order of time. So they
    do where it has budgets, up to `most_sharing` of them; of more, each lives alone.
    """
    here = Tally(bundle, period)
    there = Tally(against, period) if against is not None else None
    differences = Differences() if there is not None else None
    tallies = [tally for tally in (here, there) if tally is not None]
    with ExitStack() as stack:
        worlds = [
            stack.enter_context(
                closing(VirtualWorld(tally.bundle, period.begin, witness=tally.traffic, watches=False))
            )
            for tally in tallies
        ]
        must_meet = any(meet(tally.bundle) for tally in tallies)
        have_budgets = any(share_budgets(tally.bundle) for tally in tallies)
        rest = iter(histories)
        first = list(rest if must_meet else islice(rest, most_sharing + 1 if have_budgets else 0))
        together = must_meet or (have_budgets and len(first) <= most_sharing)
        groups: Iterable[list[History]] = ([history] for history in chain(first, rest))
        if together:
            groups = [first]
        for group in groups:
            lives = [await _lives(world, group, period) for world in worlds]
            for history in group:
                events = sum(period.since <= each.at < period.until for each in history.happenings)
                found = [life[history.person.id] for life in lives]
                for tally, life in zip(tallies, found, strict=True):
                    tally.note(life.sends, life.decisions, events)
                if differences is not None:
                    one, other = found
                    differences.compare(
                        here.sends_in(one.sends), here.sends_in(other.sends), one.decisions, other.decisions
                    )
    return Backtest(here, there, differences, shares_budgets=together)


@dataclass
class _Life:
    """What came of one contact."""

    sends: list[Sent] = field(default_factory=list)
    decisions: list[Decided] = field(default_factory=list)


async def _lives(world: VirtualWorld, group: Sequence[History], period: Period) -> dict[str, _Life]:
    if len(group) == 1:
        await live(world, group[0], period.begin, period.until)
    else:
        await live_together(world, group, period.begin, period.until)
    found = {history.person.id: _Life() for history in group}
    for sent in world.sends:
        found[sent.contact_id].sends.append(sent)
    for decided in world.decisions:
        if decided.at < period.until:
            found[decided.contact_id].decisions.append(decided)
    return found
