"""Signatures after Standard Webhooks: made for what we post, verified for what we are told."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from engine.plugin import Refused

TOLERANCE = timedelta(minutes=5)
"""How far a signature's time may be from ours, as the reference libraries have it."""
_SECONDS = re.compile(r"[0-9]{1,12}")
_VERSION = "v1"


def signing_key(secret: str) -> bytes:
    """The bytes to sign with; nothing when the secret is not well formed."""
    if not secret.startswith("whsec_"):
        return secret.encode("utf-8", "surrogatepass")
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return b""


def signature_headers(secret: str, identity: str, now: datetime, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks, and the content type."""
    timestamp = str(int(now.timestamp()))
    signature = base64.b64encode(_digest(secret, identity, timestamp, body)).decode()
    return {
        "content-type": "application/json",
        "user-agent": "wayline",
        "webhook-id": identity,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"{_VERSION},{signature}",
    }


def refusal(secret: str, headers: Mapping[str, str], body: bytes, now: datetime) -> Refused | None:
    """Why a request is not believed; None when it was signed with the secret, and lately.

    Names of headers are in lower case. Of several signatures, as while a secret is changed, one is enough.
    """
    identity, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not identity or not _SECONDS.fullmatch(timestamp):
        return Refused("signature", "webhook-id and webhook-timestamp are wanted")
    expected = _digest(secret, identity, timestamp, body)
    if not any(hmac.compare_digest(expected, each) for each in _given(headers.get("webhook-signature", ""))):
        return Refused("signature", "no v1 signature fits")
    # Afterwards: who cannot sign learns nothing about our clock.
    if abs(now - datetime.fromtimestamp(int(timestamp), UTC)) > TOLERANCE:
        return Refused("stale", f"webhook-timestamp is more than {TOLERANCE.seconds // 60} minutes away")
    return None


def _digest(secret: str, identity: str, timestamp: str, body: bytes) -> bytes:
    signed = b".".join((identity.encode(), timestamp.encode(), body))
    return hmac.new(signing_key(secret), signed, sha256).digest()


def _given(header: str) -> list[bytes]:
    found = []
    for each in header.split():
        version, _, signature = each.partition(",")
        if version == _VERSION:
            try:
                found.append(base64.b64decode(signature, validate=True))
            except (binascii.Error, ValueError):
                continue
    return found
