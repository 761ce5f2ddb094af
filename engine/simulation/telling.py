"""Tests of rulesets told to people: what was expected, what was found, and what led there, step by step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from engine.authoring.bundle import Bundle
from engine.delivery.rendering import why_this_arm
from engine.errors import Place
from engine.gate.reasons import describe
from engine.journeys.run import (
    CallEnded,
    Ended,
    EventSeen,
    Exposed,
    OutcomeKnown,
    Started,
    StartWish,
    TagChange,
    TaskDecided,
    TimerDue,
)
from engine.rules.explaining import Explanation, Part, explain
from engine.rules.truth import Truth
from engine.simulation.comparing import Dial
from engine.simulation.coverage import OF_JOURNEYS, SIDES, Coverage, path_of
from engine.simulation.journal import Asked, Entry, Happened, Moved
from engine.simulation.records import Decided
from engine.simulation.testing import TestResult

MOST_MOMENTS = 40
"""Of one trace; what lies between is left out."""
_MARKS = {Truth.TRUE: "+", Truth.FALSE: "-", Truth.UNKNOWN: "?"}
_VERDICTS = {"allow": "+", "hold": "~"}


def failure_lines(result: TestResult, bundle: Bundle, folder: str = "") -> list[str]:
    """Why a test failed, and its trace; places begin with the folder."""
    lines = [f"FAIL {_place(result.test.place, folder)} {result.test.name}"]
    for failure in result.failures:
        lines.append(f"  wanted  {failure.wanted}  {_place(failure.place, folder)}")
        lines.append(f"  found   {failure.found}")
    return [*lines, *trace_lines(result, bundle, folder)]


def trace_lines(result: TestResult, bundle: Bundle, folder: str = "") -> list[str]:
    """What happened in a test, moment by moment, on each contact's own clock."""
    test = result.test
    dials = {cast.name: Dial(test.start, cast.timezone) for cast in test.contacts}
    teller = Teller(result.entries, result.suite.journeys, dials, test.start, bundle, folder)
    moments = teller.moments()
    zones = sorted({cast.timezone for cast in result.test.contacts})
    lines = [f"  trace (clock of {', '.join(zones)}; UTC in brackets)"]
    if not moments:
        return [*lines, "    nothing happened at all"]
    if len(moments) > MOST_MOMENTS:
        half = MOST_MOMENTS // 2
        left_out = f"    … {len(moments) - 2 * half} more moments …"
        moments = [*moments[:half], [left_out], *moments[-half:]]
    return [*lines, *(line for moment in moments for line in moment)]


def coverage_lines(coverage: Coverage, folder: str = "") -> list[str]:
    """Everything that no test reached, in the order of the files."""
    sides = Counter((spot.journey, spot.name) for spot in coverage.missed if spot.kind == "condition")
    led_to = {(spot.journey, spot.more) for spot in coverage.missed if spot.kind == "way"}
    lines: dict[str, None] = {}
    untested: dict[str, str] = {}
    for spot in coverage.missed:
        named = (spot.journey, spot.name)
        if spot.journey in coverage.untested:
            if spot.kind == "step":
                untested.setdefault(
                    spot.journey, f"{_place(spot.place, folder)}: no test is about {spot.journey}"
                )
            continue
        if spot.kind == "step" and named in led_to:
            continue  # told with the way that leads to it
        owner = f"{spot.journey} " if spot.journey else ""
        match spot.kind:
            case "condition":
                never = "was never true" if spot.more == SIDES[0] else "was true every time"
                told = f"the condition {owner}{spot.name} "
                told += "was never asked" if sides[named] == len(SIDES) else never
            case "way":
                told = f"no test goes {owner}{spot.name}" + (f" ({spot.more})" if spot.more else "")
            case "plan":
                told = f"no test switches the plan {spot.name} on"
            case "breaker":
                told = f"no test trips the breaker {spot.name}"
            case _:
                told = f"no test reaches {owner}{spot.name}"
        lines[f"{_place(spot.place, folder)}: {told}"] = None
    return [*lines, *untested.values()]


def summary_line(coverage: Coverage) -> str:
    """How much was reached: `coverage 92%: 3 of 40 spots never reached (1 step, 2 conditions)`."""
    reached = len(coverage.spots) - len(coverage.missed)
    missed = [
        f"{count} {kind if count == 1 else kind + 's'}"
        for kind in ("step", "way", "condition", "plan", "breaker")
        if (count := sum(spot.kind == kind for spot in coverage.missed))
    ]
    never = f"; never reached: {', '.join(missed)}" if missed else ""
    return f"coverage {coverage.percent:.0f}% ({reached} of {len(coverage.spots)}){never}"


def result_data(result: TestResult, bundle: Bundle) -> dict[str, Any]:
    """A result for programs; the trace stands beside a failing test only."""
    data: dict[str, Any] = {
        "file": result.test.place.file,
        "line": result.test.place.line,
        "name": result.test.name,
        "passed": result.passed,
        "failures": [
            {
                "file": failure.place.file,
                "line": failure.place.line,
                "wanted": failure.wanted,
                "found": failure.found,
            }
            for failure in result.failures
        ],
        "sends": [
            {
                "at": sent.at,
                "contact": sent.contact_id,
                "journey": sent.journey,
                "step": sent.step,
                "channel": sent.channel,
                "content": sent.content,
            }
            for sent in result.sends
        ],
    }
    if not result.passed:
        data["trace"] = trace_lines(result, bundle)[1:]
    return data


def coverage_data(coverage: Coverage) -> dict[str, Any]:
    """Coverage for programs."""
    return {
        "percent": round(coverage.percent, 1),
        "spots": len(coverage.spots),
        "missed": [
            {
                "file": spot.place.file,
                "line": spot.place.line,
                "kind": spot.kind,
                "journey": spot.journey,
                "name": spot.name,
                "never": spot.more if spot.kind == "condition" else "reached",
            }
            for spot in coverage.missed
        ],
    }


def _place(place: Place, folder: str) -> str:
    prefix = folder.rstrip("/")
    return f"{prefix}/{place.file}:{place.line}" if prefix not in {"", "."} else f"{place.file}:{place.line}"


class Teller:
    """Tells what happened in a simulation of these journeys, on the clock of each contact.

    Nothing before `start` is told. Places in files begin with the folder.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        journeys: Collection[str],
        dials: Mapping[str, Dial],
        start: datetime,
        bundle: Bundle,
        folder: str = "",
    ) -> None:
        self._bundle = bundle
        self._folder = folder
        self._entries = entries
        self._journeys = set(journeys)
        self._dials = dials
        self._several = len(self._dials) > 1
        self._start = start

    def moments(self) -> list[list[str]]:
        """The lines of each moment at which something happened to somebody."""
        found: list[list[str]] = []
        latest: tuple[datetime, str] | None = None
        for entry in self._entries:
            at, contact = _when(entry)
            lines = list(self._lines(entry))
            if not lines or at < self._start:
                continue
            if latest != (at, contact):
                latest = (at, contact)
                found.append([self._head(at, contact)])
            found[-1] += [f"      {line}" for line in lines]
        return found

    def _head(self, at: datetime, contact: str) -> str:
        dial = self._dials[contact]
        whose = f"  {contact}" if self._several else ""
        return f"    {dial.since(at):<9} {dial.local(at)} ({at.astimezone(UTC):%H:%M}Z){whose}"

    def _lines(self, entry: Entry) -> Iterator[str]:
        match entry:
            case Happened():
                said = {**entry.event.properties, **entry.traits}
                shown = ", ".join(f"{name}: {value}" for name, value in said.items())
                yield f"event {entry.event.type}" + (f" {{{shown[:100]}}}" if shown else "")
            case Asked():
                yield from self._asked(entry)
            case Moved():
                yield from self._moved(entry)
            case Decided(kind="branch" | "experiment"):
                pass  # the way of the run says so
            case Decided():
                yield self._decided(entry)

    def _asked(self, entry: Asked) -> Iterator[str]:
        for rule in entry.rules:
            family, _, rest = rule.partition(":")
            journey = rest.partition("#")[0].partition("/")[0]
            if family not in OF_JOURNEYS or journey not in self._journeys:
                continue
            is_true = rule in entry.true
            if family == "leave" and not is_true:
                continue  # asked at every turn; that nobody left shows
            place = self._bundle.rule_places[rule]
            yield f"{'+' if is_true else '-'} {journey} {path_of(rule)}  {_place(place, self._folder)}"
            explanation = explain(self._bundle.condition(rule), entry.facts, entry.at)
            for line in self._explained(explanation, rule):
                yield f"    {line}"
            if family == "branch" and is_true:
                return  # the cases below are not taken

    def _explained(self, explanation: Explanation, rule: str) -> Iterator[str]:
        if explanation.kind is Part.TEST:
            place = self._bundle.test_places.get((rule, explanation.at))
            line = f":{place.line}" if place is not None else ""
            told = f"{explanation.text} ({explanation.found}, wanted {explanation.wanted})"
            yield f"{_MARKS[explanation.truth]} {told}  {line}".rstrip()
            return
        inner = [line for part in explanation.parts for line in self._explained(part, rule)]
        if explanation.kind is Part.ALL:
            yield from inner
            return
        yield f"{_MARKS[explanation.truth]} {explanation.text}"
        yield from (f"  {line}" for line in inner)

    def _moved(self, entry: Moved) -> Iterator[str]:
        run, done = entry.done.run, entry.done
        if done.run.is_active or done.path or isinstance(entry.cause, TimerDue | EventSeen):
            way = " → ".join(done.path)
            yield f"{entry.journey}{_because(entry)}" + (f": {way}" if way else "")
        for effect in done.effects:
            match effect:
                case TagChange(add, remove):
                    changes = [*(f"+{tag}" for tag in add), *(f"-{tag}" for tag in remove)]
                    yield f"  tags {' '.join(changes)}"
                case StartWish(journey=journey):
                    yield f"  starts {journey}"
                case Exposed(step, design, assignment):
                    why = why_this_arm(assignment.evidence(design))
                    yield f"  experiment {step}: {assignment.arm} ({why})"
                case Ended():
                    pass  # the decision says so
        if run.waiting is not None and run.waiting.due_at is not None:
            dial = self._dials[entry.contact_id]
            yield f"  waits at {run.waiting.step} until {dial.both(run.waiting.due_at)}"

    def _decided(self, decided: Decided) -> str:
        mark = _VERDICTS.get(decided.verdict, "-")
        words = {"message": "send", "task": "task", "call": "call"}
        named = f"{words[decided.kind]} {decided.step}" if decided.kind in words else None
        subject = named or decided.journey or decided.kind
        channel = f" by {decided.channel}" if decided.channel else ""
        until = ""
        if decided.hold_until is not None:
            until = f" until {self._dials[decided.contact_id].both(decided.hold_until)}"
        return f"{mark} {subject}{channel}: {decided.reason}{until}{_why(decided)}"


def _when(entry: Entry) -> tuple[datetime, str]:
    match entry:
        case Happened():
            return entry.event.received_at, entry.event.contact_id
        case _:
            return entry.at, entry.contact_id


def _because(entry: Moved) -> str:
    match entry.cause:
        case Started():
            return " begins"
        case TimerDue():
            return f" goes on after {entry.before}"
        case EventSeen():
            return f" has waited for this at {entry.before}"
        case TaskDecided(step, choice):
            return f" goes on, {step} is answered {choice}"
        case OutcomeKnown(step, outcome) | CallEnded(step, outcome):
            return f" goes on, {step} is {outcome}"
        case _:
            return ""


def _why(decided: Decided) -> str:
    if decided.verdict == "allow":
        return ""
    try:
        sentence = f" ({describe(decided.reason).sentence}"
    except KeyError:
        return ""
    named = [str(decided.evidence[key]) for key in ("cap", "check", "place") if decided.evidence.get(key)]
    return f"{sentence}{': ' if named else ''}{', '.join(named)})"
