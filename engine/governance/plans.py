"""Plans switched on and off: one act, obeyed by every process with its next transaction; it ends by itself.

While plans are on, the bundle in force is another one: the published one with their overrides. It has a hash
of its own, to which runs and decisions are pinned, so that it can be told afterwards which plans held. All
times here are delivery time: a plan ends when its day is over, whatever the journeys' clock shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.clock import Clock
from engine.delivery.waking import wake, wake_capped
from engine.errors import CommandError, NotFound, RulesetError
from engine.gate.stages import plan_scope
from engine.governance.overlays import Checked, check, overlaid
from engine.rules.duration import parse_duration
from engine.store.bundles import BundleShelf
from engine.store.control import change_control, lock_control, read_control
from engine.store.database import Store
from engine.store.tables import ControlRow, SwitchRow

BY_TIME = "time"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class PlanState:
    """One plan of the published bundle, and whether it is on."""

    id: str
    title: str
    is_on: bool
    since: datetime | None
    until: datetime | None
    by: str | None
    reason: str | None
    at_most: timedelta


def list_plans(session: Session, shelf: BundleShelf) -> list[PlanState]:
    """Every plan of the bundle in force, by id; NotFound when none is published."""
    control = read_control(session)
    on = {each["id"]: each for each in control.plans}
    found = []
    for name, plan in sorted(_base(session, shelf, control).plans.items()):
        state = on.get(name, {})
        found.append(
            PlanState(
                id=name,
                title=plan.title,
                is_on=name in on,
                since=_moment(state.get("since")),
                until=_moment(state.get("until")),
                by=state.get("by"),
                reason=state.get("reason"),
                at_most=plan.at_most,
            )
        )
    return found


def unknown(name: str, known: Iterable[str]) -> NotFound:
    """That there is no such plan, to be raised."""
    listed = ", ".join(sorted(known)) or "none"
    return NotFound(f"there is no plan {name!r} in the bundle in force; known are {listed}")


def end_said(text: str, now: datetime) -> datetime:
    """The moment that an operator means by a length of time, or by a moment; CommandError when by neither."""
    try:
        return now + parse_duration(text)
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise CommandError(
            f"the end {text!r} is neither a length of time as 2d nor a moment with its zone, "
            'as "2026-10-08T00:00+08:00"'
        )
    return moment


def switch_on(
    session: Session,
    shelf: BundleShelf,
    name: str,
    *,
    until: datetime | None,
    by: str,
    reason: str,
    now: datetime,
) -> datetime:
    """Put a plan in force until `until`, or as long as it may be; the moment at which it ends by itself.

    A plan that is on already gets the new end. NotFound for an unknown plan, CommandError when it may not be
    on so long, or not beside those that are; RulesetError when the workspace would be wrong with it.
    """
    checked = _check_ahead(session, shelf, lambda on: on | {name})
    control = lock_control(session)
    base = _base(session, shelf, control)
    plan = base.plans.get(name)
    if plan is None:
        raise unknown(name, base.plans)
    ends = plan.latest_end(now, ZoneInfo(base.workspace.timezone))
    if ends <= now:
        raise CommandError(f"the plan {name!r} was made for a time that is over ({plan.until})")
    if until is not None and until <= now:
        raise CommandError("the end lies in the past")
    if until is not None and until > ends:
        raise CommandError(f"the plan {name!r} may be on until {ends:%Y-%m-%d %H:%M} UTC at most")
    others = [each for each in control.plans if each["id"] != name]
    for other in others:
        if other["id"] not in plan.together_with:
            raise CommandError(
                f"the plan {other['id']!r} is on, and {name!r} may not be on beside it; switch it off first"
            )
    ends = until if until is not None else ends
    on = {"id": name, "since": now.isoformat(), "until": ends.isoformat(), "by": by, "reason": reason}
    _put(session, control, base, [*others, on], checked)
    session.add(SwitchRow(kind="plan", subject=name, action="on", at=now, until=ends, by=by, reason=reason))
    wake_capped(session, now=now)
    return ends


def switch_off(
    session: Session, shelf: BundleShelf, name: str, *, by: str, reason: str, now: datetime
) -> bool:
    """Take a plan out of force, and look again at what it held; whether it was on."""
    return _take_out(session, shelf, name, by=by, reason=reason, now=now, only_if_over=False)


def _take_out(
    session: Session,
    shelf: BundleShelf,
    name: str,
    *,
    by: str,
    reason: str,
    now: datetime,
    only_if_over: bool,
) -> bool:
    checked = _check_ahead(session, shelf, lambda on: on - {name})
    control = lock_control(session)
    found = next((each for each in control.plans if each["id"] == name), None)
    if found is None or (only_if_over and not _is_over(found, now)):
        return False
    remaining = [each for each in control.plans if each["id"] != name]
    _put(session, control, _base(session, shelf, control), remaining, checked)
    session.add(SwitchRow(kind="plan", subject=name, action="off", at=now, by=by, reason=reason))
    wake(session, plan_scope(name), now=now)
    wake_capped(session, now=now)
    return True


def end_due(session: Session, shelf: BundleShelf, now: datetime) -> list[str]:
    """Switch off the plans whose end has come; their ids."""
    due = [each["id"] for each in read_control(session).plans if _is_over(each, now)]
    ended = []
    for name in due:
        # Somebody may have given it a later end meanwhile.
        if _take_out(session, shelf, name, by=BY_TIME, reason="its end has come", now=now, only_if_over=True):
            ended.append(name)
            _log.info("a plan has ended", plan=name)
    return ended


def history(session: Session, name: str | None = None, limit: int = 50) -> list[SwitchRow]:
    """Who switched plans (or one) on and off, and when; the latest first."""
    query = select(SwitchRow).where(col(SwitchRow.kind) == "plan").order_by(col(SwitchRow.id).desc())
    if name is not None:
        query = query.where(col(SwitchRow.subject) == name)
    return list(session.scalars(query.limit(limit)))


class PlanKeeper:
    """Ends plans in time, in whatever process dispatches."""

    def __init__(self, store: Store, shelf: BundleShelf, clock: Clock) -> None:
        self._store = store
        self._shelf = shelf
        self._clock = clock

    async def end_due(self) -> int:
        """Switch off what is over; how many plans."""
        return await self._store.run(self._end_due)

    def _end_due(self) -> int:
        now = self._clock.now()
        with self._store.read() as session:
            if not any(_is_over(each, now) for each in read_control(session).plans):
                return 0
        with self._store.begin() as session:
            return len(end_due(session, self._shelf, now))


def _base(session: Session, shelf: BundleShelf, control: ControlRow) -> Bundle:
    wanted = control.published_bundle or control.live_bundle
    if wanted is None:
        raise NotFound("no bundle is published; run `wayline publish`")
    return shelf.get(session, wanted)


def _check_ahead(
    session: Session, shelf: BundleShelf, change: Callable[[frozenset[str]], frozenset[str]]
) -> Checked | None:
    """What can be checked before the control row is held: meanwhile nobody could stop or send anything.

    What is wrong is said when it is checked again under the lock.
    """
    control = read_control(session)
    base = _base(session, shelf, control)
    names = change(frozenset(each["id"] for each in control.plans))
    if not names or not names <= base.plans.keys():
        return None
    try:
        return check(base, sorted(names))
    except (RulesetError, CommandError):
        return None


def _put(
    session: Session,
    control: ControlRow,
    base: Bundle,
    plans: Sequence[Mapping[str, Any]],
    checked: Checked | None,
) -> None:
    names = sorted(each["id"] for each in plans)
    live = base.hash
    if names:
        if checked != Checked(base.hash, tuple(names)):
            check(base, names)
        live = overlaid(session, base.hash, names)
    change_control(
        session, live_bundle=live, published_bundle=base.hash, plans=[dict(each) for each in plans]
    )


def _is_over(plan: Mapping[str, Any], now: datetime) -> bool:
    until = _moment(plan["until"])
    return until is not None and until <= now


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None
