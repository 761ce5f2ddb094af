"""Consents out of another system's file: every line with its date and its proof; pure but for reading."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from engine.intake.mapping import UnreadableError

WANTED = ("contact", "purpose", "decision", "at", "proof")
"""Columns without which a line is no evidence of anything."""
MORE = (
    *("channel", "version", "legal_basis", "language", "notice", "notice_hash", "mechanism"),
    *("actor", "jurisdiction", "valid_until"),
)
"""Columns that may be there, each as the consent events have it."""

_EVENTS = {"granted": "consent_granted", "denied": "consent_denied", "withdrawn": "consent_withdrawn"}
_CONTACT = re.compile(r"(?P<platform>[a-z][a-z0-9_]{0,63}):(?P<address>\S.*)")


class ConsentMapper:
    """Turns the rows of such a file into consent events; in the place of a `Mapper` when files are read."""

    def message(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The consent event of a row; UnreadableError names the column at fault, never a value."""
        told = {name: _text(row, name) for name in (*WANTED, *MORE)}
        if unknown := sorted(set(row) - {*WANTED, *MORE}):
            raise UnreadableError(f"column {unknown[0]!r} is not one of a consent")
        for name in WANTED:
            if not told[name]:
                raise UnreadableError(f"column {name!r} is empty: without it this proves nothing")
        decision = str(told["decision"]).lower()
        if decision not in _EVENTS:
            raise UnreadableError("column 'decision' is not granted, denied or withdrawn")
        for name in ("at", "valid_until"):
            if told[name] and not _is_moment(str(told[name])):
                raise UnreadableError(f"column {name!r} does not hold a moment with its zone")
        kept = ("purpose", "proof", *MORE)
        return {
            "type": "track",
            "event": _EVENTS[decision],
            "timestamp": told["at"],
            "properties": {name: told[name] for name in kept if told[name]},
            **_whom(str(told["contact"])),
        }

    def missing(self, columns: Iterable[str]) -> list[str]:
        """Columns that every such file must have and this one has not."""
        present = set(columns)
        return [name for name in WANTED if name not in present]


def _whom(contact: str) -> dict[str, Any]:
    found = _CONTACT.fullmatch(contact)
    if found is None:
        raise UnreadableError("column 'contact' is not an identity as user:42 or email:a@b.c")
    if found["platform"] == "user":
        return {"userId": found["address"]}
    return {"context": {"traits": {found["platform"]: found["address"]}}}


def _text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise UnreadableError(f"column {name!r} is not a text")
    return value.strip()


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
