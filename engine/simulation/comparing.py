"""Holds what a test expects against what happened; where they differ, says what came nearest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from engine.authoring.rule_tests.tests import Expectation, RuleTest
from engine.errors import Place
from engine.gate.reasons import describe
from engine.rules.explaining import Explanation, nearest_miss
from engine.rules.truth import Truth
from engine.simulation.records import Decided, Sent


@dataclass(frozen=True)
class Failure:
    """One way in which what happened is not what the test expects."""

    place: Place
    """Of the expectation; of the test, for something that nobody expected."""
    wanted: str
    found: str


@dataclass(frozen=True)
class Lived:
    """What happened in a test."""

    sends: tuple[Sent, ...]
    decisions: tuple[Decided, ...]
    positions: Mapping[str, Mapping[str, str | None]]
    """Contact -> journey it is in at the end -> step."""
    facts: Mapping[int, Explanation]
    """Place of an expectation of facts in the test -> what was found at its moment."""
    unanswered: frozenset[int] = frozenset()
    """Places of the test's answers for which no task was open."""


_UNITS = (
    (timedelta(days=1), "d"),
    (timedelta(hours=1), "h"),
    (timedelta(minutes=1), "m"),
    (timedelta(seconds=1), "s"),
)


class Dial:
    """Writes moments as a contact's own clock shows them, with the time since the start."""

    def __init__(self, start: datetime, zone: str) -> None:
        self._start = start
        self.zone = ZoneInfo(zone)

    def since(self, moment: datetime) -> str:
        """Time since the start, as `30d 1h`."""
        return since(moment - self._start)

    def local(self, moment: datetime) -> str:
        """The contact's date and time."""
        there = moment.astimezone(self.zone)
        return f"{there:%Y-%m-%d %H:%M:%S}" if there.second else f"{there:%Y-%m-%d %H:%M}"

    def both(self, moment: datetime) -> str:
        """The contact's date and time, and the time since the start."""
        return f"{self.local(moment)} ({self.since(moment)})"


def since(length: timedelta) -> str:
    """A length of time from days to seconds, as tests write it: `30d 1h`."""
    parts = []
    for unit, name in _UNITS:
        many, length = divmod(length, unit)
        parts += [f"{many}{name}"] if many else []
    return " ".join(parts) or "0d"


def compare(test: RuleTest, lived: Lived) -> Iterator[Failure]:
    """Every difference, in the order of the file; what nobody expected comes last."""
    dials = {cast.name: Dial(test.start, cast.timezone) for cast in test.contacts}
    matched, left_over = _pair_sends(test, lived, dials)
    given, tasks_left = _pair_tasks(test, lived, dials)
    explained: list[Sent] = []
    """Sends that are told of where they were nearest to what was expected."""
    for number, expected in enumerate(test.expected):
        dial = dials[expected.contact]
        match expected.kind:
            case "send":
                if number in matched:
                    continue
                nearest = _nearest(expected, left_over, dial)
                explained += [nearest] if nearest is not None else []
                found = _why_not_sent(expected, nearest, lived, dial)
            case "task":
                if number in given:
                    continue
                found = _why_not_given(expected, lived, dial)
            case "facts":
                found = _facts_fault(lived.facts[number])
            case "not_entered":
                found = _entered_after_all(expected, lived, dial)
            case _:
                found = _decision_fault(expected, lived, dial)
        if found:
            yield Failure(expected.place, wanted(expected), found)
    for number, answer in enumerate(test.answers):
        if number in lived.unanswered:
            about = _about_task(answer.contact, answer.journey, answer.step, lived)
            dial = dials[answer.contact]
            found = _told(about[-1], dial) if about else f"nobody was given {answer.step}"
            answered = f"{answer.step} answered {answer.choice} at {dial.both(answer.at)}"
            yield Failure(answer.place, answered, f"the task was not open then: {found}")
    for task in tasks_left:
        told_of = f"{task.step} of {task.journey} at {dials[task.contact_id].both(task.at)}"
        yield Failure(test.place, "no other task is given", f"given without being expected: {told_of}")
    for sent in left_over:
        if any(sent is each for each in explained):
            continue
        told = f"{sent.step} of {sent.journey} by {sent.channel} at {dials[sent.contact_id].both(sent.at)}"
        yield Failure(test.place, "nothing else is sent", f"sent without being expected: {told}")


def wanted(expected: Expectation) -> str:
    """What is expected, in a line."""
    name = expected.step or expected.journey
    texts = {
        "send": f"send {name}",
        "task": f"task {name}",
        "facts": "facts hold",
        "not_sent": f"{name} not sent",
        "not_entered": f"{name} not entered",
    }
    text = texts.get(expected.kind, f"{name} {expected.kind}")
    parts = [text]
    if expected.channel:
        parts.append(f"by {expected.channel}")
    if expected.queue:
        parts.append(f"to {expected.queue}")
    if expected.content:
        parts.append(f"with {expected.content}")
    if expected.reason:
        parts.append(f"because of {expected.reason}")
    if expected.window is not None:
        parts.append(f"at {expected.window.text}")
    if expected.local_time is not None:
        parts.append(f"at {expected.local_time:%H:%M} on the contact's clock")
    parts += [f"containing '{text}'" for text in expected.contains]
    return " ".join(parts)


# Sends: each expectation takes one send, each send serves one expectation


def _pair_sends(test: RuleTest, lived: Lived, dials: Mapping[str, Dial]) -> tuple[dict[int, int], list[Sent]]:
    """Expectation -> send, as many as can be; and the sends that none of them named."""
    wishes = {number: each for number, each in enumerate(test.expected) if each.kind == "send"}
    fits = {
        number: [
            at
            for at, sent in enumerate(lived.sends)
            if sent.contact_id == each.contact and not misses(each, sent, dials[each.contact])
        ]
        for number, each in wishes.items()
    }
    matched = _pair(fits)
    left = [sent for at, sent in enumerate(lived.sends) if at not in matched.values()]
    return matched, left


def _pair(fits: Mapping[int, Sequence[int]]) -> dict[int, int]:
    """Expectation -> what it takes of all that would fit, for as many expectations as can be."""
    taken: dict[int, int] = {}
    """What is taken -> expectation."""

    def place(number: int, tried: set[int]) -> bool:
        for at in fits[number]:
            if at not in tried:
                tried.add(at)
                if at not in taken or place(taken[at], tried):
                    taken[at] = number
                    return True
        return False

    for number in fits:
        place(number, set())
    return {number: at for at, number in taken.items()}


def misses(expected: Expectation, sent: Sent, dial: Dial) -> list[str]:
    """What about a send is not as expected; nothing when it is the one."""
    found: list[str] = []
    if (sent.journey, sent.step) != (expected.journey, expected.step):
        found.append(f"it is {sent.step} of {sent.journey}")
    found += _off_time(expected, sent.at, dial)
    if expected.channel not in (None, sent.channel):
        found.append(f"it went by {sent.channel}")
    if expected.content not in (None, sent.content):
        found.append(f"its content was {sent.content}")
    said = "\n".join((sent.subject, sent.body, sent.call_to_action))
    found += [f"it does not contain '{text}'" for text in expected.contains if text not in said]
    return found


def _off_time(expected: Expectation, at: datetime, dial: Dial) -> list[str]:
    found = []
    if expected.window is not None and at not in expected.window:
        early = at < expected.window.first
        apart = expected.window.first - at if early else at - expected.window.last + timedelta(minutes=1)
        found.append(f"{since(apart)} too {'early' if early else 'late'}")
    if expected.local_time is not None:
        clock = at.astimezone(dial.zone)
        if (clock.hour, clock.minute) != (expected.local_time.hour, expected.local_time.minute):
            found.append(f"the contact's clock showed {clock:%H:%M}")
    return found


def _nearest(expected: Expectation, left_over: Sequence[Sent], dial: Dial) -> Sent | None:
    """The message of the step that came nearest to what is expected."""
    own = [
        sent
        for sent in left_over
        if (sent.contact_id, sent.journey, sent.step) == (expected.contact, expected.journey, expected.step)
    ]

    def distance(sent: Sent) -> tuple[int, timedelta]:
        return len(misses(expected, sent, dial)), _apart(expected, sent.at)

    return min(own, key=distance, default=None)


def _why_not_sent(expected: Expectation, nearest: Sent | None, lived: Lived, dial: Dial) -> str:
    """The send that came nearest, or else what became of the message, of its run, of the entry."""
    if nearest is not None:
        held = [each for each in _about(expected, lived) if each.verdict == "hold" and each.at < nearest.at]
        waited = f"; it had to wait: {_told(held[-1], dial)}" if held else ""
        return f"sent at {dial.both(nearest.at)}: {', '.join(misses(expected, nearest, dial))}{waited}"
    told = [each for each in _about(expected, lived) if each.verdict != "allow"]
    if told:
        return f"not sent: {_told(told[-1], dial)}"
    return f"never wished: {_where_the_run_is(expected, lived, dial)}"


def _about(expected: Expectation, lived: Lived) -> list[Decided]:
    """The decisions about the messages of the expected step."""
    named = (expected.contact, expected.journey, expected.step)
    return [each for each in lived.decisions if (each.contact_id, each.journey, each.step) == named]


def _apart(expected: Expectation, at: datetime) -> timedelta:
    return abs(at - expected.window.first) if expected.window is not None else timedelta(0)


def _where_the_run_is(expected: Expectation, lived: Lived, dial: Dial) -> str:
    journey = expected.journey
    at_step = lived.positions.get(expected.contact, {}).get(journey)
    if at_step is not None:
        return f"{journey} is still at {at_step} when the test ends"
    told = [
        each
        for each in lived.decisions
        if (each.contact_id, each.journey) == (expected.contact, journey) and each.kind in {"run", "entry"}
    ]
    if not told:
        return f"no event reached {journey}"
    ends = [each for each in told if each.kind == "run"]
    return f"{journey}: {_told((ends or told)[-1], dial)}"


# Tasks: as sends, but that one which is answered needs no other mention


def _pair_tasks(
    test: RuleTest, lived: Lived, dials: Mapping[str, Dial]
) -> tuple[dict[int, int], list[Decided]]:
    """Expectation -> task, as many as can be; and those that are neither expected nor answered."""
    given = [each for each in lived.decisions if each.reason == "task.opened"]
    fits = {
        number: [at for at, task in enumerate(given) if not _task_misses(each, task, dials[each.contact])]
        for number, each in enumerate(test.expected)
        if each.kind == "task"
    }
    matched = _pair(fits)
    answered = {(each.contact, each.journey, each.step) for each in test.answers}
    left = [
        task
        for at, task in enumerate(given)
        if at not in matched.values() and (task.contact_id, task.journey, task.step) not in answered
    ]
    return matched, left


def _task_misses(expected: Expectation, task: Decided, dial: Dial) -> list[str]:
    if (task.contact_id, task.journey, task.step) != (expected.contact, expected.journey, expected.step):
        return [f"it is {task.step} of {task.journey}"]
    found = _off_time(expected, task.at, dial)
    if expected.queue not in (None, task.evidence["queue"]):
        found.append(f"it went to {task.evidence['queue']}")
    return found


def _why_not_given(expected: Expectation, lived: Lived, dial: Dial) -> str:
    told = _about_task(expected.contact, expected.journey, expected.step, lived)
    given = [each for each in told if each.reason == "task.opened"]
    if not given:
        return f"never given: {_where_the_run_is(expected, lived, dial)}"
    nearest = min(given, key=lambda each: _apart(expected, each.at))
    fault = ", ".join(_task_misses(expected, nearest, dial)) or "another expectation has it already"
    return f"given at {dial.both(nearest.at)}: {fault}"


def _about_task(contact: str, journey: str, step: str, lived: Lived) -> list[Decided]:
    """The decisions about the tasks of a step."""
    named = ("task", contact, journey, step)
    return [
        each for each in lived.decisions if (each.kind, each.contact_id, each.journey, each.step) == named
    ]


# Everything else is found among the decisions


def _decision_fault(expected: Expectation, lived: Lived, dial: Dial) -> str:
    """Why no decision is the expected one; nothing when one is."""
    is_kind = _KINDS[expected.kind]
    near = [
        each
        for each in lived.decisions
        if each.contact_id == expected.contact
        and each.journey == expected.journey
        and (not expected.step or each.step == expected.step)
    ]
    alike = [each for each in near if is_kind(each)]
    faults = [(_decision_misses(expected, each, dial), each) for each in alike]
    if any(not fault for fault, _ in faults):
        return ""
    if faults:
        fault, nearest = min(faults, key=lambda pair: (len(pair[0]), _apart(expected, pair[1].at)))
        return f"{_told(nearest, dial)}: {', '.join(fault)}"
    if near:
        return _told(near[-1], dial)
    return _where_the_run_is(expected, lived, dial)


def _decision_misses(expected: Expectation, decided: Decided, dial: Dial) -> list[str]:
    found = _off_time(expected, decided.at, dial)
    if expected.reason not in (None, decided.reason):
        found.append(f"not because of {expected.reason}")
    if expected.channel not in (None, decided.channel):
        found.append(f"it was about {decided.channel or 'no channel'}")
    return found


_KINDS: Mapping[str, Callable[[Decided], bool]] = {
    "held": lambda each: each.kind == "message" and each.verdict == "hold",
    "not_sent": lambda each: each.kind == "message" and each.verdict not in {"hold", "allow"},
    "called": lambda each: each.kind == "call" and each.verdict != "hold",
    "entered": lambda each: each.kind == "entry" and each.verdict == "allow",
    "ended": lambda each: each.kind == "run",
}


def _entered_after_all(expected: Expectation, lived: Lived, dial: Dial) -> str:
    told = [
        each
        for each in lived.decisions
        if (each.kind, each.contact_id, each.journey) == ("entry", expected.contact, expected.journey)
        and (expected.window is None or each.at in expected.window)
    ]
    entered = [each for each in told if each.verdict == "allow"]
    if entered:
        return _told(entered[0], dial)
    if expected.reason is not None and expected.reason not in {each.reason for each in told}:
        return _told(told[-1], dial) if told else f"no event reached {expected.journey}"
    return ""


def _told(decided: Decided, dial: Dial) -> str:
    """A decision in a line: reason code, what it means, when."""
    try:
        sentence = f" ({describe(decided.reason).sentence})"
    except KeyError:
        sentence = ""
    cap = decided.evidence.get("cap")
    named = f" {cap}" if isinstance(cap, str) else ""
    return f"{decided.reason}{named}{sentence} at {dial.both(decided.at)}"


def _facts_fault(found: Explanation) -> str:
    if found.truth is Truth.TRUE:
        return ""
    return "; ".join(f"{each.text} {each.found}, wanted {each.wanted}" for each in nearest_miss(found))
