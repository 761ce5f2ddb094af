"""JSON Schemas for editors, generated from the models: one per kind of file."""

from __future__ import annotations

import json
from pathlib import Path

from engine.authoring.models.kinds import KINDS
from engine.authoring.models.part import Part
from engine.authoring.models.rule_test import RuleTestFile

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schema_files() -> dict[str, str]:
    """File name -> text of the schema of every kind, the same on every machine."""
    files: dict[str, str] = {}
    models: dict[str, type[Part]] = {**KINDS, "test": RuleTestFile}
    for kind, model in models.items():
        schema = {"$schema": _DRAFT, "$id": f"{kind}.schema.json", **model.model_json_schema(by_alias=True)}
        schema["title"] = f"Wayline: {kind}"
        files[f"{kind}.schema.json"] = json.dumps(schema, ensure_ascii=False, indent=2) + "\n"
    return files


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
