"""Reads what a test expects: names that lead nowhere, and what could never come to pass, are problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from engine.authoring.compiling.conditions import Rulebook
from engine.authoring.models.expectations import ExpectEntry
from engine.authoring.models.rule_test import RuleTestEntry
from engine.authoring.reading.validating import known_list, nearest
from engine.authoring.rule_tests.ground import MINUTE, Ground
from engine.authoring.rule_tests.tests import Cast, Expectation, Window
from engine.gate.reasons import REASONS, describe
from engine.journeys.program import Ask, Call, Program, Send
from engine.rules.condition import YamlPath
from engine.rules.facts import Catalogue


def read_expectations(
    ground: Ground,
    entry: RuleTestEntry,
    at: YamlPath,
    people: Mapping[str, Cast],
    start: datetime,
    until: datetime,
) -> Iterator[Expectation]:
    """What a test expects, in the order written."""
    for number, expected in enumerate(entry.expect):
        here = (*at, "expect", number)
        cast = ground.whose(expected.contact, people, here)
        window = None
        if expected.at is not None:
            window = ground.window(expected.at, start, cast.timezone)
            _check_window(ground, window, (*here, "at"), start, until)
        if window is not None and expected.facts is not None:
            _check_one_moment(ground, window, (*here, "at"))
        if expected.reason is not None:
            _check_reason(ground, expected.reason, (*here, "reason"))
        yield _expectation(ground, expected, here, cast, window)


def _expectation(
    ground: Ground, expected: ExpectEntry, at: YamlPath, cast: Cast, window: Window | None
) -> Expectation:
    kind = expected.kind
    said: dict[str, Any] = {
        "kind": kind,
        "contact": cast.name,
        "place": ground.file.place(*at),
        "window": window,
        "reason": expected.reason,
        "local_time": expected.local_time,
    }
    name = getattr(expected, kind)
    match kind:
        case "facts":
            return Expectation(**said, **_facts(ground, expected, at))
        case "send" | "held" | "not_sent":
            program = _owner(ground, name, expected.journey, kind, at)
            if program is not None:
                _check_message(ground, program, expected, at)
            return Expectation(
                **said,
                journey=program.journey if program is not None else "",
                step=name,
                channel=expected.channel,
                content=expected.content,
                contains=expected.contains,
            )
        case "task":
            program = owner_of_task(ground, name, expected.journey, (*at, kind), (*at, "journey"))
            if program is not None and expected.queue is not None:
                _check_queue(ground, program, name, expected.queue, (*at, "queue"))
            journey = program.journey if program is not None else ""
            return Expectation(**said, journey=journey, step=name, queue=expected.queue)
        case "called":
            program = owner_of_call(ground, name, expected.journey, (*at, kind), (*at, "journey"))
            return Expectation(**said, journey=program.journey if program is not None else "", step=name)
        case _:
            ground.journey(name, (*at, kind))
            return Expectation(**said, journey=name)


def _owner(ground: Ground, step: str, journey: str | None, kind: str, at: YamlPath) -> Program | None:
    """The journey under test whose message is meant."""
    return _owner_of(ground, Send, "sends no message", step, journey, (*at, kind), (*at, "journey"))


def owner_of_task(
    ground: Ground, step: str, journey: str | None, at: YamlPath, journey_at: YamlPath
) -> Program | None:
    """The journey under test whose task is meant; None, and perhaps a problem, when there is none."""
    return _owner_of(ground, Ask, "gives nobody a task", step, journey, at, journey_at)


def owner_of_call(
    ground: Ground, step: str, journey: str | None, at: YamlPath, journey_at: YamlPath
) -> Program | None:
    """The journey under test whose call is meant; None, and perhaps a problem, when there is none."""
    return _owner_of(ground, Call, "calls no action", step, journey, at, journey_at)


def _owner_of(
    ground: Ground,
    kind: type[Send] | type[Ask] | type[Call],
    otherwise: str,
    step: str,
    journey: str | None,
    at: YamlPath,
    journey_at: YamlPath,
) -> Program | None:
    if journey is not None and ground.journey(journey, journey_at) is None:
        return None
    programs = [ground.programs[journey]] if journey is not None else list(ground.programs.values())
    owners = [program for program in programs if isinstance(program.steps.get(step), kind)]
    if len(owners) == 1:
        return owners[0]
    if len(owners) > 1:
        names = ", ".join(program.journey for program in owners)
        message = f"several journeys have a step '{step}': {names}"
        ground.note("RS087", message, f"add 'journey: {owners[0].journey}'", at)
        return None
    known = [each.id for program in programs for each in program.steps.values() if isinstance(each, kind)]
    if any(step in program.steps for program in programs):
        message = f"the step '{step}' {otherwise}"
    else:
        where = f"'{programs[0].journey}' has" if len(programs) == 1 else "the journeys under test have"
        message = f"{where} no step '{step}'"
    ground.unknown(message, step, known, at)
    return None


def _check_queue(ground: Ground, program: Program, step: str, queue: str, at: YamlPath) -> None:
    asked = program.steps[step]
    assert isinstance(asked, Ask), "only tasks are looked for"
    if ground.refer("queue", queue, at) and queue != asked.queue:
        ground.note("RS089", f"'{step}' never goes to '{queue}'", f"its queue is {asked.queue}", at)


def _check_message(ground: Ground, program: Program, expected: ExpectEntry, at: YamlPath) -> None:
    step = program.steps[getattr(expected, expected.kind)]
    assert isinstance(step, Send), "only messages are looked for"
    channel, content = expected.channel, expected.content
    if (
        channel is not None
        and ground.refer("channel", channel, (*at, "channel"))
        and channel not in step.channels
    ):
        message = f"'{step.id}' never goes by '{channel}'"
        ground.note("RS089", message, f"its channels are {', '.join(step.channels)}", (*at, "channel"))
    if content is not None and ground.refer("content", content, (*at, "content")) and content != step.content:
        message = f"'{step.id}' never sends '{content}'"
        ground.note("RS089", message, f"it sends '{step.content}'", (*at, "content"))


def _check_window(ground: Ground, window: Window, at: YamlPath, start: datetime, until: datetime) -> None:
    if window.last <= window.first:
        message = f"'{window.text}' ends before it begins"
        ground.note("RS089", message, "write the earlier moment first", at)
    elif window.last <= start:
        ground.note("RS089", f"'{window.text}' lies before the start of the test", "say a later moment", at)
    elif window.first > until:
        message = f"'{window.text}' lies after the end of the test, so it cannot come to pass"
        ground.note("RS089", message, "let the test last longer: 'until'", at)


def _check_one_moment(ground: Ground, window: Window, at: YamlPath) -> None:
    if window.last - window.first > MINUTE:
        message = f"'{window.text}' is longer than a moment, and facts change with time"
        ground.note("RS086", message, "look once at the beginning and once at the end", at)


def _check_reason(ground: Ground, reason: str, at: YamlPath) -> None:
    try:
        describe(reason)
    except KeyError:
        hint = nearest(reason, REASONS) or known_list(REASONS, limit=40)
        ground.note("RS006", f"'{reason}' is not a reason code", hint, at)


def _facts(ground: Ground, expected: ExpectEntry, at: YamlPath) -> dict[str, Any]:
    rulebook = Rulebook()
    catalogue = Catalogue(fact for fact in ground.bundle.catalogue if fact.path.startswith("contact."))
    rule = "facts"
    condition = rulebook.add(ground.file, (*at, rule), expected.facts, catalogue, [(rule, rule)])
    ground.problems.extend(rulebook.problems)
    places = {path: place for (_, path), place in rulebook.test_places.items()}
    return {"condition": condition, "test_places": places}
