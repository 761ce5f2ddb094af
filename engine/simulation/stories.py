"""What would happen to single contacts, moment by moment, with the reason of every no."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from engine.authoring.bundle import Bundle
from engine.gate.reasons import describe
from engine.plugin.registry import Registry
from engine.rules.matcher import Matcher
from engine.simulation.comparing import Dial
from engine.simulation.histories import History, live, share_budgets
from engine.simulation.journal import Entry, Happened, Journal, shards_of
from engine.simulation.records import Decided, Sent
from engine.simulation.telling import Teller
from engine.simulation.virtual import VirtualWorld


@dataclass(frozen=True)
class Story:
    """One contact's life under a bundle."""

    contact: str
    zone: str
    start: datetime
    entries: Sequence[Entry]
    """What happened, in order, from the start on."""
    sends: Sequence[Sent]
    standing: Mapping[str, str | None]
    """The journeys the contact is in at the end -> the step they are at."""


async def stories(
    bundle: Bundle,
    histories: Iterable[History],
    start: datetime,
    until: datetime,
    *,
    journeys: Sequence[str] = (),
    registry: Registry | None = None,
) -> list[Story]:
    """Let each contact live from `start` to `until` under the bundle, or under some of its journeys.

    With a registry messages are made and checked as in production.
    """
    chosen = {name: each for name, each in bundle.programs.items() if not journeys or name in journeys}
    stage = replace(bundle, programs=chosen)
    shards = shards_of(bundle)
    found = []
    with closing(Matcher(bundle.rules)) as matcher:
        for history in histories:
            journal = Journal(matcher, shards)
            with closing(
                VirtualWorld(stage, start, journal=journal, registry=registry, watches=False)
            ) as world:
                await live(world, history, start, until)
                name = history.person.id
                zone = world.zone(name)
                entries = [entry for entry in journal.entries() if _at(entry) >= start]
                found.append(Story(name, zone, start, entries, tuple(world.sends), world.active_runs(name)))
    return found


def not_simulated(bundle: Bundle) -> list[str]:
    """What a story leaves out that its reader must know."""
    left_out = []
    if share_budgets(bundle):
        named = ", ".join(each.id for each in bundle.budgets)
        left_out.append(
            f"what others spend of budgets ({named}): each contact lives alone and finds them whole"
        )
    if any(policy.stages for policy in bundle.reviews):
        left_out.append("the approval of texts: every text of the bundle counts as approved")
    if asked := bundle.generators_asked:
        named = ", ".join(asked)
        left_out.append(f"what generators write ({named}): nobody is asked, the contents' own texts are sent")
    return left_out


def story_lines(story: Story, bundle: Bundle, journeys: Sequence[str], folder: str = "") -> Iterator[str]:
    """The story for people, on the contact's own clock."""
    dial = Dial(story.start, story.zone)
    teller = Teller(
        story.entries, journeys or list(bundle.programs), {story.contact: dial}, story.start, bundle, folder
    )
    yield f"{story.contact} (clock of {story.zone}; UTC in brackets)"
    moments = teller.moments()
    if not moments:
        yield "  nothing happens at all"
    for moment in moments:
        yield from (line[2:] for line in moment)
    sent = ", ".join(f"{each.step} by {each.channel}" for each in story.sends)
    yield f"  {len(story.sends)} messages sent{': ' if sent else ''}{sent}"
    for journey, step in sorted(story.standing.items()):
        yield f"  at the end still in {journey}, at {step}"


def story_data(story: Story) -> dict[str, Any]:
    """The story for programs."""
    dial = Dial(story.start, story.zone)
    told: list[dict[str, Any]] = []
    for entry in story.entries:
        match entry:
            case Happened():
                event = entry.event
                given = {"properties": dict(event.properties), "traits": dict(entry.traits)}
                told.append(_moment(event.received_at, dial) | {"kind": "event", "event": event.type} | given)
            case Decided():
                told.append(_moment(entry.at, dial) | _decision(entry))
    return {
        "contact": story.contact,
        "timezone": story.zone,
        "timeline": told,
        "sends": [
            _moment(each.at, dial)
            | {
                "journey": each.journey,
                "step": each.step,
                "channel": each.channel,
                "content": each.content,
                "subject": each.subject,
                "body": each.body,
            }
            for each in story.sends
        ],
        "standing": dict(story.standing),
    }


def _decision(decided: Decided) -> dict[str, Any]:
    return {
        "kind": decided.kind,
        "journey": decided.journey,
        "step": decided.step,
        "channel": decided.channel,
        "verdict": decided.verdict,
        "reason": decided.reason,
        "because": describe(decided.reason).sentence,
        "evidence": dict(decided.evidence),
        "would_pass_if": decided.would_pass_if,
        "hold_until": decided.hold_until,
    }


def _moment(at: datetime, dial: Dial) -> dict[str, Any]:
    return {"at": at, "local": dial.local(at)}


def _at(entry: Entry) -> datetime:
    return entry.event.received_at if isinstance(entry, Happened) else entry.at
