"""Caps that can never have a say, and tolerance that contradicts itself or leaves people unprotected."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from itertools import permutations

from engine.authoring.bundle import Bundle
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.limits import CalendarEntry, CapEntry, CapsFile, CountsEntry, RollingEntry
from engine.errors import Problem
from engine.gate.model import Cap
from engine.journeys.program import Send
from engine.rules.duration import format_duration

# The longest a day, a week or a month of the calendar can be: clocks are put back once in it.
_LONGEST = {
    "day": timedelta(hours=25),
    "week": timedelta(days=7, hours=1),
    "month": timedelta(days=31, hours=1),
}
_DAYS = {"week": 7, "month": 31}


def check_caps(found: Definitions, bundle: Bundle) -> Iterator[Problem]:
    """Caps that never have a say, caps of messages that no journey sends, and what tolerance leaves open."""
    yield from _needless(found.caps.values(), {cap.id: cap for cap in bundle.caps})
    yield from _idle(found, bundle)
    yield from _tolerance(found)


def _needless(caps: Collection[Defined[CapEntry]], compiled: Mapping[str, Cap]) -> Iterator[Problem]:
    """RW034 for every cap that another one makes superfluous; of two that are equal, for the later."""
    needless: set[str] = set()
    for one, other in permutations(caps, 2):
        if one.item.id in needless or other.item.id in needless:
            continue
        # A quota counts what no other cap counts: messages of purposes that are exempt.
        is_more = one.item.quota is not None and other.item.quota is None
        is_more |= _may_narrow(compiled[one.item.id]) or _may_widen(compiled[other.item.id])
        if (
            not is_more
            and _covers_counts(other.item.counts, one.item.counts)
            and (why := _why_needless(one.item, other.item))
        ):
            needless.add(one.item.id)
            place = other.place()
            message = f"'{one.item.id}' never has a say: {why} ('{other.item.id}', {place.file}:{place.line})"
            yield one.problem("RW034", message, "remove it, or let it allow less than the other")


def _may_narrow(cap: Cap) -> bool:
    return any(scale.factor < 1 for scale in cap.scale)


def _may_widen(cap: Cap) -> bool:
    return any(scale.factor > 1 for scale in cap.scale)


def _idle(found: Definitions, bundle: Bundle) -> Iterator[Problem]:
    """RW004 for a cap of some journeys that counts nothing of what they send."""
    for cap in found.caps.values():
        counts = cap.item.counts
        programs = [bundle.programs[name] for name in counts.journeys if name in bundle.programs]
        sends = [step for program in programs for step in program.steps.values() if isinstance(step, Send)]
        if not counts.journeys or any(_is_counted(step, counts) for step in sends):
            continue
        message = "the journeys that it names send nothing that it counts: this limits nothing"
        hint = "name other journeys, or count other purposes, channels or contents"
        yield cap.problem("RW004", message, hint, at=("counts",))


def _is_counted(step: Send, counts: CountsEntry) -> bool:
    return (
        counts.purpose in {None, step.purpose}
        and (not counts.channels or not set(counts.channels).isdisjoint(step.channels))
        and (not counts.contents or step.content in counts.contents)
    )


def _tolerance(found: Definitions) -> Iterator[Problem]:
    """RS215 for a second pause after silence, RS216 for revivals without a cap of their own."""
    pauses = [
        policy
        for policy in found.policies
        if isinstance(policy.item, CapsFile)
        and policy.item.tolerance is not None
        and policy.item.tolerance.pause_after_silence is not None
    ]
    for later in pauses[1:]:
        place = pauses[0].place("tolerance", "pause_after_silence")
        message = f"there is a pause after silence already, in {place.file}:{place.line}"
        yield later.problem("RS215", message, "keep one of them", at=("tolerance", "pause_after_silence"))
    limited = {name for cap in found.caps.values() for name in cap.item.counts.journeys}
    for name, journey in found.journeys.items():
        if pauses and journey.item.revival and name not in limited:
            message = f"the pause after silence spares '{name}', and no cap is about this journey alone"
            hint = f"add a cap that counts {{journeys: [{name}]}}"
            yield journey.problem("RS216", message, hint, at=("revival",))


def _covers_counts(wide: CountsEntry, narrow: CountsEntry) -> bool:
    """Whether `wide` counts every message that `narrow` counts."""
    return (wide.purpose is None or wide.purpose == narrow.purpose) and all(
        not of_wide or (bool(of_narrow) and set(of_narrow) <= set(of_wide))
        for of_wide, of_narrow in (
            (wide.channels, narrow.channels),
            (wide.journeys, narrow.journeys),
            (wide.tags, narrow.tags),
            (wide.contents, narrow.contents),
        )
    )


def _why_needless(one: CapEntry, other: CapEntry) -> str:
    """Why `one` is full only when `other` is; "" when it is not so."""
    if one.min_gap is not None:
        if other.min_gap is not None:
            gap = format_duration(other.min_gap)
            return f"another cap asks for a gap of {gap} already" if other.min_gap >= one.min_gap else ""
        is_longer = isinstance(other.window, RollingEntry) and other.window.rolling >= one.min_gap
        if is_longer and other.limit == 1:
            return "another cap allows one message in a window that is no shorter than this gap"
        return ""
    if one.limit is None or one.window is None:
        return ""
    most = _most_in(one.window, other)
    return f"another cap lets no more than {most} into its window" if most and one.limit >= most else ""


def _most_in(window: RollingEntry | CalendarEntry, other: CapEntry) -> int | None:
    """The most messages that `other` lets into a window that ends now; None when that is not looked into."""
    length = window.rolling if isinstance(window, RollingEntry) else _LONGEST[window.calendar]
    if other.min_gap is not None:
        return -(-length // other.min_gap)
    if other.limit is None or other.window is None:
        return None
    if isinstance(other.window, RollingEntry):
        return other.limit * -(-length // other.window.rolling)
    if isinstance(window, CalendarEntry) and window.timezone == other.window.timezone:
        if window.calendar == other.window.calendar:
            same_start = (window.week_starts or "mon") == (other.window.week_starts or "mon")
            return other.limit if same_start else None
        if window.calendar == "day":
            return other.limit
        if other.window.calendar == "day":
            return other.limit * _DAYS[window.calendar]
    if isinstance(window, RollingEntry) and other.window.calendar == "day":
        # A window that begins and ends within a day touches one day more; the shortest day has 23 hours.
        return other.limit * (-(-length // timedelta(hours=23)) + 1)
    return None
