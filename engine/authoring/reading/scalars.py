"""What an unquoted YAML value means here, and which are refused because YAML versions disagree about them."""

from __future__ import annotations

import re

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,14})")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,14})\.[0-9]{1,15}")
_NEGATIVE_ZERO = re.compile(r"-0(\.0+)?")

# What YAML 1.1 or 1.2 (and the parsers that sit between them) read as something other than text.
_SURPRISES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"y|n|yes|no|on|off|true|false", re.IGNORECASE),
        "would be read as true or false by some programs",
    ),
    (re.compile(r"~|null", re.IGNORECASE), "would be read as nothing at all"),
    (
        re.compile(r"[-+]?[0-9][0-9_]*(:[0-9]+)+(\.[0-9_]*)?"),
        "looks like a clock time and would be read as a number by some programs",
    ),
    (re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?"), "would be read as a date by some programs"),
    (
        re.compile(r"[-+]?0[bB][01_]*|[-+]?0[oO][0-7_]*|[-+]?0[xX][0-9a-fA-F_]*"),
        "would be read as a number in another base",
    ),
    (
        re.compile(r"[-+]?0[0-9_]+"),
        "begins with a zero and would be read as different numbers by different programs",
    ),
    (
        re.compile(r"[-+]?([0-9][0-9_]*(\.[0-9_]*)?|\.[0-9][0-9_]*)([eE][-+]?[0-9]+)?"),
        "is a number in a form that programs read differently",
    ),
    (re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE), "would be read as a number"),
    (re.compile(r"="), "has a meaning of its own in YAML"),
)


def value_of(text: str) -> str | int | float | bool | None:
    """The value of an unquoted text that is no surprise."""
    if text in {"true", "false"}:
        return text == "true"
    if text in {"", "null"}:
        return None
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return text


def surprise(text: str) -> str | None:
    """Why an unquoted text would not everywhere be what it looks like; None when it is safe."""
    # Nearly every text begins with a character that none of the surprises begins with.
    if text in {"", "true", "false", "null"} or text[0] not in "+-.~=0123456789yYnNtTfFoO":
        return None
    if (_INTEGER.fullmatch(text) or _DECIMAL.fullmatch(text)) and not _NEGATIVE_ZERO.fullmatch(text):
        return None
    if re.fullmatch(r"-?[1-9][0-9]{15,}(\.[0-9]+)?", text):
        return "is a number too long to be kept exactly"
    for pattern, reason in _SURPRISES:
        if pattern.fullmatch(text):
            return reason
    return None
