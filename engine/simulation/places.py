"""Places in caps in plain memory: of each cap by their moments, so that the latest are at hand."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from engine.changing import changed
from engine.gate.caps import depth, still_counts
from engine.gate.model import Cap
from engine.gate.state import Place


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
        if leased is None:
            return
        confirmed = tuple(changed(place, at=at, is_confirmed=True) for place in leased.places)
        self._of_intent[key] = confirmed
        for place in confirmed:
            insort(self._confirmed.setdefault((contact_id, place.cap_id), []), place, key=_moment)

    def release(self, contact_id: str, key: str) -> None:
        """Give back whatever the intent holds."""
        self._leased.get(contact_id, {}).pop(key, None)
        for place in self._of_intent.pop(key, ()):
            self._confirmed[contact_id, place.cap_id].remove(place)

    def have_lapsed(self, contact_id: str, key: str, at: datetime) -> bool:
        """Whether what the intent leased is free again at delivery time `at`, and may be others'."""
        leased = self._leased.get(contact_id, {}).get(key)
        return leased is not None and bool(leased.places) and leased.until <= at

    def of(self, contact_id: str, key: str) -> tuple[Place, ...]:
        """What the intent holds, leased or confirmed."""
        leased = self._leased.get(contact_id, {}).get(key)
        return leased.places if leased is not None else self._of_intent.get(key, ())

    def deciding(self, contact_id: str, caps: Iterable[Cap], at: datetime) -> Iterator[Place]:
        """All places that are leased at delivery time `at`, and of each cap the latest that are confirmed."""
        for leased in self._leased.get(contact_id, {}).values():
            if leased.until > at:
                yield from leased.places
        for cap in caps:
            places = self._confirmed.get((contact_id, cap.id), ())
            counted = (place for place in reversed(places) if still_counts(cap, place))
            yield from islice(counted, depth(cap))

    def clear(self) -> None:
        """Let nobody hold anything."""
        self._leased.clear()
        self._confirmed.clear()
        self._of_intent.clear()


def _moment(place: Place) -> datetime:
    return place.at
