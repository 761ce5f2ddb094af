"""Problems as text for people and as data for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from engine.errors import Problem


def report(problems: Iterable[Problem]) -> str:
    """One line per problem, `file:line:col: CODE path: message`, and its hint indented below."""
    lines: list[str] = []
    for problem in problems:
        lines.append(f"{problem.place}: {problem.code} {problem.path}: {problem.message}")
        if problem.hint:
            lines.append(f"    hint: {problem.hint}")
    return "".join(f"{line}\n" for line in lines)


def as_data(problems: Iterable[Problem]) -> list[dict[str, Any]]:
    """Problems as plain data, for --format json and for answers over HTTP."""
    return [
        {
            "file": problem.place.file,
            "line": problem.place.line,
            "column": problem.place.column,
            "code": problem.code,
            "path": problem.path,
            "message": problem.message,
            "hint": problem.hint,
            "warning": problem.is_warning,
        }
        for problem in problems
    ]


def below(folder: str, problems: Iterable[Problem]) -> list[Problem]:
    """The problems with places that begin with the folder, as the person who named it can open them."""
    prefix = folder.rstrip("/")
    if prefix in {"", "."}:
        return list(problems)
    return [replace(each, place=replace(each.place, file=f"{prefix}/{each.place.file}")) for each in problems]


def count_of(problems: Sequence[Problem]) -> str:
    """`2 problems, 1 warning`."""
    warnings = sum(problem.is_warning for problem in problems)
    errors = len(problems) - warnings
    parts = [_counted(errors, "problem")] if errors or not warnings else []
    if warnings:
        parts.append(_counted(warnings, "warning"))
    return ", ".join(parts)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
