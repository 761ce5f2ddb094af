"""What a phone number says: how it is written everywhere, its country, by which clocks its owner may live.

The only door to phonenumbers. Reading one takes some ten to a hundred microseconds, and some ten milliseconds
for the first of a country: whoever keeps an address keeps what was read of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from engine.journeys.localtime import is_zone

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_DIGITS = re.compile(r"\+?[0-9]{5,20}")
_BETWEEN = re.compile(r"[\s().\-]")

_LOOKED_AT = (datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=5), 11 * 73)
"""Begin, step and number of the moments at which two clocks must show the same: eleven years."""


@dataclass(frozen=True)
class PhoneNumber:
    """A number that some country's plan has."""

    written: str
    """In E.164, as +8613812345678."""
    country: str | None
    """ISO 3166 code; None for numbers of no country, as +800."""
    zones: tuple[str, ...]
    """IANA zones one of which is its owner's, sorted; of those with the same clock one stands for all. Empty
    when the plan does not tell."""


def write_number(given: str, country: str | None = None) -> str | None:
    """The number as it is stored and compared; None for what cannot be a number at all.

    A number that is valid is written in E.164; `country` is whose number it is when it has no +. What no plan
    has is kept as its digits: plans change, and an address that was given is not thrown away.
    """
    given = given.strip()
    if _E164.fullmatch(given):
        return given  # the usual form, and the quick way: intake meets it with every event
    digits = _BETWEEN.sub("", given)
    if not _DIGITS.fullmatch(digits):
        return None
    found = read_number(given, country)
    return found.written if found is not None else digits


@lru_cache(maxsize=16_384)
def read_number(given: str, country: str | None = None) -> PhoneNumber | None:
    """What a number says; None when no country's plan has it. `country` is as for `write_number`."""
    # Loaded with the first number: commands that meet none should not wait for it.
    import phonenumbers
    from phonenumbers.timezone import time_zones_for_number

    try:
        number = phonenumbers.parse(given, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    region = phonenumbers.region_code_for_number(number)
    return PhoneNumber(
        phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164),
        region if region is not None and region.isalpha() else None,
        distinct_clocks(time_zones_for_number(number)),
    )


def zones_by_numbers(addresses: Mapping[str, str], numbers: Mapping[str, str | None]) -> tuple[str, ...]:
    """Where somebody with these addresses, by platform, may be; one zone of each clock, sorted.

    `numbers` are the platforms of phone numbers, each with whose numbers those without + are.
    """
    read = [
        read_number(addresses[platform], country)
        for platform, country in numbers.items()
        if platform in addresses
    ]
    return distinct_clocks({zone for number in read if number is not None for zone in number.zones})


def distinct_clocks(zones: Collection[str]) -> tuple[str, ...]:
    """Of zones whose clocks show the same through the years one each, sorted; unknown names are left out.

    Guernsey's clock is London's: where a person may be in either, their time is known all the same.
    """
    by_clock: dict[tuple[timedelta | None, ...], str] = {}
    for name in sorted(set(zones), key=lambda name: (name not in _usual_names(), name)):
        if is_zone(name):
            by_clock.setdefault(_clock(name), name)
    return tuple(sorted(by_clock.values()))


@lru_cache(maxsize=1024)
def _clock(name: str) -> tuple[timedelta | None, ...]:
    zone = ZoneInfo(name)
    begin, step, count = _LOOKED_AT
    return tuple((begin + number * step).astimezone(zone).utcoffset() for number in range(count))


@cache
def _usual_names() -> frozenset[str]:
    """The zones by which the zone data itself names clocks that agree from now on, as Europe/London."""
    text = files("tzdata").joinpath("zoneinfo", "zonenow.tab").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if line and not line.startswith("#"))
    return frozenset(row[2] for row in rows)


@cache
def countries() -> frozenset[str]:
    """The ISO 3166 codes of all countries."""
    text = files("tzdata").joinpath("zoneinfo", "iso3166.tab").read_text(encoding="utf-8")
    return frozenset(line[:2] for line in text.splitlines() if line and not line.startswith("#"))
