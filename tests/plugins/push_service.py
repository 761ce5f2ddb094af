"""A push service on loopback and the browsers behind it: it believes signatures only, they hold the keys.

Written from the documents of the standard and by other calls than the channel makes, so that both cannot be
wrong in the same way unnoticed.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from engine.plugin import Clock
from engine.plugin.testing import FixedClock
from tests.plugins.conftest import NOW
from tests.plugins.platform_server import Reply, Request


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def point(key: EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@dataclass
class Browser:
    """One user agent: its keys, and what it has shown."""

    key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))
    auth: bytes = field(default_factory=lambda: os.urandom(16))
    shown: list[dict[str, Any]] = field(default_factory=list)

    def subscription(self, endpoint: str) -> str:
        """As `JSON.stringify(subscription)` writes it."""
        keys = {"p256dh": b64(point(self.key)), "auth": b64(self.auth)}
        said = {"endpoint": endpoint, "expirationTime": None, "keys": keys}
        return json.dumps(said, separators=(",", ":"))

    def read(self, body: bytes) -> bytes:
        """Decrypt one record as RFC 8188 and RFC 8291 say."""
        salt, record, length = body[:16], int.from_bytes(body[16:20]), body[20]
        sender = body[21 : 21 + length]
        assert (length, record) == (65, 4096) and len(body) - 86 <= record
        shared = self.key.exchange(ECDH(), EllipticCurvePublicKey.from_encoded_point(SECP256R1(), sender))
        material = hkdf(self.auth, shared, b"WebPush: info\0" + point(self.key) + sender, 32)
        key = hkdf(salt, material, b"Content-Encoding: aes128gcm\0", 16)
        nonce = hkdf(salt, material, b"Content-Encoding: nonce\0", 12)
        plain = AESGCM(key).decrypt(nonce, body[86:], None).rstrip(b"\0")
        assert plain[-1] == 2, "the last record says that it is the last"
        return plain[:-1]


def hkdf(salt: bytes, material: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 for outputs of one block."""
    return hmac.digest(hmac.digest(salt, material, sha256), info + b"\x01", sha256)[:length]


@dataclass
class PushService:
    """The service: it knows which browsers are there and whose key they subscribed with."""

    clock: Clock = field(default_factory=lambda: FixedClock(NOW))
    subscribed_with: str = ""
    """The public key of whoever may write."""
    url: str = ""
    browsers: dict[str, Browser] = field(default_factory=dict)
    waiting: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """Browsers that are closed: path and topic -> the message kept for them."""
    closed: set[str] = field(default_factory=set)
    gone: dict[str, int] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    def subscribe(self, name: str = "b1", browser: Browser | None = None) -> str:
        path = f"/wpush/v2/{name}"
        self.browsers[path] = browser or Browser()
        return self.browsers[path].subscription(f"{self.url}{path}")

    def answer(self, request: Request) -> Reply:
        self.requests.append(request)
        if self.replies:
            return self.replies.pop(0)
        status = self._refusal(request) or self.gone.get(request.path)
        if status is not None:
            return Reply(status=status)
        headers = request.headers
        assert headers["content-encoding"] == "aes128gcm"
        assert headers["ttl"].isdigit() and headers["urgency"] in ("very-low", "low", "normal", "high")
        topic = headers.get("topic", f"none-{len(self.requests)}")
        assert len(topic) <= 32 and set(unb64(topic)) is not None
        if len(request.body) > 4096:
            return Reply(status=413)
        if request.path not in self.browsers:
            return Reply(status=404)
        if request.path in self.closed:
            self.waiting[(request.path, topic)] = request.body
        else:
            self._show(request.path, request.body)
        return Reply(status=201, headers={"location": f"{self.url}/m/{len(self.requests)}"})

    def open(self, name: str = "b1") -> None:
        """The browser comes back, and fetches what was kept."""
        path = f"/wpush/v2/{name}"
        self.closed.discard(path)
        for kept in [key for key in self.waiting if key[0] == path]:
            self._show(path, self.waiting.pop(kept))

    def _show(self, path: str, body: bytes) -> None:
        browser = self.browsers[path]
        browser.shown.append(json.loads(browser.read(body)))

    def _refusal(self, request: Request) -> int | None:
        """RFC 8292: 401 without a good signature, 403 with that of somebody else."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        parts = dict(each.strip().split("=", 1) for each in given.split(",")) if given else {}
        if scheme.lower() != "vapid" or set(parts) != {"t", "k"}:
            return 401
        head, said, signature = parts["t"].split(".")
        raw = unb64(signature)
        der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        key = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), unb64(parts["k"]))
        try:
            key.verify(der, f"{head}.{said}".encode(), ECDSA(SHA256()))
        except InvalidSignature:
            return 401
        claims, now = json.loads(unb64(said)), self.clock.now().timestamp()
        assert json.loads(unb64(head))["alg"] == "ES256" and claims["sub"].startswith("mailto:")
        if claims["aud"] != self.url or not now < claims["exp"] <= now + 24 * 3600:
            return 401
        return None if parts["k"] == self.subscribed_with else 403
