"""Receipts that overtake the record of their message: kept until it is known by its provider's id.

A platform may tell that a message has arrived before its own answer to the send was written down. Such a
receipt names nothing that is known yet; it is kept for some days, and taken out in the transaction that
writes the provider's id down. What slips in beside that transaction is found by the next round.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, literal_column, or_, select, update
from sqlalchemy.orm import Session

from engine.masking import mask_text
from engine.store.bulk import insert_new, table_of
from engine.store.prepared import Prepared
from engine.store.tables import EarlyReceiptRow, IntentRow

KEPT = timedelta(days=3)
"""How long one waits for its message; an answer that takes longer is not to come."""

# Built once: every send that its provider took asks.
_EARLY = table_of(EarlyReceiptRow)
_INTENT = table_of(IntentRow)
_ANY = Prepared(select(_EARLY.c.id).limit(1))
"""As a rule there is none, and one question is enough for a page of messages."""
_NAMED = Prepared(
    select(_EARLY)
    .where(
        _EARLY.c.provider_id == bindparam("name"),
        or_(_EARLY.c.channel == bindparam("of_channel"), _EARLY.c.channel == literal_column("''")),
    )
    .order_by(_EARLY.c.id)
)


@dataclass(frozen=True)
class Early:
    """What was said of a message that nobody knew; fields as in `engine.delivery.receipts.Receipt`."""

    id: int
    channel: str
    """Empty where nobody said."""
    provider_id: str
    said: str
    at: datetime
    code: str
    permanent: bool
    source: str
    """Who told."""


def keep(
    session: Session,
    *,
    channel: str | None,
    provider_id: str,
    said: str,
    at: datetime,
    code: str,
    permanent: bool,
    source: str,
    now: datetime,
) -> bool:
    """Keep a receipt for a message that is not known yet; False when the same was kept before.

    `now` is delivery time.
    """
    named: dict[str, Any] = {"provider_id": provider_id, "channel": channel or "", "said": said}
    row = {
        **named,
        "at": at,
        "code": mask_text(code),
        "permanent": permanent,
        "source": source,
        "received_at": now,
    }
    if insert_new(session, EarlyReceiptRow, [row], returning=("provider_id",)):
        return True
    if permanent:
        # Told before as one that may pass.
        same = [_EARLY.c[name] == value for name, value in named.items()]
        session.execute(update(_EARLY).where(*same).values(permanent=True))
    return False


def take(session: Session, named: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], list[Early]]:
    """What was said before of messages, by (channel, provider's id); it is not kept any longer."""
    if not named or _ANY.row(session, {}) is None:
        return {}
    asked = [{"of_channel": channel, "name": name} for channel, name in named]
    found = {
        (each["of_channel"], each["name"]): [_early(row) for row in rows]
        for each, rows in zip(asked, _NAMED.rows_for(session, asked), strict=True)
        if rows
    }
    forget(session, [early.id for many in found.values() for early in many])
    return found


def forget(session: Session, ids: Collection[int]) -> None:
    if ids:
        session.execute(delete(_EARLY).where(_EARLY.c.id.in_(sorted(ids))))


def forget_before(session: Session, moment: datetime) -> int:
    """Let go of what was kept before then (delivery time); how many."""
    return int(getattr(session.execute(delete(_EARLY).where(_EARLY.c.received_at < moment)), "rowcount", 0))


def findable(session: Session, limit: int) -> list[Early]:
    """Up to `limit` that are kept although their message is known by now, the oldest first."""
    query = (
        select(_EARLY)
        .where(
            select(_INTENT.c.key)
            .where(
                _INTENT.c.provider_id == _EARLY.c.provider_id,
                or_(_EARLY.c.channel == "", _EARLY.c.channel == _INTENT.c.channel),
            )
            .exists()
        )
        .order_by(_EARLY.c.id)
        .limit(limit)
    )
    return [_early(row) for row in session.execute(query)]


def _early(row: Any) -> Early:
    return Early(row.id, row.channel, row.provider_id, row.said, row.at, row.code, row.permanent, row.source)
