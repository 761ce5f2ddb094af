"""A workspace with plans on: its definitions with the plans' overrides in them, checked like any other."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import combinations
from typing import Any

from engine.authoring.checking.references import References
from engine.authoring.definitions import Defined, Definitions, collect
from engine.authoring.models.part import Head
from engine.authoring.models.plans import PlanFile
from engine.authoring.reading.source import Source
from engine.authoring.reading.validating import known_list, nearest, validate
from engine.errors import Problem

Documents = Sequence[tuple[Source, Head]]


def overlay_hash(base: str, plans: Sequence[str]) -> str:
    """The hash of the bundle that `base` becomes while these plans are on."""
    text = "\n".join([base, *sorted(plans)])
    return hashlib.sha256(f"overlay\n{text}".encode()).hexdigest()


def with_plans(found: Definitions, plans: Sequence[str]) -> tuple[Definitions, list[Problem]]:
    """The definitions with these plans on, and problems of files whose values no longer fit each other.

    KeyError for a plan that is not defined.
    """
    chosen = [found.plans[name] for name in sorted(plans)]
    documents: list[tuple[Source, Head]] = []
    problems: list[Problem] = []
    contents = _contents(found.documents)
    for source, head in found.documents:
        data = source.data
        if data["kind"] in _OVERRIDDEN:
            data = deepcopy(data)
            for plan in chosen:
                _override(data, plan.source.data, contents)
        if data == source.data:
            documents.append((source, head))
            continue
        overridden = replace(source, data=data)
        changed, more = validate(overridden)
        problems += more
        documents.append((overridden, changed if changed is not None else head))
    overlaid = collect(documents, (), {})
    overlaid.unreadable = found.unreadable
    overlaid.declared = found.declared
    overlaid.plans_on = tuple(sorted(plans))
    return overlaid, problems


_OVERRIDDEN = {"journey", "caps", "breakers", "content"}
"""The kinds of files in which a plan can change something."""


def _override(data: dict[str, Any], plan: Mapping[str, Any], contents: Mapping[str, dict[str, Any]]) -> None:
    match data["kind"]:
        case "journey":
            if data["id"] in plan.get("priorities", {}):
                data["priority"] = plan["priorities"][data["id"]]
            if data["id"] in plan.get("enable", ()):
                data["enabled"] = True
        case "caps" | "breakers" as kind:
            for entry in data[kind]:
                entry.update(plan.get(kind, {}).get(entry["id"], {}))
        case "content":
            for entry in data["contents"]:
                other = contents.get(plan.get("contents", {}).get(entry["id"], ""))
                if other is not None:
                    name = entry["id"]
                    entry.clear()
                    entry.update({**deepcopy(other), "id": name})


def _contents(documents: Documents) -> dict[str, dict[str, Any]]:
    return {
        entry["id"]: entry
        for source, _ in documents
        if source.data["kind"] == "content"
        for entry in source.data["contents"]
    }


def check_plans(found: Definitions, references: References) -> Iterator[Problem]:
    """Names in plans that lead nowhere, and plans that contradict each other."""
    for plan in found.plans.values():
        yield from _names(plan, found, references)
    for one, other in together(found):
        yield from _contradictions(found.plans[one], found.plans[other])


def together(found: Definitions) -> list[tuple[str, str]]:
    """The pairs of plans that may be on at once: it is enough that one of them says so."""
    return [
        (one, other)
        for one, other in combinations(sorted(found.plans), 2)
        if other in found.plans[one].item.together_with or one in found.plans[other].item.together_with
    ]


def _names(plan: Defined[PlanFile], found: Definitions, references: References) -> Iterator[Problem]:
    entry = plan.item
    pause = entry.pause
    for number, name in enumerate(pause.purposes if pause is not None else ()):
        at = ("pause", "purposes", number)
        yield from references.check("purpose", name, plan, at)
        purpose = found.purposes.get(name)
        if purpose is not None and purpose.item.kind != "marketing":
            message = f"'{name}' is {purpose.item.kind}, and only marketing can be paused"
            yield plan.problem("RS092", message, "name the journeys that should rest", at=at)
    for number, name in enumerate(pause.journeys if pause is not None else ()):
        yield from references.check("journey", name, plan, ("pause", "journeys", number))
    for name in entry.priorities:
        if name not in entry.enable:
            yield from references.check("journey", name, plan, ("priorities", name))
    for name, instead in entry.contents.items():
        yield from references.check("content", name, plan, ("contents", name))
        yield from references.check("content", instead, plan, ("contents", name))
    for number, name in enumerate(entry.channels):
        yield from references.check("channel", name, plan, ("channels", number))
    for number, name in enumerate(entry.enable):
        if f"journey {name}" not in found.disabled:
            message = f"'{name}' is not a journey that is switched off"
            hint = "write 'enabled: false' into its file, so that only the plan brings it to life"
            yield plan.problem("RS092", message, hint, at=("enable", number))
    for noun, names, known in (
        ("cap", entry.caps, found.caps),
        ("breaker", entry.breakers, found.breakers),
        ("plan", dict.fromkeys(entry.together_with), found.plans),
    ):
        for name in names:
            if name not in known and found.is_complete("caps", "breakers", "plan"):
                at_key = ("together_with",) if noun == "plan" else (f"{noun}s", name)
                hint = nearest(name, known) or known_list(known)
                yield plan.problem("RS092", f"'{name}' is not a {noun} of this workspace", hint, at=at_key)


def _contradictions(one: Defined[PlanFile], other: Defined[PlanFile]) -> Iterator[Problem]:
    mine, theirs = _said(one.source.data), _said(other.source.data)
    for path, value in mine.items():
        if path in theirs and theirs[path] != value:
            shown = ".".join(path)
            message = f"'{one.item.id}' and '{other.item.id}' may be on together and differ about {shown}"
            hint = "say the same in both, or remove 'together_with'"
            yield one.problem("RS094", message, hint, at=path)


def _said(data: Mapping[str, Any]) -> dict[tuple[str, ...], Any]:
    """Every single value that a plan sets, by its path."""
    said: dict[tuple[str, ...], Any] = {}
    for key in ("priorities", "contents"):
        said |= {(key, name): value for name, value in data.get(key, {}).items()}
    for key in ("caps", "breakers"):
        for name, values in data.get(key, {}).items():
            said |= {(key, name, field): value for field, value in values.items()}
    if "channels" in data:
        said["channels",] = data["channels"]
    return said
