"""JSON Schemas generated from the models: of every kind of file, and of records that are given out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from engine.authoring.models.kinds import KINDS
from engine.authoring.models.part import Part
from engine.authoring.models.rule_test import RuleTestFile
from engine.authoring.snippets import snippets_of
from engine.gate.decision import Decision

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_DATA = {"examples", "enum", "const", "default", "defaultSnippets"}
"""Keywords whose values are data of files, not schemas."""


_RECORDS = {"decision.v1": Decision}
"""Forms of records that are given out."""


def schema_files() -> dict[str, str]:
    """File name -> text of the schema of every kind and of every form, the same on every machine."""
    files: dict[str, str] = {}
    models: dict[str, type[Part]] = {**KINDS, "test": RuleTestFile}
    for kind, model in models.items():
        written = _as_written(model.model_json_schema(by_alias=True))
        schema = {"$schema": _DRAFT, "$id": f"{kind}.schema.json", **written, **snippets_of(model.__name__)}
        schema["title"] = f"Wayline: {kind}"
        files[f"{kind}.schema.json"] = _text(schema)
    for form, record in _RECORDS.items():
        # In records null is given, so these are left as they are.
        told = record.model_json_schema(by_alias=True)
        files[f"{form}.json"] = _text({"$schema": _DRAFT, "$id": f"{form}.json", **told})
    return files


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def _as_written(schema: Any) -> Any:
    """The schema as it holds for files: null is never written, and parts are called what people call them."""
    if isinstance(schema, list):
        return [_as_written(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$defs" in schema:
        parts = {name: {**_named(part), **snippets_of(name)} for name, part in schema["$defs"].items()}
        schema = {**schema, "$defs": parts}
    schema = {key: each for key, each in schema.items() if key != "default" or each is not None}
    options = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(options) == 1:
        # What the key itself says of its meaning goes before what its type says.
        rest = {key: each for key, each in schema.items() if key != "anyOf"}
        schema = {**options[0], **rest}
    elif options:
        schema = {**schema, "anyOf": options}
    if "title" in schema and "oneOf" in schema:
        # An editor shows what the way that was taken says of itself, and what is meant is the key.
        told = {key: schema[key] for key in ("title", "description") if key in schema}
        ways = [{**each, **told} if "$ref" in each else each for each in schema["oneOf"]]
        schema = {**schema, "oneOf": ways}
    return {key: _below(key, each) for key, each in schema.items()}


def _below(keyword: str, value: Any) -> Any:
    if keyword in _DATA:
        return value
    if keyword in {"properties", "$defs"}:  # by names, of which one may be that of a keyword
        return {name: _as_written(each) for name, each in value.items()}
    return _as_written(value)


def _named(part: dict[str, Any]) -> dict[str, Any]:
    """A part under a title for people: `CapEntry` is a cap entry to nobody but us."""
    words = re.findall("[A-Z][a-z]*", str(part.get("title", "")).removesuffix("Entry"))
    return {**part, "title": " ".join(words).lower()} if words else part


def write_schemas(folder: Path) -> list[str]:
    """Bring the schemas in a folder up to date; the names of those that were written."""
    folder.mkdir(parents=True, exist_ok=True)
    stale = stale_schemas(folder)
    for name in stale:
        (folder / name).write_text(schema_files()[name], encoding="utf-8", newline="\n")
    return stale


def stale_schemas(folder: Path) -> list[str]:
    """The names of schemas in a folder that are missing or not what the models say."""
    return [
        name
        for name, text in schema_files().items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]


def schema_line(kind: str, file: str, schemas: str = "../schemas") -> str:
    """The first line of a file, which tells editors its schema; `schemas` is seen from the workspace."""
    up = "../" * file.count("/")
    return f"# yaml-language-server: $schema={up}{schemas}/{kind}.schema.json"
