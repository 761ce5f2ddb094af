"""What is different between two versions of a workspace's journeys, in the words of their files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from engine.authoring.bundle import Bundle
from engine.authoring.compiling.nesting import nested_lists, step_id, walk
from engine.authoring.definitions import Defined
from engine.authoring.loading import definitions_of
from engine.authoring.models.journey import JourneyFile
from engine.authoring.reading.source import dotted
from engine.errors import Place
from engine.rules.condition import Condition, YamlPath, without_places

_OWN = ("kind", "id", "steps")
"""Keys of a journey that are compared by themselves, or not at all."""
_SHARED = ("scores", "classes", "tags", "audiences", "count:")
"""Shards of rules that say what is known of a contact, whatever journey asks."""


@dataclass(frozen=True)
class StepChange:
    """What became of one step."""

    step: str
    kind: str
    """`send`, `wait`, …"""
    change: str
    """added | removed | renamed | changed | moved"""
    details: tuple[str, ...] = ()
    """For people: `for: 3d → 2d`."""


@dataclass(frozen=True)
class JourneyChange:
    """What became of one journey."""

    journey: str
    change: str
    """added | removed (or switched off) | changed | unchanged (in its own file)"""
    steps: tuple[StepChange, ...] = ()
    keys: tuple[str, ...] = ()
    """Of everything beside the steps, as `priority: 60 → 40`."""


def compare_journeys(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, JourneyChange]:
    """Journey -> what became of it, for every journey that is switched on in either version of the files."""
    old, new = definitions_of(before).journeys, definitions_of(after).journeys
    return {name: _compared(name, old.get(name), new.get(name)) for name in sorted({*old, *new})}


def journey_place(files: Mapping[str, str], journey: str, *path: str | int) -> Place | None:
    """Where a journey, or something in it, stands in the files; None when they have no such journey."""
    found = definitions_of(files).journeys.get(journey)
    return found.source.key_place(path) if found is not None else None


def is_same_journey(before: Bundle, after: Bundle, journey: str) -> bool:
    """Whether somebody on their way in a journey would notice no difference between two bundles.

    What lets people in is not looked at: they are in. What is known of contacts is compared as a whole.
    """
    old, new = before.programs.get(journey), after.programs.get(journey)
    if old is None or new is None:
        return False
    if old.version != new.version or old.steps != new.steps:
        return False
    if (before.workspace, before.counts, before.profile, before.tags) != (
        after.workspace,
        after.counts,
        after.profile,
        after.tags,
    ):
        return False
    return _conditions(before, journey) == _conditions(after, journey)


def _conditions(bundle: Bundle, journey: str) -> dict[str, Condition]:
    own = (f"leave:{journey}", f"goal:{journey}", f"wait:{journey}/", f"branch:{journey}/")
    return {
        rule.id: without_places(rule.when) for rule in bundle.rules if rule.shard.startswith((*own, *_SHARED))
    }


def _compared(name: str, old: Defined[JourneyFile] | None, new: Defined[JourneyFile] | None) -> JourneyChange:
    if old is None or new is None:
        return JourneyChange(name, "removed" if new is None else "added")
    steps, keys = tuple(_steps(old, new)), tuple(_keys(old.source.data, new.source.data, _OWN))
    return JourneyChange(name, "changed" if steps or keys else "unchanged", steps, keys)


@dataclass(frozen=True)
class _Written:
    """A step as it stands in a file."""

    kind: str
    settings: Mapping[str, Any]
    """Its keys, without the steps inside it."""
    inside: tuple[str, str]
    """The step and the key that it stands in; empty at the top."""


def _steps(old: Defined[JourneyFile], new: Defined[JourneyFile]) -> Iterator[StepChange]:
    before, after = _written(old), _written(new)
    was = new.item.was
    called = {name: to for name, to in was.items() if name in before and to in after}
    renamed = {
        name: to
        for name, to in called.items()
        if to not in before and before[name].kind == after[to].kind and name not in after
    }
    shifted = _shifted(before, after, renamed)
    for name, step in after.items():
        earlier = next((each for each, to in renamed.items() if to == name), name)
        if earlier not in before:
            yield StepChange(name, step.kind, "added", tuple(_said(step)))
            continue
        details = list(_keys(before[earlier].settings, step.settings, ()))
        if before[earlier].kind != step.kind:
            details.insert(0, f"{before[earlier].kind} → {step.kind}")
        if before[earlier].inside != step.inside or name in shifted:
            details.append(_where(name, step, after))
        if earlier != name:
            yield StepChange(name, step.kind, "renamed", (f"was {earlier}", *details))
        elif details:
            only_moved = len(details) == 1 and (before[name].inside != step.inside or name in shifted)
            yield StepChange(name, step.kind, "moved" if only_moved else "changed", tuple(details))
    for name, step in before.items():
        if name not in after and name not in renamed:
            to = f"people there go on to {was[name]}" if name in was else ""
            yield StepChange(name, step.kind, "removed", (to,) if to else ())


def _written(journey: Defined[JourneyFile]) -> dict[str, _Written]:
    """The steps of a journey by id, in the order of its file."""
    found: dict[str, _Written] = {}
    inside: dict[YamlPath, tuple[str, str]] = {("steps",): ("", "")}
    for path, step in walk(journey.item.steps, ("steps",)):
        raw = journey.source.at(path)
        kind = next(iter(raw))
        nested = [key for key, _ in nested_lists(step)]
        for key in nested:
            inside[(*path, *key)] = (step_id(step), dotted(key[:-1] if key[-1] == "steps" else key))
        settings = {key: value for key, value in _without(raw, nested).items() if key != kind}
        found[step_id(step)] = _Written(kind, settings, inside[path[:-1]])
    return found


def _without(raw: Mapping[str, Any], nested: Sequence[YamlPath]) -> dict[str, Any]:
    """The settings of a step without the lists of steps inside it."""
    if not nested:
        return dict(raw)
    here = {path[0] for path in nested if len(path) == 1}
    below: dict[Any, list[YamlPath]] = {}
    for path in nested:
        if len(path) > 1:
            below.setdefault(path[0], []).append(path[1:])
    kept: dict[str, Any] = {}
    for key, value in raw.items():
        rest = value
        if key in here:
            continue
        if key in below and isinstance(value, list):
            rest = [
                _without(each, [path[1:] for path in below[key] if path[0] == number])
                for number, each in enumerate(value)
            ]
        elif key in below and isinstance(value, dict):
            rest = {name: each for name, each in value.items() if (name,) not in below[key]}
        if rest not in ({}, []):
            kept[key] = rest
    return kept


def _shifted(
    before: Mapping[str, _Written], after: Mapping[str, _Written], renamed: Mapping[str, str]
) -> set[str]:
    """Steps that stand in the same list as before, and before or behind others than before."""
    shifted: set[str] = set()
    for inside in {step.inside for step in after.values()}:
        now = [name for name, step in after.items() if step.inside == inside]
        was = [renamed.get(name, name) for name, step in before.items() if step.inside == inside]
        common = [name for name in now if name in was]
        order = [name for name in was if name in common]
        matcher = SequenceMatcher(None, order, common, autojunk=False)
        kept = {
            name for block in matcher.get_matching_blocks() for name in common[block.b : block.b + block.size]
        }
        shifted |= set(common) - kept
    return shifted


def _where(name: str, step: _Written, after: Mapping[str, _Written]) -> str:
    beside = [each for each, other in after.items() if other.inside == step.inside]
    number = beside.index(name)
    outer, key = step.inside
    place = f" in '{outer}' {key}" if outer else ""
    return f"now after '{beside[number - 1]}'{place}" if number else f"now first{place}"


def _said(step: _Written) -> Iterator[str]:
    for key, value in step.settings.items():
        yield f"{key}: {shown(value)}"


def _keys(old: Mapping[str, Any], new: Mapping[str, Any], without: Sequence[str]) -> Iterator[str]:
    """Every key that is not what it was."""
    for key in dict.fromkeys((*old, *new)):
        if key in without or old.get(key) == new.get(key):
            continue
        if key not in old:
            yield f"{key}: {shown(new[key])} (new)"
        elif key not in new:
            yield f"{key}: {shown(old[key])} (gone)"
        else:
            yield f"{key}: {shown(old[key])} → {shown(new[key])}"


def shown(value: Any) -> str:
    """A value of a file in one line, much as it is written there."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {shown(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(shown, value)) + "]"
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)
