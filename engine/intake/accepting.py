"""Taking events in: one transaction per batch for events, profiles, consents and the runs they set off."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle, EventType
from engine.clock import Clock, Clocks, FixedClock
from engine.contacts.computing import compute
from engine.contacts.consent import ConsentEntry, consent_records, record_consents
from engine.contacts.counting import count_event
from engine.contacts.crossing import BY_EVENT
from engine.contacts.deriving import DerivationsOfBundles
from engine.contacts.hearing import hearings, shows_reachable
from engine.contacts.hearing_rows import HeardOf, write_hearings
from engine.contacts.identity import Address, RacedError, Wanted, resolve_batch, survivors_of
from engine.contacts.merging import BY_ALIAS, Asked, MergeRefusedError
from engine.contacts.profile import Profile
from engine.contacts.recounting import recount_stale
from engine.contacts.rows import write_profiles
from engine.contacts.suppressing import reopen, suppress_returning
from engine.contacts.updating import apply_event, apply_traits, learn_number, learn_timezone
from engine.delivery.marks import mark_events
from engine.gate.consent import ConsentRecord
from engine.intake import measuring
from engine.intake.checking import Usable, check
from engine.intake.consenting import consent_entries, pending_events
from engine.intake.happening import Happening, crossed, must_still_hold, store, tell
from engine.intake.incoming import Incoming, Unusable
from engine.intake.joining import Join, People, joins_of, previous_addresses
from engine.intake.merging import merge_locked
from engine.intake.opting_out import understood, withdrawals
from engine.intake.repeating import until_kept
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
from engine.intake.answering import Note, Receipt, Taken, receipt_of


@dataclass
class _Ground:
    """What the parts of one batch have in common."""

    session: Session
    control: ControlRow
    bundle: Bundle
    matcher: Matcher
    clocks: Clocks
    source: str
    unwritten: list[ConsentEntry] = field(default_factory=list)
    """Entries that are not in the ledger yet."""


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
        self._derivations = DerivationsOfBundles()
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
        return receipt_of(taken)

    def settle(
        self, batch: Sequence[Incoming], *, source: str, finish: Callable[[Session, Taken], None]
    ) -> Taken:
        """Take in a batch; `finish` does in the same transaction what must be done about the refused ones."""

        def work(session: Session) -> Taken:
            taken = self._take(session, batch, source)
            finish(session, taken)
            return taken

        return until_kept(self._store, work)

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
        deriving = self._derivations.of(bundle, matcher)
        happenings: list[Happening] = []
        for event in events:
            count_event(profile, event, bundle, matcher)
            apply_event(profile, event, bundle.events[event.type])
            computed = compute(profile, bundle, matcher, now, deriving=deriving)
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
        people = _people(session, usable, now)
        if self._secret is not None:
            suppress_returning(session, self._secret, people.new)
        joins = joins_of(session, usable, people.contact_ids, people.owners, bundle)
        ground = _Ground(session, control, bundle, self._shelf.matcher(bundle), clocks, source)
        waiting: list[tuple[int, Usable]] = []
        for position, item in _in_order(usable):
            if position in joins:
                # What came before them happened to two people.
                self._let_happen(ground, waiting, people, taken)
                waiting = []
                if not self._join(ground, position, item, joins[position], people, taken):
                    continue
            waiting.append((position, item))
        self._let_happen(ground, waiting, people, taken)
        # Last, for the end of the ledger's chain is locked from here on.
        record_consents(session, ground.unwritten)
        must_still_hold(session, bundle)
        return taken

    def _let_happen(
        self, ground: _Ground, items: Sequence[tuple[int, Usable]], people: People, taken: Taken
    ) -> None:
        """Let events happen, in the order given, to the contacts that they are about."""
        session, bundle, matcher, clocks = ground.session, ground.bundle, ground.matcher, ground.clocks
        now, profiles, unread = clocks.journey_now(), people.profiles, people.unread
        ordered: list[tuple[Usable, Event]] = []
        for position, item in items:
            contact_id = people.contact_ids[position]
            if contact_id in profiles and profiles[contact_id].erased_at is None:
                after = profiles[contact_id].last_event_seq
                event = _event(item, contact_id, ground.source, now, after)
                ordered.append((item, understood(event, item.kind, bundle)))
            else:
                taken.refused[position] = Unusable("EV004", "there is no such contact", item.event.raw)
        if not ordered:
            return
        newcomers = {id_ for id_, profile in profiles.items() if not profile.last_event_seq}
        recount_stale(session, profiles.values(), bundle, matcher, now)
        deriving = self._derivations.of(bundle, matcher)
        happenings: list[Happening] = []
        heard: list[HeardOf] = []
        in_use: set[Address] = set()
        accepted = []
        for item, event in ordered:
            profile = profiles[event.contact_id]
            numbers = _new_numbers(profile, item, bundle, people.owners, unread)
            notes = [*item.notes, *_update(profile, item, event, bundle, matcher, now, numbers)]
            computed = compute(profile, bundle, matcher, now, deriving=deriving)
            said = self._said(session, event, item.kind, bundle, ground.unwritten)
            ground.unwritten += said
            happenings.append(Happening(event, computed.facts, profile.timezone, tuple(said)))
            for pending in pending_events(said, event):
                happenings.append(Happening(pending, computed.facts, profile.timezone))
            happenings += crossed(profile, computed, event.event_id, BY_EVENT, clocks)
            happenings += self._opted_out(ground, profile, event, item.kind)
            platform = shows_reachable(event, bundle)
            in_use |= {each for each in item.identities if each[0] == platform}
            heard += (HeardOf(profile.id, each, item.identities) for each in hearings(event, bundle))
            accepted.append(event.event_id)
            taken.notes += (Note(event.event_id, text) for text in notes)
        seqs = store(session, happenings)
        if not seqs.keys() >= set(accepted):
            # What the profiles say by now rests on events that another transaction has just brought.
            raise RacedError("an event was taken in meanwhile")
        taken.accepted += accepted
        mark_events(session, bundle, (each.event for each in happenings), clocks.delivery_now())
        taken.run_ids += tell(
            session,
            self._runs,
            ground.control,
            bundle,
            matcher,
            clocks,
            happenings,
            seqs,
            profiles,
            newcomers,
        )
        write_profiles(session, (profiles[id_] for id_ in {event.contact_id for _, event in ordered}))
        # After the runs, as whoever records a send locks its run before an address.
        write_hearings(session, heard)
        reopen(session, self._secret, in_use)

    def _join(
        self,
        ground: _Ground,
        position: int,
        item: Usable,
        joins: Sequence[Join],
        people: People,
        taken: Taken,
    ) -> bool:
        """Make one of the contacts that an event says are one; whether the event itself can be used."""
        # Both must see what the other has said, and the ledger's chain is written in its order.
        record_consents(ground.session, ground.unwritten)
        ground.unwritten = []
        for join in joins:
            ids = people.now(join.one), people.now(join.other)
            cause = item.event.message_id
            asked = Asked(join.because, ground.source, join.by, cause)
            try:
                merged = merge_locked(
                    ground.session,
                    self,
                    self._shelf,
                    ground.control,
                    ground.bundle,
                    ground.clocks,
                    ids,
                    asked,
                )
            except MergeRefusedError as refused:
                if join.because == BY_ALIAS:
                    taken.refused[position] = Unusable("EV010", str(refused), item.event.raw)
                    return False
                taken.notes.append(Note(cause, f"{join.by} joins nobody: {refused}"))
                continue
            people.join(ground.session, merged)
            taken.run_ids += merged.run_ids
        return True

    def _opted_out(
        self, ground: _Ground, profile: Profile, message: Event, kind: EventType
    ) -> list[Happening]:
        """What a message that is a word of opting out brings about beside itself."""
        bundle, found = ground.bundle, list[Happening]()
        for event in withdrawals(message, kind, bundle):
            withdrawn = bundle.events[event.type]
            count_event(profile, event, bundle, ground.matcher)
            apply_event(profile, event, withdrawn)
            computed = compute(profile, bundle, ground.matcher, ground.clocks.journey_now())
            said = self._said(ground.session, event, withdrawn, bundle, ground.unwritten)
            ground.unwritten += said
            found.append(Happening(event, computed.facts, profile.timezone, tuple(said)))
            found += crossed(profile, computed, event.event_id, BY_EVENT, ground.clocks)
        return found

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


def _people(session: Session, usable: Mapping[int, Usable], now: datetime) -> People:
    """Who the events are about, all locked; contacts that are new are made."""
    known = {
        position: item.event.contact_id
        for position, item in usable.items()
        if item.event.contact_id is not None
    }
    part_of = survivors_of(session, set(known.values()))
    known = {position: part_of.get(contact_id, contact_id) for position, contact_id in known.items()}
    named = [position for position in usable if position not in known]
    before = previous_addresses(session, {position: usable[position] for position in named})
    wanted = [Wanted((*usable[position].identities, *before.get(position, ()))) for position in named]
    resolved = resolve_batch(session, wanted, now, also=set(known.values()))
    contact_ids = {**known, **dict(zip(named, resolved.contact_ids, strict=True))}
    return People(contact_ids, resolved.profiles, dict(resolved.owners), resolved.new, set(resolved.new))


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
    profile: Profile, item: Usable, bundle: Bundle, owners: Mapping[Address, str], unread: set[Address]
) -> list[tuple[str, str, str | None]]:
    """Platform, number and default country of each phone number that is the contact's own from now on.

    They are taken out of `unread`: a number is read when it comes, and not with every event that names it.
    So is one of a contact of whose platform nothing was ever read, for numbers have not always been.
    """
    found = []
    for platform, address in item.identities:
        if platform not in bundle.workspace.numbers or owners.get((platform, address)) != profile.id:
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
