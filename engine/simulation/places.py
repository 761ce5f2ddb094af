"""Places in caps in plain memory: of each cap by their moments, so that the latest are at hand."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from engine.changing import changed
from engine.gate.caps import depth, still_counts
from engine.gate.concerning import part_of, places_on
from engine.gate.model import Cap, Intent
from engine.gate.state import Moment, Passage, Place, View


@dataclass(frozen=True)
class _Leased:
    contact_id: str
    places: tuple[Place, ...]
    until: datetime
    """Delivery time."""


class Places:
    """Who holds which places; the caller has found room before it takes one."""

    def __init__(self) -> None:
        self._leased: dict[str, dict[str, _Leased]] = {}
        """Contact -> intent -> its places while they are only leased."""
        self._confirmed: dict[tuple[str, str], list[Place]] = {}
        """(contact, cap) -> places, by their moments."""
        self._of_intent: dict[str, tuple[Place, ...]] = {}
        """Those that are confirmed."""

    def lease(self, contact_id: str, key: str, places: Iterable[Place], until: datetime) -> None:
        """Let the intent hold these places and no others, until then (delivery time)."""
        self.release(contact_id, key)
        self._leased.setdefault(contact_id, {})[key] = _Leased(contact_id, tuple(places), until)

    def confirm(self, contact_id: str, key: str, at: datetime) -> None:
        """Let what the intent holds count for good, dated `at` (journey time)."""
        leased = self._leased.get(contact_id, {}).pop(key, None)
        if leased is not None:
            self._keep(contact_id, key, [changed(each, at=at, is_confirmed=True) for each in leased.places])

    def take(self, contact_id: str, key: str, places: Iterable[Place]) -> None:
        """Let the intent hold these confirmed places and no others."""
        self.release(contact_id, key)
        self._keep(contact_id, key, places)

    def release(self, contact_id: str, key: str) -> None:
        """Give back whatever the intent holds."""
        self._leased.get(contact_id, {}).pop(key, None)
        for place in self._of_intent.pop(key, ()):
            self._confirmed[contact_id, place.cap_id].remove(place)

    def move(self, gone: str, survivor: str) -> None:
        """Let the survivor hold what the other held."""
        self._leased.setdefault(survivor, {}).update(self._leased.pop(gone, {}))
        for contact_id, cap in [name for name in self._confirmed if name[0] == gone]:
            for place in self._confirmed.pop((contact_id, cap)):
                insort(self._confirmed.setdefault((survivor, cap), []), place, key=_moment)

    def have_lapsed(self, contact_id: str, key: str, at: datetime) -> bool:
        """Whether what the intent leased is free again at delivery time `at`, and may be others'."""
        leased = self._leased.get(contact_id, {}).get(key)
        return leased is not None and bool(leased.places) and leased.until <= at

    def of(self, contact_id: str, key: str) -> tuple[Place, ...]:
        """What the intent holds, leased or confirmed."""
        leased = self._leased.get(contact_id, {}).get(key)
        return leased.places if leased is not None else self._of_intent.get(key, ())

    def deciding(self, contact_id: str, caps: Iterable[Cap], at: datetime) -> list[Place]:
        """All places that are leased at delivery time `at`, and of each cap the latest that are confirmed."""
        found: list[Place] = []
        for leased in self._leased.get(contact_id, {}).values():
            if leased.until > at:
                found += leased.places
        for cap in caps:
            places = self._confirmed.get((contact_id, cap.id))
            if places:
                left = depth(cap)
                for place in reversed(places):
                    if still_counts(cap, place):
                        found.append(place)
                        left -= 1
                        if not left:
                            break
        return found

    def _keep(self, contact_id: str, key: str, places: Iterable[Place]) -> None:
        confirmed = self._of_intent[key] = tuple(places)
        for place in confirmed:
            insort(self._confirmed.setdefault((contact_id, place.cap_id), []), place, key=_moment)

    def clear(self) -> None:
        """Let nobody hold anything."""
        self._leased.clear()
        self._confirmed.clear()
        self._of_intent.clear()


def places_for(
    intent: Intent, view: View, passage: Passage, now: Moment, *, is_confirmed: bool
) -> list[Place]:
    """One place in every cap that applies to the intent on this way out, dated with this moment."""
    standing = view.standing
    assert standing is not None, "stage 2 stops intents without a contact"
    return [
        Place(
            cap.id,
            intent.key,
            now.journey,
            is_confirmed,
            intent.purpose,
            passage.channel,
            intent.journey,
            standing.tags,
            intent.content,
            part_of(cap, passage.channel, passage.within),
        )
        for cap in places_on(intent, view.rules, passage.channel, standing.tags, passage.within)
    ]


def _moment(place: Place) -> datetime:
    return place.at
