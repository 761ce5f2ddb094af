"""All that is known of one contact in one list, the latest first: what they did, what was decided about them,
what was sent and what became of it, what people answered for them, what they agreed to, which address was
closed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.contacts.merging import members_of
from engine.contacts.suppressing import digest_of
from engine.errors import CommandError, NotFound, RulesetError
from engine.gate.reasons import titles
from engine.governance.decisions import Wanted, list_decisions
from engine.governance.records import LONGEST_LIST, Record
from engine.masking import mask_value
from engine.store.bulk import is_one_of
from engine.store.bundles import BundleShelf
from engine.store.tables import ConsentRow, EventRow, IdentityRow, ReceiptRow, SuppressionRow

_CURSOR = re.compile(r"e(\d{1,19})_d(|-?\d{1,18}\.\d{1,18})_c(\d{1,19})_s(\d{1,19})_r(\d{1,19})")
_LARGEST = 2**63 - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_CONSENTS = {
    "granted": {"en": "consent given", "zh": "同意"},
    "denied": {"en": "consent refused", "zh": "拒绝同意"},
    "withdrawn": {"en": "consent withdrawn", "zh": "撤回同意"},
    "pending": {"en": "consent asked for, not confirmed yet", "zh": "同意待确认"},
}
_SAID = {
    "accepted": {"en": "a receipt: the provider took it", "zh": "回执：服务商已接受"},
    "delivered": {"en": "a receipt: it was delivered", "zh": "回执：已送达"},
    "bounced": {"en": "a receipt: it came back", "zh": "回执：被退回"},
    "read": {"en": "a receipt: it was read", "zh": "回执：已阅读"},
    "complained": {"en": "a receipt: they complained of it", "zh": "回执：收到投诉"},
}
_CLOSED = {
    "hard_bounce": {"en": "address closed: mail came back for good", "zh": "地址已停用：邮件永久退回"},
    "complaint": {"en": "address closed: they complained", "zh": "地址已停用：收到投诉"},
    "block_list": {"en": "address closed: it stands on a block list", "zh": "地址已停用：位于屏蔽名单"},
}


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
    """Its rank among entries of one moment: what one event brings about stands above it."""
    id: int
    token: str
    """Where its source goes on behind it."""
    record: Record


def contact_timeline(
    session: Session,
    contact_id: str,
    *,
    shelf: BundleShelf | None = None,
    secret: str | None = None,
    before: str | None = None,
    limit: int = 50,
) -> Timeline:
    """One page of a contact's timeline, in journey time. CommandError for a `before` that is none.

    With a shelf, events and purposes are called as the bundle in force calls them; with the installation's
    secret, addresses that stand on the list of suppressed ones are told with the moment since when.
    """
    bundle = _in_force(session, shelf)
    limit = max(1, min(limit, LONGEST_LIST))
    reached = _parsed(before)
    found = [
        *_in_order(_events(session, contact_id, bundle, int(reached[0]), limit + 1)),
        *_decisions(session, contact_id, reached[1] or None, limit + 1),
        *_in_order(_consents(session, contact_id, bundle, int(reached[2]), limit + 1)),
        *_suppressions(session, contact_id, secret, int(reached[3]), limit + 1),
        *_in_order(_receipts(session, contact_id, int(reached[4]), limit + 1)),
    ]
    found.sort(key=lambda each: (each.at, each.source, each.id), reverse=True)
    for entry in found[:limit]:
        reached[entry.source] = entry.token
    more = len(found) > limit
    shown = [entry.record for entry in found[:limit]]
    return Timeline(shown, "e{}_d{}_c{}_s{}_r{}".format(*reached) if more else None)


def _in_force(session: Session, shelf: BundleShelf | None) -> Bundle | None:
    if shelf is None:
        return None
    try:
        return shelf.live(session)
    except (NotFound, RulesetError):
        return None  # titles are a help; without them the ids stand there


def _in_order(entries: Sequence[_Entry]) -> Iterator[_Entry]:
    """Entries by falling ids, each no later than those before it: clocks of several machines may differ."""
    latest = None
    for entry in entries:
        latest = entry.at if latest is None else min(latest, entry.at)
        yield replace(entry, at=latest)


def _parsed(before: str | None) -> list[str]:
    if before is None:
        return [str(_LARGEST), "", *[str(_LARGEST)] * 3]
    found = _CURSOR.fullmatch(before)
    if found is None:
        raise CommandError("'before' is not where a page of this list ended; give what it said, as it is")
    events, decisions, *rest = found.groups()
    return [_bounded(events), decisions, *map(_bounded, rest)]


def _bounded(number: str) -> str:
    return str(min(int(number), _LARGEST))


def _events(
    session: Session, contact_id: str, bundle: Bundle | None, before: int, limit: int
) -> list[_Entry]:
    query = (
        select(EventRow)
        .where(col(EventRow.contact_id) == contact_id, col(EventRow.seq) < before)
        .order_by(col(EventRow.seq).desc())
        .limit(limit)
    )
    entries = []
    for row in session.scalars(query):
        known = bundle.events.get(row.type) if bundle is not None else None
        title = known.title if known is not None else row.type
        entries.append(
            _entry(
                row.received_at,
                0,
                row.seq or 0,
                str(row.seq),
                kind="event",
                what=row.type,
                title={"en": title, "zh": title},
                detail=row.source,
                reference=row.event_id,
                more=mask_value(row.properties),
            )
        )
    return entries


def _decisions(session: Session, contact_id: str, before: str | None, limit: int) -> list[_Entry]:
    page = list_decisions(session, Wanted(contact_id=contact_id), before=before, limit=limit)
    return [
        _entry(
            row.at,
            1,
            row.id,
            f"{(row.at - _EPOCH) // _MICROSECOND}.{row.id}",
            kind="send" if row.outcome == "sent" else row.kind,
            what=f"{row.verdict}: {row.reason}",
            title=titles(row.reason),
            detail=_detail(row),
            journey=row.journey,
            reference=row.intent_key or row.run_id,
            more=mask_value(row.evidence),
        )
        for row in page.rows
    ]


def _detail(row: Any) -> str:
    evidence = row.evidence
    match row.reason:
        case "task.opened":
            return f"{evidence['step']} on {evidence['queue']}"
        case "task.decided":
            return f"{evidence['step']}: {evidence['choice']} ({evidence['title']}) by {evidence['by']}"
    return ""


def _consents(
    session: Session, contact_id: str, bundle: Bundle | None, before: int, limit: int
) -> list[_Entry]:
    query = (
        select(ConsentRow)
        .where(
            col(ConsentRow.contact_id).in_([contact_id, *members_of(session, contact_id)]),
            col(ConsentRow.id) < before,
        )
        .order_by(col(ConsentRow.id).desc())
        .limit(limit)
    )
    return [
        _entry(
            row.recorded_at,
            2,
            row.id or 0,
            str(row.id),
            kind="consent",
            what=f"{row.decision}: {row.purpose}",
            title=_consent_title(row, bundle),
            detail=f"on {'every channel' if row.channel == '*' else row.channel}, by {row.actor}",
        )
        for row in session.scalars(query)
    ]


def _consent_title(row: ConsentRow, bundle: Bundle | None) -> dict[str, str]:
    purpose = bundle.purposes.get(row.purpose) if bundle is not None else None
    every = {"en": "everything", "zh": "全部"}
    said = _CONSENTS.get(row.decision, {})
    return {
        language: f"{said.get(language, row.decision)}: "
        + (every[language] if row.purpose == "*" else purpose.title_in(language) if purpose else row.purpose)
        for language in ("en", "zh")
    }


def _receipts(session: Session, contact_id: str, before: int, limit: int) -> list[_Entry]:
    query = (
        select(ReceiptRow)
        .where(
            col(ReceiptRow.contact_id).in_([contact_id, *members_of(session, contact_id)]),
            col(ReceiptRow.id) < before,
        )
        .order_by(col(ReceiptRow.id).desc())
        .limit(limit)
    )
    return [
        _entry(
            row.received_at,
            4,
            row.id or 0,
            str(row.id),
            kind="receipt",
            what=row.said,
            title=_SAID.get(row.said, {"en": row.said, "zh": row.said}),
            detail=" ".join(filter(None, (row.channel, row.code))),
            reference=row.intent_key,
        )
        for row in session.scalars(query)
    ]


def _suppressions(
    session: Session, contact_id: str, secret: str | None, before: int, limit: int
) -> list[_Entry]:
    """Addresses of the contact that stand on the list; it holds hashes, so only who has the key can tell."""
    if secret is None:
        return []
    owned = session.scalars(select(IdentityRow).where(col(IdentityRow.contact_id) == contact_id))
    digests = {digest_of(secret, each.platform, each.address): each.platform for each in owned}
    if not digests:
        return []
    listed = session.scalars(select(SuppressionRow).where(is_one_of(session, SuppressionRow.digest, digests)))
    entries = []
    for row in listed:
        moment = (row.added_at - _EPOCH) // _MICROSECOND
        # Several may stand there since one moment: the hash tells them apart and never changes.
        id_ = moment * 1024 + int(row.digest[:2], 16)
        if digests[row.digest] != row.platform or id_ >= before:
            continue
        closed = {"en": f"address closed: {row.reason}", "zh": f"地址已停用：{row.reason}"}
        entries.append(
            _entry(
                row.added_at,
                3,
                id_,
                str(id_),
                kind="suppression",
                what=f"{row.platform}: {row.reason}",
                title=_CLOSED.get(row.reason, closed),
                detail=f"by {mask_value(row.source)}",
            )
        )
    return sorted(entries, key=lambda each: each.id, reverse=True)[:limit]


def _entry(
    at: datetime,
    source: int,
    id_: int,
    token: str,
    *,
    kind: str,
    what: str,
    title: Mapping[str, str],
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
        "title": dict(title),
        "detail": detail,
        "reference": reference,
        "more": more or {},
    }
    return _Entry(at, source, id_, token, record)
