"""Looking decisions up: by contact, journey, run, message, reason, outcome, channel and time, page by page.

However many decisions there are, a page looks at a bounded number of them, so that an answer comes within
milliseconds. What no index finds is looked for among the latest `LOOKED_AT` at a time: a page may then hold
less than was asked for, or nothing, and still say where the list goes on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, literal, select, tuple_
from sqlalchemy.orm import Session
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from engine.contacts.merging import members_of
from engine.errors import CommandError
from engine.gate.decision import Decision
from engine.gate.reasons import FAMILIES
from engine.masking import mask_text, mask_value
from engine.store.bulk import plan_for_now, table_of
from engine.store.columns import BigId, Instant
from engine.store.tables import DecisionRow

LONGEST_PAGE = 501
"""One more than anybody asks for, so that others can look whether there is more."""
LOOKED_AT = 2_000
"""Decisions that one page looks at where no index says which they are."""
LEAST_SHARE = 100
"""Of them, those with one code of a family at the least."""

TOKEN = r"^-?\d{1,18}\.\d{1,18}$"
"""What the place of a page's end looks like."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DECISION = table_of(DecisionRow)
_C = _DECISION.c

Key = tuple[datetime, int]
"""Where a decision stands in a list: its moment, and its id among those of one moment."""

_Condition = Callable[[ReadOnlyColumnCollection[str, Any]], ColumnElement[bool]]
"""Over the columns of the table, or of the few that are looked at."""


@dataclass(frozen=True)
class Wanted:
    """Which decisions; what is None is not asked."""

    contact_id: str | None = None
    """With those who were merged into them."""
    journey: str | None = None
    run_id: str | None = None
    intent_key: str | None = None
    reason: str | None = None
    """A code, or a whole family: `cap.full`, `cap`."""
    outcome: str | None = None
    verdict: str | None = None
    kind: str | None = None
    channel: str | None = None
    since: datetime | None = None
    """Journey time, from then on."""
    until: datetime | None = None
    """Journey time, before then."""


@dataclass(frozen=True)
class Page:
    """Some decisions, the latest first, and where the list goes on."""

    rows: Sequence[Row[Any]]
    """With the columns of `DecisionRow`."""
    next: str | None
    """Give it as `before` for the next page; None at the end."""


@dataclass(frozen=True)
class _Scan:
    """One way through an index, the latest first."""

    rows: list[Row[Any]]
    reached: Key | None
    """Everything later than this has been looked at; None: everything has."""


def list_decisions(session: Session, wanted: Wanted, *, before: str | None = None, limit: int = 100) -> Page:
    """A page of the decisions wanted, the latest first; what is written meanwhile moves no later page.

    CommandError for a `before` that is none, and for a reason of no known family.
    """
    limit = max(1, min(limit, LONGEST_PAGE))
    start = None if before is None else _parsed(before)
    plan_for_now(session)
    ways = list(_ways(session, wanted))
    share = max(LOOKED_AT // max(len(ways), 1), LEAST_SHARE)
    scans = [_scan(session, way, rest, wanted, start, limit, share) for way, rest in ways]
    reached = max((scan.reached for scan in scans if scan.reached is not None), default=None)
    found = sorted((row for scan in scans for row in scan.rows), key=_key, reverse=True)
    # What lies behind the point that one way has reached may have neighbours there that were not seen yet.
    seen = [row for row in found if reached is None or _key(row) >= reached]
    if len(seen) > limit:
        return Page(seen[:limit], _token(_key(seen[limit - 1])))
    return Page(seen, None if reached is None else _token(reached))


def decisions_of_run(session: Session, run_id: str, *, limit: int = 100) -> list[dict[str, Any]]:
    """The latest decisions of a run as plain values, the latest first."""
    page = list_decisions(session, Wanted(run_id=run_id), limit=limit)
    return [decision_of(row).as_data() for row in page.rows]


def decision_of(row: Any) -> Decision:
    """The public record of a row, whatever version wrote it; addresses in it are masked."""
    return Decision(
        id=row.id,
        at=row.at,
        kind=row.kind,
        contact_id=row.contact_id,
        journey=row.journey,
        run_id=row.run_id,
        intent_key=row.intent_key,
        stage=row.stage,
        channel=row.channel,
        verdict=row.verdict,
        reason=row.reason,
        outcome=row.outcome,
        evidence=mask_value(row.evidence),
        would_pass_if=mask_text(row.would_pass_if),
        hold_until=row.hold_until,
        bundle_hash=row.bundle_hash,
    )


def _ways(session: Session, wanted: Wanted) -> Iterator[tuple[_Condition | None, list[_Condition]]]:
    """What an index finds, and the conditions that are left; several ways for places in one index."""
    named = [
        _equal(name, value)
        for name in ("intent_key", "run_id", "outcome", "journey", "verdict", "kind", "channel")
        if (value := getattr(wanted, name)) is not None
    ]
    # A decision keeps the id that it was about, also when that contact is part of another one by now.
    people = [] if wanted.contact_id is None else [wanted.contact_id, *members_of(session, wanted.contact_id)]
    also = [] if wanted.reason is None else [_has_reason(wanted.reason)]
    if wanted.intent_key is not None or wanted.run_id is not None:
        yield named[0], [*named[1:], *also, *([_is_about(people)] if people else [])]
    elif people:
        for person in people:
            yield _equal("contact_id", person), [*named, *also]
    elif wanted.reason is None:
        is_indexed = wanted.outcome is not None or wanted.journey is not None
        yield (named[0], named[1:]) if is_indexed else (None, named)
    elif "." in wanted.reason:
        yield _equal("reason", wanted.reason), named
    else:
        for code in _codes(session, wanted.reason):
            yield _equal("reason", code), named


def _equal(name: str, value: str) -> _Condition:
    return lambda columns: columns[name] == value


def _is_about(contact_ids: Sequence[str]) -> _Condition:
    return lambda columns: columns["contact_id"].in_(contact_ids)


def _has_reason(reason: str) -> _Condition:
    if "." in reason:
        return _equal("reason", reason)
    first, end = f"{_family(reason)}.", f"{reason}/"
    return lambda columns: and_(columns["reason"] >= first, columns["reason"] < end)


def _codes(session: Session, family: str) -> Iterator[str]:
    """The codes of a family that were ever written, those of plugins too: a few looks into the index."""
    last, end = f"{_family(family)}.", f"{family}/"
    while True:
        found = session.scalar(select(func.min(_C.reason)).where(_C.reason > last, _C.reason < end))
        if found is None:
            return
        yield found
        last = found


def _family(name: str) -> str:
    if name not in FAMILIES:
        raise CommandError(f"there is no family of reasons {name[:40]!r}; known are {', '.join(FAMILIES)}")
    return name


def _scan(
    session: Session,
    way: _Condition | None,
    rest: Sequence[_Condition],
    wanted: Wanted,
    start: Key | None,
    limit: int,
    share: int,
) -> _Scan:
    """What one way finds, one more than the page holds at most; with `rest` among `share` decisions."""
    query = select(_DECISION)
    if way is not None:
        query = query.where(way(_C))
    if wanted.since is not None:
        query = query.where(_C.at >= wanted.since)
    if wanted.until is not None:
        query = query.where(_C.at < wanted.until)
    if start is not None:
        at, id_ = start
        query = query.where(tuple_(_C.at, _C.id) < tuple_(literal(at, Instant), literal(id_, BigId)))
    query = query.order_by(_C.at.desc(), _C.id.desc())
    if not rest:
        return _Scan(list(session.execute(query.limit(limit + 1))), None)
    among = query.limit(share).subquery()
    matching = select(among).where(*(condition(among.c) for condition in rest))
    matching = matching.order_by(among.c.at.desc(), among.c.id.desc()).limit(limit + 1)
    rows = list(session.execute(matching))
    if len(rows) > limit:
        return _Scan(rows, None)
    end = session.execute(query.with_only_columns(_C.at, _C.id).offset(share - 1).limit(1)).first()
    return _Scan(rows, None if end is None else (end.at, end.id))


def _key(row: Any) -> Key:
    return row.at, row.id


def _token(key: Key) -> str:
    at, id_ = key
    return f"{(at - _EPOCH) // _MICROSECOND}.{id_}"


def _parsed(before: str) -> Key:
    if re.fullmatch(TOKEN, before) is None:
        raise CommandError("'before' is not where a page of this list ended; give its 'next' as it is")
    micros, _, id_ = before.partition(".")
    try:
        return _EPOCH + int(micros) * _MICROSECOND, int(id_)
    except OverflowError:
        raise CommandError("'before' is not where a page of this list ended") from None
