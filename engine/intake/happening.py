"""What happens to contacts inside a transaction: events stored in their order, then told to the runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.clock import Clocks
from engine.contacts.computing import Computed
from engine.contacts.consent import ConsentEntry
from engine.contacts.crossing import crossing_events
from engine.contacts.identity import RacedError
from engine.contacts.profile import Profile
from engine.intake.recognising import Recognising
from engine.intake.writing import insert_events
from engine.journeys.event import Event
from engine.rules.facts import Facts
from engine.rules.matcher import Matcher
from engine.store.control import read_control
from engine.store.tables import ControlRow

if TYPE_CHECKING:
    from engine.runs.service import Runs


class Happens(Protocol):
    """Where events of Wayline's own happen to a contact: intake, as whoever causes them needs it."""

    def happen(
        self,
        session: Session,
        control: ControlRow,
        bundle: Bundle,
        profile: Profile,
        events: Sequence[Event],
        clocks: Clocks,
    ) -> list[str]:
        """Let them happen in the caller's transaction, which holds the contact; the runs that start."""
        ...


@dataclass(frozen=True)
class Happening:
    """One event, and its contact as they stood after it."""

    event: Event
    facts: Facts
    timezone: str | None
    consents: tuple[ConsentEntry, ...] = ()
    """What it adds to the ledger, which whoever takes it in writes."""


def crossed(profile: Profile, computed: Computed, cause: str, because: str, at: Clocks) -> list[Happening]:
    """The audience events that a computing of the profile brought about."""
    if not computed.crossings:
        return []
    events = crossing_events(computed.crossings, profile.id, cause, because, at.journey_now())
    return [Happening(event, computed.facts, profile.timezone) for event in events]


def store(session: Session, happenings: Sequence[Happening]) -> dict[str, int]:
    """Store the events in the order given; event id -> seq of those that were not there before."""
    return insert_events(session, [_row(happening.event) for happening in happenings])


def tell(
    session: Session,
    runs: Runs,
    control: ControlRow,
    bundle: Bundle,
    matcher: Matcher,
    clocks: Clocks,
    happenings: Sequence[Happening],
    seqs: Mapping[str, int],
    profiles: Mapping[str, Profile],
    newcomers: Collection[str] = (),
) -> list[str]:
    """Let runs react to what was stored, one event after the other; the ids of those that started.

    The contacts are locked; each of their profiles learns its latest event. `newcomers` are those contacts to
    whom nothing had happened before.
    """
    fresh = [
        replace(happening, event=replace(happening.event, seq=seqs[happening.event.event_id]))
        for happening in happenings
        if happening.event.event_id in seqs
    ]
    events = [happening.event for happening in fresh]
    reacting = runs.reacting(session, control, bundle, events, clocks)
    recognising = Recognising(session, bundle, matcher, events, newcomers)
    run_ids: list[str] = []
    for happening in fresh:
        event = happening.event
        profile = profiles[event.contact_id]
        profile.last_event_seq = max(profile.last_event_seq, event.seq)
        said = [entry.record for entry in happening.consents]
        run_ids += reacting.react(recognising.look(event), happening.facts, happening.timezone, said)
    reacting.finish()
    recognising.finish()
    return run_ids


def must_still_hold(session: Session, bundle: Bundle) -> None:
    """RacedError when another bundle has come into force since the transaction began; ask at its end.

    Else contacts that were held here could be left as the old rules have it, after the sweep that computes
    everybody under the new ones has waited for them or passed them by.
    """
    if read_control(session).live_bundle != bundle.hash:
        raise RacedError("another bundle is in force by now")


def _row(event: Event) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "contact_id": event.contact_id,
        "type": event.type,
        "occurred_at": event.occurred_at,
        "received_at": event.received_at,
        "source": event.source,
        "properties": dict(event.properties),
    }
