"""Reads what the gate sees of an intent, in as few statements as it takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, select
from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.clock import JourneyTime
from engine.contacts.consent import consent_records_of
from engine.contacts.hearing import of_document
from engine.contacts.profile import Profile, contact_facts, countries_of_numbers, zones_of_numbers
from engine.contacts.rows import profile_of
from engine.delivery.budgets import read_books
from engine.delivery.places import read_places_of
from engine.delivery.returns import read_halts
from engine.delivery.reviews import read_reviews
from engine.delivery.rivals import read_rivals
from engine.errors import NotFound
from engine.gate.model import Intent
from engine.gate.state import GateRules, Identity, Moment, PublishedBreaker, Standing, View
from engine.rules.facts import Facts
from engine.store.bulk import table_of
from engine.store.bundles import BundleShelf
from engine.store.prepared import Prepared
from engine.store.tables import (
    AttemptRow,
    BreakerRow,
    ContactRow,
    ControlRow,
    IdentityRow,
)

# Built once, over tables: putting a statement together costs as much as running it, and so do mapped objects.
_CONTACT = table_of(ContactRow)
_CONTROL = table_of(ControlRow)
_BREAKER = table_of(BreakerRow)
_IDENTITY = table_of(IdentityRow)
_ATTEMPT = table_of(AttemptRow)

SITUATION_COLUMNS: tuple[ColumnElement[Any], ...] = (
    _CONTROL.c.live_bundle,
    _CONTROL.c.killed_at,
    _CONTROL.c.kill_reason,
    _CONTROL.c.time_origin,
    _CONTROL.c.time_journey_origin,
    _CONTROL.c.time_scale,
    _CONTROL.c.in_flight,
    _BREAKER.c.breaker_id,
    _BREAKER.c.scope,
    _BREAKER.c.state.label("breaker_state"),
    _BREAKER.c.level,
    _BREAKER.c.probes_left,
    _BREAKER.c.ramp,
    _BREAKER.c.epoch,
)
"""What `situation_of` reads, last in a row each; for statements that learn the situation on the way."""
WITH_BREAKERS = _CONTROL.outerjoin(_BREAKER, _BREAKER.c.state != "closed")
"""What they are selected from."""

_SELECT_SITUATION = select(*SITUATION_COLUMNS).select_from(WITH_BREAKERS)
_SITUATION = Prepared(_SELECT_SITUATION)
_SHARED_SITUATION = Prepared(_SELECT_SITUATION.with_for_update(read=True, of=_CONTROL))
_WHOLE_CONTACT = Prepared(select(_CONTACT).where(_CONTACT.c.id == bindparam("contact_id")))
_LOCK_STANDING = Prepared(
    select(
        _CONTACT.c.timezone,
        _CONTACT.c.timezone_source,
        _CONTACT.c.numbers,
        _CONTACT.c.attributes,
        _CONTACT.c.tags,
        _CONTACT.c.derived_tags,
        _CONTACT.c.suppressed,
        _CONTACT.c.erased_at,
        _CONTACT.c.merged_into,
        _CONTACT.c.silent_since,
    )
    .where(_CONTACT.c.id == bindparam("contact_id"))
    .with_for_update()
)
_LOCK_CONTACT = Prepared(select(_CONTACT).where(_CONTACT.c.id == bindparam("contact_id")).with_for_update())
_IDENTITIES = Prepared(
    select(_IDENTITY.c.platform, _IDENTITY.c.address, _IDENTITY.c.suppressed, _IDENTITY.c.heard)
    .where(_IDENTITY.c.contact_id == bindparam("contact_id"))
    .order_by(_IDENTITY.c.added_at.desc(), _IDENTITY.c.platform, _IDENTITY.c.address)
)
_REFUSALS = Prepared(
    select(_ATTEMPT.c.channel, _ATTEMPT.c.code).where(
        _ATTEMPT.c.intent_key == bindparam("key"), _ATTEMPT.c.result == "rejected"
    )
)


@dataclass(frozen=True)
class Situation:
    """What holds for every intent at one moment: the control row, and the breakers that are not closed."""

    live_bundle: str | None
    """Its hash; None before the first is published."""
    kill_reason: str | None
    """Why everything is stopped, in the operator's words; None when it is not."""
    time: JourneyTime
    breakers: tuple[PublishedBreaker, ...]
    in_flight: Mapping[str, Any] = field(default_factory=dict)
    """What is being done about people on their way in earlier versions; `engine.store.in_flight` reads it."""


def read_situation(session: Session, *, share: bool = False) -> Situation:
    """What holds for every intent now. NotFound for a workspace that was never set up.

    With `share` nobody changes the control row before this transaction ends: a kill comes before or after.
    """
    rows = (_SHARED_SITUATION if share else _SITUATION).rows(session, {})
    if not rows:
        raise NotFound("this workspace was never set up; `wayline up` and `wayline publish` do it")
    return situation_of(rows)


def situation_of(rows: Sequence[Sequence[Any]]) -> Situation:
    """The situation out of rows that end in `SITUATION_COLUMNS`: one for each breaker, or one without any."""
    plain = [tuple(row)[-len(SITUATION_COLUMNS) :] for row in rows]
    live_bundle, killed_at, kill_reason, origin, journey_origin, scale, in_flight = plain[0][:7]
    breakers = [PublishedBreaker(*values[7:]) for values in plain if values[7] is not None]
    return Situation(
        live_bundle=live_bundle,
        kill_reason=None if killed_at is None else kill_reason or "no reason given",
        time=JourneyTime(origin, journey_origin, scale),
        breakers=tuple(sorted(breakers, key=lambda breaker: (breaker.breaker_id, breaker.scope))),
        in_flight=in_flight,
    )


def read_view(
    session: Session,
    shelf: BundleShelf,
    intent: Intent,
    situation: Situation,
    bundle: Bundle,
    rules: GateRules,
    at: datetime,
    *,
    contact: Profile | None = None,
    was_tried: bool = True,
) -> View:
    """The gate's view of an intent as of this transaction; `at` is delivery time.

    Whoever holds the contact's row already gives it, and whoever knows that the intent was never handed over
    spares the question which channels refused it.
    """
    found = contact if contact is not None else _profile(session, intent.contact_id)
    tried = [intent.key] if was_tried else []
    return read_views(session, shelf, [(intent, found)], situation, bundle, rules, at, tried=tried)[0]


def read_views(
    session: Session,
    shelf: BundleShelf,
    asked: Sequence[tuple[Intent, Profile | None]],
    situation: Situation,
    bundle: Bundle,
    rules: GateRules,
    at: datetime,
    *,
    tried: Collection[str],
) -> list[View]:
    """The gate's views of intents of these contacts, in this order; `tried` are keys handed over before."""
    now = Moment.of(at, situation.time)
    whose = [{"contact_id": intent.contact_id} for intent, _ in asked]
    refused = [{"key": intent.key} for intent, _ in asked if intent.key in tried]
    refusals = {
        each["key"]: dict(rows)
        for each, rows in zip(refused, _REFUSALS.rows_for(session, refused), strict=True)
    }
    views = []
    for (intent, contact), identities, consents, places in zip(
        asked,
        _IDENTITIES.rows_for(session, whose),
        consent_records_of(session, [intent.contact_id for intent, _ in asked]),
        read_places_of(session, [intent for intent, _ in asked], rules, now),
        strict=True,
    ):
        facts = {} if contact is None else contact_facts(contact, bundle, now.journey)
        books, paid = read_books(session, intent, rules, now.journey)
        views.append(
            View(
                rules=rules,
                standing=None if contact is None else standing_of(contact),
                kill_reason=situation.kill_reason,
                breakers=situation.breakers,
                identities=tuple(_identity(row) for row in identities),
                consents=tuple(consents),
                places=places,
                refused_by=refusals.get(intent.key, {}),
                contact=_short(facts),
                facts=facts if rules.asks_facts else {},
                rivals=read_rivals(session, shelf, intent, rules, now.journey),
                books=books,
                paid=paid,
                halts=read_halts(session, intent, rules),
                reviewed=read_reviews(session, intent, rules) if rules.reviews else {},
                time=situation.time,
            )
        )
    return views


def lock_profiles_of(session: Session, ids: Sequence[str]) -> dict[str, Profile]:
    """The contacts as they stand now, held by this transaction in the order of ids; unknown left out."""
    asked = [{"contact_id": contact_id} for contact_id in sorted(set(ids))]
    found = _LOCK_CONTACT.rows_for(session, asked)
    return {rows[0].id: profile_of(rows[0]) for rows in found if rows}


def address_of(session: Session, contact_id: str, platform: str) -> str | None:
    """The contact's address on a platform, the latest where there are several; None where there is none."""
    known = _IDENTITIES.rows(session, {"contact_id": contact_id})
    return next((row.address for row in known if row.platform == platform), None)


def lock_standing(session: Session, contact_id: str) -> Standing | None:
    """Whether the contact may be reached, their row held by this transaction; None for no such contact."""
    found = _LOCK_STANDING.row(session, {"contact_id": contact_id})
    return None if found is None else standing_of(found)


def lock_contact(
    session: Session, contact_id: str, bundle: Bundle, rules: GateRules, now: datetime
) -> tuple[Standing | None, Facts]:
    """`lock_standing`, and the contact's facts at journey time `now` where the rules ask for them."""
    if not rules.asks_facts:
        return lock_standing(session, contact_id), {}
    row = _LOCK_CONTACT.row(session, {"contact_id": contact_id})
    if row is None:
        return None, {}
    return standing_of(row), contact_facts(profile_of(row), bundle, now)


def standing_of(contact: Any) -> Standing:
    """Whether a contact may be reached, and what later stages need; of a row with the contact's columns."""
    return Standing(
        timezone=contact.timezone,
        timezone_source=contact.timezone_source,
        timezone_candidates=zones_of_numbers(contact.numbers) if contact.timezone is None else (),
        countries=countries_of_numbers(contact.numbers),
        attributes=contact.attributes,
        tags=frozenset(contact.tags) | frozenset(contact.derived_tags),
        suppressed=contact.suppressed,
        is_erased=contact.erased_at is not None,
        is_merged=contact.merged_into is not None,
        silent_since=contact.silent_since,
    )


def published(row: BreakerRow) -> PublishedBreaker:
    """A breaker's row as the gate sees it."""
    return PublishedBreaker(
        row.breaker_id, row.scope, row.state, row.level, row.probes_left, row.ramp, row.epoch
    )


def _identity(row: Sequence[Any]) -> Identity:
    platform, address, suppressed, heard = row
    # Most have written nothing, or nothing that opens a window.
    return (
        Identity(platform, address, suppressed, of_document(heard))
        if heard
        else Identity(platform, address, suppressed)
    )


def _profile(session: Session, contact_id: str) -> Profile | None:
    row = _WHOLE_CONTACT.row(session, {"contact_id": contact_id})
    return None if row is None else profile_of(row)


def _short(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts by their short names, label sets as sorted lists, as templates use them."""
    return {
        name.removeprefix("contact."): sorted(value) if isinstance(value, frozenset) else value
        for name, value in facts.items()
    }
