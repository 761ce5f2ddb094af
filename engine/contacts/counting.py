"""Windowed counts of a contact: kept with every event, read as facts, and when they change by themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from engine.authoring.bundle import Bundle
from engine.contacts.profile import NEVER, Counted, Profile, Turns, counted
from engine.journeys.event import Event, event_facts
from engine.rules.counting import Count, is_current, nothing_yet, tallied, turns_ahead
from engine.rules.matcher import Matcher
from engine.rules.timing import Marks

LARGEST_AMOUNT = 1e15
"""Larger amounts of one event are mistakes: added up, they could leave the range of numbers."""


def count_event(profile: Profile, event: Event, bundle: Bundle, matcher: Matcher) -> Profile:
    """The profile, changed in place: its counts with one more event. Call it before `apply_event`.

    Events may arrive in any order. A moment ahead of its own arrival counts as the arrival. A count whose
    tally is missing although the contact has a past, or belongs to another definition, is left as it is: what
    it says is not known until it is counted anew.
    """
    if not bundle.counts:
        return profile
    if not profile.last_event_seq:
        begin(profile, bundle)
    counting = [
        count
        for count in bundle.counts
        if event.type in count.events and is_current(count, profile.counts.get(count.id))
    ]
    add_to(profile, counting, event, matcher, event.received_at)
    return profile


def begin(profile: Profile, bundle: Bundle) -> list[Count]:
    """Let every count that is missing or of another definition begin with nothing; these counts.

    Counts that the bundle does not have any more are forgotten.
    """
    known = profile.counts
    new = [count for count in bundle.counts if not is_current(count, known.get(count.id))]
    begun = {count.id: nothing_yet(count) for count in new}
    profile.counts = {count.id: known[count.id] for count in bundle.counts if count.id not in begun} | begun
    return new


def add_to(profile: Profile, counts: Sequence[Count], event: Event, matcher: Matcher, now: datetime) -> None:
    """Add the event to those of these counts that it counts for; `now` is journey time.

    The profile's `counts` become a new dictionary; what was read out of the old one is not touched.
    """
    counting = [count for count in counts if event.type in count.events]
    if not counting:
        return
    true: set[str] = set()
    kept = dict(profile.counts)
    if any(event.type in count.rules for count in counting):
        true = set(matcher.matching(f"count:{event.type}", event_facts(event), event.received_at))
    happened_at = min(event.occurred_at, event.received_at)
    for count in counting:
        if count.rules.get(event.type) in (None, *true):
            kept[count.id] = tallied(count, kept[count.id], happened_at, amount_of(event, count), now)
    profile.counts = kept


def stale_counts(profile: Profile, bundle: Bundle) -> list[Count]:
    """The counts that say nothing of this contact: they must be counted anew from the contact's events."""
    if not profile.last_event_seq:
        return []
    return [count for count in bundle.counts if not is_current(count, profile.counts.get(count.id))]


def next_count_turn_at(profile: Profile, bundle: Bundle, now: datetime) -> datetime | None:
    """The first moment after `now` at which a count that rules ask for passes a mark by time alone."""
    return next((at for at, _, _ in count_turns_ahead(profile, bundle, now)), None)


def count_turns_ahead(
    profile: Profile, bundle: Bundle, now: datetime
) -> Sequence[tuple[datetime, str, int | None]]:
    """When counts that rules ask for pass marks by time alone after `now`, in the order of time.

    Each with the count's path, and where among its marks it is from then on; None: somewhere, ask again then.
    """
    known, asked = counted(profile, bundle.contact_facts.counts, now), bundle.profile.counts
    if known.turns_of is not asked:
        known.turns, known.turns_of, known.ahead = {}, asked, None
    if known.ahead is None or not known.ahead[0] <= now < known.ahead[1]:
        known.ahead = _turns(profile, asked, known, now)
    ahead = known.ahead[2]
    if not ahead or ahead[0][0] > now:
        return ahead
    return [turn for turn in ahead if turn[0] > now]


def _turns(
    profile: Profile, asked: Sequence[tuple[str, Count, Marks | None]], known: Counted, now: datetime
) -> tuple[datetime, datetime, list[tuple[datetime, str, int | None]]]:
    until = NEVER
    found: list[tuple[datetime, str, int | None]] = []
    for path, count, marks in asked:
        value, tally = known.facts.get(path), profile.counts.get(count.id)
        # One that is not known says nothing; without events there is nothing that could go by.
        if tally is None or "exact" not in tally or not isinstance(value, int | float):
            continue
        turns = known.turns.get(path)
        if turns is None or turns.tally is not tally or not turns.since <= now < turns.until:
            ahead = turns_ahead(count, tally, value, now, marks)
            is_open = bool(ahead) and ahead[-1].place is None
            turns = known.turns[path] = Turns(tally, now, ahead, ahead[-1].at if is_open else NEVER)
        until = min(until, turns.until)
        found += [(each.at, path, each.place) for each in turns.ahead]
    found.sort(key=_moment)
    return now, until, found


def _moment(turn: tuple[datetime, str, int | None]) -> datetime:
    return turn[0]


def amount_of(event: Event, count: Count) -> float:
    """What the event adds to a sum: its property, or nothing when that is no usable number."""
    amount = event.properties.get(count.sums) if count.sums is not None else None
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        return 0.0
    return float(amount) if abs(amount) <= LARGEST_AMOUNT else 0.0


def longest_window(counts: Iterable[Count]) -> timedelta:
    """How far back the counts look."""
    return max((count.within for count in counts), default=timedelta())
