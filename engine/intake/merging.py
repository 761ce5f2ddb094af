"""Two contacts become one, or are parted again, in one transaction that holds both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.clock import Clock, Clocks, FixedClock
from engine.contacts.consent import ConsentEntry, consent_records, record_consents
from engine.contacts.identity import RacedError, survivors_of
from engine.contacts.joining import emptied, join, part, profile_of_document, survivor_of
from engine.contacts.merging import (
    BY_OPERATOR,
    Asked,
    made_of,
    merge_to_undo,
    must_be_mergeable,
    take_out_of_later_merges,
    write_merge,
    write_parting,
)
from engine.contacts.moving import move_rows, return_rows
from engine.contacts.profile import Profile
from engine.contacts.rows import lock_profiles, write_profiles
from engine.delivery.waking import begin_anew
from engine.errors import CommandError, NotFound
from engine.gate.consent import ConsentRecord, standing_refusals
from engine.intake.happening import Happens, must_still_hold
from engine.intake.repeating import until_kept
from engine.journeys.event import CONTACT_MERGED, CONTACT_PARTED, Event
from engine.runs.joining import end_doubles
from engine.store.bulk import plan_for_now
from engine.store.bundles import BundleShelf
from engine.store.control import clocks_of, read_control
from engine.store.database import Store
from engine.store.tables import ControlRow, MergeRow

SOURCE = "wayline"


@dataclass(frozen=True)
class Merged:
    """What became of two contacts."""

    survivor: str
    gone: str | None
    """None when they were one already: nothing has happened then."""
    merge_id: str | None = None
    told: Mapping[str, Any] | None = None
    run_ids: tuple[str, ...] = ()
    """Runs that started, to carry on now; leased to this process."""


def merge_locked(
    session: Session,
    intake: Happens,
    shelf: BundleShelf,
    control: ControlRow,
    bundle: Bundle,
    clocks: Clocks,
    ids: tuple[str, str],
    asked: Asked,
) -> Merged:
    """Make two contacts one; asked again, it finds them so. The transaction holds both, or nothing yet.

    NotFound when one does not exist; MergeRefusedError when they must not become one; RacedError when one of
    them has become part of another meanwhile: nothing may be kept then.
    """
    profiles = lock_profiles(session, ids)
    for contact_id in ids:
        if contact_id not in profiles:
            raise NotFound("there is no such contact")
        if profiles[contact_id].merged_into is not None:
            raise RacedError("a contact has become part of another one meanwhile")
    if ids[0] == ids[1]:
        return Merged(ids[0], None)
    before, gone = survivor_of(profiles[ids[0]], profiles[ids[1]])
    must_be_mergeable(session, before, gone, asked, bundle.workspace.merging.at_most)
    now, real_now = clocks.journey_now(), clocks.delivery_now()
    ended = end_doubles(session, shelf, bundle, before.id, gone.id, now, real_now)
    begin_anew(session, ids, now=real_now)
    session.expire_all()
    told = {
        "moved": move_rows(session, gone.id, before.id),
        "runs_ended": [{"run_id": each.run_id, "goes_on": each.goes_on} for each in ended],
    }
    joined = join(before, gone)
    row = write_merge(session, before, gone, joined, asked, told, now)
    write_profiles(session, [emptied(gone, before.id)])
    # What anybody refused counts for both now, and conditions may have changed.
    told_of = {"contact": gone.id, "because": asked.because}
    event = _event(f"merge:{row.id}", CONTACT_MERGED, joined.profile, told_of, now)
    run_ids = intake.happen(session, control, bundle, joined.profile, [event], clocks)
    return Merged(before.id, gone.id, row.id, row.told, tuple(run_ids))


@dataclass(frozen=True)
class Parted:
    """Two contacts that are two again."""

    survivor: str
    returned: str
    merge_id: str
    told: Mapping[str, Any]
    run_ids: tuple[str, ...] = ()
    """Runs that started, to carry on now; leased to this process."""


def part_locked(
    session: Session,
    intake: Happens,
    control: ControlRow,
    bundle: Bundle,
    clocks: Clocks,
    row: MergeRow,
    by: str,
    reason: str,
) -> Parted:
    """Undo a merge: what came before it goes back, what came since stays, refusals hold for both.

    CommandError when nothing is left to go back; RacedError when somebody else was quicker.
    """
    survivor_id, gone_id = row.survivor, row.gone
    profiles = lock_profiles(session, (survivor_id, gone_id))
    session.refresh(row)
    if row.undone_at is not None or row.survivor != survivor_id:
        raise RacedError("they were parted or merged meanwhile")
    if not row.profiles or profiles[survivor_id].erased_at is not None:
        raise CommandError("one of the two was erased since: nothing is left that could go back")
    now, real_now = clocks.journey_now(), clocks.delivery_now()
    refused = standing_refusals(consent_records(session, survivor_id))
    members = made_of(session, survivor_id, gone_id)
    begin_anew(session, [survivor_id], now=real_now)
    session.expire_all()
    told: dict[str, Any] = {"returned": return_rows(session, survivor_id, gone_id, members)}
    before, joined, gone = (profile_of_document(row.profiles[name]) for name in ("before", "joined", "gone"))
    remains, returned = part(profiles[survivor_id], before, joined, gone)
    take_out_of_later_merges(session, row)
    write_parting(session, row, members, by, reason, now)
    write_profiles(session, [remains, returned])
    # Late, for the end of the ledger's chain is locked from here on.
    entries = [
        *_still_refused(session, survivor_id, refused, by, now),
        *_still_refused(session, gone_id, refused, by, now),
    ]
    record_consents(session, entries)
    run_ids: list[str] = []
    for profile, other in ((remains, gone_id), (returned, survivor_id)):
        event = _event(f"part:{row.id}:{profile.id}", CONTACT_PARTED, profile, {"contact": other}, now)
        run_ids += intake.happen(session, control, bundle, profile, [event], clocks)
    told["refusals_kept"] = len(entries)
    return Parted(survivor_id, gone_id, row.id, told, tuple(run_ids))


class Merger:
    """Merges and parts contacts on an operator's word; any number may do so on one database."""

    def __init__(self, store: Store, shelf: BundleShelf, intake: Happens, clock: Clock) -> None:
        self._store = store
        self._shelf = shelf
        self._intake = intake
        self._clock = clock

    def merge(self, one: str, other: str, *, by: str, reason: str) -> Merged:
        """Make two contacts one, given by their ids; asked again, it finds them so.

        NotFound for an unknown contact, MergeRefusedError for one that was erased.
        """

        def work(session: Session) -> Merged:
            ground = self._ground(session)
            part_of = survivors_of(session, (one, other))
            ids = part_of.get(one, one), part_of.get(other, other)
            asked = Asked(BY_OPERATOR, by, reason)
            merged = merge_locked(session, self._intake, self._shelf, *ground, ids, asked)
            must_still_hold(session, ground[1])
            return merged

        return until_kept(self._store, work)

    def unmerge(self, gone: str, *, by: str, reason: str) -> Parted:
        """Undo the merge by which a contact is part of another one.

        CommandError when it is of nobody, or when one of the two was erased since.
        """

        def work(session: Session) -> Parted:
            ground = self._ground(session)
            row = merge_to_undo(session, gone)
            parted = part_locked(session, self._intake, *ground, row, by, reason)
            must_still_hold(session, ground[1])
            return parted

        return until_kept(self._store, work)

    def _ground(self, session: Session) -> tuple[ControlRow, Bundle, Clocks]:
        plan_for_now(session)
        control = read_control(session)
        bundle = self._shelf.in_force(session, control)
        return control, bundle, clocks_of(control, FixedClock(self._clock.now()))


def _still_refused(
    session: Session, contact_id: str, refused: Sequence[ConsentRecord], by: str, now: datetime
) -> list[ConsentEntry]:
    """Entries for what the two as one refused, and the contact alone has not."""
    known = {(each.purpose, each.channel) for each in standing_refusals(consent_records(session, contact_id))}
    wanted = {(each.purpose, each.channel): each for each in refused}
    return [
        ConsentEntry(
            contact_id=contact_id,
            purpose=each.purpose,
            decision=each.decision,
            recorded_at=now,
            channel=each.channel,
            purpose_version=each.purpose_version,
            legal_basis=each.legal_basis,
            mechanism="unmerge",
            source=SOURCE,
            actor=by,
            received_at=now,
        )
        for place, each in wanted.items()
        if place not in known
    ]


def _event(
    event_id: str, event_type: str, profile: Profile, properties: Mapping[str, Any], now: datetime
) -> Event:
    return Event(
        event_id=event_id,
        type=event_type,
        contact_id=profile.id,
        occurred_at=now,
        received_at=now,
        source=SOURCE,
        properties=properties,
        seq=profile.last_event_seq + 1,
    )
