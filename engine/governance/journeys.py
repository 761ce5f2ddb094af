"""Journeys as operators run them: which there are, paused or not, and when scheduled ones fire."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.errors import NotFound
from engine.governance.in_flight import list_orders
from engine.governance.records import Record
from engine.store.bundles import BundleShelf
from engine.store.control import change_control, lock_control, read_control
from engine.store.tables import RunRow, ScheduleRow, SwitchRow


def list_journeys(session: Session, shelf: BundleShelf) -> list[Record]:
    """Every journey of the bundle in force, and those that people are still on their way in, by id.

    `in_flight` tells how far what the latest publish ordered for people on earlier versions is. NotFound when
    no bundle is published.
    """
    control = read_control(session)
    bundle = shelf.in_force(session, control)
    running = select(col(RunRow.journey), func.count()).where(col(RunRow.ended_at).is_(None))
    active = {name: int(many) for name, many in session.execute(running.group_by(col(RunRow.journey))).all()}
    orders = list_orders(session)
    schedules: dict[str, list[ScheduleRow]] = {}
    for row in session.scalars(select(ScheduleRow)):
        schedules.setdefault(row.journey, []).append(row)
    found = [
        {
            "journey": name,
            "title": program.title,
            "enters_by": program.entry.words or " or ".join(program.entry.events),
            "active_runs": active.get(name, 0),
            "paused": name in control.paused_journeys or name in bundle.paused_journeys,
            "paused_by_plan": bundle.paused_journeys.get(name),
            "in_flight": orders.get(name),
            **_firings(schedules.get(name, [])),
        }
        for name, program in bundle.programs.items()
    ]
    # Those that are gone, or switched off, while somebody is still on their way in them.
    found += [
        {
            "journey": name,
            "title": "",
            "enters_by": "nobody",
            "active_runs": people,
            "paused": False,
            "paused_by_plan": None,
            "in_flight": orders.get(name),
            **_firings([]),
        }
        for name, people in active.items()
        if name not in bundle.programs
    ]
    return sorted(found, key=lambda each: str(each["journey"]))


def _firings(rows: list[ScheduleRow]) -> Record:
    coming = [row.next_at for row in rows if row.next_at is not None]
    been = [row.fired_at for row in rows if row.fired_at is not None]
    return {
        "next_at": min(coming).isoformat() if coming else None,
        "fired_at": max(been).isoformat() if been else None,
        "missed": sum(row.missed for row in rows) or None,
    }


def pause(session: Session, shelf: BundleShelf, journey: str, *, by: str, reason: str, now: datetime) -> bool:
    """Let nobody in any more; whether that is new. Runs on their way go on. NotFound for an unknown journey.

    `now` is delivery time.
    """
    control = lock_control(session)
    if journey not in shelf.in_force(session, control).programs:
        raise NotFound(f"there is no journey {journey[:80]!r} in the bundle in force")
    if journey in control.paused_journeys:
        return False
    change_control(session, paused_journeys=sorted([*control.paused_journeys, journey]))
    session.add(_switched("pause", journey, by, reason, now))
    return True


def resume(session: Session, journey: str, *, by: str, reason: str, now: datetime) -> bool:
    """Let contacts in again; whether it was paused. What came meanwhile is not made up for."""
    control = lock_control(session)
    if journey not in control.paused_journeys:
        return False
    remaining = [each for each in control.paused_journeys if each != journey]
    change_control(session, paused_journeys=remaining)
    session.add(_switched("resume", journey, by, reason, now))
    return True


def _switched(action: str, journey: str, by: str, reason: str, now: datetime) -> SwitchRow:
    return SwitchRow(kind="journey", subject=journey, action=action, at=now, by=by, reason=reason)
