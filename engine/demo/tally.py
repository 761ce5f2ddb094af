"""The table the demonstration ends with, counted from the database."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from sqlalchemy import distinct, func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.store.tables import BreakerRow, DecisionRow, EventRow, IntentRow, OutboxRow, RunRow


@dataclass(frozen=True)
class JourneyTally:
    """One journey's figures, in runs and in messages."""

    journey: str
    entered: int
    ended: int
    sent: int
    held: int
    """Messages that were held at least once, whatever became of them."""
    capped: int
    blocked: int
    failed: int
    unknown: int
    open: int
    """Messages that have no outcome yet."""


@dataclass(frozen=True)
class Tally:
    """Everything the closing table shows."""

    journeys: tuple[JourneyTally, ...]
    reasons: tuple[tuple[str, str, int], ...]
    """(verdict, reason code, messages), most frequent first, for everything but plain sends."""
    refusals: tuple[tuple[str, str, int], ...]
    """The same of entries: events that a journey listened to and that did not take the contact in."""
    events: int
    workflows: int
    """Runs that a Temporal workflow carried."""
    breaker_changes: int
    outbox_open: int

    @property
    def sent(self) -> int:
        return sum(journey.sent for journey in self.journeys)


def take_tally(session: Session) -> Tally:
    """Count the whole workspace."""
    runs = _counts(session, col(RunRow.journey), col(RunRow.status))
    outcomes = _counts(session, col(IntentRow.journey), col(IntentRow.outcome))
    messages = func.count(distinct(col(DecisionRow.intent_key)))
    holds = select(col(DecisionRow.journey), messages).where(
        col(DecisionRow.kind) == "message", col(DecisionRow.verdict) == "hold"
    )
    held = Counter(dict(session.execute(holds.group_by(col(DecisionRow.journey))).all()))
    names = sorted({journey for journey, _ in runs})
    return Tally(
        journeys=tuple(
            JourneyTally(
                journey=name,
                entered=sum(n for (journey, _), n in runs.items() if journey == name),
                ended=runs[(name, "ended")],
                sent=outcomes[(name, "sent")],
                held=held[name],
                capped=outcomes[(name, "capped")],
                blocked=outcomes[(name, "blocked")],
                failed=outcomes[(name, "failed")] + outcomes[(name, "expired")],
                unknown=outcomes[(name, "unknown")],
                open=outcomes[(name, None)],
            )
            for name in names
        ),
        reasons=_reasons(session, "message", messages),
        refusals=_reasons(session, "entry", func.count()),
        events=session.scalar(select(func.count()).select_from(EventRow)) or 0,
        workflows=session.scalar(select(func.count()).select_from(RunRow).where(col(RunRow.durable))) or 0,
        breaker_changes=session.scalar(select(func.coalesce(func.sum(col(BreakerRow.epoch)), 0))) or 0,
        outbox_open=session.scalar(
            select(func.count()).select_from(OutboxRow).where(col(OutboxRow.done_at).is_(None))
        )
        or 0,
    )


def _counts(session: Session, *columns: Any) -> Counter[tuple[Any, ...]]:
    """How many rows have each combination of values."""
    rows = session.execute(select(*columns, func.count()).group_by(*columns))
    return Counter({tuple(values): count for *values, count in rows})


def _reasons(session: Session, kind: str, count: Any) -> tuple[tuple[str, str, int], ...]:
    """(verdict, reason code, how many) of all decisions of a kind that were not a plain yes."""
    rows = session.execute(
        select(col(DecisionRow.verdict), col(DecisionRow.reason), count)
        .where(col(DecisionRow.kind) == kind, col(DecisionRow.verdict) != "allow")
        .group_by(col(DecisionRow.verdict), col(DecisionRow.reason))
        .order_by(count.desc(), col(DecisionRow.reason))
    )
    return tuple((verdict, reason, number) for verdict, reason, number in rows)
