"""Moments in tests of rulesets: so long after the start, on the contact's own clock, or with a zone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, InstanceOf, WithJsonSchema

from engine.authoring.models.refusing import refuse
from engine.rules.duration import parse_duration

_OFFSET = re.compile(r"[0-9]+[smhdw]( ?[0-9]+[smhdw])*", re.ASCII)
_PART = re.compile(r"[0-9]+[smhdw]")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?")
_ZONED = re.compile(_CLOCK.pattern + r"(Z|[+-][0-9]{2}:[0-9]{2})")
_EXAMPLES = '31d, "1d 2h", "2026-03-31 10:00" on the contact\'s clock, or "2026-03-31T10:00:00+08:00"'

Stated = timedelta | datetime | date
"""Since the start; a moment (without a zone: on the contact's own clock); or a whole day on that clock."""


@dataclass(frozen=True)
class Span:
    """From one moment to another, both included to the minute; often the same."""

    first: Stated
    last: Stated
    text: str
    """As it is written."""


def _stated(text: str, shown: str) -> Stated:
    try:
        if _OFFSET.fullmatch(text):
            return sum((parse_duration(part) for part in _PART.findall(text)), timedelta(0))
        if _DAY.fullmatch(text):
            return date.fromisoformat(text)
        if _CLOCK.fullmatch(text) or _ZONED.fullmatch(text):
            return datetime.fromisoformat(text)
    except ValueError as error:
        raise refuse("RS086", f"'{shown}' cannot be read: {error}", f"as {_EXAMPLES}") from None
    raise refuse("RS086", f"'{shown}' is not a moment", f"as {_EXAMPLES}")


def _text(raw: Any) -> str:
    if isinstance(raw, str):
        return raw.strip()
    shown = str(raw) if isinstance(raw, int | float) and not isinstance(raw, bool) else "something else"
    raise refuse("RS086", f"must be a moment; this is {shown}", f"as {_EXAMPLES}")


def _moment(raw: Any) -> Span:
    text = _text(raw)
    if ".." in text:
        raise refuse("RS086", f"'{text}' is a range; here one moment is meant", f"as {_EXAMPLES}")
    stated = _stated(text, text)
    if isinstance(stated, date) and not isinstance(stated, datetime):
        raise refuse("RS086", f"'{text}' is a day without a time", f'as "{text} 10:00"')
    return Span(stated, stated, text)


def _span(raw: Any) -> Span:
    text = _text(raw)
    first, dots, last = text.partition("..")
    from_ = _stated(first.strip(), text)
    return Span(from_, _stated(last.strip(), text) if dots else from_, text)


def _start(raw: Any) -> Span:
    span = _moment(raw)
    if isinstance(span.first, timedelta):
        raise refuse("RS086", f"'{span.text}' is a length of time; a test starts at a moment", _START_EXAMPLE)
    return span


_START_EXAMPLE = 'as "2026-03-01T09:00:00+08:00"'

Moment = Annotated[
    InstanceOf[Span],
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "examples": ["0d", "31d", "1d 2h", "2026-03-31 10:00"]}),
]
"""One moment: an offset from the start, or a date with a time."""
StartMoment = Annotated[
    InstanceOf[Span],
    BeforeValidator(_start),
    WithJsonSchema({"type": "string", "examples": ["2026-03-01T09:00:00+08:00", "2026-03-01 09:00"]}),
]
"""A date with a time."""
MomentSpan = Annotated[
    InstanceOf[Span],
    BeforeValidator(_span),
    WithJsonSchema({"type": "string", "examples": ["30d..31d", "25h", "2026-03-31", "2026-03-31 10:00"]}),
]
"""A moment, a whole day, or a range of both."""
