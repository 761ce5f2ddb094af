"""Whether somebody outside may be told of a contact, as whoever writes their message would be; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from engine.gate.consent import ConsentRecord, may_cross
from engine.gate.hours import Residence
from engine.gate.state import Standing


@dataclass(frozen=True)
class Ground:
    """On what facts of some residents are taken to another country, beside a consent of their own."""

    residents: tuple[str, ...]
    ground: str


@dataclass(frozen=True)
class Telling:
    """Whether it may be told, or why not, in a word; and where the facts go, if they cross a border."""

    because: str = ""
    """residence | cross_border; empty: it may."""
    abroad: Mapping[str, str] = field(default_factory=dict)
    """`to` which country (empty: nobody says) and `on` what; empty where they stay."""


def may_be_told(residents: Sequence[str], standing: Standing | None, residence: Residence) -> bool:
    """Whether facts of the contact may be handed over to somebody who may be told of `residents`.

    Everybody of whom it is not known that they live in one of these countries is protected: all the places
    where they may live have to be among them.
    """
    homes = _homes(standing, residence)
    return bool(homes) and all(_is_in(home, residents) for home in homes)


def telling(
    residents: Sequence[str],
    located: str | None,
    grounds: Sequence[Ground],
    standing: Standing | None,
    residence: Residence,
    consents: Sequence[ConsentRecord],
    channel: str,
    at: datetime,
) -> Telling:
    """Whether facts of the contact may be told to whoever sits in `located`, for a message on `channel`.

    From every country where they may live in which it does not sit the facts cross a border: that takes a
    ground, or the consent that the contact gave to it by itself, in force at `at` (journey time).
    """
    if not may_be_told(residents, standing, residence):
        return Telling("residence")
    leaving = [
        home
        for home in _homes(standing, residence)
        if located is None or not (_is_in(home, (located,)) or _is_in(located, (home,)))
    ]
    if not leaving:
        return Telling()
    rests_on = [_ground_for(home, grounds) for home in leaving]
    if all(rests_on):
        return Telling(abroad={"to": located or "", "on": "; ".join(dict.fromkeys(rests_on))})
    if may_cross(consents, channel, at):
        return Telling(abroad={"to": located or "", "on": "consent"})
    return Telling("cross_border", {"to": located or ""})


def _homes(standing: Standing | None, residence: Residence) -> tuple[str, ...]:
    if standing is None:
        return ()
    lives_in, _ = residence.of(standing.attributes, standing.countries)
    return tuple(lives_in)


def _ground_for(home: str, grounds: Sequence[Ground]) -> str:
    return next((each.ground for each in grounds if _is_in(home, each.residents)), "")


def _is_in(home: str, countries: Iterable[str]) -> bool:
    return any(home == each or home.startswith(f"{each}-") for each in countries)
