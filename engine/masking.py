"""How personal data looks wherever people may read along: `138****1234`, `a***@example.com`."""

from __future__ import annotations

import re
from typing import Any

_EMAIL = re.compile(r"([^\s@<>\"'(),:;\[\]\\]+)@([^\s@<>\"'(),:;\[\]\\]+\.[^\s@<>\"'(),:;\[\]\\]+)")
_PHONE = re.compile(r"(?<![\w.-])(?:\+\d{7,15}|1[3-9]\d{9})(?![\w-])")
_KEY = re.compile(r"\bwl_(write|operator)_[\w-]+")
_CREDENTIALS = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
_LINK = re.compile(r"/u/[\w-]+\.[\w-]+")
_PASSWORD = re.compile(r"(://[^\s:/@]*):[^\s@/]+@")


_SHORTEST_SECRET = 8
"""Characters; a shorter one may be part of any word."""
_secrets: set[str] = set()
_any_secret: re.Pattern[str] | None = None


def keep_secret(text: str) -> None:
    """Have this text masked from now on wherever this process masks anything; short ones are not."""
    global _any_secret  # noqa: PLW0603 - what a process must not say is of the whole process
    if len(text) < _SHORTEST_SECRET or text in _secrets:
        return
    _secrets.add(text)
    longest_first = sorted(_secrets, key=len, reverse=True)
    _any_secret = re.compile("|".join(map(re.escape, longest_first)))


def mask_address(address: str) -> str:
    """One address or name, recognisable to who knows it and to nobody else."""
    local, at, domain = address.rpartition("@")
    if at and "." in domain:
        return f"{local[:1]}***@{domain}"
    if len(address) <= 4:
        return "***"
    if re.fullmatch(r"\+?\d{7,}", address):
        return f"{address[:3]}****{address[-4:]}"
    return f"{address[:2]}***"


def mask_text(text: str) -> str:
    """The text with every e-mail address, phone number, key, signed link and known secret in it masked."""
    if _any_secret is not None:
        text = _any_secret.sub("***", text)
    text = _PASSWORD.sub(r"\1:***@", text)
    text = _EMAIL.sub(lambda found: mask_address(found[0]), text)
    text = _PHONE.sub(lambda found: mask_address(found[0]), text)
    text = _KEY.sub(r"wl_\1_***", text)
    text = _CREDENTIALS.sub(r"\1 ***", text)
    return _LINK.sub("/u/***", text)


def mask_value(value: Any) -> Any:
    """The value with every text in it masked; mappings and lists are gone through."""
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, dict):
        return {key: mask_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask_value(item) for item in value]
    if isinstance(value, bool | int | float) or value is None:
        return value
    return mask_text(str(value))
