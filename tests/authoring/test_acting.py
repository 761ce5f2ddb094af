"""No key exists that no code reads: it changes the bundle, is for people, or is declared not acted upon."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from engine.authoring.bundle import Bundle
from engine.authoring.checking.unacted import is_unacted
from engine.authoring.codes import CODES
from engine.authoring.loading import (
    bundle_to_publish,
    load_files,
    load_folder,
    published_bundle,
)
from engine.authoring.models.brand import BrandFile
from engine.authoring.models.journey import JourneyFile
from engine.authoring.models.kinds import KINDS, model_of
from engine.authoring.models.part import Part, Unacted
from engine.authoring.reading.folders import read_folder
from engine.authoring.reading.source import read
from engine.authoring.reading.validating import validate
from engine.authoring.reading.walking import parts_of
from engine.authoring.understanding import Memory
from engine.errors import RulesetError
from engine.rules.condition import YamlPath

WHOLE = Path(__file__).parents[1] / "cases" / "whole_language"
DATA: Mapping[str, Any] = {name: read(text, name).data for name, text in read_folder(WHOLE)[0].items()}
FILES = {name: json.dumps(data, ensure_ascii=False) for name, data in DATA.items()}
"""Every key of the language, in files without places worth comparing."""
ACTING = {name: text for name, text in FILES.items() if not is_unacted(model_of(DATA[name]) or Part)}
OTHERS = ["spare", "7m", "6%", "16:00", "2026-07-02", "2026-10-02", "en", "sat", "day", "month", "workspace"]
OTHERS += [
    "Europe/Berlin",
    "email",
    "skip",
    "defer",
    "service",
    "legal",
    "clause",
    "basic",
    "warn",
    "number",
    "boolean",
]
OTHERS += [
    "order_paid",
    "spare_paid",
    "again",
    "resting_too",
    "9d",
    "complaint_rate",
    "letter",
    "event.amount",
    "contact.created_at",
    "other",
]
OTHERS += ["上海", "0 11 * * *", "courtesy", "EUR", "GB", "free", "official"]
ONLY_ONE_VALUE = {("BudgetEntry", "unit"), ("CountedEntry", "activity"), ("SequenceEvent", "as")}
"""Keys of which any other value is refused, or only the conditions beside it."""

Key = tuple[str, str]


def occurrences() -> Iterator[tuple[Key, str, YamlPath, type[Part]]]:
    """Every key that stands in the files: part and key, file, path, part; parts not acted upon left out."""
    for file, data in DATA.items():
        model = model_of(data)
        assert model is not None, file
        below: list[YamlPath] = []
        for path, part, mapping in parts_of(model, data):
            if any(path[: len(each)] == each for each in below):
                continue
            if is_unacted(part):
                below.append(path)
                continue
            for key in mapping:
                declared = [each for each in part.unacted if each.key == key]
                if any(not each.values for each in declared):
                    below.append((*path, key))
                else:
                    yield (part.__name__, key), file, (*path, key), part


def parts_in(model: type[Part], seen: set[type[Part]]) -> None:
    """Every part that files of a kind may have, by its schema."""
    for field in model.model_fields.values():
        for part in _named(field.annotation):
            if part not in seen:
                seen.add(part)
                parts_in(part, seen)


def _named(annotation: Any) -> Iterator[type[Part]]:
    if isinstance(annotation, type):
        if issubclass(annotation, Part):
            yield annotation
        return
    for inner in getattr(annotation, "__args__", ()):
        yield from _named(inner)
    if hasattr(annotation, "__origin__") and not isinstance(annotation.__origin__, type):
        yield from _named(annotation.__origin__)


def test_the_sample_says_everything_that_can_be_said() -> None:
    every: set[type[Part]] = set(KINDS.values())
    for model in KINDS.values():
        parts_in(model, every)
    said = {
        (part.__name__, key)
        for data in DATA.values()
        for _, part, mapping in parts_of(model_of(data) or Part, data)
        for key in mapping
    }
    possible = {
        (part.__name__, field.alias or name)
        for part in every
        for name, field in part.model_fields.items()
        if name not in {"enabled", "description"}
    }

    assert possible - said == set(), "add these keys to tests/cases/whole_language"


def test_a_key_that_is_said_not_to_be_acted_upon_exists() -> None:
    every: set[type[Part]] = set(KINDS.values())
    for model in KINDS.values():
        parts_in(model, every)

    for part in every:
        keys = {field.alias or name for name, field in part.model_fields.items()}
        assert {each.key for each in part.unacted} - {""} <= keys, part
        assert part.for_people <= keys, part


def test_the_sample_is_clean_but_for_what_is_not_acted_upon() -> None:
    loaded = load_folder(WHOLE)

    assert loaded.errors == ()
    assert loaded.bundle is not None


def meaning(bundle: Bundle) -> dict[str, Any]:
    """What a bundle says, without what only tells one set of files from another."""
    said = {each.name: getattr(bundle, each.name) for each in fields(bundle)}
    for name in ("hash", "files", "rule_places", "test_places"):
        del said[name]
    said["catalogue"] = list(bundle.catalogue)
    said["programs"] = {name: replace(program, version="") for name, program in bundle.programs.items()}
    return said


def changed(data: Any, path: YamlPath) -> Iterator[Any]:
    """The data with what stands at `path` taken out, then with other values there."""
    here, rest = path[0], path[1:]
    if rest:
        for other in changed(data[here], rest):
            copy: Any = list(data) if isinstance(data, list) else dict(data)
            copy[here] = other
            yield copy
        return
    value = data[here]
    for other in _others(value):
        yield {**data, here: other}
    yield {key: each for key, each in data.items() if key != here}


def _others(value: Any) -> Iterator[Any]:
    match value:
        case bool():
            yield not value
        case int() | float():
            yield from (value + 1, value / 2, value * 2)
        case str():
            yield from (f"{value}_b", *(other for other in OTHERS if other != value))
        case list() if value:
            yield value[:-1]
            yield [*value, "fr"]
            for other in _others(value[-1]):
                yield [*value[:-1], other]
        case dict() if value:
            for key in value:
                yield {name: each for name, each in value.items() if name != key}
            for key, inner in value.items():
                for other in _others(inner):
                    yield {**value, key: other}


def test_every_key_is_read_by_something() -> None:
    both: tuple[tuple[str, ...], ...] = ((), ("holiday",))
    memory = Memory()
    before = {plans: meaning(published_bundle(ACTING, plans, memory=memory)) for plans in both}
    by_key: dict[Key, list[tuple[str, YamlPath]]] = {}
    for key, file, path, part in occurrences():
        if key not in ONLY_ONE_VALUE and key[1] not in {
            *part.for_people,
            "kind",
        }:  # the kind says which model reads all the others
            by_key.setdefault(key, []).append((file, path))

    unread = [key for key, places in by_key.items() if not _matters(places, before, memory)]

    assert unread == [], "compile these keys, or declare them in `unacted` or `for_people` of their model"


def _matters(
    places: list[tuple[str, YamlPath]], before: Mapping[tuple[str, ...], dict[str, Any]], memory: Memory
) -> bool:
    for file, path in places:
        # What a plan says shows while it is on.
        plans: tuple[tuple[str, ...], ...] = ((), ("holiday",)) if file == "holiday.yaml" else ((),)
        for other in changed(DATA[file], path):
            text = json.dumps(other, ensure_ascii=False)
            if validate(read(text, file))[1]:
                continue
            with suppress(RulesetError):
                files = {**ACTING, file: text}
                if any(meaning(published_bundle(files, on, memory=memory)) != before[on] for on in plans):
                    return True
    return False


def test_a_file_that_is_switched_off_is_not_warned_of(
    small: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BrandFile, "unacted", (Unacted("", "nobody reads it"),))
    brand = (WHOLE / "brand.yaml").read_text(encoding="utf-8")
    loaded = load_files({**small, "brand.yaml": f"{brand}enabled: false\n"}, memory=Memory())

    assert loaded.problems == ()
    warned = load_files({**small, "brand.yaml": brand}, memory=Memory()).problems
    assert [each.code for each in warned] == ["RW020"]


@pytest.mark.parametrize("file", ["breakers.yaml", "channels.yaml"])
def test_what_is_not_acted_upon_cannot_be_published(file: str) -> None:
    files = read_folder(WHOLE)[0]
    warned = [problem.place for problem in load_files(files).problems if problem.code == "RW020"]
    with pytest.raises(RulesetError) as raised:
        bundle_to_publish(files)

    assert {problem.code for problem in raised.value.problems} == {"RS080"} <= set(CODES)
    assert [problem.place for problem in raised.value.problems] == warned
    assert any(problem.place.file == file for problem in raised.value.problems)
    assert all("enabled: false" in each.hint or "remove it" in each.hint for each in raised.value.problems)


def test_what_a_plan_switches_on_is_warned_of_too(
    small: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JourneyFile, "unacted", (Unacted("revival", "nobody is revived"),))
    head = "kind: journey\nid: later\ntitle: a\nowner: a\npurpose: marketing\nrevival: true\n"
    later = f"{head}enter: {{event: contact_added}}\nsteps: [{{tag: mark, add: [seen]}}]\n"
    plan = "kind: plan\nid: busy\ntitle: a\nowner: a\nat_most: 1d\nenable: [later]\n"
    files = {**small, "later.yaml": later + "enabled: false\n"}

    def warned(files: Mapping[str, str]) -> set[str]:
        problems = load_files(files, memory=Memory()).problems  # what is declared here is true here only
        return {each.place.file for each in problems if each.code == "RW020"}

    assert warned(files) == set()
    assert warned({**files, "plan.yaml": plan}) == {"later.yaml"}
