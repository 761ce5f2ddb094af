"""`Duration`: the type of a plugin's setting that is a length of time, written as in all YAML files."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from engine.rules.duration import parse_duration


def _read(raw: object) -> object:
    return parse_duration(raw) if isinstance(raw, str) else raw


Duration = Annotated[
    timedelta,
    BeforeValidator(_read),
    WithJsonSchema({"type": "string", "examples": ["90s", "15m", "2h", "3d"]}),
]
"""A `timedelta`, written `90s`, `15m`, `2h`, `3d` or `2w`."""
