"""Places in caps as rows: read, taken and confirmed inside the transactions of reservation and hand-over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Integer, Select, bindparam, delete, insert, literal_column, select, union_all, update
from sqlalchemy.orm import Session

from engine.gate.caps import depth, still_counts
from engine.gate.concerning import caps_of, part_of, places_on
from engine.gate.model import Cap, Intent
from engine.gate.state import GateRules, Moment, Passage, Place, View
from engine.store.bulk import table_of
from engine.store.prepared import Prepared
from engine.store.tables import CapPlaceRow

# Built once: putting a statement together costs as much as running it.
_PLACE = table_of(CapPlaceRow)
_INSERT = Prepared(insert(_PLACE))
_FORGET = Prepared(delete(_PLACE).where(_PLACE.c.intent_key == bindparam("key")))
_CONFIRM = Prepared(
    update(_PLACE)
    .where(_PLACE.c.intent_key == bindparam("key"), _PLACE.c.state == "leased")
    .values(state="confirmed", at=bindparam("moment"), lease_until=None)
)
_LAPSED = Prepared(
    select(_PLACE.c.cap_id).where(
        _PLACE.c.intent_key == bindparam("key"),
        _PLACE.c.state == "leased",
        _PLACE.c.lease_until <= bindparam("delivery_now"),
    )
)
_COLUMNS = tuple(
    _PLACE.c[name]
    for name in (
        "cap_id",
        "intent_key",
        "at",
        "state",
        "purpose",
        "channel",
        "journey",
        "tags",
        "content",
        "part",
    )
)
# Written into the text: an index of leased places alone is of use only where the database sees that.
_LEASED = select(*_COLUMNS).where(
    _PLACE.c.contact_id == bindparam("contact_id"),
    _PLACE.c.state == literal_column("'leased'"),
    _PLACE.c.lease_until > bindparam("delivery_now"),
)
_CONFIRMED = select(*_COLUMNS).where(
    _PLACE.c.contact_id == bindparam("contact_id"), _PLACE.c.state == "confirmed"
)
_ALL_OF_CAP = Prepared(
    _CONFIRMED.where(_PLACE.c.cap_id == bindparam("of_cap")).order_by(_PLACE.c.at, _PLACE.c.intent_key)
)


def read_places(session: Session, intent: Intent, rules: GateRules, now: Moment) -> tuple[Place, ...]:
    """The contact's places that can decide over the intent, found without reading those behind them.

    All that are leased at this moment, and of each cap that may apply the latest that are confirmed.
    """
    return read_places_of(session, [intent], rules, now)[0]


def read_places_of(
    session: Session, intents: Sequence[Intent], rules: GateRules, now: Moment
) -> list[tuple[Place, ...]]:
    """`read_places` for each of these intents."""
    each_caps = [caps_of(intent, rules) for intent in intents]
    found: list[tuple[Place, ...]] = [() for _ in intents]
    for number in {len(caps) for caps in each_caps} - {0}:
        # One statement for those with as many caps.
        where = [place for place, caps in enumerate(each_caps) if len(caps) == number]
        asked = [_asked(intents[place], each_caps[place], now) for place in where]
        for place, rows in zip(where, _latest(number).rows_for(session, asked), strict=True):
            found[place] = _that_count(session, intents[place], each_caps[place], rows)
    return found


def _asked(intent: Intent, caps: Sequence[Cap], now: Moment) -> dict[str, Any]:
    asked: dict[str, Any] = {"contact_id": intent.contact_id, "delivery_now": now.delivery}
    for number, cap in enumerate(caps):
        asked |= {f"cap_{number}": cap.id, f"latest_{number}": depth(cap)}
    return asked


def _that_count(
    session: Session, intent: Intent, caps: Sequence[Cap], rows: Sequence[Any]
) -> tuple[Place, ...]:
    found = [_place(row) for row in rows]
    confirmed = [place for place in found if place.is_confirmed]
    edited = {
        cap.id: cap
        for cap in caps
        if any(place.cap_id == cap.id and not still_counts(cap, place) for place in confirmed)
    }
    if not edited:
        return tuple(found)
    places = [place for place in found if not (place.is_confirmed and place.cap_id in edited)]
    for cap in edited.values():
        places += _of_edited(session, cap, intent.contact_id)
    return tuple(places)


def take_places(
    session: Session,
    intent: Intent,
    view: View,
    passage: Passage,
    now: Moment,
    lease_until: datetime | None,
    *,
    is_first: bool,
) -> None:
    """Take one place in every cap that applies to the intent on this way out.

    They are leased, or without a `lease_until` confirmed at once. Places it holds from an earlier channel go
    along where the cap applies here too, and are free elsewhere. The caller has locked the contact and found
    room. `is_first` says that the intent never had a place.
    """
    if not is_first:
        # Taken anew: an earlier attempt's may be released, or belong to caps that do not apply here.
        _FORGET.run(session, {"key": intent.key})
    for row in places_of(intent, view, passage, now, lease_until):
        _INSERT.run(session, row)


def places_of(
    intent: Intent, view: View, passage: Passage, now: Moment, lease_until: datetime | None
) -> list[dict[str, Any]]:
    """The rows of `CapPlaceRow` that an intent takes on this way out, as `take_places` writes them."""
    standing = view.standing
    assert standing is not None, "stage 2 stops intents without a contact"
    return [
        {
            "cap_id": cap.id,
            "intent_key": intent.key,
            "contact_id": intent.contact_id,
            "state": "leased" if lease_until is not None else "confirmed",
            "at": now.journey,
            "lease_until": lease_until,
            "purpose": intent.purpose,
            "channel": passage.channel,
            "journey": intent.journey,
            "tags": sorted(standing.tags),
            "content": intent.content,
            "part": part_of(cap, passage.channel, passage.within),
        }
        for cap in places_on(intent, view.rules, passage.channel, standing.tags, passage.within)
    ]


def have_lapsed(session: Session, key: str, at: datetime) -> bool:
    """Whether places that the intent leased are free again at delivery time `at`, and may be others'."""
    return bool(_LAPSED.rows(session, {"key": key, "delivery_now": at}))


def confirm_places(session: Session, key: str, at: datetime) -> None:
    """The intent's places count for good, dated with the hand-over (journey time)."""
    _CONFIRM.run(session, {"key": key, "moment": at})


@cache
def _latest(caps: int) -> Prepared:
    """Reads all leased places of a contact, and the latest confirmed ones of so many caps."""
    parts: list[Select[Any]] = [_LEASED]
    for number in range(caps):
        latest = (
            _CONFIRMED.where(_PLACE.c.cap_id == bindparam(f"cap_{number}"))
            .order_by(_PLACE.c.at.desc())
            .limit(bindparam(f"latest_{number}", type_=Integer))
            .subquery()
        )
        parts.append(select(*latest.c))
    return Prepared(union_all(*parts))


def _of_edited(session: Session, cap: Cap, contact_id: str) -> Sequence[Place]:
    """The latest places in a cap that counts less than when they were taken: all have to be looked at."""

    def counted() -> Iterator[Place]:
        for row in _ALL_OF_CAP.rows(session, {"contact_id": contact_id, "of_cap": cap.id}):
            place = _place(row)
            if still_counts(cap, place):
                yield place

    return list(counted())[-depth(cap) :]


def _place(row: Any) -> Place:
    cap_id, key, at, state, purpose, channel, journey, tags, content, part = row
    return Place(
        cap_id, key, at, state == "confirmed", purpose, channel, journey, frozenset(tags), content, part
    )
