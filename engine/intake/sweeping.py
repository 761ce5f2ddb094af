"""What time changes about contacts: profiles computed anew when they are due, and all after new rules.

The due moments are exact and stand in the contacts' own rows: a sweep costs in proportion to what changes,
and people whose thirty days are over are noticed at different moments, not all at midnight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.clock import Clock, Clocks, FixedClock
from engine.contacts.computing import compute
from engine.contacts.crossing import BY_RULES, BY_TIME, sweep_cause
from engine.contacts.deriving import DerivationsOfBundles
from engine.contacts.profile import Profile
from engine.contacts.recounting import recount_stale
from engine.contacts.rows import lock_profiles, write_profiles
from engine.intake.happening import Happening, crossed, must_still_hold, store, tell
from engine.store.bulk import insert_new, plan_for_now
from engine.store.bundles import BundleShelf
from engine.store.control import clocks_of, read_control
from engine.store.database import Store
from engine.store.tables import ContactRow, ControlRow, ProfileSweepRow

if TYPE_CHECKING:
    from engine.runs.service import Runs

_ONLY_ROW = 1

# People who are gone are computed no more: nobody must write to them.
_LIVING = (col(ContactRow.erased_at).is_(None), col(ContactRow.merged_into).is_(None))
_DUE = (
    select(col(ContactRow.id))
    .where(col(ContactRow.profile_due_at) <= bindparam("now"), *_LIVING)
    .order_by(col(ContactRow.profile_due_at))
)
_AFTER = (
    select(col(ContactRow.id))
    .where(col(ContactRow.id) > bindparam("after_id"), *_LIVING)
    .order_by(col(ContactRow.id))
)

_Pick = Callable[[Session, Bundle, datetime], Sequence[str]]


@dataclass(frozen=True)
class Swept:
    """What one page of a sweep did."""

    contacts: int
    """How many were computed anew."""
    run_ids: tuple[str, ...] = ()
    """Runs to carry on now, leased to this process until its lease ends."""


class Sweeper:
    """Computes contacts anew whom no event touches; any number may work on one database.

    A page is one transaction: after a crash at any point it is done again or was done, and contacts are held
    only while theirs lasts.
    """

    def __init__(self, store: Store, shelf: BundleShelf, runs: Runs, clock: Clock) -> None:
        self._store = store
        self._shelf = shelf
        self._runs = runs
        self._clock = clock
        self._derivations = DerivationsOfBundles()

    async def sweep(self, limit: int) -> int:
        """Compute up to `limit` contacts that are due, and carry the runs that start; how many contacts."""
        return await self._do(self.sweep_page, limit)

    async def refresh(self, limit: int) -> int:
        """After new rules, compute the next `limit` contacts; how many. Nothing once all were computed."""
        return await self._do(self.refresh_page, limit)

    def sweep_page(self, limit: int) -> Swept:
        """The transaction of `sweep`."""

        def due(session: Session, bundle: Bundle, now: datetime) -> Sequence[str]:
            # Whoever is held by somebody else is being computed by them, or comes with the next page.
            asked = _DUE.limit(limit).with_for_update(skip_locked=True)
            return session.scalars(asked, {"now": now}).all()

        with self._store.read() as session:
            control = read_control(session)
            if control.live_bundle is None:
                return Swept(0)
            now = clocks_of(control, self._clock).journey_now()
            if session.scalars(_DUE.limit(1), {"now": now}).first() is None:
                return Swept(0)
        return self._page(due, BY_TIME)

    def refresh_page(self, limit: int) -> Swept:
        """The transaction of `refresh`."""

        def next_ones(session: Session, bundle: Bundle, now: datetime) -> Sequence[str]:
            place = _place(session)
            if place.version != bundle.profile.version:
                place.version, place.after_id = bundle.profile.version, ""
            if place.after_id is None:
                return ()
            ids = session.scalars(_AFTER.limit(limit), {"after_id": place.after_id}).all()
            place.after_id = ids[-1] if len(ids) == limit else None
            session.flush()
            return ids

        with self._store.read() as session:
            control = read_control(session)
            if control.live_bundle is None:
                return Swept(0)
            bundle = self._shelf.in_force(session, control)
            place = session.get(ProfileSweepRow, _ONLY_ROW)
            if place is not None and place.version == bundle.profile.version and place.after_id is None:
                return Swept(0)
        return self._page(next_ones, BY_RULES)

    async def _do(self, page: Callable[[int], Swept], limit: int) -> int:
        swept = await self._store.run(page, limit)
        await self._runs.carry_found(swept.run_ids)
        return swept.contacts

    def _page(self, pick: _Pick, because: str) -> Swept:
        with self._store.begin() as session:
            plan_for_now(session)
            control = read_control(session)
            bundle = self._shelf.in_force(session, control)
            clocks = clocks_of(control, FixedClock(self._clock.now()))
            found = lock_profiles(session, pick(session, bundle, clocks.journey_now()))
            # Whoever has become part of another one since they were picked is computed as that one.
            profiles = {id_: each for id_, each in found.items() if each.merged_into is None}
            run_ids = self._compute(session, control, bundle, clocks, profiles, because)
            write_profiles(session, profiles.values())
            must_still_hold(session, bundle)
            return Swept(len(found), tuple(run_ids))

    def _compute(
        self,
        session: Session,
        control: ControlRow,
        bundle: Bundle,
        clocks: Clocks,
        profiles: dict[str, Profile],
        because: str,
    ) -> list[str]:
        matcher = self._shelf.matcher(bundle)
        happenings: list[Happening] = []
        recount_stale(session, profiles.values(), bundle, matcher, clocks.journey_now())
        deriving = self._derivations.of(bundle, matcher)
        for profile in profiles.values():
            computed = compute(profile, bundle, matcher, clocks.journey_now(), deriving=deriving)
            happenings += crossed(profile, computed, sweep_cause(profile), because, clocks)
        if not happenings:
            return []
        seqs = store(session, happenings)
        return tell(session, self._runs, control, bundle, matcher, clocks, happenings, seqs, profiles)


def _place(session: Session) -> ProfileSweepRow:
    """How far the contacts have been computed, held by this transaction; made when it is not there."""
    query = select(ProfileSweepRow).with_for_update().execution_options(populate_existing=True)
    found = session.scalars(query).one_or_none()
    if found is None:
        insert_new(session, ProfileSweepRow, [ProfileSweepRow(id=_ONLY_ROW).model_dump()])
        found = session.scalars(query).one()
    return found
