"""Finds the files that come with Wayline: in the installed package, or in the repository itself."""

from __future__ import annotations

from pathlib import Path

from engine.errors import CommandError

PACKAGE = Path(__file__).resolve().parents[1]


def shipped_folder(name: str, package: Path = PACKAGE) -> Path:
    """The folder `rulesets`, `schemas` or `data` of this installation; CommandError when it is missing."""
    for folder in (package / "shipped" / name, package.parent / name):
        if folder.is_dir():
            return folder
    raise CommandError(f"this installation has no {name!r}; install Wayline again")
