"""What is known of one contact, ready to be lived through: who they are, what was, what is to come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.authoring.bundle import Bundle
from engine.journeys.program import Experiment
from engine.simulation.people import Person
from engine.simulation.virtual import VirtualWorld


@dataclass(frozen=True)
class Happening:
    """One event as it arrives."""

    at: datetime
    event: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    traits: Mapping[str, Any] = field(default_factory=dict)
    """What it states of the contact."""
    age: timedelta = timedelta()
    """How long before it arrived it happened."""


@dataclass(frozen=True)
class History:
    """One contact and their events."""

    person: Person
    happenings: Sequence[Happening] = ()
    """In order of arrival; those before the simulation begins are remembered, and start nothing."""
    is_new: bool = False
    """Nothing was known of them before the first of these."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Keys of messages that a provider refused -> with which code."""


EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
"""Virtual time begins between these: waits of a hundred years end before the calendar does."""


def can_begin(moment: datetime) -> bool:
    """Whether virtual time can begin there."""
    return EARLIEST <= moment < LATEST


def meet(bundle: Bundle) -> bool:
    """Whether what one contact is given can hang on whom else there is.

    Places of an experiment that is balanced by strata are taken in the order of time. So is what is spent of
    budgets, of which `share_budgets` tells. All else (caps, runs, profiles, arms by hash, hold-outs) is each
    contact's own.
    """
    return any(
        isinstance(step, Experiment) and bool(step.design.stratify_by)
        for program in bundle.programs.values()
        for step in program.steps.values()
    )


def share_budgets(bundle: Bundle) -> bool:
    """Whether contacts spend of what is there for all of them."""
    return bool(bundle.budgets)


async def live(world: VirtualWorld, history: History, start: datetime, until: datetime) -> None:
    """Let one contact live in a world of their own, from `start` to `until`; the world tells what came of it.

    Where contacts do not `meet`, a population that lives one after another decides as it would side by side.
    """
    world.start_over(_comes(history, start))
    world.know_refusals(history.refused)
    _let_in(world, history, start, until)
    await world.run_until(until)


async def live_together(
    world: VirtualWorld, histories: Sequence[History], start: datetime, until: datetime
) -> None:
    """Let many contacts live in one world, moment by moment: all of them are in memory until the end."""
    world.start_over(start)
    world.know_refusals({key: code for history in histories for key, code in history.refused.items()})
    for history in sorted(histories, key=lambda each: _comes(each, start)):
        comes = _comes(history, start)
        if comes >= until:
            break
        if comes > world.now:
            await world.run_before(comes)
        _let_in(world, history, start, until)
    await world.run_until(until)


def _comes(history: History, start: datetime) -> datetime:
    """When the contact begins to be known."""
    first = history.happenings[0].at if history.is_new and history.happenings else start
    return max(first, start)


def _let_in(world: VirtualWorld, history: History, start: datetime, until: datetime) -> None:
    is_new = history.is_new and bool(history.happenings) and history.happenings[0].at >= start
    world.add(history.person, are_new=is_new)
    name = history.person.id
    for each in history.happenings:
        if each.at >= until:
            break
        if each.at < start:
            world.remember(name, each.event, each.at, each.properties)
        else:
            world.feed(name, each.event, each.at, each.properties, traits=each.traits, age=each.age)
