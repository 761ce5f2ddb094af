"""Events out of files: JSON Lines and CSV, read as a stream; a bad line does not stop the others."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol

import orjson

from engine.errors import CommandError
from engine.intake.incoming import Incoming, Unusable, as_text, content_id, unstorable
from engine.intake.mapping import UnreadableError
from engine.intake.segment import translate

_MAX_LINE = 1024 * 1024


class RowMapper(Protocol):
    """Turns rows of a file into Segment messages."""

    def message(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The message of a row; UnreadableError says what is wrong with it, without a value."""

    def missing(self, columns: Iterable[str]) -> list[str]:
        """Columns that are wanted and not there."""


@dataclass(frozen=True)
class Line:
    """One line of a file: the message in it, or why there is none."""

    place: str
    """`file:line`"""
    message: dict[str, Any] | None
    fault: Unusable | None = None
    bytes_read: int = 0
    """Of the file so far, for progress."""

    def incoming(self) -> Incoming:
        """The event, or the dead letter, with its place in the reason."""
        if self.fault is not None:
            return self.fault
        found = translate(self.message)
        if isinstance(found, Unusable):
            return Unusable(found.code, f"{self.place}: {found.message}", found.raw)
        return found


def read_file(path: Path, mapper: RowMapper | None = None) -> Iterator[Line]:
    """The lines of a `.jsonl`, `.ndjson` or `.csv` file, in order; blank lines are passed over.

    A message without messageId is named after file, line and content: the same file taken in twice counts
    once, and two equal lines count twice. CommandError when the file cannot be read at all.
    """
    kind = path.suffix.lower()
    if kind not in {".jsonl", ".ndjson", ".json", ".csv"}:
        raise CommandError(f"{path}: wanted a .jsonl or .csv file")
    if kind == ".csv" and mapper is None:
        raise CommandError(
            f"{path}: a CSV file needs --map, for instance --map userId=customer --map event=type"
        )
    try:
        with path.open("rb") as file:
            yield from _csv(path, file, mapper) if kind == ".csv" and mapper else _json(path, file, mapper)
    except OSError as error:
        raise CommandError(f"{path}: {error.strerror or 'cannot be read'}") from error


def in_batches(lines: Iterable[Line], size: int) -> Iterator[list[Line]]:
    """The lines, `size` at a time."""
    rest = iter(lines)
    while batch := list(islice(rest, size)):
        yield batch


def _json(path: Path, file: IO[bytes], mapper: RowMapper | None) -> Iterator[Line]:
    read = 0
    for number, data in enumerate(iter(lambda: file.readline(_MAX_LINE + 1), b""), start=1):
        read += len(data)
        place = f"{path.name}:{number}"
        if len(data) > _MAX_LINE:
            read += 0 if data.endswith(b"\n") else _skip_line(file)
            fault = Unusable("EV011", f"{place}: the line is longer than {_MAX_LINE} bytes", None)
            yield Line(place, None, fault, read)
            continue
        text = data.strip(b" \t\r\n" + (b"\xef\xbb\xbf" if number == 1 else b""))
        if not text:
            continue
        try:
            value = json.loads(text) if b"\\ud" in text.lower() else orjson.loads(text)
        except (ValueError, RecursionError):
            raw = text.decode(errors="replace").replace("\x00", "\ufffd")
            yield Line(place, None, Unusable("EV011", f"{place}: the line is not JSON", raw), read)
            continue
        yield _line(place, value, mapper, read)


def _skip_line(file: IO[bytes]) -> int:
    """Go to the next line; how many bytes that was."""
    skipped = 0
    while data := file.readline(_MAX_LINE):
        skipped += len(data)
        if data.endswith(b"\n"):
            break
    return skipped


def _csv(path: Path, file: IO[bytes], mapper: RowMapper) -> Iterator[Line]:
    read = 0

    def decoded() -> Iterator[str]:
        nonlocal read
        for number, data in enumerate(file):
            read += len(data)
            try:
                yield data.decode("utf-8-sig" if number == 0 else "utf-8")
            except UnicodeDecodeError as error:
                # Not a bad line: a file in another encoding, of which every name would come in spoilt.
                raise CommandError(f"{path.name}:{number + 1}: not UTF-8; save the file as UTF-8") from error

    reader = csv.DictReader(decoded(), strict=True)
    try:
        missing = mapper.missing(reader.fieldnames or ())
    except csv.Error as error:
        raise CommandError(f"{path}: the heading line cannot be read: {error}") from error
    if missing:
        raise CommandError(f"{path}: no column {', '.join(map(repr, missing))}; it has {reader.fieldnames}")
    while True:
        place = f"{path.name}:{reader.line_num + 1}"
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Line(place, None, Unusable("EV011", f"{place}: {error}", None), read)
            continue
        if None in row:
            # Somewhere before, a comma split a cell in two: whatever stands behind it is in the wrong column.
            fault = Unusable("EV011", f"{place}: more cells than the heading has columns", _named(row))
            yield Line(place, None, fault, read)
            continue
        yield _line(place, row, mapper, read)


def _named(row: dict[Any, Any]) -> dict[str, Any]:
    return {str(name or "(more)"): cell for name, cell in row.items()}


def _line(place: str, value: Any, mapper: RowMapper | None, read: int) -> Line:
    if not isinstance(value, dict):
        return Line(place, None, Unusable("EV001", f"{place}: an event must be a JSON object", value), read)
    if (fault := unstorable(value)) is not None:
        return Line(place, None, Unusable("EV009", f"{place}: {fault}", as_text(value)), read)
    try:
        message = dict(value) if mapper is None else mapper.message(value)
    except UnreadableError as error:
        return Line(place, None, Unusable("EV011", f"{place}: {error}", value), read)
    if message.get("messageId") in (None, ""):
        message["messageId"] = f"{place}:{content_id(value).removeprefix('content:')}"[-256:]
    return Line(place, message, None, read)
