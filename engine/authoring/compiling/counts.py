"""Compiles windowed counts: which events they count, what they add up, and the facts they become."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping

from engine.authoring.built_in import BUILT_IN_EVENTS
from engine.authoring.bundle import EventType
from engine.authoring.checking.references import References
from engine.authoring.compiling.catalogues import Catalogues
from engine.authoring.compiling.conditions import Rulebook
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.counts import CountEntry
from engine.authoring.reading.validating import known_list, nearest
from engine.errors import Problem
from engine.rules.counting import Count
from engine.rules.facts import BUILT_IN, Fact, FactType


def count_facts(found: Definitions) -> list[Fact]:
    """The facts `contact.<id>` that the workspace's counts are."""
    return [
        Fact(
            f"contact.{name}",
            FactType.NUMBER,
            each.item.title or name,
            least=0 if each.item.sum is None else None,
            whole=each.item.sum is None,
        )
        for name, each in found.counts.items()
    ]


def check_counts(found: Definitions, references: References) -> Iterator[Problem]:
    """Counts of unknown event types, and those whose name is taken."""
    taken = {fact.path.removeprefix("contact."): "a built-in fact" for fact in BUILT_IN}
    if found.workspace is not None:
        taken |= dict.fromkeys(found.workspace.item.attributes, "an attribute in wayline.yaml")
    for name, count in found.counts.items():
        if name in taken:
            message = f"'{name}' is {taken[name]} about contacts already"
            yield count.problem("RS043", message, "use another name, or remove the other one", at=("id",))
        for number, event in enumerate(count.item.of.event or ()):
            written = count.source.data["counts"][count.path[-1]]["of"]["event"]
            at = ("of", "event", number) if isinstance(written, list) else ("of", "event")
            yield from references.check("event type", event, count, at)
            if (built_in := BUILT_IN_EVENTS.get(event)) is not None and built_in.is_own:
                message = f"'{event}' tells what Wayline did, and counts are made before that"
                hint = f"name events that reach Wayline from outside; '{event}' can start and end journeys"
                yield count.problem("RS071", message, hint, at=at)


def compile_counts(
    found: Definitions, events: Mapping[str, EventType], catalogues: Catalogues, rulebook: Rulebook
) -> tuple[tuple[Count, ...], list[Problem]]:
    """The counts in the order written; rules `count:<id>#<event type>` in the shards `count:<event type>`."""
    counts: list[Count] = []
    problems: list[Problem] = []
    for name, defined in found.counts.items():
        entry = defined.item
        active = sorted(kind for kind, each in events.items() if each.counts_as_activity)
        types = tuple(dict.fromkeys(entry.of.event or active))
        rules: dict[str, str] = {}
        if entry.of.when is not None:
            rules = {kind: f"count:{name}#{kind}" for kind in types}
            names = [(rule, f"count:{kind}") for kind, rule in rules.items()]
            rulebook.add(defined, ("of", "when"), entry.of.when, catalogues.of_events(types), names)
        problems.extend(_sum(defined, types, catalogues))
        counts.append(
            Count(name, entry.title, frozenset(types), entry.within, entry.sum, rules, _version(entry, types))
        )
    return tuple(counts), problems


def _sum(defined: Defined[CountEntry], types: tuple[str, ...], catalogues: Catalogues) -> Iterator[Problem]:
    """That every counted event type has the property, and as a number."""
    name = defined.item.sum
    for kind in types if name is not None else ():
        numbers = [
            fact.path.removeprefix("event.")
            for fact in catalogues.of_events([kind])
            if fact.type is FactType.NUMBER
        ]
        if name not in numbers:
            message = f"'{name}' is not a number property of '{kind}', so there is nothing to add up"
            hint = nearest(str(name), numbers) or known_list(numbers)
            yield defined.problem("RS070", message, hint, at=("sum",))
            return


def _version(entry: CountEntry, types: tuple[str, ...]) -> str:
    """Hash of everything that a tally depends on: with it, what was kept before says nothing any more."""
    data = [sorted(types), entry.sum, entry.within.total_seconds(), entry.of.when]
    text = json.dumps(data, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
