"""Who writes, as push services are told (VAPID, RFC 8292): a token signed with ES256 for each service."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from engine.plugin import Clock
from plugins.channels.web_push.encryption import decoded, encoded, raw_public

LASTS = timedelta(hours=12)
"""For how long a token is good; services take a day at most, and clocks differ."""
_MOST_KEPT = 256


def key_in(text: str) -> EllipticCurvePrivateKey:
    """The private key: 32 bytes in base64 for URLs, as tools for Web Push write it, or a PEM.

    ValueError for anything else; line ends of a PEM may be written \\n.
    """
    try:
        if "-----" in text:
            key = load_pem_private_key(text.replace("\\n", "\n").encode(), password=None)
        else:
            raw = decoded(text.strip())
            if len(raw) != 32:
                raise ValueError("not 32 bytes")
            key = derive_private_key(int.from_bytes(raw), SECP256R1())
    except (ValueError, TypeError):
        raise ValueError(
            "private_key is neither a P-256 key of 32 bytes in base64 nor a PEM of one"
        ) from None
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError("private_key is no key on the curve P-256")
    return key


class Vapid:
    """The headers that say who writes; one token for each push service, signed anew at half its time."""

    def __init__(self, key: EllipticCurvePrivateKey, subject: str, clock: Clock) -> None:
        self._key = key
        self._subject = subject
        self._clock = clock
        self.public = encoded(raw_public(key.public_key()))
        """What pages subscribe with, as `applicationServerKey`."""
        self._tokens: dict[str, tuple[datetime, str]] = {}

    def authorization(self, origin: str) -> str:
        """The value of `Authorization` for a push service."""
        now = self._clock.now()
        signed_at, token = self._tokens.get(origin, (None, ""))
        if signed_at is None or not signed_at <= now < signed_at + LASTS / 2:
            if len(self._tokens) >= _MOST_KEPT:
                self._tokens.clear()
            token = self._signed(origin, now)
            self._tokens[origin] = (now, token)
        return f"vapid t={token}, k={self.public}"

    def _signed(self, origin: str, now: datetime) -> str:
        said = {"aud": origin, "exp": int((now + LASTS).timestamp()), "sub": self._subject}
        parts = ({"typ": "JWT", "alg": "ES256"}, said)
        told = ".".join(encoded(json.dumps(part, separators=(",", ":")).encode()) for part in parts)
        r, s = decode_dss_signature(self._key.sign(told.encode(), ECDSA(SHA256())))
        return f"{told}.{encoded(r.to_bytes(32) + s.to_bytes(32))}"
