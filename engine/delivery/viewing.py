"""Reads what the gate sees of an intent, in as few statements as it takes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, or_, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.clock import JourneyTime
from engine.contacts.consent import consent_records
from engine.contacts.profile import contact_facts
from engine.contacts.rows import profile_of
from engine.gate.caps import horizon
from engine.gate.model import Intent
from engine.gate.state import GateRules, Identity, Moment, Place, PublishedBreaker, Standing, View
from engine.store.tables import (
    AttemptRow,
    BreakerRow,
    CapPlaceRow,
    ContactRow,
    ControlRow,
    IdentityRow,
)

# Built once: putting a statement together costs as much as running it.
_BREAKERS = (
    select(
        col(BreakerRow.breaker_id),
        col(BreakerRow.scope),
        col(BreakerRow.state),
        col(BreakerRow.level),
        col(BreakerRow.probes_left),
        col(BreakerRow.ramp),
        col(BreakerRow.epoch),
    )
    .where(col(BreakerRow.state) != "closed")
    .order_by(col(BreakerRow.breaker_id), col(BreakerRow.scope))
)
_IDENTITIES = (
    select(col(IdentityRow.platform), col(IdentityRow.address), col(IdentityRow.suppressed))
    .where(col(IdentityRow.contact_id) == bindparam("contact_id"))
    .order_by(col(IdentityRow.added_at).desc(), col(IdentityRow.platform), col(IdentityRow.address))
)
_PLACES = select(
    col(CapPlaceRow.cap_id),
    col(CapPlaceRow.intent_key),
    col(CapPlaceRow.at),
    col(CapPlaceRow.state),
    col(CapPlaceRow.purpose),
    col(CapPlaceRow.channel),
    col(CapPlaceRow.journey),
    col(CapPlaceRow.tags),
).where(
    col(CapPlaceRow.contact_id) == bindparam("contact_id"),
    or_(
        and_(col(CapPlaceRow.state) == "confirmed", col(CapPlaceRow.at) >= bindparam("since")),
        and_(col(CapPlaceRow.state) == "leased", col(CapPlaceRow.lease_until) > bindparam("delivery_now")),
    ),
)
_REFUSALS = select(col(AttemptRow.channel), col(AttemptRow.code)).where(
    col(AttemptRow.intent_key) == bindparam("key"), col(AttemptRow.result) == "rejected"
)


def read_view(
    session: Session,
    intent: Intent,
    control: ControlRow,
    bundle: Bundle,
    rules: GateRules,
    at: datetime,
    *,
    was_tried: bool,
) -> View:
    """The gate's view of an intent as of this transaction; `at` is delivery time.

    Whoever knows that the intent was never handed over spares the question which channels refused it.
    """
    time = time_of(control)
    contact = session.get(ContactRow, intent.contact_id, populate_existing=True)
    return View(
        rules=rules,
        standing=standing_of(contact),
        kill_reason=kill_reason_of(control),
        breakers=read_breakers(session),
        identities=_identities(session, intent.contact_id),
        consents=tuple(consent_records(session, intent.contact_id)),
        places=read_places(session, intent, rules, Moment.of(at, time)),
        refused_by=_refusals(session, intent.key) if was_tried else {},
        contact=_facts(contact, bundle.workspace.attributes) if contact is not None else {},
        time=time,
    )


def time_of(control: ControlRow) -> JourneyTime:
    """How the workspace's journey time runs."""
    return JourneyTime(control.time_origin, control.time_journey_origin, control.time_scale)


def kill_reason_of(control: ControlRow) -> str | None:
    """Why everything is stopped, in the operator's words; None when it is not."""
    return None if control.killed_at is None else control.kill_reason or "no reason given"


def standing_of(contact: ContactRow | None) -> Standing | None:
    """Whether the contact may be reached, and what caps need of them; None for no such contact."""
    if contact is None:
        return None
    return Standing(
        timezone=contact.timezone,
        tags=frozenset(contact.tags) | frozenset(contact.derived_tags),
        suppressed=contact.suppressed,
        is_erased=contact.erased_at is not None,
        is_merged=contact.merged_into is not None,
    )


def read_breakers(session: Session) -> tuple[PublishedBreaker, ...]:
    """Every breaker that is not closed."""
    return tuple(PublishedBreaker(*row) for row in session.execute(_BREAKERS))


def published(row: BreakerRow) -> PublishedBreaker:
    """A breaker's row as the gate sees it."""
    return PublishedBreaker(
        row.breaker_id, row.scope, row.state, row.level, row.probes_left, row.ramp, row.epoch
    )


def read_places(session: Session, intent: Intent, rules: GateRules, now: Moment) -> tuple[Place, ...]:
    """The contact's places that caps may count: confirmed ones young enough, leased ones while they last."""
    purpose = rules.purposes.get(intent.purpose)
    if not rules.caps or purpose is None or purpose.is_exempt_from_caps:
        return ()
    asked = {
        "contact_id": intent.contact_id,
        "since": now.journey - horizon(rules.caps),
        "delivery_now": now.delivery,
    }
    return tuple(
        Place(cap_id, key, at, state == "confirmed", purpose_id, channel, journey, frozenset(tags))
        for cap_id, key, at, state, purpose_id, channel, journey, tags in session.execute(_PLACES, asked)
    )


def _identities(session: Session, contact_id: str) -> tuple[Identity, ...]:
    return tuple(Identity(*row) for row in session.execute(_IDENTITIES, {"contact_id": contact_id}))


def _refusals(session: Session, key: str) -> dict[str, str]:
    return {channel: code for channel, code in session.execute(_REFUSALS, {"key": key})}  # noqa: C416


def _facts(contact: ContactRow, attributes: Mapping[str, str]) -> dict[str, Any]:
    """The contact's facts by their short names, label sets as sorted lists, as templates use them."""
    facts = contact_facts(profile_of(contact), attributes)
    return {
        name.removeprefix("contact."): sorted(value) if isinstance(value, frozenset) else value
        for name, value in facts.items()
    }
