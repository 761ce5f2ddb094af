"""How commands print: JSON for programs, tables for people, progress only on a terminal."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Protocol

import orjson
import typer

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")


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
    from rich.cells import cell_len

    lines = [list(columns), *([shown(row.get(column)) for column in columns] for row in rows)]
    widths = [max(cell_len(line[at]) for line in lines) for at in range(len(columns))]
    for line in lines:
        padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(padded).rstrip())


def say(output: Format, data: Any, text: str) -> None:
    """What a command has done, as it was asked to tell it."""
    if output is Format.JSON:
        print_json(data)
    else:
        typer.echo(text)


def say_rows(
    output: Format,
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    *,
    nothing: str,
    told: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """What a command has found, as it was asked to tell it; people see `told` in place of the rows."""
    if output is Format.JSON:
        print_json(rows)
    else:
        print_table(rows if told is None else told, columns, nothing=nothing)


def print_fields(record: Mapping[str, Any], tables: Mapping[str, Sequence[str]] | None = None) -> None:
    """The record's fields, one a line; below them its lists of records as tables of the columns named."""
    tables = tables or {}
    fields = {
        name: value
        for name, value in record.items()
        if name not in tables and value not in (None, "", [], {})
    }
    width = max((len(name) for name in fields), default=0)
    for name, value in fields.items():
        typer.echo(f"{name.ljust(width)}  {shown(value)}")
    for name, columns in tables.items():
        if rows := record.get(name):
            typer.echo(f"\n{name}")
            print_table(rows, columns, nothing="")


def shown(value: Any) -> str:
    """A value in one line of plain text, moments to the second."""
    match value:
        case None:
            text = ""
        case datetime():
            text = f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
        case str():
            text = f"{value[:10]} {value[11:19]}Z" if _MOMENT.fullmatch(value) else value
        case list() | tuple() if all(isinstance(item, str) for item in value):
            text = ", ".join(value)
        case _:
            text = orjson.dumps(value, default=str).decode()
    # What senders wrote may hold characters that command a terminal or turn the line round.
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()


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

    with Progress(console=Console(stderr=True), transient=True) as shown_bar:
        task = shown_bar.add_task(what, total=total)

        class _Shown:
            def to(self, done: int) -> None:
                shown_bar.update(task, completed=done)

        yield _Shown()


class _Silent:
    def to(self, done: int) -> None:
        pass
