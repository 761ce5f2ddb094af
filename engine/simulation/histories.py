"""What is known of one contact, ready to be lived through: who they are, what was, what is to come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

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


async def live(world: VirtualWorld, history: History, start: datetime, until: datetime) -> None:
    """Let one contact live in a world of their own, from `start` to `until`; the world tells what came of it.

    Contacts meet nowhere: caps, runs and what is computed of them are each contact's own. So a population is
    lived through one after another, and decides as it would side by side. Only the places of a stratum, where
    an experiment is balanced by strata, are taken in this order and not in that of time.
    """
    world.start_over(start)
    world.add(history.person)
    name = history.person.id
    for each in history.happenings:
        if each.at >= until:
            break
        if each.at < start:
            world.remember(name, each.event, each.at, each.properties)
        else:
            world.feed(name, each.event, each.at, each.properties, traits=each.traits, age=each.age)
    await world.run_until(until)
