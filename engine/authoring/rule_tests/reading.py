"""Reads `.test.yaml` files: who they are about and what happens, with every moment fixed.

What they expect is read in `rule_test_expecting`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from engine.authoring.bundle import Bundle
from engine.authoring.checking.json_schemas import fault_of_schema
from engine.authoring.checking.references import References
from engine.authoring.compiling.run_facts import type_of
from engine.authoring.definitions import Defined, Definitions, kind_of
from engine.authoring.models.happenings import HappeningEntry
from engine.authoring.models.people import PersonEntry
from engine.authoring.models.rule_test import RuleTestEntry, RuleTestFile
from engine.authoring.reading.source import Source
from engine.authoring.reading.validating import known_list, nearest, validate_as
from engine.authoring.rule_tests.acting import read_acts
from engine.authoring.rule_tests.expecting import owner_of_call, owner_of_task, read_expectations
from engine.authoring.rule_tests.experiments import arms_of, check_experiments
from engine.authoring.rule_tests.ground import Ground
from engine.authoring.rule_tests.tests import ONLY_CONTACT, Answer, Cast, Happening, RuleTest, SaidEnd, Suite
from engine.errors import Problem
from engine.gate.consent import ANY, OF_EVERY_WORKSPACE
from engine.journeys.event import JOURNEY_REQUESTED, MESSAGE_BOUNCED, MESSAGE_COMPLAINED
from engine.journeys.numbers import zones_by_numbers
from engine.journeys.program import Ask, Call
from engine.rules.condition import YamlPath

TEST_SUFFIX = ".test.yaml"
IDENTIFY = "identify"
"""The event by which senders state what they know of a contact; every workspace takes it."""
_SWITCHED_OFF = re.compile(r"^enabled:\s*false\b", re.MULTILINE)
_STATED_OF_ALL = ("tags", "timezone", "locale")


def read_tests(
    sources: Sequence[Source], found: Definitions, bundle: Bundle | None
) -> tuple[tuple[Suite, ...], list[Problem]]:
    """The tests of these files and every problem; without a bundle they are checked by themselves only."""
    suites: list[Suite] = []
    problems: list[Problem] = []
    for source in sources:
        if source.problems:
            continue  # reported already
        item, more = validate_as(RuleTestFile, source)
        problems += more
        if item is None or bundle is None:
            continue
        ground = Ground(Defined(item, source, ()), bundle, References(found), problems)
        _find_journeys(ground, found)
        suites.append(_suite(ground))
    return tuple(suites), problems


def _find_journeys(ground: Ground, found: Definitions) -> None:
    """The journeys under test: those of the files named, or all of them."""
    files, below = ground.bundle.files, posixpath.dirname(ground.file.source.file)
    journeys = {journey.source.file: journey.item.id for journey in found.journey_files}
    is_list = isinstance(ground.file.source.data.get("ruleset"), list)
    for number, name in enumerate(ground.file.item.ruleset):
        at: YamlPath = ("ruleset", number) if is_list else ("ruleset",)
        file = posixpath.normpath(posixpath.join(below, name))
        if file in journeys:
            ground.programs[journeys[file]] = ground.bundle.programs[journeys[file]]
        elif file not in files or file.endswith(TEST_SUFFIX):
            ground.knows_all = False
            own = [posixpath.relpath(each, below or ".") for each in files if TEST_SUFFIX not in each]
            same = [each for each in own if posixpath.basename(each) == posixpath.basename(file)]
            hint = f"did you mean '{same[0]}'?" if same else nearest(name, own)
            message = f"there is no ruleset file '{name}', as seen from here"
            ground.note("RS085", message, hint or "name the file that is tested, as welcome.yaml", at)
        elif kind_of(Source(file, None), files[file]) == "journey":
            ground.knows_all = False
            if _SWITCHED_OFF.search(files[file]):
                message = f"'{name}' is switched off, so there is nothing to test"
                ground.note("RS085", message, "set 'enabled: true' there, or remove these tests", at)
    if not ground.programs and ground.knows_all:
        ground.runs_all = True
        ground.programs.update(ground.bundle.programs)


def _suite(ground: Ground) -> Suite:
    tests: list[RuleTest] = []
    seen: set[str] = set()
    _check_person(ground, ground.file.item.contact, ("contact",))
    for number, entry in enumerate(ground.file.item.tests):
        at: YamlPath = ("tests", number)
        if entry.name in seen:
            ground.note("RS042", f"two tests are called '{entry.name}'", "rename one of them", (*at, "name"))
        seen.add(entry.name)
        tests.append(_test(ground, entry, at))
    named = ground.programs if not ground.runs_all else ()
    about = {*named, *(each.journey for test in tests for each in test.expected if each.journey)}
    return Suite(ground.file.source.file, tuple(ground.programs), tuple(tests), frozenset(about))


def _test(ground: Ground, entry: RuleTestEntry, at: YamlPath) -> RuleTest:
    item = ground.file.item
    people = {cast.name: cast for cast in _people(ground, entry, at)}
    zone = ground.bundle.workspace.timezone
    start = ground.moment(entry.start or item.start, datetime.min.replace(tzinfo=UTC), zone)
    ended = entry.until or item.until
    until = ground.moment(ended, start, zone)
    if until <= start:
        message = f"'{ended.text}' is no time at all: the test would end as it starts"
        ground.note("RS089", message, "as 60d", (*at, "until") if entry.until else ("until",))
    events = list(_events(ground, entry, at, people, start, until))
    history = []
    for number, past in enumerate(entry.history):
        here = (*at, "history", number)
        _check_event(ground, past.event, past.properties, here)
        cast = ground.whose(past.contact, people, here)
        history.append(Happening(start - past.ago, cast.name, past.event, past.properties))
    return RuleTest(
        name=entry.name,
        place=ground.file.place(*at),
        start=start,
        until=until,
        contacts=tuple(people.values()),
        history=tuple(sorted(history, key=lambda each: each.at)),
        events=tuple(sorted(events, key=lambda each: each.at)),
        calls=tuple(_calls(ground, entry, at, people)),
        expected=tuple(read_expectations(ground, entry, at, people, start, until)),
        acts=read_acts(ground, entry, at, start, until, people),
        answers=tuple(sorted(_answers(ground, entry, at, people, start, until), key=lambda each: each.at)),
    )


def _answers(
    ground: Ground,
    entry: RuleTestEntry,
    at: YamlPath,
    people: Mapping[str, Cast],
    start: datetime,
    until: datetime,
) -> Iterator[Answer]:
    for number, answer in enumerate(entry.answers):
        here = (*at, "answers", number)
        cast = ground.whose(answer.contact, people, here)
        moment = ground.moment(answer.at, start, cast.timezone)
        if not start <= moment <= until:
            side = "before the start" if moment < start else "after the end"
            message = f"'{answer.at.text}' lies {side} of the test, so nobody answers then"
            ground.note(
                "RS089", message, "say a moment within the test, or let it last longer", (*here, "at")
            )
            continue
        program = owner_of_task(ground, answer.task, answer.journey, (*here, "task"), (*here, "journey"))
        if program is None:
            continue
        asked = program.steps[answer.task]
        assert isinstance(asked, Ask), "only tasks are answered"
        if asked.choice(answer.choice) is None:
            known = [each.id for each in asked.choices]
            ground.unknown(
                f"'{answer.choice}' is not an answer to '{answer.task}'",
                answer.choice,
                known,
                (*here, "choice"),
            )
            continue
        yield Answer(moment, cast.name, program.journey, answer.task, answer.choice, ground.file.place(*here))


def _events(
    ground: Ground,
    entry: RuleTestEntry,
    at: YamlPath,
    people: Mapping[str, Cast],
    start: datetime,
    until: datetime,
) -> Iterator[Happening]:
    for number, event in enumerate(entry.events):
        here = (*at, "events", number)
        cast = ground.whose(event.contact, people, here)
        moment = ground.moment(event.at, start, cast.timezone)
        if moment < start:
            message = f"'{event.at.text}' lies before the start of the test"
            ground.note("RS089", message, "what happened earlier stands in 'history'", (*here, "at"))
            continue
        if moment > until:
            message = f"'{event.at.text}' lies after the end of the test, so it never happens"
            ground.note("RS089", message, "let the test last longer: 'until'", (*here, "at"))
        if event.event is not None:
            _check_event(ground, event.event, event.properties, here)
        _check_traits(ground, event, (*here, "traits"))
        yield Happening(moment, cast.name, event.event or IDENTIFY, event.properties, event.traits)


def _calls(
    ground: Ground, entry: RuleTestEntry, at: YamlPath, people: Mapping[str, Cast]
) -> Iterator[SaidEnd]:
    for number, said in enumerate(entry.calls):
        here = (*at, "calls", number)
        whose = ground.whose(said.contact, people, here).name if said.contact is not None else None
        program = owner_of_call(ground, said.call, said.journey, (*here, "call"), (*here, "journey"))
        if program is None:
            continue
        step = program.steps[said.call]
        assert isinstance(step, Call), "only calls are looked for"
        for name, value in said.results.items():
            kind = step.results.get(name)
            place = (*here, "results", name)
            if kind is None:
                hint = nearest(name, step.results) or known_list(step.results)
                message = f"the step '{step.id}' keeps no result '{name}'"
                ground.note("RS087", message, hint, place)
            elif type_of(value) is not kind:
                message = f"'{name}' is a {kind} to the step '{step.id}', and this is not"
                ground.note("RS088", message, f"see 'results' of '{step.id}'", place)
        if said.results and said.outcome != "done":
            message = f"a call that is {said.outcome} answers nothing"
            ground.note("RS089", message, "remove 'results', or let it be done", (*here, "results"))
        yield SaidEnd(program.journey, said.call, said.outcome, dict(said.results), whose)


_TOLD_IN_TESTS = (JOURNEY_REQUESTED, MESSAGE_BOUNCED, MESSAGE_COMPLAINED)
"""What Wayline itself writes because somebody told it, and in a test nobody else can."""


def _check_event(ground: Ground, name: str, properties: Mapping[str, Any], at: YamlPath) -> None:
    """The event as intake would check it; and no property that the schema does not know."""
    if name == IDENTIFY and name not in ground.bundle.events:
        return
    if not ground.refer("event type", name, (*at, "event")):
        return
    kind = ground.bundle.events.get(name)
    if kind is None:
        return  # it stands in a file that cannot be read
    if kind.is_own and name not in _TOLD_IN_TESTS:
        message = f"'{name}' is written by Wayline itself, in tests too"
        ground.note(
            "RS088", message, "bring about what it follows from, or let the time go by", (*at, "event")
        )
        return
    declared = kind.schema.get("properties", {})
    meant = set()
    for key in properties:
        # Whoever requests a journey may hand it anything.
        if key not in declared and name != JOURNEY_REQUESTED:
            message = f"'{key}' is not a property of '{name}'"
            hint = nearest(key, declared)
            meant |= {each for each in declared if f"'{each}'" in hint}
            hint = hint or known_list(declared)
            ground.note("RS088", message, hint, (*at, "properties", key), key=True)
    if fault_of_schema(kind.schema) is not None:
        return  # told where it is declared
    from jsonschema import Draft202012Validator  # a workspace without tests need not wait for it

    checker = Draft202012Validator(dict(kind.schema), format_checker=Draft202012Validator.FORMAT_CHECKER)
    for error in sorted(checker.iter_errors(properties), key=lambda each: str(each.absolute_path)):
        wanted = error.validator_value
        match error.validator:
            case "required":
                missing = [each for each in wanted if each not in properties and each not in meant]
                if error.absolute_path or not missing:
                    continue
                message = f"'{name}' needs the property '{missing[0]}'"
                where = (*at, "properties") if properties else (*at, "event")
                ground.note("RS088", message, f"add 'properties: {{{missing[0]}: …}}'", where)
            case "additionalProperties":
                continue  # named above
            case keyword:
                shown = " or ".join(wanted) if isinstance(wanted, list) else str(wanted)
                message = f"'{name}' does not take this: {keyword} must be {shown[:80]}"
                hint = "see the event's schema; `wayline facts` lists it"
                ground.note("RS088", message, hint, (*at, "properties", *error.absolute_path))
    if name == JOURNEY_REQUESTED and isinstance(requested := properties.get("journey"), str):
        ground.journey(requested, (*at, "properties", "journey"))
    if kind.effect in {"consent_granted", "consent_denied", "consent_withdrawn", "consent_confirmed"}:
        purpose = properties.get("purpose")
        if isinstance(purpose, str) and purpose not in {ANY, *OF_EVERY_WORKSPACE}:
            ground.refer("purpose", purpose, (*at, "properties", "purpose"))


def _check_traits(ground: Ground, event: HappeningEntry, at: YamlPath) -> None:
    workspace = ground.bundle.workspace
    for name, value in event.traits.items():
        if name in workspace.attributes:
            _check_attribute(ground, name, value, at, may_be_null=True)
        elif name == "tags":
            parts = value if isinstance(value, dict) and value and value.keys() <= {"add", "remove"} else None
            for part, tags in parts.items() if parts is not None else [(None, value)]:
                _check_tags(ground, tags, (*at, name) if part is None else (*at, name, part))
        elif name not in _STATED_OF_ALL and name not in workspace.identities:
            known = [*_STATED_OF_ALL, *workspace.attributes, *workspace.identities]
            message = f"nothing is kept of '{name}': it is neither an attribute nor an identity"
            hint = nearest(name, known) or known_list(known)
            ground.note("RS088", message, hint, (*at, name), key=True)
        elif not isinstance(value, str):
            ground.note("RS088", f"'{name}' must be a text", "put it in quotes", (*at, name))


def _people(ground: Ground, entry: RuleTestEntry, at: YamlPath) -> Iterator[Cast]:
    if not entry.contacts:
        if entry.contact is not None:
            _check_person(ground, entry.contact, (*at, "contact"))
        yield _cast(ground, ONLY_CONTACT, entry.contact)
    for name, person in entry.contacts.items():
        _check_person(ground, person, (*at, "contacts", name))
        yield _cast(ground, name, person)


def _cast(ground: Ground, name: str, own: PersonEntry | None) -> Cast:
    said = {key: getattr(own, key) for key in own.model_fields_set} if own is not None else {}
    person = ground.file.item.contact.model_copy(update=said)
    workspace = ground.bundle.workspace
    zone = person.timezone
    if zone is None:
        zones = zones_by_numbers(person.identities, workspace.numbers)
        zone = zones[0] if len(zones) == 1 else workspace.timezone
    return Cast(
        name=name,
        timezone=zone,
        states_timezone=person.timezone is not None,
        locale=person.locale,
        consents=person.consents,
        identities=person.identities,
        tags=frozenset(person.tags),
        attributes=person.attributes,
        arms=arms_of(ground, person.arms),
        held_out=frozenset(person.held_out),
    )


def _check_person(ground: Ground, person: PersonEntry, at: YamlPath) -> None:
    for number, purpose in enumerate(person.consents):
        ground.refer("purpose", purpose, (*at, "consents", number))
    for platform in person.identities:
        ground.refer("identity", platform, (*at, "identities", platform))
    if person.locale is not None:
        ground.refer("locale", person.locale, (*at, "locale"))
    _check_tags(ground, list(person.tags), (*at, "tags"))
    check_experiments(ground, person, at)
    for name, value in person.attributes.items():
        if name in ground.bundle.workspace.attributes:
            _check_attribute(ground, name, value, (*at, "attributes"))
            continue
        known = ground.bundle.workspace.attributes
        hint = nearest(name, known) or known_list(known)
        if ground.bundle.catalogue.get(f"contact.{name}") is not None:
            hint = "it follows from what happened: write that under 'history'"
        message = f"'{name}' is not an attribute that wayline.yaml declares"
        ground.note("RS088", message, hint, (*at, "attributes", name), key=True)


def _check_tags(ground: Ground, tags: Any, at: YamlPath) -> None:
    if not isinstance(tags, list) or not all(isinstance(tag, str) and tag for tag in tags):
        ground.note("RS088", "'tags' must be a list of texts", "as [vip]", at)
        return
    derived = {tag.tag for tag in ground.bundle.tags}
    for number, tag in enumerate(tags):
        if tag in derived:
            message = f"the tag '{tag}' follows from a rule and is not set by hand"
            ground.note("RS088", message, "give the contact what the rule asks for", (*at, number))


def _check_attribute(
    ground: Ground, name: str, value: Any, at: YamlPath, *, may_be_null: bool = False
) -> None:
    kind = ground.bundle.workspace.attributes[name]
    if value is None and may_be_null:
        return
    match kind, value:
        case ("text", str()) | ("boolean", bool()):
            return
        case "number", int() | float() if not isinstance(value, bool):
            return
        case "labels", list() if all(isinstance(item, str) for item in value):
            return
        case "instant", str() if _is_moment(value):
            return
    hint = 'as "2026-03-01T09:00:00+08:00", in quotes' if kind == "instant" else "see wayline.yaml"
    ground.note("RS088", f"'{name}' is {kind} in wayline.yaml, and this is not", hint, (*at, name))


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
