"""Writes the package of a new plugin: it installs, its tests pass, and its one module is the place to begin.

The files stand in `scaffold/` as they are written, with `@NAME@` and the like where the new names go.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from engine.errors import CommandError
from engine.plugin.shapes import NAME

_SCAFFOLD = Path(__file__).parent / "scaffold"


class PluginKind(StrEnum):
    """What a plugin can be begun as."""

    CHANNEL = "channel"
    GENERATOR = "generator"
    CHECK = "check"


def start_plugin(kind: PluginKind, name: str, folder: Path | None = None) -> list[Path]:
    """The files of a new package `wayline-<name>`, written to `folder` or to one of that name.

    CommandError when the name cannot be a plugin's, or something is in the folder.
    """
    if not NAME.fullmatch(name):
        raise CommandError(f"the name {name!r} is not lower_snake text such as 'my_{kind}'")
    words = {
        "DISTRIBUTION": f"wayline-{name.replace('_', '-')}",
        "KIND": kind.value,
        "NAME": name,
        "MODULE": f"wayline_{name}",
        "CLASS": "".join(part.capitalize() for part in name.split("_")),
        "TITLE": name.replace("_", " ").capitalize(),
        "ENVIRONMENT": name.upper(),
        "DEPENDENCIES": ', "httpx"' if kind is PluginKind.CHANNEL else "",
    }
    folder = folder if folder is not None else Path(words["DISTRIBUTION"])
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CommandError(f"{folder} is there already and not empty; name another folder after {name}")
    words["RULESET"] = _filled(kind.value, "ruleset.yaml", words)
    files = {
        "pyproject.toml": _filled("package", "pyproject.toml", words),
        "README.md": _filled("package", "README.md", words),
        f"src/{words['MODULE']}/__init__.py": _filled(kind.value, "plugin.py", words),
        f"src/{words['MODULE']}/py.typed": "",
        f"tests/test_{name}.py": _filled(kind.value, "test_plugin.py", words),
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return [folder / path for path in files]


def _filled(part: str, file: str, words: dict[str, str]) -> str:
    text = (_SCAFFOLD / part / f"{file}.txt").read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text
