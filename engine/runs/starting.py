"""The journeys that a run starts, in the transaction that moves it: asked for by an event, as by a system."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.clock import Clocks
from engine.contacts.profile import Profile
from engine.journeys.event import Event
from engine.journeys.run import RunState, StartWish
from engine.journeys.starting import asked_by, refused_start, start_event
from engine.runs.telling import Notes
from engine.store.bundles import BundleShelf
from engine.store.control import read_control
from engine.store.tables import ControlRow


class Door(Protocol):
    """The way in that every event takes; `engine.intake.accepting.Intake` is it."""

    def happen(
        self,
        session: Session,
        control: ControlRow,
        bundle: Bundle,
        profile: Profile,
        events: Sequence[Event],
        clocks: Clocks,
    ) -> list[str]:
        """Let events happen to a contact whom the transaction has locked; the ids of the runs that start.

        `bundle` is the one in force; the profile and its row are brought to where they stand afterwards.
        RacedError when another bundle has come into force meanwhile: then nothing may be kept.
        """


def start_journeys(
    session: Session,
    shelf: BundleShelf,
    door: Door,
    contact: Profile,
    run: RunState,
    wishes: Sequence[StartWish],
    clocks: Clocks,
) -> list[str]:
    """Ask for each of these journeys, under the rules in force; the ids of the runs that start.

    Those that cannot even be asked leave a decision, first; the others answer for themselves.
    """
    control = read_control(session)
    bundle = shelf.in_force(session, control)
    now = clocks.journey_now()
    notes = Notes()
    events: list[Event] = []
    for wish in wishes:
        refusal = refused_start(bundle.programs.get(wish.journey), wish)
        if refusal is None:
            events.append(start_event(run, wish, now, contact.last_event_seq + 1 + len(events)))
        else:
            notes.not_asked(refusal, run.contact_id, bundle.hash, now, asked_by(run, wish))
    notes.write(session)
    return door.happen(session, control, bundle, contact, events, clocks) if events else []
