"""Signed unsubscribe links: who, from which purpose, on which channel, in a token that nobody can forge.

A link does not expire: whoever finds an old message must still be able to say no.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass

_MAC_BYTES = 16
_SEPARATOR = "\x1f"
_MAX_TOKEN = 1024


@dataclass(frozen=True)
class Unsubscribe:
    """What a link withdraws."""

    contact_id: str
    purpose: str
    channel: str
    """A channel id, or `*` for all."""


def unsubscribe_url(public_url: str, secret: str, contact_id: str, purpose: str, channel: str) -> str:
    """The link for one recipient; one click on it (RFC 8058) withdraws the consent."""
    token = sign(secret, Unsubscribe(contact_id, purpose, channel))
    return f"{public_url.rstrip('/')}/u/{token}"


def sign(secret: str, wish: Unsubscribe) -> str:
    """The token that stands for `wish`."""
    body = _SEPARATOR.join((wish.contact_id, wish.purpose, wish.channel)).encode()
    return f"{_text(body)}.{_text(_mac(secret, body))}"


def read_token(secret: str, token: str) -> Unsubscribe | None:
    """What the token stands for, or None when it was not signed with `secret`."""
    if len(token) > _MAX_TOKEN:
        return None
    body_text, _, mac_text = token.partition(".")
    try:
        body, mac = _bytes(body_text), _bytes(mac_text)
    except ValueError:
        return None
    # Exactly as signed, so that one wish has one token and padding games find nothing.
    if not hmac.compare_digest(mac, _mac(secret, body)) or f"{_text(body)}.{_text(mac)}" != token:
        return None
    parts = body.decode().split(_SEPARATOR)
    return Unsubscribe(*parts) if len(parts) == 3 else None


def _mac(secret: str, body: bytes) -> bytes:
    return hmac.new(secret.encode(), b"wayline unsubscribe\x00" + body, hashlib.sha256).digest()[:_MAC_BYTES]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    if not text.isascii():
        raise ValueError("not a token")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
