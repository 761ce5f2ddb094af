"""What publishing a bundle would change, against the one in force: files, journeys, people on their way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.authoring.comparing import JourneyChange, compare_journeys
from engine.errors import NotFound
from engine.governance.outlook import JourneyOutlook, as_record, look_ahead
from engine.governance.records import Record
from engine.journeys.program import InFlight
from engine.store.bundles import BundleShelf
from engine.store.control import read_control


@dataclass(frozen=True)
class JourneyDifference:
    """One journey that is another one, or whose people would be touched."""

    change: JourneyChange
    people: JourneyOutlook | None
    """None when nobody is on their way in another bundle."""


@dataclass(frozen=True)
class Difference:
    """What would change."""

    before: str | None
    """Hash of the bundle in force; None when none is published."""
    after: str
    files: Mapping[str, str]
    """File -> added | removed | changed"""
    journeys: tuple[JourneyDifference, ...]

    @property
    def stranded(self) -> int:
        """How many people would have nowhere to go: it cannot be published while there are any."""
        return sum(
            fate.people for each in self.journeys if each.people is not None for fate in each.people.stranded
        )


def difference(
    session: Session, shelf: BundleShelf, wanted: Bundle, policies: Mapping[str, InFlight]
) -> Difference:
    """What putting `wanted` in force with these policies would change; nothing is changed by asking.

    CommandError when a policy names no journey.
    """
    try:
        control = read_control(session)
    except NotFound:
        return Difference(None, wanted.hash, _files({}, wanted.files), _journeys({}, wanted, {}))
    live = control.published_bundle or control.live_bundle
    before = shelf.get(session, live).files if live is not None else {}
    outlooks = look_ahead(session, shelf, control, wanted, policies)
    by_journey = {each.journey: each for each in outlooks}
    return Difference(live, wanted.hash, _files(before, wanted.files), _journeys(before, wanted, by_journey))


def _journeys(
    before: Mapping[str, str], wanted: Bundle, outlooks: Mapping[str, JourneyOutlook]
) -> tuple[JourneyDifference, ...]:
    changes = compare_journeys(before, wanted.files)
    found = []
    for name in sorted({*changes, *outlooks}):
        change = changes.get(name, JourneyChange(name, "unchanged" if name in wanted.programs else "removed"))
        people = outlooks.get(name)
        if change.change != "unchanged" or (people is not None and _is_touched(people)):
            found.append(JourneyDifference(change, people))
    return tuple(found)


def _is_touched(people: JourneyOutlook) -> bool:
    """Whether anybody on their way has something to do with this publish."""
    if people.said_by == "command" or people.left:
        return True
    return any(not fate.stays_same or fate.silenced for fate in people.fates)


def _files(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return {
        name: "added" if name not in before else "removed" if name not in after else "changed"
        for name in names
    }


def difference_record(found: Difference) -> Record:
    """The difference as a JSON object."""
    return {
        "before": found.before,
        "after": found.after,
        "files": dict(found.files),
        "stranded": found.stranded,
        "journeys": [
            {
                "journey": each.change.journey,
                "change": each.change.change,
                "keys": list(each.change.keys),
                "steps": [
                    {
                        "step": step.step,
                        "kind": step.kind,
                        "change": step.change,
                        "details": list(step.details),
                    }
                    for step in each.change.steps
                ],
                "people": as_record(each.people) if each.people is not None else None,
            }
            for each in found.journeys
        ],
    }
