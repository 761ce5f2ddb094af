"""Addresses in settings, looked at without anything that speaks HTTP."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

LONGEST_TIMEOUT = timedelta(seconds=28)
"""The engine waits 30 seconds for a message; what takes longer would always be in doubt."""


def checked_address(value: str, *, may_ask: bool = False) -> str:
    """The same address; ValueError when no request can be made to it. `may_ask`: it may have a query."""
    try:
        parts = urlsplit(value)
        can_be_asked = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        can_be_asked = False
    if can_be_asked and not may_ask:
        can_be_asked = not parts.query and not parts.fragment
    if not can_be_asked or not value.isprintable() or " " in value:
        raise ValueError("write an address that starts with https:// or http://")
    return value
