"""What events and traits do to a profile; pure, the same in production and in simulation."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeGuard
from zoneinfo import available_timezones

from engine.authoring.bundle import EventType, Workspace
from engine.contacts.profile import Profile, zones_of_numbers
from engine.gate.tolerance import after_activity
from engine.journeys.event import Event
from engine.journeys.numbers import read_number

TIMEZONE_SOURCES = ("default", "number", "device", "stated")
"""Where a zone can come from, the least trustworthy first."""

MONEY_DIGITS = 6
"""Sums of money are kept to the millionth: then they do not depend on the order in which orders arrive."""

LARGEST_SUM = 1e15
"""Larger amounts of one order are mistakes: added up, they could leave the range of numbers."""

TAG_CHANGES = frozenset({"add", "remove"})
"""What a mapping under the trait `tags` may say."""
FARTHEST = timedelta(days=200 * 365)
"""Stated moments farther away are mistakes, and would break the arithmetic of ages."""


@dataclass(frozen=True)
class TraitFault:
    """A trait that was left aside, and why; never the value itself."""

    name: str
    message: str

    def __str__(self) -> str:
        return f"traits.{self.name} left aside: {self.message}"


def apply_event(profile: Profile, event: Event, kind: EventType) -> Profile:
    """The profile, changed in place by one event.

    Events may arrive in any order: activity, orders and sums come out the same. A moment ahead of its own
    arrival (a sender's clock that runs fast) counts as the arrival.
    """
    happened_at = min(event.occurred_at, event.received_at)
    profile.last_event_seq = max(profile.last_event_seq, event.seq)
    if kind.counts_as_activity:
        before, profile.last_active_at = profile.last_active_at, _later(profile.last_active_at, happened_at)
        if profile.last_active_at != before:
            profile.sends_since_active = 0
        profile.silent_since = after_activity(profile.silent_since, profile.last_send_at, happened_at)
    match kind.effect:
        case "order":
            amount = event.properties.get("amount")
            spent = amount if _is_number(amount) and abs(amount) <= LARGEST_SUM else 0.0
            profile.order_count += 1
            profile.total_spent = round(profile.total_spent + spent, MONEY_DIGITS)
            profile.first_order_at = min(profile.first_order_at or happened_at, happened_at)
            profile.last_order_at = _later(profile.last_order_at, happened_at)
        case "deleted":
            # They left us: nothing may reach them until an operator lifts it.
            profile.suppressed = profile.suppressed or "deleted"
        case _:
            pass  # consents belong to the ledger
    return profile


def apply_traits(
    profile: Profile, traits: Mapping[str, Any], workspace: Workspace, now: datetime
) -> list[TraitFault]:
    """What a sender states about the contact, written into the profile; each fault is one trait left aside.

    `timezone`, `locale`, `tags` (a list is added to those there, `{add, remove}` changes them) and the
    workspace's declared attributes (null removes one) are kept; anything else is nobody's business and is
    ignored. Instants must lie within 200 years of `now`.
    """
    faults = []
    for name, value in traits.items():
        if name == "timezone":
            message = None if learn_timezone(profile, value, "stated") else "not an IANA time zone"
        elif name == "locale":
            message = _state_locale(profile, value, workspace)
        elif name == "tags":
            message = _change_tags(profile, value)
        elif name in workspace.attributes:
            message = _state_attribute(profile, name, value, workspace.attributes[name], now)
        else:
            continue
        if message is not None:
            faults.append(TraitFault(name, message))
    return faults


def learn_timezone(profile: Profile, zone: object, source: str) -> bool:
    """Whether `zone` is an IANA zone; it is kept unless the known one comes from a better source."""
    if not isinstance(zone, str) or zone not in _zones():
        return False
    known = profile.timezone_source or TIMEZONE_SOURCES[0]
    if profile.timezone is None or TIMEZONE_SOURCES.index(source) >= TIMEZONE_SOURCES.index(known):
        profile.timezone, profile.timezone_source = zone, source
    return True


def learn_number(profile: Profile, platform: str, address: str, country: str | None) -> bool:
    """Whether a number, new to the contact, is one that some country has; where it is of is kept then.

    The latest such number of each platform counts. Where the contact may live by several clocks, by one
    number or by those of several platforms, no zone is known: `timezone_candidates` are what it may be.
    """
    number = read_number(address, country)
    if number is None:
        if platform not in profile.numbers:
            profile.numbers = {**profile.numbers, platform: {"country": None, "zones": []}}
        return False
    profile.numbers = {
        **profile.numbers,
        platform: {"country": number.country, "zones": list(number.zones)},
    }
    known = profile.timezone_source or TIMEZONE_SOURCES[0]
    if profile.timezone is None or TIMEZONE_SOURCES.index(known) <= TIMEZONE_SOURCES.index("number"):
        zones = zones_of_numbers(profile.numbers)
        profile.timezone, profile.timezone_source = (zones[0], "number") if len(zones) == 1 else (None, None)
    return True


def _later(known: datetime | None, new: datetime) -> datetime:
    return new if known is None else max(known, new)


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _state_locale(profile: Profile, value: Any, workspace: Workspace) -> str | None:
    """Keep the workspace's own locale that fits best, else the bare language; the fault when neither."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z]{2,3}([-_.@][A-Za-z0-9-_.@]*)?", value):
        return "not a language such as zh or en-GB"
    stated = re.split(r"[.@]", value)[0].replace("_", "-").lower()
    language = stated.split("-")[0]
    offered = {locale.replace("_", "-").lower(): locale for locale in workspace.locales}
    profile.locale = offered.get(stated) or offered.get(language) or language
    return None


def _change_tags(profile: Profile, value: Any) -> str | None:
    said = value if isinstance(value, dict) else {"add": value}
    lists = list(said.values())
    if not said or not said.keys() <= TAG_CHANGES or not all(isinstance(each, list) for each in lists):
        return "not a list of texts, nor lists under add and remove"
    if not all(isinstance(tag, str) and tag for each in lists for tag in each):
        return "not a list of texts, nor lists under add and remove"
    profile.tags = (profile.tags | set(said.get("add", ()))) - set(said.get("remove", ()))
    return None


def _state_attribute(profile: Profile, name: str, value: Any, kind: str, now: datetime) -> str | None:
    if value is None:
        profile.attributes.pop(name, None)
        return None
    match kind, value:
        case ("text", str()) | ("boolean", bool()):
            kept: Any = value
        case "number", _ if _is_number(value):
            kept = value
        case "labels", list() if all(isinstance(item, str) for item in value):
            kept = sorted(set(value))
        case "instant", str() if (moment := _moment(value, now)) is not None:
            kept = moment.isoformat()
        case _:
            return _WANTED[kind]
    profile.attributes[name] = kept
    return None


_WANTED = {
    "text": "not a text",
    "boolean": "not true or false",
    "number": "not a number",
    "labels": "not a list of texts",
    "instant": "not a moment of our time with its zone, such as 2026-03-01T09:00:00+08:00",
}


def _moment(text: str, now: datetime) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or abs(moment - now) > FARTHEST:
            return None
    except (ValueError, OverflowError):
        return None
    return moment


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
