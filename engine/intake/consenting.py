"""From a consent event to its entries in the ledger, and to what else happens because of them; pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from engine.authoring.built_in import CONSENT_PENDING
from engine.authoring.bundle import Bundle, EventType
from engine.contacts.consent import ConsentEntry
from engine.gate.consent import ANY, ConsentRecord, confirmable
from engine.gate.model import DoubleOptIn
from engine.journeys.event import Event

DECISIONS = {"consent_granted": "granted", "consent_denied": "denied", "consent_withdrawn": "withdrawn"}
"""What an event's effect says."""
CONFIRMED = "consent_confirmed"
_SOURCE = "wayline"


def consent_entries(
    event: Event, kind: EventType, bundle: Bundle, known: Callable[[], Sequence[ConsentRecord]]
) -> list[ConsentEntry]:
    """The ledger's entries for a consent event, none for any other.

    A grant without a purpose grants nothing and must have been refused before; a withdrawal without one
    withdraws everything. It is dated when it was said, never after it arrived. A grant that has to be
    confirmed is pending until it is; `known` are the contact's entries so far, asked only to confirm one.
    What is imported brings its own proof and needs no confirming.
    """
    if kind.effect == CONFIRMED:
        return _confirmed(event, bundle, known())
    decision = DECISIONS.get(kind.effect or "")
    if decision is None:
        return []
    said = _entry(event, decision, bundle)
    if decision != "granted" or said.record.is_import:
        return [said]
    return list(_split(said, bundle))


def pending_events(entries: Sequence[ConsentEntry], cause: Event) -> list[Event]:
    """The events that tell of consents which wait to be confirmed: who sends the link enters by them."""
    return [
        Event(
            event_id=_event_id(cause, entry),
            type=CONSENT_PENDING,
            contact_id=entry.contact_id,
            occurred_at=cause.received_at,
            received_at=cause.received_at,
            source=_SOURCE,
            properties={
                "purpose": entry.purpose,
                "channel": entry.channel,
                "confirm_by": entry.valid_until.astimezone(UTC).isoformat(),
            },
        )
        for entry in entries
        # What was asked for so long ago that it has lapsed is not worth a message.
        if entry.decision == "pending"
        and entry.valid_until is not None
        and entry.valid_until > cause.received_at
    ]


def moment_of(text: object) -> datetime | None:
    """A moment with its zone, as events state it; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _entry(event: Event, decision: str, bundle: Bundle) -> ConsentEntry:
    told = event.properties
    purpose = _text(told, "purpose") or ANY
    known = bundle.purposes.get(purpose)
    notice = _text(told, "notice")
    said_at = _said_at(event)
    ends = [moment_of(told.get("valid_until"))] if decision == "granted" else []
    if decision == "granted" and known is not None and known.valid_for is not None:
        ends.append(said_at + known.valid_for)
    return ConsentEntry(
        contact_id=event.contact_id,
        purpose=purpose,
        decision=decision,
        recorded_at=said_at,
        channel=_text(told, "channel") or ANY,
        purpose_version=_text(told, "version") or ("1" if known is None else known.version),
        legal_basis=_text(told, "legal_basis") or "consent",
        notice_hash=hashlib.sha256(notice.encode()).hexdigest() if notice else _text(told, "notice_hash"),
        notice_language=_text(told, "language"),
        mechanism=_text(told, "mechanism"),
        source=event.source,
        actor=_text(told, "actor") or "self",
        jurisdiction=_text(told, "jurisdiction"),
        valid_until=min((moment for moment in ends if moment is not None), default=None),
        received_at=event.received_at,
        proof=_text(told, "proof"),
    )


def _split(said: ConsentEntry, bundle: Bundle) -> list[ConsentEntry]:
    """A grant as far as it counts at once, and as far as it is pending: each on its channels."""
    asked = _double_opt_in(said.purpose, bundle)
    if asked is None:
        return [said]
    until = said.recorded_at + asked.within
    if said.valid_until is not None:
        until = min(until, said.valid_until)

    def on(channel: str) -> ConsentEntry:
        if not asked.concerns(channel):
            return replace(said, channel=channel)
        return replace(said, channel=channel, decision="pending", valid_until=until)

    if said.channel != ANY or not asked.channels:
        return [on(said.channel)]
    # For all channels, of which some want to be confirmed: each gets an entry of its own.
    return [on(channel) for channel in sorted({*bundle.channels, *asked.channels})]


def _double_opt_in(purpose: str, bundle: Bundle) -> DoubleOptIn | None:
    """What a grant of the purpose (`*`: of all) has to go through; the strictest where several ask for it."""
    named = bundle.purposes.values() if purpose == ANY else filter(None, [bundle.purposes.get(purpose)])
    asked = [each.double_opt_in for each in named if each.double_opt_in is not None]
    if not asked:
        return None
    everywhere = any(not each.channels for each in asked)
    channels = () if everywhere else tuple(sorted({name for each in asked for name in each.channels}))
    return DoubleOptIn(min(each.within for each in asked), channels)


def _confirmed(event: Event, bundle: Bundle, known: Sequence[ConsentRecord]) -> list[ConsentEntry]:
    """The grant that a confirmation makes of what is pending; none when nothing is, or not any more."""
    told = event.properties
    purpose, channel = _text(told, "purpose") or ANY, _text(told, "channel") or ANY
    at = _said_at(event)
    for pending in confirmable(known, channel, at, at):
        if (pending.purpose, pending.channel) == (purpose, channel):
            declared = bundle.purposes.get(purpose)
            lasts = None if declared is None else declared.valid_for
            return [
                ConsentEntry(
                    contact_id=event.contact_id,
                    purpose=purpose,
                    decision="granted",
                    recorded_at=at,
                    channel=channel,
                    purpose_version=pending.purpose_version,
                    legal_basis=pending.legal_basis,
                    mechanism="double_opt_in",
                    source=event.source,
                    valid_until=None if lasts is None else at + lasts,
                    received_at=event.received_at,
                )
            ]
    return []


def _said_at(event: Event) -> datetime:
    return min(event.occurred_at, event.received_at)


def _event_id(cause: Event, entry: ConsentEntry) -> str:
    named = f"{cause.event_id} {entry.purpose} {entry.channel}"
    return f"pending:{hashlib.sha256(named.encode()).hexdigest()[:32]}"


def _text(told: Mapping[str, Any], name: str) -> str | None:
    value = told.get(name)
    return value if isinstance(value, str) and value else None
