"""Starts a new workspace: the shipped rulesets copied into a folder, with the schemas beside them."""

from __future__ import annotations

import re
from pathlib import Path

from engine.authoring.reading.folders import read_folder
from engine.authoring.rule_tests.reading import TEST_SUFFIX
from engine.authoring.schemas import schema_line, write_schemas
from engine.authoring.shipped import shipped_folder
from engine.errors import CommandError

SCHEMAS_INSIDE = "schemas"
EXPLANATIONS = ("ERRORS.md", "LIMITS.md")
_FIRST_LINE = re.compile(r"\A# yaml-language-server:[^\n]*\n")
_KIND = re.compile(r"^kind: ([a-z_]+)$", re.MULTILINE)


def start_workspace(folder: Path) -> list[str]:
    """Copy the shipped workspace into a folder that is empty or not there yet; the relative paths written.

    CommandError when the folder holds anything already: nothing of the user's is ever overwritten.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CommandError(f"'{folder}' is not empty; name a new folder")
    shipped = shipped_folder("rulesets")
    files, _ = read_folder(shipped)
    files |= {name: (shipped / name).read_text(encoding="utf-8") for name in EXPLANATIONS}
    written: list[str] = []
    for file, text in files.items():
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_with_schema(text, file), encoding="utf-8", newline="\n")
        written.append(file)
    written += [f"{SCHEMAS_INSIDE}/{name}" for name in write_schemas(folder / SCHEMAS_INSIDE)]
    return written


def _with_schema(text: str, file: str) -> str:
    """The text with the schema line that fits a copy whose schemas lie inside the workspace."""
    found = _KIND.search(text)
    kind = "test" if file.endswith(TEST_SUFFIX) else found[1] if found is not None else None
    if kind is None or not file.endswith(".yaml"):
        return text
    line = schema_line(kind, file, f"./{SCHEMAS_INSIDE}" if "/" not in file else SCHEMAS_INSIDE)
    return line + "\n" + _FIRST_LINE.sub("", text, count=1)
