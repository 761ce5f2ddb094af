"""All that is known of one contact in one list, the latest first: what they did, what was decided about them,
what people answered for them, what they agreed to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.errors import CommandError
from engine.gate.reasons import describe
from engine.governance.records import LONGEST_LIST, Record
from engine.masking import mask_value
from engine.store.tables import ConsentRow, DecisionRow, EventRow

_CURSOR = re.compile(r"e(\d+)\.d(\d+)\.c(\d+)")
_START = (2**63 - 1,) * 3


@dataclass(frozen=True)
class Timeline:
    """Some entries, and where the list goes on."""

    entries: list[Record]
    next: str | None
    """Give it as `before` for the next page; None at the end."""


@dataclass(frozen=True)
class _Entry:
    at: datetime
    source: int
    id: int
    record: Record


def contact_timeline(
    session: Session, contact_id: str, *, before: str | None = None, limit: int = 50
) -> Timeline:
    """One page of a contact's timeline, in journey time. CommandError for a `before` that is none."""
    limit = max(1, min(limit, LONGEST_LIST))
    reached = list(_parsed(before))
    found = [
        *_in_order(_events(session, contact_id, reached[0], limit + 1)),
        *_in_order(_decisions(session, contact_id, reached[1], limit + 1)),
        *_in_order(_consents(session, contact_id, reached[2], limit + 1)),
    ]
    # What one event brings about has its moment: the event came first, so it stands below.
    found.sort(key=lambda each: (each.at, each.source, each.id), reverse=True)
    for entry in found[:limit]:
        reached[entry.source] = entry.id
    more = len(found) > limit
    shown = [entry.record for entry in found[:limit]]
    return Timeline(shown, "e{}.d{}.c{}".format(*reached) if more else None)


def _in_order(entries: Sequence[_Entry]) -> Iterator[_Entry]:
    """Entries by falling ids, each no later than those before it: clocks of several machines may differ."""
    latest = None
    for entry in entries:
        latest = entry.at if latest is None else min(latest, entry.at)
        yield replace(entry, at=latest)


def _parsed(before: str | None) -> Sequence[int]:
    if before is None:
        return _START
    found = _CURSOR.fullmatch(before)
    if found is None:
        raise CommandError("'before' is not where a page of this list ended; give what it said, as it is")
    return [min(int(each), _START[0]) for each in found.groups()]


def _events(session: Session, contact_id: str, before: int, limit: int) -> list[_Entry]:
    query = (
        select(EventRow)
        .where(col(EventRow.contact_id) == contact_id, col(EventRow.seq) < before)
        .order_by(col(EventRow.seq).desc())
        .limit(limit)
    )
    return [
        _entry(
            row.received_at,
            0,
            row.seq or 0,
            kind="event",
            what=row.type,
            detail=row.source,
            reference=row.event_id,
            more=mask_value(row.properties),
        )
        for row in session.scalars(query)
    ]


def _decisions(session: Session, contact_id: str, before: int, limit: int) -> list[_Entry]:
    query = (
        select(DecisionRow)
        .where(col(DecisionRow.contact_id) == contact_id, col(DecisionRow.id) < before)
        .order_by(col(DecisionRow.id).desc())
        .limit(limit)
    )
    return [
        _entry(
            row.at,
            1,
            row.id or 0,
            kind=row.kind,
            what=f"{row.verdict}: {row.reason}",
            detail=_detail(row),
            journey=row.journey,
            reference=row.intent_key or row.run_id,
            more=row.evidence,
        )
        for row in session.scalars(query)
    ]


def _detail(row: DecisionRow) -> str:
    evidence = row.evidence
    match row.reason:
        case "task.opened":
            return f"{evidence['step']} on {evidence['queue']}"
        case "task.decided":
            return f"{evidence['step']}: {evidence['choice']} ({evidence['title']}) by {evidence['by']}"
    try:
        return describe(row.reason).sentence
    except KeyError:
        return ""  # written by a version that knew more reasons than this one


def _consents(session: Session, contact_id: str, before: int, limit: int) -> list[_Entry]:
    query = (
        select(ConsentRow)
        .where(col(ConsentRow.contact_id) == contact_id, col(ConsentRow.id) < before)
        .order_by(col(ConsentRow.id).desc())
        .limit(limit)
    )
    return [
        _entry(
            row.recorded_at,
            2,
            row.id or 0,
            kind="consent",
            what=f"{row.decision}: {row.purpose}",
            detail=f"on {'every channel' if row.channel == '*' else row.channel}, by {row.actor}",
        )
        for row in session.scalars(query)
    ]


def _entry(
    at: datetime,
    source: int,
    id_: int,
    *,
    kind: str,
    what: str,
    detail: str = "",
    journey: str | None = None,
    reference: str | None = None,
    more: Any = None,
) -> _Entry:
    record = {
        "at": at.isoformat(),
        "kind": kind,
        "journey": journey,
        "what": what,
        "detail": detail,
        "reference": reference,
        "more": more or {},
    }
    return _Entry(at, source, id_, record)
