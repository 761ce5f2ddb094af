"""Signed links for one recipient: to say no, to choose, and to confirm a consent; nobody can forge a token.

A link to say no does not expire: whoever finds an old message must still be able to say it.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

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


@dataclass(frozen=True)
class Confirmation:
    """What a link confirms: the consents that wait for it at its address."""

    contact_id: str
    channel: str
    """Over which the link was sent."""
    asked_until: datetime
    """Journey time at which the message was made: what is asked for later needs another one."""


def unsubscribe_url(public_url: str, secret: str, contact_id: str, purpose: str, channel: str) -> str:
    """The link for one recipient; one click on it (RFC 8058) withdraws the consent."""
    token = sign(secret, Unsubscribe(contact_id, purpose, channel))
    return f"{public_url.rstrip('/')}/u/{token}"


def preferences_url(unsubscribe: str) -> str:
    """The page on which the recipient whose link that is chooses what they get, and where."""
    return f"{unsubscribe}/preferences"


def confirmation_url(public_url: str, secret: str, confirmation: Confirmation) -> str:
    """The link that one recipient confirms consents by."""
    return f"{public_url.rstrip('/')}/confirm/{sign_confirmation(secret, confirmation)}"


def sign(secret: str, wish: Unsubscribe) -> str:
    """The token that stands for `wish`."""
    return _sealed(secret, _UNSUBSCRIBE, (wish.contact_id, wish.purpose, wish.channel))


def read_token(secret: str, token: str) -> Unsubscribe | None:
    """What the token stands for, or None when it was not signed with `secret`."""
    parts = _opened(secret, _UNSUBSCRIBE, token)
    return Unsubscribe(*parts) if parts is not None and len(parts) == 3 else None


def sign_confirmation(secret: str, confirmation: Confirmation) -> str:
    """The token that stands for `confirmation`."""
    micros = (confirmation.asked_until - _EPOCH) // _MICROSECOND
    return _sealed(secret, _CONFIRM, (confirmation.contact_id, confirmation.channel, str(micros)))


def read_confirmation(secret: str, token: str) -> Confirmation | None:
    """What the token stands for, or None when it was not signed with `secret` for this."""
    parts = _opened(secret, _CONFIRM, token)
    if parts is None or len(parts) != 3:
        return None
    return Confirmation(parts[0], parts[1], _EPOCH + int(parts[2]) * _MICROSECOND)


# One secret signs both kinds, so each names what it is for: none can be taken for the other.
_UNSUBSCRIBE = b"wayline unsubscribe\x00"
_CONFIRM = b"wayline confirm\x00"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _sealed(secret: str, use: bytes, parts: tuple[str, ...]) -> str:
    body = _SEPARATOR.join(parts).encode()
    return f"{_text(body)}.{_text(_mac(secret, use, body))}"


def _opened(secret: str, use: bytes, token: str) -> list[str] | None:
    if len(token) > _MAX_TOKEN:
        return None
    body_text, _, mac_text = token.partition(".")
    try:
        body, mac = _bytes(body_text), _bytes(mac_text)
    except ValueError:
        return None
    # Exactly as signed, so that one wish has one token and padding games find nothing.
    if not hmac.compare_digest(mac, _mac(secret, use, body)) or f"{_text(body)}.{_text(mac)}" != token:
        return None
    return body.decode().split(_SEPARATOR)


def _mac(secret: str, use: bytes, body: bytes) -> bytes:
    return hmac.digest(secret.encode(), use + body, "sha256")[:_MAC_BYTES]


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    if not text.isascii():
        raise ValueError("not a token")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
