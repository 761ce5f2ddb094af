"""What an editor shows of every key: a Chinese term, words in both languages, examples that hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import create_model
from pydantic.fields import FieldInfo

from engine.authoring.models.kinds import KINDS
from engine.authoring.models.part import Part
from engine.authoring.models.rule_test import RuleTestFile
from engine.authoring.schemas import schema_files
from engine.authoring.snippets import SNIPPETS

CHINESE = re.compile("[\u4e00-\u9fff]")


def _parts(part: type[Part] = Part) -> Iterator[type[Part]]:
    for each in part.__subclasses__():
        if each.__module__.startswith("engine."):
            yield each
            yield from _parts(each)


FIELDS = {
    f"{part.__name__}.{name}": field
    for part in _parts()
    for name, field in part.model_fields.items()
    if name in part.__annotations__
}
WITH_EXAMPLES = [name for name, field in FIELDS.items() if field.examples]


def test_there_is_much_to_show() -> None:
    assert len(FIELDS) > 350
    assert {*KINDS.values(), RuleTestFile} <= set(_parts())


@pytest.mark.parametrize("name", FIELDS)
def test_a_key_has_a_term_in_chinese_and_is_told_in_both_languages(name: str) -> None:
    field = FIELDS[name]
    english, _, chinese = (field.description or "").partition("\n")

    assert field.title is not None
    assert 2 <= len(field.title) <= 8
    assert CHINESE.search(field.title)
    assert len(english.split()) >= 5
    assert len(CHINESE.findall(chinese)) >= 4
    assert chinese.endswith("。")
    assert "\n" not in chinese


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_an_example_can_be_written_as_it_stands(name: str) -> None:
    field = FIELDS[name]
    probe: Any = create_model(
        "Probe", __config__=Part.model_config | {"json_schema_extra": None}, value=(_type_of(field), ...)
    )
    for example in field.examples or ():
        probe.model_validate({"value": example})


def _type_of(field: FieldInfo) -> Any:
    return Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation


@cache
def _schema(kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(schema_files()[f"{kind}.schema.json"])
    return schema


@pytest.mark.parametrize("kind", [*KINDS, "test"])
def test_the_examples_of_a_schema_are_what_it_takes(kind: str) -> None:
    schema = _schema(kind)
    for part in [schema, *schema.get("$defs", {}).values()]:
        for key, entry in part.get("properties", {}).items():
            here = Draft202012Validator({**entry, "$defs": schema.get("$defs", {})})
            for example in entry.get("examples", ()):
                assert here.is_valid(example), (part.get("title"), key, example)


@pytest.mark.parametrize("kind", ["review", "breakers", "channels"])
def test_what_nothing_acts_upon_is_shown_as_that(kind: str) -> None:
    told = json.dumps(_schema(kind), ensure_ascii=False)

    assert "this version does not act on it" in told
    assert "本版本只检查，尚不执行。" in told


def test_what_is_acted_upon_promises_nothing_less() -> None:
    assert "does not act" not in _schema("journey")["properties"]["kind"]["description"]
    assert "does not act" not in json.dumps(_schema("calendar"))


@pytest.mark.parametrize("name", SNIPPETS)
def test_a_beginning_that_an_editor_offers_is_a_good_part_of_a_file(name: str) -> None:
    kind = "caps" if name == "CapEntry" else "journey"
    schema = _schema(kind)
    part = schema if name == "JourneyFile" else schema["$defs"][name]

    (offered,) = part["defaultSnippets"]
    filled = re.sub(r"\$\{\d+(?::([^}]*)|\|([^,|]*)[^}]*)\}", r"\1\2", json.dumps(offered["body"]))
    body = _bare(json.loads(filled))

    assert CHINESE.search(offered["label"])
    assert Draft202012Validator({**part, "$defs": schema["$defs"]}).is_valid(body)


def _bare(written: Any) -> Any:
    """What the editor's text means: words stand there without quotes of their own."""
    if isinstance(written, dict):
        return {key: _bare(each) for key, each in written.items()}
    if isinstance(written, list):
        return [_bare(each) for each in written]
    return yaml.safe_load(written)
