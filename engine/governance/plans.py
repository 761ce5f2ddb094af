"""Plans switched on and off: one act, obeyed by every process with its next transaction; it ends by itself.

While plans are on, the bundle in force is another one: the published one with their overrides. It has a hash
of its own, to which runs and decisions are pinned, so that it can be told afterwards which plans held. All
times here are delivery time: a plan ends when its day is over, whatever the journeys' clock shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle, Plan
from engine.authoring.loading import bundle_with_plans
from engine.authoring.overlaying import overlay_hash
from engine.clock import Clock
from engine.delivery.intents import wake, wake_capped
from engine.errors import CommandError, NotFound, RulesetError
from engine.gate.stages import plan_scope
from engine.journeys.localtime import clock_moment
from engine.rules.proving import Unproved, prove
from engine.store.bulk import insert_new
from engine.store.bundles import BundleShelf
from engine.store.control import change_control, lock_control, read_control
from engine.store.database import Store
from engine.store.tables import ControlRow, OverlayRow, SwitchRow

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
    control = lock_control(session)
    base = _base(session, shelf, control)
    plan = base.plans.get(name)
    if plan is None:
        known = ", ".join(sorted(base.plans)) or "none"
        raise NotFound(f"there is no plan {name!r} in the bundle in force; known are {known}")
    ends = _latest_end(plan, base, now)
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
    _put(session, control, base, [*others, on])
    session.add(SwitchRow(kind="plan", subject=name, action="on", at=now, until=ends, by=by, reason=reason))
    wake_capped(session, now=now)
    return ends


def switch_off(
    session: Session, shelf: BundleShelf, name: str, *, by: str, reason: str, now: datetime
) -> bool:
    """Take a plan out of force, and look again at what it held; whether it was on."""
    control = lock_control(session)
    if all(each["id"] != name for each in control.plans):
        return False
    remaining = [each for each in control.plans if each["id"] != name]
    _put(session, control, _base(session, shelf, control), remaining)
    session.add(SwitchRow(kind="plan", subject=name, action="off", at=now, by=by, reason=reason))
    wake(session, plan_scope(name), now=now)
    wake_capped(session, now=now)
    return True


def end_due(session: Session, shelf: BundleShelf, now: datetime) -> list[str]:
    """Switch off the plans whose end has come; their ids."""
    due = [each["id"] for each in lock_control(session).plans if _is_over(each, now)]
    for name in due:
        switch_off(session, shelf, name, by=BY_TIME, reason="its end has come", now=now)
        _log.info("a plan has ended", plan=name)
    return due


def history(session: Session, name: str | None = None, limit: int = 50) -> list[SwitchRow]:
    """Who switched plans (or one) on and off, and when; the latest first."""
    query = select(SwitchRow).where(col(SwitchRow.kind) == "plan").order_by(col(SwitchRow.id).desc())
    if name is not None:
        query = query.where(col(SwitchRow.subject) == name)
    return list(session.scalars(query.limit(limit)))


def kept_on(
    session: Session, control: ControlRow, files: Mapping[str, str], base_hash: str
) -> tuple[str, list[dict[str, Any]]]:
    """The hash that a new bundle is in force under while the present plans stay on, and those plans.

    CommandError when one of them is not in it or does not fit it: a plan is never dropped silently.
    """
    names = sorted(each["id"] for each in control.plans)
    if not names:
        return base_hash, []
    try:
        bundle_with_plans(files, names)
    except KeyError as error:
        raise CommandError(
            f"the plan {error.args[0]!r} is on, and this bundle has no such plan; switch it off first"
        ) from None
    except RulesetError as error:
        shown = "; ".join(
            f"{each.place.file}:{each.place.line} {each.message}" for each in error.problems[:3]
        )
        raise CommandError(
            f"this bundle does not fit the plans that are on ({', '.join(names)}): {shown}"
        ) from None
    return _overlaid(session, base_hash, names), list(control.plans)


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


def _put(session: Session, control: ControlRow, base: Bundle, plans: Sequence[Mapping[str, Any]]) -> None:
    names = sorted(each["id"] for each in plans)
    live = base.hash
    if names:
        _proved(bundle_with_plans(base.files, names), base)
        live = _overlaid(session, base.hash, names)
    change_control(
        session, live_bundle=live, published_bundle=base.hash, plans=[dict(each) for each in plans]
    )


def _proved(bundle: Bundle, base: Bundle) -> None:
    """Return when the matcher can be trusted with what plans add: journeys that were switched off till now.

    CommandError otherwise. Everything else was proved when the bundle was published.
    """
    if bundle.rules == base.rules:
        return
    try:
        prove(bundle.rules)
    except Unproved as doubt:
        raise CommandError(f"the rule {doubt.rule!r} was not decided safely: {doubt.why}") from doubt


def _overlaid(session: Session, base: str, plans: Sequence[str]) -> str:
    """The hash of the bundle with these plans on, written down so that every process can make it."""
    made = overlay_hash(base, plans)
    insert_new(session, OverlayRow, [{"hash": made, "base": base, "plans": list(plans)}])
    return made


def _latest_end(plan: Plan, base: Bundle, now: datetime) -> datetime:
    ends = now + plan.at_most
    if plan.until is not None:
        midnight = clock_moment(plan.until + timedelta(days=1), time(0), ZoneInfo(base.workspace.timezone))
        ends = min(ends, midnight)
    return ends


def _is_over(plan: Mapping[str, Any], now: datetime) -> bool:
    until = _moment(plan["until"])
    return until is not None and until <= now


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text is not None else None
