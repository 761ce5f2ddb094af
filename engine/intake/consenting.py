"""From a consent event to its entry in the ledger; pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from engine.authoring.bundle import Bundle, EventType
from engine.contacts.consent import ConsentEntry
from engine.journeys.event import Event

_DECISIONS = {"consent_granted": "granted", "consent_withdrawn": "withdrawn"}


def consent_entry(event: Event, kind: EventType, bundle: Bundle) -> ConsentEntry | None:
    """The ledger's entry for a consent event, None for any other.

    A grant without a purpose grants nothing and must have been refused before; a withdrawal without one
    withdraws everything. It is dated when it was said, never after it arrived.
    """
    decision = _DECISIONS.get(kind.effect or "")
    if decision is None:
        return None
    told = event.properties
    purpose = _text(told, "purpose") or "*"
    known = bundle.purposes.get(purpose)
    notice = _text(told, "notice")
    return ConsentEntry(
        contact_id=event.contact_id,
        purpose=purpose,
        decision=decision,
        recorded_at=min(event.occurred_at, event.received_at),
        channel=_text(told, "channel") or "*",
        purpose_version="1" if known is None else known.version,
        legal_basis=_text(told, "legal_basis") or "consent",
        notice_hash=hashlib.sha256(notice.encode()).hexdigest() if notice else None,
        notice_language=_text(told, "language"),
        mechanism=_text(told, "mechanism"),
        source=event.source,
        actor=_text(told, "actor") or "self",
    )


def _text(told: Mapping[str, Any], name: str) -> str | None:
    value = told.get(name)
    return value if isinstance(value, str) and value else None
