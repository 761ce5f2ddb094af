"""A run that a person ends: what it waits for is withdrawn, and the record says who did it and why."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from engine.clock import Clocks, FixedClock
from engine.journeys.run import Ended, RunOutcome
from engine.masking import mask_text
from engine.runs.ending import Endings
from engine.runs.locking import lock_run
from engine.runs.telling import Notes


def cancel(session: Session, run_id: str, *, by: str, reason: str = "", now: datetime) -> bool:
    """End a run where it stands, with its open task and unsent message; False when it had ended already.

    `reason` is the operator's own words, `now` is delivery time. UnknownRun if there is no such run.
    """
    _, row, situation = lock_run(session, run_id)
    if row.status != "active":
        return False
    clocks = Clocks(FixedClock(now), situation.time)
    why = {"why": mask_text(reason)} if reason else {}
    endings = Endings(session, Notes(), clocks.journey_now(), clocks.delivery_now())
    endings.end(row, Ended(RunOutcome.CANCELLED, "run.cancelled", by, why))
    endings.finish()
    return True
