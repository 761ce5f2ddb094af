"""How columns of a foreign file become Segment messages; pure.

A mapping names, for each part of a message, a column or a constant: `userId=customer`, `event="order_paid"`,
`timestamp=date`, `properties.amount:number=dollars`, `traits.email=mail`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from engine.errors import CommandError

TARGETS = ("type", "event", "userId", "anonymousId", "messageId", "timestamp")
PREFIXES = ("properties.", "traits.")
TYPES = ("text", "number", "boolean")

_PART = re.compile(r"(?P<target>[^:=]+)(?::(?P<type>[a-z]+))?=(?P<value>.+)")


class UnreadableError(ValueError):
    """A cell that cannot be read as what the mapping says; the message names the column, not the value."""


@dataclass(frozen=True)
class Part:
    """One part of a message and where its value comes from."""

    target: str
    type: str
    column: str | None
    constant: str | None


@dataclass(frozen=True)
class Mapper:
    """Turns rows into messages."""

    parts: tuple[Part, ...]
    time_format: str | None = None
    """As for `strptime`; None: ISO 8601."""
    timezone: ZoneInfo | None = None
    """The zone of timestamps that name none."""

    def message(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The Segment message of a row, without its empty cells; UnreadableError names a column at fault."""
        message: dict[str, Any] = {"type": "track"}
        for part in self.parts:
            value = part.constant if part.column is None else row.get(part.column)
            if value is None or value == "":
                continue
            value = self._moment(str(value), part) if part.target == "timestamp" else _typed(value, part)
            above, _, name = part.target.partition(".")
            if name:
                message.setdefault(above, {})[name] = value
            else:
                message[above] = value
        return message

    def missing(self, columns: Iterable[str]) -> list[str]:
        """Columns the mapping asks for that the file does not have."""
        present = set(columns)
        return [part.column for part in self.parts if part.column is not None and part.column not in present]

    def _moment(self, text: str, part: Part) -> str:
        try:
            if self.time_format is None:
                moment = datetime.fromisoformat(text)
            else:
                moment = datetime.strptime(text, self.time_format)  # noqa: DTZ007 - the zone is set below
        except ValueError as error:
            raise UnreadableError(f"column {part.column!r} does not hold a moment") from error
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self.timezone or UTC)
        return moment.isoformat()


def read_mapping(
    parts: Sequence[str], *, time_format: str | None = None, timezone: str | None = None
) -> Mapper | None:
    """The mapper that the command line describes; None when it describes none: the file holds messages."""
    if not parts:
        if time_format or timezone:
            raise CommandError("--time-format and --timezone need --map")
        return None
    zone = None
    if timezone is not None:
        try:
            zone = ZoneInfo(timezone)
        except (KeyError, ValueError, OSError) as error:
            raise CommandError(
                f"{timezone!r} is not an IANA time zone; write for instance Asia/Shanghai"
            ) from error
    read = tuple(_part(text) for text in parts)
    targets = {part.target for part in read}
    if "event" not in targets and "type" not in targets:
        raise CommandError('the mapping names no event; add --map event=COLUMN or --map event="order_paid"')
    return Mapper(read, time_format, zone)


def _part(text: str) -> Part:
    match = _PART.fullmatch(text.strip())
    if match is None:
        raise CommandError(f'--map {text!r} cannot be read; write TARGET=COLUMN or TARGET="constant"')
    target, kind, value = match["target"].strip(), match["type"] or "text", match["value"].strip()
    if target not in TARGETS and not (target.startswith(PREFIXES) and target.partition(".")[2]):
        raise CommandError(
            f"--map {text!r}: {target!r} is not a part of an event; "
            f"it is one of {', '.join(TARGETS)}, properties.NAME, traits.NAME"
        )
    if kind not in TYPES:
        raise CommandError(f"--map {text!r}: {kind!r} is not a type; it is one of {', '.join(TYPES)}")
    if len(value) >= 2 and value[0] == value[-1] == '"':
        return Part(target, kind, None, value[1:-1])
    return Part(target, kind, value, None)


def _typed(value: Any, part: Part) -> Any:
    if not isinstance(value, str):
        return value
    match part.type:
        case "number":
            try:
                number = float(value)
            except ValueError as error:
                raise UnreadableError(f"column {part.column!r} does not hold a number") from error
            return int(number) if number.is_integer() and abs(number) < 2**53 else number
        case "boolean":
            known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
            if value.strip().lower() not in known:
                raise UnreadableError(f"column {part.column!r} does not hold true or false")
            return known[value.strip().lower()]
        case _:
            return value
