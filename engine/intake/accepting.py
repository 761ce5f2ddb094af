"""Taking events in: one transaction per batch for events, profiles, consents and the runs they set off."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import structlog
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle, EventType
from engine.clock import Clock, Clocks, FixedClock
from engine.contacts.computing import compute
from engine.contacts.consent import ConsentEntry, consent_records, record_consents
from engine.contacts.counting import count_event
from engine.contacts.crossing import BY_EVENT
from engine.contacts.identity import Address, RacedError, Resolved, Wanted, resolve_batch
from engine.contacts.profile import Profile
from engine.contacts.recounting import recount_stale
from engine.contacts.rows import write_profiles
from engine.contacts.suppressing import suppress_returning
from engine.contacts.updating import apply_event, apply_traits, learn_number, learn_timezone
from engine.gate.consent import ConsentRecord
from engine.intake import measuring
from engine.intake.checking import Usable, check
from engine.intake.consenting import consent_entries, pending_events
from engine.intake.happening import Happening, crossed, must_still_hold, store, tell
from engine.intake.incoming import Incoming, Unusable
from engine.intake.schemas import SchemaShelf
from engine.intake.writing import insert_dead_letters, known_event_ids
from engine.journeys.event import Event
from engine.rules.matcher import Matcher
from engine.store.bulk import plan_for_now
from engine.store.bundles import BundleShelf
from engine.store.control import clocks_of, read_control
from engine.store.database import Store
from engine.store.tables import ControlRow

if TYPE_CHECKING:
    from engine.runs.service import Runs

_log = structlog.get_logger(__name__)

_DEADLOCK = {"40P01", "40001"}
"""PostgreSQL's states for "another transaction had to go first; do it again"."""
_TRIES = 4


@dataclass(frozen=True)
class Note:
    """Something about an accepted event that was left aside, and why."""

    message_id: str
    text: str


@dataclass(frozen=True)
class Refusal:
    """Why one event of a batch became a dead letter."""

    position: int
    """In the batch, from 0."""
    code: str
    message: str


@dataclass(frozen=True)
class Receipt:
    """What became of a batch; the three counts add up to its size."""

    accepted: int
    duplicates: int
    dead: int
    run_ids: tuple[str, ...]
    """Runs to carry on now, leased to this process until its lease ends."""
    notes: tuple[Note, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    """In the order of the batch."""


@dataclass
class Taken:
    """What became of a batch inside its transaction."""

    accepted: list[str] = field(default_factory=list)
    duplicates: int = 0
    refused: dict[int, Unusable] = field(default_factory=dict)
    """By position in the batch."""
    run_ids: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


class Intake:
    """Takes events into the store, each exactly once, whoever else takes in the same ones meanwhile."""

    def __init__(
        self, store: Store, shelf: BundleShelf, runs: Runs, clock: Clock, *, secret: str | None = None
    ) -> None:
        """`secret` knows suppressed addresses again when they come back; without it none is looked for."""
        self._store = store
        self._shelf = shelf
        self._runs = runs
        self._clock = clock
        self._secret = secret
        self._schemas = SchemaShelf()
        runs.enter_through(self)

    def accept(self, batch: Sequence[Incoming], *, source: str) -> Receipt:
        """Take in a batch, all in one transaction; what cannot be used becomes a dead letter.

        NotFound when no bundle is published: nothing is kept then, and the sender should come again.
        """
        begun = time.perf_counter()

        def keep_refused(session: Session, taken: Taken) -> None:
            insert_dead_letters(session, taken.refused.values(), source=source, now=self._clock.now())

        taken = self.settle(batch, source=source, finish=keep_refused)
        measuring.BATCH_SECONDS.observe(time.perf_counter() - begun)
        return _receipt(taken)

    def settle(
        self, batch: Sequence[Incoming], *, source: str, finish: Callable[[Session, Taken], None]
    ) -> Taken:
        """Take in a batch; `finish` does in the same transaction what must be done about the refused ones."""
        deadlocks = 0
        while True:
            # Done again, nothing can have an effect twice: the whole batch was rolled back.
            try:
                with self._store.begin() as session:
                    taken = self._take(session, batch, source)
                    finish(session, taken)
                return taken
            except RacedError:
                # This ends: each time, whoever was quicker has made more of the batch's contacts known.
                continue
            except OperationalError as error:
                deadlocks += 1
                if deadlocks >= _TRIES or getattr(error.orig, "sqlstate", None) not in _DEADLOCK:
                    raise

    def happen(
        self,
        session: Session,
        control: ControlRow,
        bundle: Bundle,
        profile: Profile,
        events: Sequence[Event],
        clocks: Clocks,
    ) -> list[str]:
        """Let events of Wayline's own happen to a contact whom the transaction has locked.

        The ids of the runs that start, leased to this process. RacedError when another bundle has come into
        force meanwhile: nothing may be kept then.
        """
        now, matcher = clocks.journey_now(), self._shelf.matcher(bundle)
        recount_stale(session, [profile], bundle, matcher, now)
        happenings: list[Happening] = []
        for event in events:
            count_event(profile, event, bundle, matcher)
            apply_event(profile, event, bundle.events[event.type])
            computed = compute(profile, bundle, matcher, now)
            happenings.append(Happening(event, computed.facts, profile.timezone))
            happenings += crossed(profile, computed, event.event_id, BY_EVENT, clocks)
        seqs = store(session, happenings)
        profiles = {profile.id: profile}
        run_ids = tell(session, self._runs, control, bundle, matcher, clocks, happenings, seqs, profiles)
        write_profiles(session, [profile])
        must_still_hold(session, bundle)
        return run_ids

    def _take(self, session: Session, batch: Sequence[Incoming], source: str) -> Taken:
        taken = Taken()
        plan_for_now(session)
        control = read_control(session)
        bundle = self._shelf.in_force(session, control)
        clocks = clocks_of(control, FixedClock(self._clock.now()))
        now = clocks.journey_now()
        usable = self._usable(session, batch, bundle, now, taken)
        if not usable:
            return taken
        contact_ids, resolved = _contacts(session, usable, now)
        if self._secret is not None:
            suppress_returning(session, self._secret, resolved.new)
        profiles, unread = resolved.profiles, set(resolved.new)
        ordered: list[tuple[Usable, Event]] = []
        for position, item in _in_order(usable):
            contact_id = contact_ids[position]
            if contact_id in profiles:
                after = profiles[contact_id].last_event_seq
                ordered.append((item, _event(item, contact_id, source, now, after)))
            else:
                taken.refused[position] = Unusable("EV004", "there is no such contact", item.event.raw)
        matcher = self._shelf.matcher(bundle)
        newcomers = {id_ for id_, profile in profiles.items() if not profile.last_event_seq}
        recount_stale(session, profiles.values(), bundle, matcher, now)
        happenings: list[Happening] = []
        consents: list[ConsentEntry] = []
        for item, event in ordered:
            profile = profiles[event.contact_id]
            numbers = _new_numbers(profile, item, bundle, resolved, unread)
            notes = [*item.notes, *_update(profile, item, event, bundle, matcher, now, numbers)]
            computed = compute(profile, bundle, matcher, now)
            said = self._said(session, event, item.kind, bundle, consents)
            consents += said
            happenings.append(Happening(event, computed.facts, profile.timezone, tuple(said)))
            for pending in pending_events(said, event):
                happenings.append(Happening(pending, computed.facts, profile.timezone))
            happenings += crossed(profile, computed, event.event_id, BY_EVENT, clocks)
            taken.accepted.append(event.event_id)
            taken.notes += (Note(event.event_id, text) for text in notes)
        seqs = store(session, happenings)
        if not seqs.keys() >= set(taken.accepted):
            # What the profiles say by now rests on events that another transaction has just brought.
            raise RacedError("an event was taken in meanwhile")
        taken.run_ids += tell(
            session, self._runs, control, bundle, matcher, clocks, happenings, seqs, profiles, newcomers
        )
        write_profiles(session, (profiles[id_] for id_ in {event.contact_id for _, event in ordered}))
        # Last, for the end of the ledger's chain is locked from here on.
        record_consents(session, consents)
        must_still_hold(session, bundle)
        return taken

    def _said(
        self, session: Session, event: Event, kind: EventType, bundle: Bundle, before: Sequence[ConsentEntry]
    ) -> list[ConsentEntry]:
        """What the event adds to the ledger; `before` is what others of the batch have added."""

        def known() -> list[ConsentRecord]:
            earlier = [entry.record for entry in before if entry.contact_id == event.contact_id]
            return [*consent_records(session, event.contact_id), *earlier]

        return consent_entries(event, kind, bundle, known)

    def _usable(
        self, session: Session, batch: Sequence[Incoming], bundle: Bundle, now: datetime, taken: Taken
    ) -> dict[int, Usable]:
        """The events that are new and fit the workspace, by position; the others are counted in `taken`.

        Repeats are looked for before anything else: an event that was good once stays accepted, whatever a
        newer bundle would say of it.
        """
        schemas = self._schemas.of(bundle)
        seen = known_event_ids(session, (item.message_id for item in batch if not isinstance(item, Unusable)))
        usable: dict[int, Usable] = {}
        for position, item in enumerate(batch):
            if isinstance(item, Unusable):
                taken.refused[position] = item
            elif item.message_id in seen:
                taken.duplicates += 1
            elif isinstance(checked := check(item, bundle, schemas, now), Unusable):
                taken.refused[position] = checked
            else:
                seen.add(item.message_id)
                usable[position] = checked
        return usable


def _contacts(
    session: Session, usable: Mapping[int, Usable], now: datetime
) -> tuple[dict[int, str], Resolved]:
    """Position -> contact id, and what is known of the contacts, all locked; those that are new are made."""
    known = {
        position: item.event.contact_id
        for position, item in usable.items()
        if item.event.contact_id is not None
    }
    named = [position for position in usable if position not in known]
    wanted = [Wanted(usable[position].identities) for position in named]
    resolved = resolve_batch(session, wanted, now, also=set(known.values()))
    contact_ids = {**known, **dict(zip(named, resolved.contact_ids, strict=True))}
    return contact_ids, resolved


def _in_order(usable: Mapping[int, Usable]) -> list[tuple[int, Usable]]:
    """By the moment they happened, then as they were sent (sorting is stable)."""
    return sorted(usable.items(), key=lambda entry: entry[1].occurred_at)


def _event(item: Usable, contact_id: str, source: str, now: datetime, after: int) -> Event:
    """The event; until the store numbers it, it comes next `after` the contact's latest one."""
    return Event(
        event_id=item.event.message_id,
        type=item.event.type,
        contact_id=contact_id,
        occurred_at=item.occurred_at,
        received_at=now,
        source=source,
        properties=item.event.properties,
        seq=after + 1,
    )


def _new_numbers(
    profile: Profile, item: Usable, bundle: Bundle, resolved: Resolved, unread: set[Address]
) -> list[tuple[str, str, str | None]]:
    """Platform, number and default country of each phone number that is the contact's own from now on.

    They are taken out of `unread`: a number is read when it comes, and not with every event that names it.
    So is one of a contact of whose platform nothing was ever read, for numbers have not always been.
    """
    found = []
    for platform, address in item.identities:
        if platform not in bundle.workspace.numbers or resolved.owners.get((platform, address)) != profile.id:
            continue
        if (platform, address) in unread or platform not in profile.numbers:
            unread.discard((platform, address))
            found.append((platform, address, bundle.workspace.numbers[platform]))
    return found


def _update(
    profile: Profile,
    item: Usable,
    event: Event,
    bundle: Bundle,
    matcher: Matcher,
    now: datetime,
    numbers: Sequence[tuple[str, str, str | None]],
) -> list[str]:
    """Bring the profile to where it stands after the event; what was left aside, as text."""
    notes: list[str] = []
    if item.event.timezone is not None and not learn_timezone(profile, item.event.timezone, "device"):
        notes.append("context.timezone left aside: not an IANA time zone")
    if item.locale is not None and profile.locale is None:
        profile.locale = item.locale
    if item.event.traits:
        notes += map(str, apply_traits(profile, item.event.traits, bundle.workspace, now))
    for platform, number, country in numbers:
        if not learn_number(profile, platform, number, country):
            notes.append(f"{platform} kept as it is: no country has such a number, so it tells no time zone")
    count_event(profile, event, bundle, matcher)
    apply_event(profile, event, item.kind)
    return notes


def _receipt(taken: Taken) -> Receipt:
    receipt = Receipt(
        accepted=len(taken.accepted),
        duplicates=taken.duplicates,
        dead=len(taken.refused),
        run_ids=tuple(taken.run_ids),
        notes=tuple(taken.notes),
        refusals=tuple(
            Refusal(position, item.code, item.message) for position, item in sorted(taken.refused.items())
        ),
    )
    for result in ("accepted", "duplicates", "dead"):
        measuring.EVENTS.labels(result).inc(getattr(receipt, result))
    if taken.refused:
        codes = sorted({item.code for item in taken.refused.values()})
        _log.warning("events became dead letters", dead=receipt.dead, codes=codes)
    return receipt
