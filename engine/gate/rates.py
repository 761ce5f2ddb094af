"""Stage 9 as arithmetic: how fast a provider takes messages, and when it is left alone because it fails.

One book is kept for each account at a provider, whichever channels and processes use it. Times are delivery
times. A rate is kept in every span of its length, wherever it begins: time is cut into slots of a tenth, and
the present slot and the ten before it, which no span can reach beyond, together hold no more than the limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.changing import frozen

SLOTS = 10
"""Into how many slots the length of a rate is cut."""
PROBE = timedelta(minutes=1)
"""How long a half-open circuit waits for what its probe meets before it lets another one through."""
_MOST_AT_ONCE = 50
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Rate:
    """At most `limit` messages in any span of the length `per`."""

    limit: int
    per: timedelta
    source: str = ""
    as_of: str = ""

    @property
    def name(self) -> str:
        """As books call it."""
        return f"{self.limit}/{self.per // timedelta(seconds=1)}"

    @property
    def slot(self) -> timedelta:
        return self.per / SLOTS

    @property
    def interval(self) -> timedelta:
        """Between two messages, where many wait: as fast as slots let through for long."""
        return self.slot * (SLOTS + 1) / self.limit


@dataclass(frozen=True)
class Circuit:
    """After `failures` in a row the provider is left alone for `pause`, and then tried with one message."""

    failures: int
    pause: timedelta


@dataclass(frozen=True)
class Provider:
    """What is declared of an account at a provider."""

    account: str
    rates: tuple[Rate, ...] = ()
    circuit: Circuit | None = None

    @property
    def at_once(self) -> int:
        """How many places one process takes for itself at a time; what it does not use in time is lost."""
        return min((max(1, min(_MOST_AT_ONCE, rate.limit // 200)) for rate in self.rates), default=1)


@dataclass
class Book:
    """What is known of an account: what it was given lately, and how it has been answering."""

    taken: dict[str, dict[int, int]] = field(default_factory=dict)
    """Rate -> slot -> messages."""
    queue_end: datetime | None = None
    """When the last of those that wait for a rate were told to come back."""
    busy_until: datetime | None = None
    """Before which the provider asked for nothing."""
    failures: int = 0
    """In a row."""
    open_until: datetime | None = None
    """The circuit is open until then and half-open afterwards; None: it is closed."""
    probe_until: datetime | None = None
    """A probe is on its way, at the longest until then."""

    @property
    def is_clean(self) -> bool:
        """Whether an answer of the provider would change nothing here."""
        return self.failures == 0 and self.open_until is None


@frozen
class Leave:
    """Messages that may be handed over before `until`."""

    number: int
    until: datetime


@dataclass(frozen=True)
class Refusal:
    """Not now."""

    reason: str
    """rate.limited | rate.provider_busy | circuit.open | circuit.half_open"""
    retry_at: datetime
    evidence: Mapping[str, Any]


def ask(provider: Provider, book: Book, now: datetime, *, share: float, wanted: int = 1) -> Leave | Refusal:
    """Leave for up to `wanted` messages, written down in the book; or when to come back.

    `share` (0 to 1) tells those that are refused together apart, so that they do not all come back at once.
    """
    if book.busy_until is not None and now < book.busy_until:
        back = book.busy_until + share * min(book.busy_until - now, PROBE)
        return Refusal("rate.provider_busy", back, {"busy_until": book.busy_until.isoformat()})
    half_open = book.open_until is not None
    if book.open_until is not None and provider.circuit is not None:
        told = {"failures": book.failures, "open_until": book.open_until.isoformat()}
        spread = share * provider.circuit.pause
        if now < book.open_until:
            return Refusal("circuit.open", book.open_until + spread, told)
        if book.probe_until is not None and now < book.probe_until:
            # Usually the probe is back long before; whoever comes then finds the circuit closed.
            return Refusal("circuit.half_open", now + provider.circuit.pause + spread, told)
    free, frees_at, binding = _free(provider, book, now)
    if binding is not None and free <= 0:
        return _limited(provider, binding, book, now, frees_at)
    number = 1 if half_open else max(1, min(wanted, free))
    until = now + PROBE
    for rate in provider.rates:
        slot = _slot(rate, now)
        taken = book.taken.setdefault(rate.name, {})
        taken[slot] = taken.get(slot, 0) + number
        until = min(until, _EPOCH + (slot + 1) * rate.slot)
    if half_open:
        book.probe_until = now + PROBE
    return Leave(number, until)


def note(
    provider: Provider, book: Book, now: datetime, *, failed: bool, busy_for: timedelta | None = None
) -> bool:
    """Write down how the provider answered; whether its circuit has just been opened."""
    if busy_for is not None:
        book.busy_until = max(book.busy_until or now, now + busy_for)
    if not failed:
        book.failures, book.open_until, book.probe_until = 0, None, None
        return False
    book.failures += 1
    circuit = provider.circuit
    if circuit is None:
        return False
    if book.open_until is not None and now < book.open_until:
        return False  # handed over before it was opened
    if book.open_until is None and book.failures < circuit.failures:
        return False
    book.open_until, book.probe_until = now + circuit.pause, None
    return True


def _free(provider: Provider, book: Book, now: datetime) -> tuple[int, datetime, Rate | None]:
    """Places left under all rates, when there is one again, and the rate that leaves the fewest."""
    free, frees_at, binding = _MOST_AT_ONCE, now, None
    known = {rate.name for rate in provider.rates}
    for name in set(book.taken) - known:
        del book.taken[name]
    for rate in provider.rates:
        slot = _slot(rate, now)
        taken = {
            each: number for each, number in book.taken.get(rate.name, {}).items() if each >= slot - SLOTS
        }
        book.taken[rate.name] = taken
        left = rate.limit - sum(taken.values())
        if binding is None or left < free:
            free, binding = left, rate
        if left <= 0:
            frees_at = max(frees_at, _EPOCH + (min(taken) + SLOTS + 1) * rate.slot)
    return free, frees_at, binding


def _limited(provider: Provider, binding: Rate, book: Book, now: datetime, frees_at: datetime) -> Refusal:
    # Each is told a moment of its own, one after another: many that wait do not all come back for one place.
    back = max(frees_at, book.queue_end or frees_at)
    book.queue_end = back + max(rate.interval for rate in provider.rates)
    evidence: dict[str, Any] = {"limit": binding.limit, "per_seconds": binding.per.total_seconds()}
    if binding.source:
        evidence |= {"source": binding.source, "as_of": binding.as_of}
    return Refusal("rate.limited", back, evidence)


def _slot(rate: Rate, now: datetime) -> int:
    return (now - _EPOCH) // _MICROSECOND // (rate.slot // _MICROSECOND)


def written(book: Book) -> dict[str, Any]:
    """The book as JSON has it."""
    moments = ("queue_end", "busy_until", "open_until", "probe_until")
    return {
        "taken": {
            name: {str(slot): number for slot, number in taken.items()} for name, taken in book.taken.items()
        },
        "failures": book.failures,
        **{name: each.isoformat() for name in moments if (each := getattr(book, name)) is not None},
    }


def read(data: Mapping[str, Any]) -> Book:
    """The book that `written` made."""

    def moment(name: str) -> datetime | None:
        return datetime.fromisoformat(data[name]) if name in data else None

    return Book(
        taken={
            name: {int(slot): number for slot, number in taken.items()}
            for name, taken in data.get("taken", {}).items()
        },
        queue_end=moment("queue_end"),
        busy_until=moment("busy_until"),
        failures=data.get("failures", 0),
        open_until=moment("open_until"),
        probe_until=moment("probe_until"),
    )
