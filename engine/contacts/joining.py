"""Two profiles that turn out to be one person's, and apart again; pure, shared with simulation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from engine.contacts.profile import Profile, zones_of_numbers
from engine.contacts.updating import MONEY_DIGITS, TIMEZONE_SOURCES

_STATED = ("device", "stated")
"""Sources that name one zone, which numbers do not change."""
_COUNTED_AGAIN: Mapping[str, Any] = {
    "counts": {},
    "derived_tags": set(),
    "scores": {},
    "classes": {},
    "stage": None,
}
"""What follows from the events and from rules: it is empty, and worked out anew."""
_MOMENTS = ("last_active_at", "first_order_at", "last_order_at", "last_send_at", "silent_since")
_AS_ONE = ("timezone", "timezone_source", "locale", "suppressed", *_MOMENTS)


@dataclass(frozen=True)
class Joined:
    """What two profiles make."""

    profile: Profile
    """The survivor's; its audiences are its own still, and nothing that rules derive is there yet."""
    set_aside: Mapping[str, Any]
    """`attributes` and the like of either that the other's has taken the place of."""


def survivor_of(one: Profile, other: Profile) -> tuple[Profile, Profile]:
    """The two in the order in which they are joined: who was known first survives, whoever asks."""
    first, second = sorted((one, other), key=lambda profile: (profile.created_at, profile.id))
    return first, second


def join(survivor: Profile, gone: Profile) -> Joined:
    """The profile of a person who was known as both; neither of the two is changed.

    Where they contradict each other, who did something last is believed. Sums are added, tags united, the
    strictest of what stops messages stays.
    """
    later, earlier = (gone, survivor) if gone.last_event_seq > survivor.last_event_seq else (survivor, gone)
    numbers = {**earlier.numbers, **later.numbers}
    zone, source = _zone(later, earlier, numbers)
    last_active = _last(survivor.last_active_at, gone.last_active_at)
    both = (survivor, gone)
    profile = replace(
        survivor,
        created_at=min(survivor.created_at, gone.created_at),
        timezone=zone,
        timezone_source=source,
        numbers=numbers,
        locale=later.locale or earlier.locale,
        attributes={**deepcopy(earlier.attributes), **deepcopy(later.attributes)},
        tags=survivor.tags | gone.tags,
        last_active_at=last_active,
        first_order_at=_first(survivor.first_order_at, gone.first_order_at),
        last_order_at=_last(survivor.last_order_at, gone.last_order_at),
        order_count=survivor.order_count + gone.order_count,
        total_spent=round(survivor.total_spent + gone.total_spent, MONEY_DIGITS),
        last_send_at=_last(survivor.last_send_at, gone.last_send_at),
        last_event_seq=later.last_event_seq,
        suppressed=survivor.suppressed or gone.suppressed,
        sends_since_active=sum(_unanswered(each, last_active) for each in both),
        silent_since=min(
            (owed for each in both if (owed := _owed_since(each, last_active)) is not None), default=None
        ),
        audiences=set(survivor.audiences),
        profile_due_at=None,
        **deepcopy(dict(_COUNTED_AGAIN)),
    )
    aside = {
        name: value
        for name, value in earlier.attributes.items()
        if later.attributes.get(name, value) != value
    }
    names = {name: getattr(earlier, name) for name in ("timezone", "locale")}
    lost = {name: value for name, value in names.items() if value not in (None, getattr(profile, name))}
    return Joined(profile, lost | ({"attributes": aside} if aside else {}))


def emptied(gone: Profile, survivor_id: str) -> Profile:
    """What stays of a contact who is part of another one: the id, since when, and where to."""
    return Profile(
        gone.id,
        created_at=gone.created_at,
        last_event_seq=gone.last_event_seq,
        suppressed=gone.suppressed,
        merged_into=survivor_id,
    )


def part(survivor: Profile, before: Profile, joined: Profile, gone: Profile) -> tuple[Profile, Profile]:
    """The two profiles apart again: the survivor's, and the other's as it was.

    `before` and `gone` are those of the two when they were joined, `joined` is what they made then. What the
    survivor was told since stays; a tag that both had or a stop on either stays with both.
    """
    kept = dict(survivor.attributes)
    for name, value in joined.attributes.items():
        if kept.get(name) == value and before.attributes.get(name) != value:
            del kept[name]
            if name in before.attributes:
                kept[name] = before.attributes[name]
    back: dict[str, Any] = {
        name: getattr(before, name)
        for name in _AS_ONE
        if name not in ("suppressed", "last_send_at") and getattr(survivor, name) == getattr(joined, name)
    }
    suppressed = survivor.suppressed or gone.suppressed
    again = deepcopy(dict(_COUNTED_AGAIN))
    remains = replace(
        survivor,
        **back,
        numbers=_numbers_apart(survivor, before, joined),
        attributes=kept,
        tags=survivor.tags - (gone.tags - before.tags),
        order_count=max(0, survivor.order_count - gone.order_count),
        total_spent=round(max(0.0, survivor.total_spent - gone.total_spent), MONEY_DIGITS),
        profile_due_at=None,
        **again,
    )
    returned = replace(
        gone,
        tags=set(gone.tags),
        merged_into=None,
        suppressed=gone.suppressed or survivor.suppressed,
        last_send_at=_last(gone.last_send_at, survivor.last_send_at),
        silent_since=_first(gone.silent_since, survivor.silent_since),
        sends_since_active=max(gone.sends_since_active, survivor.sends_since_active),
        audiences=set(gone.audiences),
        profile_due_at=None,
        **deepcopy(dict(_COUNTED_AGAIN)),
    )
    remains.suppressed = suppressed
    return remains, returned


def document_of(profile: Profile) -> dict[str, Any]:
    """The profile as JSON, for the record of a merge; `profile_of_document` reads it again."""
    found: dict[str, Any] = {}
    for field in fields(Profile):
        value = getattr(profile, field.name)
        if isinstance(value, datetime):
            value = value.isoformat()
        elif isinstance(value, set):
            value = sorted(value)
        elif field.name == "counts":
            continue  # rebuilt from the events
        found[field.name] = value
    return found


def profile_of_document(document: Mapping[str, Any]) -> Profile:
    """The profile that `document_of` wrote down."""
    values = dict(document)
    for name in _TIMES & values.keys():
        values[name] = None if values[name] is None else datetime.fromisoformat(values[name])
    for name in ("tags", "derived_tags", "audiences"):
        values[name] = set(values[name])
    return Profile(**values)


_TIMES = frozenset({"created_at", "erased_at", "profile_due_at", *_MOMENTS})


def _zone(later: Profile, earlier: Profile, numbers: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The zone that is best known; where only numbers tell, both's together, which may leave several open."""
    best: Profile | None = None
    for each in (later, earlier):
        if each.timezone is not None and each.timezone_source in _STATED:
            here, there = (
                TIMEZONE_SOURCES.index(found.timezone_source or "default") if found is not None else -1
                for found in (each, best)
            )
            best = each if here > there else best
    if best is not None:
        return best.timezone, best.timezone_source
    zones = zones_of_numbers(numbers)
    if zones:
        return (zones[0], "number") if len(zones) == 1 else (None, None)
    known = next((each for each in (later, earlier) if each.timezone is not None), later)
    return known.timezone, known.timezone_source


def _unanswered(profile: Profile, last_active: datetime | None) -> int:
    """Messages since the person was last active; of those before nobody needs an answer any more."""
    if last_active is None or profile.last_active_at == last_active:
        return profile.sends_since_active
    # Some of these may have come before: more than there were is the stricter mistake.
    is_later = profile.last_send_at is not None and profile.last_send_at > last_active
    return profile.sends_since_active if is_later else 0


def _owed_since(profile: Profile, last_active: datetime | None) -> datetime | None:
    owed = profile.silent_since
    if owed is None or last_active is None or owed > last_active:
        return owed
    is_later = profile.last_send_at is not None and profile.last_send_at > last_active
    return last_active if is_later else None


def _numbers_apart(survivor: Profile, before: Profile, joined: Profile) -> dict[str, Any]:
    return {
        platform: before.numbers.get(platform, told) if told == joined.numbers.get(platform) else told
        for platform, told in survivor.numbers.items()
        if platform in before.numbers or told != joined.numbers.get(platform)
    }


def _first(*moments: datetime | None) -> datetime | None:
    return min(_known(moments), default=None)


def _last(*moments: datetime | None) -> datetime | None:
    return max(_known(moments), default=None)


def _known(moments: Collection[datetime | None]) -> list[datetime]:
    return [moment for moment in moments if moment is not None]
