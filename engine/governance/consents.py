"""What the ledger says of one contact, now or at any moment before; and what operators write into it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.authoring.reading.validating import known_list, nearest
from engine.contacts.consent import consent_records, said_under, ways_at
from engine.delivery.viewing import read_situation
from engine.errors import CommandError, NotFound
from engine.gate.consent import (
    ANY,
    OF_EVERY_WORKSPACE,
    ConsentRecord,
    consent_for,
    may_be_personal,
    may_cross,
)
from engine.governance.records import Record, find_living
from engine.intake.incoming import IncomingEvent
from engine.store.bundles import BundleShelf
from engine.store.tables import ConsentRow

EVENTS = {"granted": "consent_granted", "denied": "consent_denied", "withdrawn": "consent_withdrawn"}
"""Decision -> the event by which it comes to the ledger."""


def consent_report(
    session: Session, bundle: Bundle, contact_id: str, *, at: datetime | None, now: datetime
) -> Record:
    """What a contact agreed to: the state by purpose and channel, and every entry, as plain values.

    With `at` (journey time; `now` is the present) it is what the gate would have said at that moment: entries
    that came in later do not count, however early they are dated. The purposes are those of today.
    """
    moment = at or now
    ways = ways_at(session, contact_id, moment)
    query = (
        select(ConsentRow).where(col(ConsentRow.contact_id).in_(sorted(ways))).order_by(col(ConsentRow.id))
    )
    rows = [row for row in session.scalars(query) if _known_at(row) <= moment]
    records = [
        replace(_record(row), **said_under(row.contact_id, contact_id, ways))
        for row in rows
        if row.recorded_at <= moment
    ]
    return {
        "contact_id": contact_id,
        "at": moment.isoformat(),
        "state": [
            _state(records, bundle, purpose, channel, moment)
            for purpose in bundle.purposes
            for channel in bundle.channels
        ],
        "personalisation": may_be_personal(records),
        "cross_border": may_cross(records, ANY, moment),
        "ledger": [_entry(row) for row in rows],
    }


@dataclass(frozen=True)
class Said:
    """What an operator writes down for a contact."""

    decision: str
    """granted | denied | withdrawn"""
    purpose: str
    channel: str = ANY
    more: Mapping[str, str | None] | None = None
    """Further properties of the event: legal basis, notice, proof, …"""


def said_event(session: Session, shelf: BundleShelf, contact: str, said: Said, *, by: str) -> IncomingEvent:
    """The event that brings it to the ledger; take it in like any other, so that the journeys hear of it.

    NotFound for an unknown contact, CommandError for a purpose or channel that nothing knows: a misspelt name
    would be kept, and the contact would be written to all the same.
    """
    contact_id = find_living(session, contact)
    known = consent_records(session, contact_id)
    bundle = shelf.live(session)
    everything = set() if said.decision == "granted" else {ANY}
    purposes = {*bundle.purposes, *OF_EVERY_WORKSPACE, *(record.purpose for record in known)} - {ANY}
    _must_know("purpose", said.purpose, purposes | everything)
    _must_know("channel", said.channel, {*bundle.channels, *(record.channel for record in known), ANY})
    stated = {name: value for name, value in (said.more or {}).items() if value is not None}
    return IncomingEvent(
        message_id=f"operator:{uuid.uuid4().hex}",
        type=EVENTS[said.decision],
        contact_id=contact_id,
        properties={
            "mechanism": "operator",
            "actor": by,
            **stated,
            "purpose": said.purpose,
            "channel": said.channel,
        },
    )


def refused_still(
    session: Session, bundle: Bundle, contact_id: str, purpose: str, channel: str, now: datetime
) -> list[Record]:
    """Refusals that an agreement to `purpose` on `channel` has not lifted, by channel, with what would."""
    declared = bundle.purposes.get(purpose)
    records = consent_records(session, contact_id)
    found = []
    for name in bundle.channels if channel == ANY else [channel]:
        answer = None if declared is None else consent_for(records, declared, name, now)
        if answer is None or answer.record is None or not answer.is_refused:
            continue
        refusal = answer.record
        found.append(
            {
                "channel": name,
                "refused": refusal.purpose,
                "refused_on": refusal.channel,
                "since": refusal.recorded_at.isoformat(),
                "lifted_by": "the contact alone, on the preference page that their messages link to"
                if refusal.purpose == ANY
                else f"an agreement that names the channel: --channel {refusal.channel}",
            }
        )
    return found


def journey_now(session: Session, delivery_now: datetime) -> datetime:
    """The present moment of the workspace's journeys; the given one before it was set up."""
    try:
        return read_situation(session).time.at(delivery_now)
    except NotFound:
        return delivery_now


def _known_at(row: ConsentRow) -> datetime:
    # Entries of the first form do not say when they came in, and were never dated after it.
    return row.received_at or row.recorded_at


def _record(row: ConsentRow) -> ConsentRecord:
    return ConsentRecord(
        row.purpose,
        row.channel,
        row.decision,
        row.recorded_at,
        row.valid_until,
        row.source,
        row.purpose_version,
        row.legal_basis,
    )


def _state(records: list[ConsentRecord], bundle: Bundle, purpose: str, channel: str, at: datetime) -> Record:
    found = consent_for(records, bundle.purposes[purpose], channel, at)
    decisive = found.record
    return {
        "purpose": purpose,
        "channel": channel,
        "state": found.state.value,
        "may_be_sent": _may_be_sent(bundle.purposes[purpose].kind, found.state.value),
        "since": None if decisive is None else decisive.recorded_at.isoformat(),
        "version": None if decisive is None else decisive.purpose_version,
        "source": None if decisive is None else decisive.source,
    }


def _may_be_sent(kind: str, state: str) -> bool:
    if kind == "legal":
        return True
    return state == "granted" if kind == "marketing" else state not in {"withdrawn", "denied"}


def _entry(row: ConsentRow) -> Record:
    """An entry as it stands in the ledger; of a forgotten proof only that there was one."""
    hidden = {"proof_salt", "contact_id"}
    shown: Record = {}
    for name in type(row).model_fields:
        if name not in hidden:
            value = getattr(row, name)
            shown[name] = value.isoformat() if isinstance(value, datetime) else value
    return shown


def _must_know(noun: str, name: str, known: set[str]) -> None:
    if name not in known:
        hint = nearest(name, known) or known_list(known)
        raise CommandError(f"{name!r} is not a {noun} of this workspace; nothing was recorded: {hint}")
