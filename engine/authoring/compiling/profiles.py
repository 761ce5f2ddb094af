"""Compiles what is computed of contacts, layer by layer: scores, classes, derived tags, audiences."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from engine.authoring.bundle import TagRule
from engine.authoring.compiling.catalogues import Catalogues
from engine.authoring.compiling.conditions import Rulebook
from engine.authoring.compiling.plugin_facts import facts_of_plugins
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.profile import ScoreEntry
from engine.authoring.profile_rules import (
    AUDIENCES,
    CLASSES,
    NOTHING_TO_COMPUTE,
    SCORES,
    STAGE,
    TAGS,
    Audience,
    ContactClass,
    ProfileRules,
    Score,
)
from engine.authoring.reading.source import dotted
from engine.errors import Problem
from engine.rules.condition import Condition, FactRef, Op, Test, YamlPath, tests_of
from engine.rules.counting import Count
from engine.rules.facts import BUILT_IN, Fact, FactType
from engine.rules.timing import marks_of, turns_of

_LAYERS = (SCORES, CLASSES, TAGS, AUDIENCES)
_ORDER = f"computed are, in this order: facts and counts, {', '.join(_LAYERS)}"
_IN_AUDIENCES = "contact.audiences"

_BANDS: Mapping[str, tuple[Op, FactType, bool]] = {
    "within": (Op.WITHIN, FactType.INSTANT, True),
    "older_than": (Op.OLDER_THAN, FactType.INSTANT, False),
    "at_least": (Op.GTE, FactType.NUMBER, False),
    "at_most": (Op.LTE, FactType.NUMBER, True),
}
"""The tests of bands: what they compile to, the facts they fit, whether their values must rise."""


def computed_facts(found: Definitions) -> Iterator[Fact]:
    """The contact facts that the workspace's own rules compute, with every value they can have."""
    for name, score in found.scores.items():
        yield Fact(f"contact.{name}", FactType.NUMBER, score.item.title or name)
    for name, division in found.classes.items():
        yield Fact(f"contact.{name}", FactType.TEXT, division.item.title or name, _class(division).choices)
    if found.audiences:
        title = next(fact.title for fact in BUILT_IN if fact.path == _IN_AUDIENCES)
        yield Fact(_IN_AUDIENCES, FactType.LABELS, title, tuple(found.audiences), always=True)


def compile_profile(
    found: Definitions, counts: Sequence[Count], catalogues: Catalogues, rulebook: Rulebook
) -> tuple[ProfileRules, tuple[TagRule, ...], list[Problem]]:
    """The computing of contacts, its derived tags, and what is wrong with it; rules go into the rulebook."""
    compiler = _Compiler(found, catalogues, rulebook)
    return compiler.rules(counts), compiler.tags, [*check_names(found), *compiler.problems]


def check_names(found: Definitions) -> Iterator[Problem]:
    """Scores and classes whose name already says something else about contacts."""
    built_in = {fact.path.removeprefix("contact.") for fact in BUILT_IN if fact.path.startswith("contact.")}
    attributes = found.workspace.item.attributes if found.workspace is not None else {}
    for noun, taken, definitions in (
        ("score", {}, found.scores),
        ("class", found.scores, found.classes),
    ):
        for name, defined in definitions.items():
            if name in built_in and (noun, name) != ("class", STAGE):
                what = "a built-in fact about contacts"
            elif name in attributes:
                what = "an attribute of contacts"
            elif name in taken:
                what = "a score"
            else:
                continue
            yield defined.problem("RS043", f"'{name}' is {what} already", "use another name", at=("id",))


class _Compiler:
    def __init__(self, found: Definitions, catalogues: Catalogues, rulebook: Rulebook) -> None:
        self._found = found
        self._catalogues = catalogues
        self._rulebook = rulebook
        self._tests: list[Test] = []
        self._layers = {
            **{f"contact.{name}": SCORES for name in found.scores},
            **{f"contact.{name}": CLASSES for name in found.classes},
            _IN_AUDIENCES: AUDIENCES,
        }
        self.tags: tuple[TagRule, ...] = ()
        self.problems: list[Problem] = []

    def rules(self, counts: Sequence[Count]) -> ProfileRules:
        found = self._found
        scores = tuple(self._score(name, each) for name, each in found.scores.items())
        classes = tuple(self._division(name, each) for name, each in found.classes.items())
        self.tags = tuple(self._tag(name, each) for name, each in found.tags.items())
        audiences = tuple(self._audience(name, each) for name, each in found.audiences.items())
        if not (scores or classes or self.tags or audiences or found.counts):
            return NOTHING_TO_COMPUTE
        reads = frozenset(path for test in self._tests for path in _paths(test)) - self._layers.keys()
        return ProfileRules(
            scores,
            classes,
            audiences,
            turns=turns_of(test for test in self._tests if test.path.startswith("contact.")),
            counts=tuple(
                (path, count, marks_of(self._tests, path))
                for count in counts
                if (path := f"contact.{count.id}") in reads
            ),
            reads=reads,
            version=_version(found),
        )

    def _score(self, name: str, defined: Defined[ScoreEntry]) -> Score:
        entry = defined.item
        fits = self._has_bands(defined)
        bands = []
        for number, band in enumerate(entry.bands):
            rule, at = f"score:{name}/{number + 1}", ("bands", number)
            if fits:
                wanted = getattr(band, band.test)
                test = Test(entry.of, _BANDS[band.test][0], wanted, (*defined.path, *at, band.test))
                self._rule(defined, at, None, SCORES, rule, also=test)
            bands.append((rule, band.score))
        return Score(name, entry.title or name, tuple(bands), entry.else_)

    def _has_bands(self, defined: Defined[ScoreEntry]) -> bool:
        """Whether the score's bands fit its fact and each other; what does not is noted."""
        entry = defined.item
        fact = self._catalogues.contact.get(entry.of)
        if fact is None:
            near = self._catalogues.contact.nearest(entry.of)
            hint = f"did you mean '{near}'?" if near else "`wayline facts` lists what there is"
            self._note(defined, "RS056", f"'{entry.of}' is not a known fact about contacts", hint, ("of",))
            return False
        before = len(self.problems)
        self._check_layer(defined, SCORES, Test(entry.of, Op.EXISTS, True, (*defined.path, "of")))
        first = entry.bands[0].test
        wanted_type, rising = _BANDS[first][1:]
        if fact.type is not wanted_type:
            message = f"'{entry.of}' is {fact.type}, and '{first}' asks for {wanted_type}"
            fitting = [name for name, (_, type_, _) in _BANDS.items() if type_ is fact.type]
            hint = f"use {' or '.join(fitting)}" if fitting else "name a number or a moment"
            self._note(defined, "RS056", message, hint, ("bands", 0, first))
        for number in range(1, len(entry.bands)):
            earlier, band = entry.bands[number - 1], entry.bands[number]
            if band.test != first:
                message = f"'{band.test}' stands beside '{first}': bands of one score ask in one way"
                self._note(defined, "RS055", message, f"use '{first}'", ("bands", number, band.test))
                break
            here, there = getattr(band, first), getattr(earlier, first)
            if (here <= there) if rising else (here >= there):
                message = "nobody can fall into this band: the one before it takes them all"
                hint = f"let the values of '{first}' {'rise' if rising else 'fall'} from band to band"
                self._note(defined, "RS074", message, hint, ("bands", number, first))
        return len(self.problems) == before

    def _division(self, name: str, defined: Defined[Any]) -> ContactClass:
        for number, case in enumerate(defined.item.cases):
            self._rule(defined, ("cases", number, "when"), case.when, CLASSES, f"class:{name}/{number + 1}")
        return _class(defined)

    def _tag(self, name: str, defined: Defined[Any]) -> TagRule:
        rule = f"tag:{name}"
        self._rule(defined, ("when",), defined.item.when, TAGS, rule)
        return TagRule(name, defined.item.level, rule)

    def _audience(self, name: str, defined: Defined[Any]) -> Audience:
        rule = f"audience:{name}"
        self._rule(defined, ("when",), defined.item.when, AUDIENCES, rule)
        return Audience(name, defined.item.title, rule)

    def _rule(
        self,
        defined: Defined[Any],
        at: YamlPath,
        raw: object | None,
        layer: str,
        rule: str,
        *,
        also: Test | None = None,
    ) -> None:
        condition = self._rulebook.add(defined, at, raw, self._catalogues.contact, [(rule, layer)], also=also)
        tests = list(_tests(condition))
        self._tests += tests
        for test in tests:
            self._check_layer(defined, layer, test)

    def _check_layer(self, defined: Defined[Any], layer: str, test: Test) -> None:
        """A rule may ask for what is computed before it, and for nothing else."""
        for path in _paths(test):
            of = self._layers.get(path)
            if of is not None and _LAYERS.index(of) >= _LAYERS.index(layer):
                self._too_early(defined, layer, test, f"'{path}'", of)
        asked = _asked(test) if test.path == "contact.tags" else ()
        derived = [tag for tag in asked if tag in self._found.tags]
        if derived and layer == CLASSES:
            self._too_early(defined, layer, test, f"the tag '{derived[0]}'", TAGS)
        elif derived and layer == TAGS:
            tag = defined.item.tag
            message = f"the rule for '{tag}' asks for '{derived[0]}', which follows from a rule itself"
            place = defined.source.key_place(test.at)
            hint = "test the facts behind it instead"
            self.problems.append(Problem(place, "RS061", dotted(test.at), message, hint))

    def _too_early(self, defined: Defined[Any], layer: str, test: Test, what: str, of: str) -> None:
        message = (
            f"{what} belongs to the {of}, and they do not see each other"
            if of == layer
            else f"{what} belongs to the {of}, which are computed after the {layer}"
        )
        place = defined.source.key_place(test.at)
        self.problems.append(Problem(place, "RS073", dotted(test.at), message, _ORDER))

    def _note(self, defined: Defined[Any], code: str, message: str, hint: str, at: YamlPath) -> None:
        self.problems.append(defined.problem(code, message, hint, at=at))


def _class(defined: Defined[Any]) -> ContactClass:
    entry = defined.item
    cases = tuple((f"class:{entry.id}/{number + 1}", case.is_) for number, case in enumerate(entry.cases))
    return ContactClass(entry.id, entry.title or entry.id, cases, entry.else_)


def _tests(condition: Condition | None) -> Iterable[Test]:
    return tests_of(condition) if condition is not None else ()


def _paths(test: Test) -> Sequence[str]:
    return (test.path, test.wanted.path) if isinstance(test.wanted, FactRef) else (test.path,)


def _asked(test: Test) -> tuple[object, ...]:
    return test.wanted if isinstance(test.wanted, tuple) else (test.wanted,)


def _version(found: Definitions) -> str:
    """Content hash of everything that what is computed depends on; titles may change without a new one."""
    parts: list[Any] = [
        [defined.item.model_dump(mode="json", by_alias=True, exclude={"title"}) for defined in kind.values()]
        for kind in (found.counts, found.scores, found.classes, found.tags)
    ]
    parts.append([[name, defined.item.when] for name, defined in found.audiences.items()])
    if found.workspace is not None:
        parts.append({name: entry.type for name, entry in found.workspace.item.attributes.items()})
    if facts := facts_of_plugins(found):
        parts.append([[each.name, each.type, each.reads, each.version] for each in facts])
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
