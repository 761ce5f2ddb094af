"""Where histories come from: the event store, read only, or files of events as `wayline ingest` takes."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.contacts.rows import profile_at, profile_columns
from engine.errors import NotFound
from engine.gate.consent import ConsentRecord
from engine.intake.checking import Usable, check, kind_of
from engine.intake.files import Line
from engine.intake.identifying import BUILT_IN
from engine.intake.incoming import Identity, Unusable
from engine.intake.opting_out import is_withdrawal
from engine.intake.schemas import EventSchemas
from engine.journeys.event import JOURNEY_REQUESTED
from engine.journeys.program import ChangeTags
from engine.journeys.starting import SOURCE as BY_A_STEP
from engine.simulation.histories import Happening, History
from engine.simulation.people import Person
from engine.store.bulk import is_one_of, table_of
from engine.store.tables import AttemptRow, ConsentRow, ContactRow, EventRow, IdentityRow, IntentRow, RunRow

_PAGE = 500
_CONTACT, _EVENT = table_of(ContactRow), table_of(EventRow)
_IDENTITY, _CONSENT = table_of(IdentityRow), table_of(ConsentRow)
_INTENT, _ATTEMPT, _RUN = table_of(IntentRow), table_of(AttemptRow), table_of(RunRow)


def contact_ids(
    session: Session, *, sample: int | None = None, seed: int = 0, only: Sequence[str] = ()
) -> list[str]:
    """Ids of the contacts that can be lived through: neither erased nor merged away; in order.

    A `sample` is the same for the same seed and contacts. NotFound for a contact of `only` that is not there.
    """
    query = select(_CONTACT.c.id).where(_CONTACT.c.erased_at.is_(None), _CONTACT.c.merged_into.is_(None))
    if only:
        query = query.where(is_one_of(session, _CONTACT.c.id, only))
    found = sorted(session.scalars(query))
    for missing in sorted(set(only) - set(found)):
        raise NotFound(f"there is no contact {missing!r}")
    if sample is not None and sample < len(found):
        found = sorted(random.Random(seed).sample(found, sample))
    return found


def from_store(
    session: Session, ids: Sequence[str], bundle: Bundle, start: datetime, until: datetime
) -> Iterator[History]:
    """The histories of contacts, page by page, with their events before `until` in the order they came in.

    Attributes and tags are those of today, for nobody keeps how they were; tags that steps of runs since
    `start` can have set are left out. Consents are those of the ledger up to `start`; later ones come with
    their events.
    """
    for at in range(0, len(ids), _PAGE):
        yield from _page(session, ids[at : at + _PAGE], bundle, start, until)


def _page(
    session: Session, ids: Sequence[str], bundle: Bundle, start: datetime, until: datetime
) -> Iterator[History]:
    profiles = {
        profile.id: profile
        for profile in map(
            profile_at,
            session.execute(select(*profile_columns()).where(is_one_of(session, _CONTACT.c.id, ids))),
        )
    }
    identities = _grouped(
        session.execute(
            select(_IDENTITY.c.contact_id, _IDENTITY.c.platform, _IDENTITY.c.address)
            .where(is_one_of(session, _IDENTITY.c.contact_id, ids), _IDENTITY.c.suppressed.is_(None))
            .order_by(_IDENTITY.c.contact_id, _IDENTITY.c.added_at.desc(), _IDENTITY.c.address)
        )
    )
    ledger = _grouped(
        session.execute(
            select(_CONSENT)
            .where(is_one_of(session, _CONSENT.c.contact_id, ids), _CONSENT.c.recorded_at <= start)
            .order_by(_CONSENT.c.contact_id, _CONSENT.c.id)
        )
    )
    events = _grouped(
        session.execute(
            select(_EVENT)
            .where(is_one_of(session, _EVENT.c.contact_id, ids), _EVENT.c.received_at < until)
            .order_by(_EVENT.c.contact_id, _EVENT.c.seq)
        )
    )
    refused: dict[str, dict[str, str]] = {}
    for contact_id, key, code in session.execute(
        select(_INTENT.c.contact_id, _INTENT.c.key, _ATTEMPT.c.code)
        .join(_ATTEMPT, _ATTEMPT.c.intent_key == _INTENT.c.key)
        .where(
            is_one_of(session, _INTENT.c.contact_id, ids),
            _INTENT.c.outcome == "failed",
            _ATTEMPT.c.result == "rejected",
        )
    ):
        refused.setdefault(contact_id, {})[key] = code or "rejected"
    own = _tags_of_steps(bundle)
    ran: dict[str, set[str]] = {}
    for contact_id, journey in session.execute(
        select(_RUN.c.contact_id, _RUN.c.journey).where(
            is_one_of(session, _RUN.c.contact_id, ids), _RUN.c.started_at >= start
        )
    ):
        ran.setdefault(contact_id, set()).update(own.get(journey, ()))
    for id_ in ids:
        profile = profiles.get(id_)
        if profile is None:
            continue
        addresses: dict[str, str] = {}
        for row in identities.get(id_, ()):
            if row.platform in bundle.workspace.identities:
                addresses.setdefault(row.platform, row.address)
        happenings = tuple(_happenings(events.get(id_, ()), bundle))
        yield History(
            Person(
                id_,
                identities=addresses,
                # Their numbers, which come along, say again what they have said.
                timezone=profile.timezone if profile.timezone_source != "number" else None,
                timezone_source=profile.timezone_source or "stated",
                locale=profile.locale,
                tags=frozenset(profile.tags) - ran.get(id_, set()),
                attributes=profile.attributes,
                ledger=tuple(_record(row) for row in ledger.get(id_, ())),
            ),
            happenings,
            is_new=profile.created_at >= start,
            refused=refused.get(id_, {}),
        )


def _tags_of_steps(bundle: Bundle) -> dict[str, frozenset[str]]:
    """Journey -> the tags that its steps add."""
    return {
        name: frozenset(
            tag for step in program.steps.values() if isinstance(step, ChangeTags) for tag in step.add
        )
        for name, program in bundle.programs.items()
    }


def _grouped(rows: Iterable[object]) -> dict[str, list[Any]]:
    return {id_: list(group) for id_, group in groupby(rows, key=lambda row: row.contact_id)}  # type: ignore[attr-defined]


def _happenings(rows: Iterable[Any], bundle: Bundle) -> Iterator[Happening]:
    """Recorded events, those aside that Wayline itself wrote: a simulation writes its own."""
    for row in rows:
        kind = kind_of(row.type, bundle)
        is_ours = kind is not None and kind.is_own
        asked_from_outside = row.type == JOURNEY_REQUESTED and row.source != BY_A_STEP
        is_ours = is_ours or is_withdrawal(row.type, row.source)
        if kind is not None and (not is_ours or asked_from_outside):
            yield Happening(row.received_at, row.type, row.properties, age=row.received_at - row.occurred_at)


def _record(row: Any) -> ConsentRecord:
    return ConsentRecord(
        purpose=row.purpose,
        channel=row.channel,
        decision=row.decision,
        recorded_at=row.recorded_at,
        valid_until=row.valid_until,
        source=row.source,
        purpose_version=row.purpose_version,
        legal_basis=row.legal_basis,
    )


@dataclass
class Gathered:
    """What was found in files of events."""

    histories: list[History] = field(default_factory=list)
    unusable: dict[str, int] = field(default_factory=dict)
    """Code -> how many lines could not be used for it."""


def from_lines(lines: Iterable[Line], bundle: Bundle, now: datetime) -> Gathered:
    """The contacts that files tell of, each from its first event on; `now` bounds moments ahead.

    An event arrives at the moment it says it happened. All lines are held in memory meanwhile.
    """
    found = Gathered()
    schemas = EventSchemas(bundle.events)
    whose: dict[Identity, int] = {}
    gathered: dict[int, list[Happening]] = {}
    seen: set[str] = set()
    for line in lines:
        incoming = line.incoming()
        checked = incoming if isinstance(incoming, Unusable) else check(incoming, bundle, schemas, now)
        if isinstance(checked, Unusable):
            found.unusable[checked.code] = found.unusable.get(checked.code, 0) + 1
            continue
        if checked.event.message_id in seen:
            continue
        seen.add(checked.event.message_id)
        known = next((whose[each] for each in checked.identities if each in whose), len(gathered))
        for each in checked.identities:
            whose.setdefault(each, known)
        gathered.setdefault(known, []).append(_stated(checked))
    names = _names(whose)
    for number, happenings in gathered.items():
        happenings.sort(key=lambda each: each.at)
        found.histories.append(History(Person(names[number]), tuple(happenings), is_new=True))
    return found


def _stated(usable: Usable) -> Happening:
    event = usable.event
    traits = dict(event.traits)
    if event.timezone is not None:
        traits.setdefault("timezone", event.timezone)
    if usable.locale is not None:
        traits.setdefault("locale", usable.locale)
    stated = {platform: address for platform, address in usable.identities if platform not in BUILT_IN}
    traits |= {platform: address for platform, address in stated.items() if platform not in traits}
    return Happening(usable.occurred_at, event.type, event.properties, traits)


def _names(whose: Mapping[Identity, int]) -> dict[int, str]:
    """What each contact is called: by the sender's own id where there is one."""
    names: dict[int, str] = {}
    for (platform, address), number in sorted(whose.items(), key=lambda item: item[0][0] != "user"):
        names.setdefault(number, address if platform == "user" else f"{platform}:{address}")
    return names
