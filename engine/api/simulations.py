"""Simulations over HTTP: what the bundle in force would do to a contact; nothing is sent or kept."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import available_timezones

from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, BaseModel, Field
from sqlalchemy.orm import Session

from engine.api.access import Asked, require_operator
from engine.api.problems import ProblemError
from engine.api.services import Services
from engine.authoring.bundle import Bundle
from engine.intake.schemas import EventSchemas
from engine.rules.duration import parse_duration
from engine.simulation.histories import EARLIEST, LATEST, Happening, History, can_begin
from engine.simulation.made_up import faults_of
from engine.simulation.people import Person
from engine.simulation.population import contact_ids, from_store
from engine.simulation.stories import not_simulated, stories, story_data
from engine.simulation.testing import own_generator_only
from engine.store.control import read_control

router = APIRouter(prefix="/v1/simulations", tags=["simulations"], dependencies=[Depends(require_operator)])

MOST_CONTACTS, MOST_DAYS, MOST_EVENTS = 50, 366, 200
_LONGEST_ID = 256

_turns = asyncio.Semaphore(1)
"""A simulation keeps a core busy: one at a time, so that intake and delivery have theirs."""

Name = Annotated[str, Field(min_length=1, max_length=_LONGEST_ID)]


class MadeUp(BaseModel):
    """A contact as they stand when the simulation begins."""

    identities: dict[Name, Name] = Field(default={}, max_length=20, examples=[{"email": "ada@example.com"}])
    consents: list[Name] = Field(default=[], max_length=100, description="Purposes, on every channel.")
    timezone: Name | None = None
    locale: Name | None = None
    tags: list[Name] = Field(default=[], max_length=100)
    attributes: dict[Name, Any] = Field(default={}, max_length=100)


class MadeUpEvent(BaseModel):
    """Something that happens to them."""

    after: str = Field(examples=["2d"], max_length=20, description="How long after the beginning.")
    event: Name
    properties: dict[str, Any] = Field(default={}, max_length=200)


class SimulationRequest(BaseModel):
    """Whom to follow, from when and for how long."""

    journeys: list[Name] = Field(default=[], max_length=100, description="Empty: all of them.")
    contact: MadeUp | None = None
    events: list[MadeUpEvent] = Field(default=[], max_length=MOST_EVENTS)
    sample: int | None = Field(
        default=None, ge=1, le=MOST_CONTACTS, description="So many real contacts instead."
    )
    seed: int = 0
    start: AwareDatetime | None = Field(default=None, description="Absent: now.")
    days: int = Field(default=60, ge=1, le=MOST_DAYS)


class SimulationAnswer(BaseModel):
    """What would happen, contact by contact."""

    bundle: str
    start: datetime
    until: datetime
    stories: list[dict[str, Any]]
    not_simulated: list[str] = Field(description="What the stories leave out.")


@router.post("")
async def simulate(wanted: SimulationRequest, services: Asked) -> SimulationAnswer:
    """Follow a made-up contact, or some real ones, under the bundle in force. Nothing is sent or kept."""
    if wanted.sample is not None and (wanted.contact is not None or wanted.events):
        raise ProblemError(422, "simulation_refused", "sample takes contacts as they are: leave out the rest")
    if _turns.locked():
        raise ProblemError(429, "simulation_running", "another simulation is running; ask again in a moment")
    async with _turns:
        return await services.store.run(_simulated, services, wanted)


def _simulated(services: Services, wanted: SimulationRequest) -> SimulationAnswer:
    with services.store.read() as session:
        bundle = services.shelf.in_force(session, read_control(session))
        start = wanted.start or services.clock.now()
        if not can_begin(start):
            said = f"start lies in the years {EARLIEST.year} to {LATEST.year - 1}"
            raise ProblemError(422, "simulation_refused", said)
        start = start.astimezone(UTC)
        until = start + timedelta(days=wanted.days)
        for name in wanted.journeys:
            if name not in bundle.programs:
                raise ProblemError(422, "simulation_refused", f"there is no journey {name!r} in force")
        histories = _histories(session, bundle, wanted, start, until)
    found = asyncio.run(
        stories(
            bundle,
            histories,
            start,
            until,
            journeys=wanted.journeys,
            registry=own_generator_only(services.registry),
        )
    )
    return SimulationAnswer(
        bundle=bundle.hash,
        start=start,
        until=until,
        stories=[story_data(each) for each in found],
        not_simulated=not_simulated(bundle),
    )


def _histories(
    session: Session, bundle: Bundle, wanted: SimulationRequest, start: datetime, until: datetime
) -> list[History]:
    if wanted.sample is not None:
        ids = contact_ids(session, sample=wanted.sample, seed=wanted.seed)
        return list(from_store(session, ids, bundle, start, until))
    given = wanted.contact or MadeUp()
    if given.timezone is not None and given.timezone not in available_timezones():
        raise ProblemError(422, "simulation_refused", f"{given.timezone!r} is no IANA time zone")
    person = Person(
        "somebody",
        identities=given.identities,
        consents=tuple(given.consents),
        timezone=given.timezone,
        locale=given.locale,
        tags=frozenset(given.tags),
        attributes=given.attributes,
    )
    if faults := faults_of(person, bundle, start):
        raise ProblemError(422, "simulation_refused", f"contact: {'; '.join(faults)}")
    happenings = [_happening(each, bundle, start) for each in wanted.events]
    return [History(person, tuple(sorted(happenings, key=lambda each: each.at)))]


def _happening(given: MadeUpEvent, bundle: Bundle, start: datetime) -> Happening:
    kind = bundle.events.get(given.event)
    if kind is None or kind.is_own:
        raise ProblemError(422, "simulation_refused", f"there is no event {given.event!r} to send")
    fault = EventSchemas(bundle.events).fault(given.event, given.properties)
    if fault is not None:
        raise ProblemError(422, "simulation_refused", f"{given.event}: {fault}")
    try:
        return Happening(start + parse_duration(given.after), given.event, given.properties)
    except ValueError as error:
        raise ProblemError(422, "simulation_refused", f"after: {error}") from error
