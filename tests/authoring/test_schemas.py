"""The schemas that editors use say the same as the models, as far as JSON Schema can say it."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from engine.authoring.models.kinds import KINDS
from engine.authoring.reading.folders import read_folder
from engine.authoring.reading.source import read
from engine.authoring.reading.validating import validate
from engine.authoring.schemas import schema_files

CASES = Path(__file__).parents[1] / "cases"
FILES = [
    (f"{folder.name}/{name}", text)
    for folder in [CASES / "whole_language", *sorted((CASES / "invalid").iterdir())]
    for name, text in read_folder(folder)[0].items()
    if not name.endswith(".test.yaml")
]
BEYOND_SCHEMAS = {"RS031", "RS042", "RS050", "RS055", "RS071", "RS074", "RS077", "RS078", "RS079", "RS091"}
BEYOND_SCHEMAS |= {"RS116", "RS120", "RS121", "RS122", "RS123"}
"""Mistakes that only show between values, or in words kept for other things: dates of the calendar, zones,
settings that do not go together, an answer called like none."""


@cache
def validator(kind: str) -> Any:
    return Draft202012Validator(json.loads(schema_files()[f"{kind}.schema.json"]))


@pytest.mark.parametrize(("name", "text"), FILES, ids=[name for name, _ in FILES])
def test_a_schema_takes_what_the_model_takes_and_refuses_what_it_refuses(name: str, text: str) -> None:
    source = read(text, name)
    if source.problems or not isinstance(source.data, dict) or source.data.get("kind") not in KINDS:
        return
    codes = {problem.code for problem in validate(source)[1]}
    is_taken = validator(source.data["kind"]).is_valid(source.data)

    if codes - BEYOND_SCHEMAS:
        assert not is_taken
    elif not codes:
        assert is_taken


@pytest.mark.parametrize("kind", KINDS)
def test_no_schema_offers_null(kind: str) -> None:
    assert "null" not in json.dumps(_without_data(json.loads(schema_files()[f"{kind}.schema.json"])))


def _without_data(schema: Any) -> Any:
    """The schema without texts and examples, which may speak of anything."""
    if isinstance(schema, list):
        return [_without_data(each) for each in schema]
    if isinstance(schema, dict):
        prose = {"description", "examples", "title"}
        return {key: _without_data(each) for key, each in schema.items() if key not in prose}
    return schema
