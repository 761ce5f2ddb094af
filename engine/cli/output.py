"""How commands print: JSON for programs, tables for people, progress only on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any, Protocol

import orjson
import typer


class Format(StrEnum):
    """What a command prints."""

    TEXT = "text"
    JSON = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="What to print.")]


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode())


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, nothing: str) -> None:
    """The columns of the rows under their names; `nothing` when there are no rows."""
    if not rows:
        typer.echo(nothing)
        return
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[at]) for line in [list(columns), *cells]) for at in range(len(columns))]
    for line in [list(columns), *cells]:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_fields(record: Mapping[str, Any]) -> None:
    """The record's fields, one a line; lists of records as tables below."""
    below: list[tuple[str, Sequence[Mapping[str, Any]]]] = []
    width = max((len(name) for name in record), default=0)
    for name, value in record.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            below.append((name, value))
        elif value not in (None, [], {}):
            typer.echo(f"{name.ljust(width)}  {_cell(value)}")
    for name, rows in below:
        typer.echo(f"\n{name}")
        print_table(
            rows, [key for key in rows[0] if any(row.get(key) not in (None, {}) for row in rows)], nothing=""
        )


class Bar(Protocol):
    """Shows how far something is."""

    def to(self, done: int) -> None: ...


@contextmanager
def progress(what: str, total: int) -> Iterator[Bar]:
    """A progress bar on stderr when that is a terminal, nothing otherwise."""
    if not sys.stderr.isatty():
        yield _Silent()
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=total)

        class _Shown:
            def to(self, done: int) -> None:
                shown.update(task, completed=done)

        yield _Shown()


class _Silent:
    def to(self, done: int) -> None:
        pass


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case list():
            return ", ".join(map(str, value))
        case _:
            return orjson.dumps(value, default=str).decode()
