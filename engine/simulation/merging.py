"""Two people of a simulation turn out to be one, as production merges contacts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from engine.authoring.bundle import Bundle
from engine.changing import changed
from engine.contacts.counting import add_to, begin, stale_counts
from engine.contacts.joining import join
from engine.gate.consent import ConsentRecord
from engine.journeys.joining import Giving, KnownRun, give_way, steps_of
from engine.journeys.matching import History
from engine.journeys.recognising import Recogniser
from engine.rules.matcher import Matcher
from engine.simulation.people import Living


def runs_that_give_way(one: Living, other: Living, bundle: Bundle) -> list[Giving]:
    """The active runs that end when the two become one."""
    sides = _known(one, other), _known(other, one)
    return give_way(*sides, lambda journey: bundle.programs[journey].entry.reentry.kind)


def take_in(
    survivor: Living, gone: Living, bundle: Bundle, matcher: Matcher, recogniser: Recogniser, now: datetime
) -> None:
    """Give the survivor all that the other is and has; `gone` is nobody afterwards."""
    survivor.profile = join(survivor.profile, gone.profile).profile
    survivor.seq = survivor.profile.last_event_seq = max(survivor.seq, gone.seq)
    survivor.identities = _identities(survivor, gone)
    survivor.since = {
        platform: max(each.since[platform] for each in (survivor, gone) if platform in each.since)
        for platform in survivor.identities
    }
    survivor.addresses |= gone.addresses
    survivor.heard |= gone.heard
    records = [*survivor.consents, *(_as_said_by(record, gone.profile.id, now) for record in gone.consents)]
    survivor.consents = sorted(records, key=lambda record: record.recorded_at)
    for run in gone.active.values():
        run.state = changed(run.state, contact_id=survivor.profile.id)
    survivor.active |= gone.active
    survivor.entered |= gone.entered
    survivor.fired |= gone.fired
    survivor.history = _history(survivor.history, gone.history)
    survivor.past = sorted([*survivor.past, *gone.past], key=lambda event: event.received_at)
    survivor.forget()
    survivor.planned_at = None
    survivor.firings = {}
    # As in production, what is kept of the past is made anew from the events of both.
    survivor.pasts = recogniser.rebuilt([e for e in survivor.past if e.type in recogniser.events], {})
    if stale_counts(survivor.profile, bundle):
        counts = begin(survivor.profile, bundle)
        for event in survivor.past:
            add_to(survivor.profile, counts, event, matcher, now)


def _known(person: Living, other: Living) -> list[KnownRun]:
    """The active runs of a person, and those that are over of journeys which the other is in."""
    found = [
        KnownRun(
            run.state.run_id,
            run.program.journey,
            run.state.entry_key,
            is_active=True,
            started_at=run.started_at,
            steps=steps_of(run.state.visits),
        )
        for run in person.active.values()
    ]
    mine = {(each.journey, each.entry_key) for each in found}
    theirs = {(run.program.journey, run.state.entry_key): run for run in other.active.values()}
    for (journey, key), run in theirs.items():
        if (journey, key) in person.entered - mine:
            found.append(KnownRun("", journey, key, is_active=False, started_at=run.started_at))
    return found


def _identities(survivor: Living, gone: Living) -> dict[str, str]:
    """Platform -> the address that came last; of two that came together the first by name."""
    found = {}
    for platform in {**survivor.identities, **gone.identities}:
        known = [
            (each.since[platform], each.identities[platform])
            for each in (survivor, gone)
            if platform in each.identities
        ]
        latest = max(since for since, _ in known)
        found[platform] = min(address for since, address in known if since == latest)
    return found


def _as_said_by(record: ConsentRecord, contact_id: str, now: datetime) -> ConsentRecord:
    way = tuple((into or contact_id, at) for into, at in record.joined)
    return changed(record, said_by=record.said_by or contact_id, joined=(*way, ("", now)))


def _history(one: Mapping[str, History], other: Mapping[str, History]) -> dict[str, History]:
    found: dict[str, Any] = {}
    for journey in {**one, **other}:
        known = [each[journey] for each in (one, other) if journey in each]
        ends = [each.last_ended_at for each in known if each.last_ended_at is not None]
        found[journey] = History(
            sum(each.runs for each in known),
            sum(each.active for each in known),
            max(ends, default=None),
            max(each.last_number for each in known),
        )
    return found
