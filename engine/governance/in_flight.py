"""What a publish does about people on their way: ordered in its transaction, done afterwards by pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.comparing import journey_place
from engine.authoring.definitions import WORKSPACE_FILE
from engine.clock import Clock, Clocks, FixedClock
from engine.errors import Place, Problem, RulesetError
from engine.governance.outlook import Fate, JourneyOutlook, orders_said
from engine.governance.records import Record
from engine.runs.locking import lock_run
from engine.runs.migrating import Migrating
from engine.store.bulk import is_one_of
from engine.store.bundles import BundleShelf
from engine.store.control import change_control, lock_control, read_control
from engine.store.database import Store
from engine.store.in_flight import Order, as_document, orders_after, orders_of
from engine.store.tables import ControlRow, InFlightRow, RunRow

PAGE = 100
"""Runs in one transaction: it holds their contacts, and on SQLite everybody waits for it."""
LEASE = timedelta(seconds=30)
"""Delivery time a process has for one page until another one may take it up."""
PAUSE = timedelta(seconds=10)
"""Between two rounds, when messages that are on their way or held keep some from being taken over."""
SETTLED = timedelta(seconds=60)
"""How long a transaction that began before the publish may still bring in somebody on an earlier version."""

_log = structlog.get_logger(__name__)


def refuse_to_strand(people: Sequence[JourneyOutlook], files: Mapping[str, str]) -> None:
    """RulesetError with everybody who would have nowhere to go, and what to do about it."""
    problems = [_stranded(outlook, fate, files) for outlook in people for fate in outlook.stranded]
    if problems:
        raise RulesetError(problems)


def _stranded(outlook: JourneyOutlook, fate: Fate, files: Mapping[str, str]) -> Problem:
    name = outlook.journey
    who = "1 person" if fate.people == 1 else f"{fate.people:,} people"
    stays = f"publish with --policy {name}=pin to let them finish on their version"
    place = journey_place(files, name, "steps") or Place(WORKSPACE_FILE)
    on = f"on bundle {fate.number}" if fate.number is not None else "on an earlier bundle"
    if fate.migrated.because == "unreadable":
        message = f"{who} {on} cannot be taken over: this version of Wayline cannot read that bundle any more"
        return Problem(place, "RS128", name, message, stays)
    if not outlook.is_there:
        message = f"{who} {on} cannot be taken over: '{name}' is gone, or switched off"
        return Problem(place, "RS128", name, message, f"{stays}, or {name}=end to end their runs")
    message = (
        f"{who} {on} at '{fate.step}' would be stranded: the step is gone, and nothing says where they go"
    )
    hint = f"write 'was: {{{fate.step}: {fate.suggestion}}}' into the journey, or {stays}"
    return Problem(place, "RS128", f"{name}.{fate.step}", message, hint)


def place_orders(
    session: Session,
    control: ControlRow,
    wanted: str,
    live: str,
    people: Sequence[JourneyOutlook],
    number: int,
    now: datetime,
) -> dict[str, Order]:
    """Every order that stands once `wanted` is in force (with plans: as `live`), new ones written down.

    The caller holds the control row and puts them there.
    """
    said = orders_said(people)
    standing, ended = orders_after(orders_of(control.in_flight), wanted, live, said)
    for journey, because in ended.items():
        _close(session, journey, because, now)
    for journey, order in said.items():
        if order is not None:
            session.add(
                InFlightRow(
                    journey=journey,
                    policy=order.policy.value,
                    number=number,
                    begun_at=now,
                    ready_at=now,
                )
            )
    return standing


def _close(session: Session, journey: str, because: str, now: datetime) -> None:
    query = select(InFlightRow).where(
        col(InFlightRow.journey) == journey, col(InFlightRow.finished_at).is_(None)
    )
    for row in session.scalars(query):
        row.finished_at, row.finished_because = now, because
    session.flush()


@dataclass(frozen=True)
class _Page:
    """Where one order goes on."""

    id: int
    journey: str
    after_id: str
    begun_at: datetime


class PeopleKeeper:
    """Takes people over as orders say, in whatever process dispatches; any number may do it side by side."""

    def __init__(self, store: Store, shelf: BundleShelf, clock: Clock) -> None:
        self._store = store
        self._shelf = shelf
        self._clock = clock
        self._migrating = Migrating(shelf)

    async def take_over(self) -> int:
        """One page of one order that is due; how many runs were taken over or ended.

        At least 1 while there are further pages.
        """
        return await self._store.run(self._take_over)

    def _take_over(self) -> int:
        with self._store.read() as session:
            if not read_control(session).in_flight:
                return 0
        with self._store.begin() as session:
            page = self._claim(session)
        if page is None:
            return 0
        with self._store.begin() as session:
            done, is_over = self._work(session, page)
        if is_over:
            with self._store.begin() as session:
                self._finish(session, page)
        return done

    def _claim(self, session: Session) -> _Page | None:
        now = self._clock.now()
        query = (
            select(InFlightRow)
            .where(col(InFlightRow.finished_at).is_(None), col(InFlightRow.ready_at) <= now)
            .order_by(col(InFlightRow.ready_at), col(InFlightRow.id))
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        row = session.scalars(query).one_or_none()
        if row is None:
            return None
        row.ready_at = now + LEASE
        assert row.id is not None
        return _Page(row.id, row.journey, row.after_id, row.begun_at)

    def _work(self, session: Session, page: _Page) -> tuple[int, bool]:
        """How many runs of the page were taken over or ended, and whether nobody is left to be."""
        now = self._clock.now()
        order = orders_of(read_control(session).in_flight).get(page.journey)
        row = session.get(InFlightRow, page.id, with_for_update=True)
        if order is None or row is None or row.finished_at is not None:
            return 0, False  # a later publish has decided otherwise
        runs = _runs(session, order, page, PAGE) if order.is_moving else []
        moved = ended = 0
        # Contacts are locked in the order in which everybody locks several of them.
        for run_id, _ in sorted(runs, key=lambda run: run[1]):
            contact, run, situation = lock_run(session, run_id)
            clocks = Clocks(FixedClock(now), situation.time)
            if self._migrating.migrate(session, contact, run, clocks, order) is not None:
                moved, ended = (moved + 1, ended) if run.status == "active" else (moved, ended + 1)
        is_round = len(runs) < PAGE
        row.moved += moved
        row.ended += ended
        row.after_id = "" if is_round else max(run_id for run_id, _ in runs)
        row.ready_at = now + PAUSE if is_round else now
        is_over = is_round and not _runs(session, order, replace(page, after_id=""), 1)
        return max(moved + ended, 0 if is_round else 1), is_over and now >= page.begun_at + SETTLED

    def _finish(self, session: Session, page: _Page) -> None:
        """Take the order off the control row, unless somebody was brought in or it was changed meanwhile."""
        control = lock_control(session)
        orders = orders_of(control.in_flight)
        order = orders.pop(page.journey, None)
        row = session.get(InFlightRow, page.id, with_for_update=True)
        if order is None or row is None or row.finished_at is not None:
            return
        if _runs(session, order, replace(page, after_id=""), 1):
            return
        change_control(session, in_flight=as_document(orders))
        row.finished_at, row.finished_because = self._clock.now(), "done"
        _log.info(
            "people in flight", journey=page.journey, policy=row.policy, moved=row.moved, ended=row.ended
        )


def _runs(session: Session, order: Order, page: _Page, limit: int) -> list[tuple[str, str]]:
    """(run, contact) of those that the order is still for, in the order of runs' ids after the page's."""
    query = (
        select(col(RunRow.id), col(RunRow.contact_id))
        .where(
            col(RunRow.journey) == page.journey,
            col(RunRow.ended_at).is_(None),
            col(RunRow.id) > page.after_id,
            is_one_of(session, RunRow.bundle_hash, order.left),
        )
        .order_by(col(RunRow.id))
        .limit(limit)
    )
    return [(run_id, contact_id) for run_id, contact_id in session.execute(query).all()]


def list_orders(session: Session) -> dict[str, Record]:
    """Journey -> what is being done about its people on earlier versions, and how far that is."""
    query = select(InFlightRow).where(col(InFlightRow.finished_at).is_(None))
    rows = {row.journey: row for row in session.scalars(query)}
    found: dict[str, Record] = {}
    for journey, order in orders_of(read_control(session).in_flight).items():
        left = select(func.count()).where(
            col(RunRow.journey) == journey,
            col(RunRow.ended_at).is_(None),
            is_one_of(session, RunRow.bundle_hash, order.left),
        )
        row = rows.get(journey)
        found[journey] = {
            "policy": order.policy.value,
            "since": row.number if row is not None else None,
            "moved": row.moved if row is not None else 0,
            "ended": row.ended if row is not None else 0,
            "left": session.scalar(left) or 0,
        }
    return found
