"""Fills every template in with made-up facts, so that a mistake shows while writing, not when sending."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.authoring.bundle import Bundle, EventType
from engine.authoring.checking.scripts import texts_of, to_be_mended
from engine.authoring.compiling.event_facts import remembered, said_by
from engine.authoring.compiling.run_facts import parameter_facts
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.contents import ContentEntry
from engine.authoring.reading.validating import known_list, nearest
from engine.authoring.scripts import uses_any
from engine.errors import Place, Problem
from engine.journeys.keeping import ENTRY
from engine.journeys.program import Ask, Call, Experiment, Program, Repeat, Send, SetValues, WaitFor
from engine.plugin.answers import PARTS
from engine.plugin.calling import call_generator, generate, within
from engine.plugin.contracts import LINKS, ContentSpec, Draft, GenerateRequest, Generator, GeneratorFailed
from engine.plugin.patience import TooSlow
from engine.plugin.registry import Registry
from engine.rules.condition import YamlPath
from engine.rules.facts import Fact, FactType

# Only this one: it works alone and for nothing. Others may ask a service that costs money.
PROOFREAD_GENERATOR = "template"
# A variable in full-width or in single braces: nobody wants a recipient to read that.
_LITERAL = re.compile(
    r"｛｛?[^｛｝]*｝?｝?|(?<!\{)\{\s*(?:contact|event|journey|links)\.[a-z0-9_.]+\s*\}(?!\})"
)
_PATIENCE = timedelta(seconds=5)
_MOMENT = datetime(2026, 3, 1, 10, tzinfo=UTC)
_ALWAYS_KNOWN = {"id", "created_at", "tags", "order_count", "total_spent"}
"""Facts about contacts that are never missing."""
_OF_EVERY_EVENT: Mapping[str, Any] = {"type": "sample", "occurred_at": _MOMENT.isoformat()}

_LINKS = dict.fromkeys(LINKS, "https://example.com/sample")

Facts = Mapping[str, Mapping[str, Any]]
Setting = tuple[Facts, Facts]
"""All that one journey may know, and only what it always knows."""
Fill = Callable[[GenerateRequest], Draft]
"""Makes a text of a template; GeneratorFailed when there is none."""


def proofread(found: Definitions, bundle: Bundle, registry: Registry) -> Iterator[Problem]:
    """Templates that cannot be filled in, and those that fail where a fact is not known of everybody."""
    generator = registry.generators.get(PROOFREAD_GENERATOR)
    if generator is None:
        return
    made = _Facts(bundle)
    told: set[tuple[Place, str]] = set()
    users: dict[str, list[Program]] = {}
    for program in bundle.programs.values():
        sends = (step.content for step in program.steps.values() if isinstance(step, Send))
        for name in dict.fromkeys(sends):
            users.setdefault(name, []).append(program)
    for content in found.contents.values():
        # The texts of a content that somebody else writes take the place where there is no other.
        if content.item.generator == PROOFREAD_GENERATOR or content.item.generator in found.generators:
            settings = made.settings(users.get(content.item.id, ()))
            yield from _facts_told(content, settings)
            for problem in _of_content(content, found, settings, generator):
                # A script is faulty for every content that says it, and mended once.
                if (problem.place, problem.code) not in told:
                    told.add((problem.place, problem.code))
                    yield problem


def _facts_told(content: Defined[ContentEntry], settings: Sequence[Setting]) -> Iterator[Problem]:
    """RS056 for what a generator is to be told and nobody can know."""
    named = () if content.item.writing is None else content.item.writing.facts
    for number, path in enumerate(named):
        for full, _ in settings:
            known = list(_paths(full))
            if path not in known:
                message = f"'{path}' is not a fact of the readers of this content"
                hint = nearest(path, known) or "`wayline facts` lists them"
                yield content.problem("RS056", message, hint, at=("writing", "facts", number))
                break


def _paths(facts: Mapping[str, Any], before: str = "") -> Iterator[str]:
    """Every fact that can be named, but links, which are nobody's business but the reader's."""
    for name, value in facts.items():
        path = f"{before}{name}"
        if path == "links":
            continue
        if before:
            yield path
        if isinstance(value, Mapping):
            yield from _paths(value, f"{path}.")


def _of_content(
    content: Defined[ContentEntry], found: Definitions, settings: Sequence[Setting], generator: Generator
) -> list[Problem]:
    def at_once(request: GenerateRequest) -> Draft:
        return generate(generator, request)

    def one_by_one(request: GenerateRequest) -> Draft:
        return call_generator(generator, request, _PATIENCE)

    try:
        return within(_PATIENCE, lambda: list(_proofread(content, found, settings, at_once)))
    except TooSlow:
        # Something in it does not come to an end: each text by itself, so that the one at fault is named.
        return list(_proofread(content, found, settings, one_by_one))


def _proofread(
    content: Defined[ContentEntry], found: Definitions, settings: Sequence[Setting], fill: Fill
) -> Iterator[Problem]:
    for where, locale, text in texts_of(content.item):
        for part in PARTS:
            template = str(getattr(text, part))
            # Of a script that could not be put in it is told already.
            fault = None if uses_any(template) else _fault_in(template, locale, settings, fill)
            if fault is not None:
                yield _placed(fault, content, found, (*where, part), settings, fill)


@dataclass(frozen=True)
class _Fault:
    code: str
    message: str
    hint: str


def _placed(
    fault: _Fault,
    content: Defined[ContentEntry],
    found: Definitions,
    at: YamlPath,
    settings: Sequence[Setting],
    fill: Fill,
) -> Problem:
    """The fault at the script that has the like of it by itself; else where the whole text stands."""
    own: list[_Fault] = []

    def is_at_fault(piece: str) -> bool:
        other = _fault_in(piece, str(at[-2]), settings, fill)
        own.extend([other] if other is not None and other.code == fault.code else [])
        return bool(own)

    where, place, said = to_be_mended(found, content, at, is_at_fault)
    told = own[0] if own else fault
    return where.problem(told.code, f"{told.message}{said}", told.hint, at=place)


def _fault_in(template: str, locale: str, settings: Sequence[Setting], fill: Fill) -> _Fault | None:
    """The first fault of a template in any of the journeys that send it."""
    if (written := _LITERAL.search(template)) is not None:
        hint = "variables are written {{ contact.city }}, in plain double braces"
        return _Fault("RS058", f"'{written[0]}' would be sent as it stands", hint)
    if "{" not in template:
        return None
    filled = (_filled(locale, template, full, sparse, fill) for full, sparse in settings)
    return next((fault for fault in filled if fault is not None), None)


def _filled(locale: str, template: str, full: Facts, sparse: Facts, fill: Fill) -> _Fault | None:
    watched = {group: _Watched(facts) for group, facts in full.items()}
    if (fault := _fault(template, watched, locale, fill)) is not None:
        hint = "variables are written {{ contact.city }}; `wayline facts` lists them"
        return _Fault("RS058", f"this template cannot be filled in: {fault}", hint)
    for group, facts in watched.items():
        # A default would hide a misspelt fact for ever: everybody would be sent the default.
        for name in facts.missed:
            message = f"'{group}.{name}' is not a known fact, so everybody gets its default"
            return _Fault("RS058", message, nearest(name, facts) or known_list(facts))
    if (fault := _fault(template, sparse, locale, fill)) is not None:
        message = f"for some contacts this cannot be filled in and would not be sent: {fault}"
        return _Fault("RW007", message, "add a default, as {{ contact.city | default('…', true) }}")
    return None


class _Watched(dict[str, Any]):
    """Facts that note which of them are asked for and not there."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        super().__init__(facts)
        self.missed: list[str] = []

    def __missing__(self, name: str) -> Any:
        self.missed.append(name)
        raise KeyError(name)


def _fault(template: str, facts: Facts, locale: str, fill: Fill) -> str | None:
    """Why the template fails with these facts; None when it does not."""
    request = GenerateRequest(ContentSpec("sample", locale, template), facts, "sample", "sample")
    try:
        fill(request)
    except GeneratorFailed as error:
        message = str(error)
        return message.partition(", body: ")[2] or message
    return None


class _Facts:
    """Made-up facts as messages of a bundle's journeys would see them; the same objects for each message."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._contact = {
            fact.path.removeprefix("contact."): _OF_TYPE[fact.type]
            for fact in bundle.catalogue
            if fact.path.startswith("contact.")
        }
        self._plain_contact = {name: value for name, value in self._contact.items() if name in _ALWAYS_KNOWN}
        self._of_journey: dict[str, Setting] = {}

    def settings(self, users: Sequence[Program]) -> list[Setting]:
        """One for each journey that sends it; without any, one where all is known that could be known."""
        if not users:
            everything = self._made(list(self._bundle.programs.values()), sparse=False)
            return [(everything, everything)]
        for user in users:
            if user.journey not in self._of_journey:
                self._of_journey[user.journey] = (
                    self._made([user], sparse=False),
                    self._made([user], sparse=True),
                )
        return [self._of_journey[user.journey] for user in users]

    def _made(self, programs: Sequence[Program], *, sparse: bool) -> Facts:
        """Sparse: only what is always known."""
        events = self._bundle.events
        kinds = [
            events[name]
            for program in programs
            for name in program.entry.events
            if name in events  # an unknown one is reported where it is written
        ]
        steps = [step for program in programs for step in program.steps.values()]
        return {
            "links": _LINKS,
            "contact": self._plain_contact if sparse else self._contact,
            "event": {**_OF_EVERY_EVENT, **_properties(kinds, sparse=sparse)},
            "journey": {
                "id": "sample",
                "values": {
                    name: value
                    for step in steps
                    if isinstance(step, SetValues)
                    for name, value in (
                        *step.values.items(),
                        *((name, _OF_TYPE[each.type]) for name, each in step.facts.items() if not sparse),
                    )
                },
                "outcomes": {step.id: "sent" for step in steps if isinstance(step, Send)},
                "answers": {step.id: step.choices[0].id for step in steps if isinstance(step, Ask)},
                "rounds": {step.id: 1 for step in steps if isinstance(step, Repeat)},
                "calls": {step.id: "done" for step in steps if isinstance(step, Call)},
                "results": {
                    step.id: {name: _OF_TYPE[kind] for name, kind in step.results.items() if not sparse}
                    for step in steps
                    if isinstance(step, Call)
                },
                "arms": {step.id: step.design.arms[0] for step in steps if isinstance(step, Experiment)},
                "entry": _remembered(
                    [
                        *self._said_on(dict.fromkeys(kind.id for kind in kinds)),
                        *(fact for program in programs for fact in parameter_facts(program)),
                    ],
                    sparse=sparse,
                ),
                "events": {
                    step.id: {} if sparse else _remembered(self._said_on(step.events), sparse=False)
                    for step in steps
                    if isinstance(step, WaitFor) and step.events
                },
            },
        }

    def _said_on(self, types: Iterable[str]) -> Iterator[Fact]:
        return said_by(self._bundle.events, types)


def _remembered(said: Iterable[Fact], *, sparse: bool) -> dict[str, Any]:
    return {
        fact.path.removeprefix(ENTRY): _OF_TYPE[fact.type]
        for fact in remembered(said, ENTRY)
        if fact.always or not sparse
    }


def _properties(kinds: Sequence[EventType], *, sparse: bool) -> dict[str, Any]:
    samples = [_sample(kind.schema, sparse=sparse) for kind in kinds]
    objects = [sample for sample in samples if isinstance(sample, dict)]
    names = {name for sample in objects for name in sample}
    if sparse:
        names = {name for name in names if all(name in sample for sample in objects)}
    return {name: next(sample[name] for sample in objects if name in sample) for name in names}


def _sample(schema: Mapping[str, Any], *, sparse: bool) -> Any:
    """A value that a JSON Schema would plausibly take."""
    properties = schema.get("properties")
    match schema.get("type"):
        case "object" | None if isinstance(properties, dict):
            required = schema.get("required", ())
            return {
                name: _sample(entry if isinstance(entry, dict) else {}, sparse=sparse)
                for name, entry in properties.items()
                if not sparse or name in required
            }
        case "object":
            return {}
        case "array":
            items = schema.get("items")
            return [_sample(items if isinstance(items, dict) else {}, sparse=sparse)]
        case "number" | "integer":
            return 20
        case "boolean":
            return True
        case _:
            return "sample"


_OF_TYPE: Mapping[FactType, Any] = {
    FactType.NUMBER: 20,
    FactType.TEXT: "sample",
    FactType.BOOLEAN: True,
    FactType.INSTANT: _MOMENT,
    FactType.LABELS: frozenset({"sample"}),
}
