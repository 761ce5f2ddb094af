"""The kill switch: one row that is read again in the transaction of every hand-over to a provider."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from engine.store.control import change_control, lock_control


def kill(session: Session, *, by: str, reason: str, now: datetime) -> bool:
    """Stop all sending; whether it was not stopped before. `now` is delivery time.

    From the commit on no message is handed over: each hand-over reads the switch in its own transaction. Held
    intents wait. A second kill changes nothing: who stopped it first, and why, stays on record.
    """
    if lock_control(session).killed_at is not None:
        return False
    change_control(session, killed_at=now, killed_by=by, kill_reason=reason)
    return True


def unkill(session: Session, *, by: str, now: datetime) -> bool:
    """Allow sending again; whether it was stopped. What was held meanwhile is woken by the caller."""
    if lock_control(session).killed_at is None:
        return False
    change_control(session, killed_at=None, killed_by=None, kill_reason=None, released_at=now, released_by=by)
    return True
