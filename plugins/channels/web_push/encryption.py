"""Encrypts one message for one browser (RFC 8291), in a single record of aes128gcm (RFC 8188).

The push service between sees neither the text nor who it is for.
"""

from __future__ import annotations

import base64
import os
import struct

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDH,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RECORD = 4096
"""Size of the one record, as the header names it; what is encrypted is shorter than that."""
OVERHEAD = 16 + 4 + 1 + 65 + 1 + 16
"""Bytes that encryption adds: salt, record size, length of the key, the key, the delimiter, the tag."""
AUTH_BYTES = 16
_SALT_BYTES = 16
_LAST_RECORD = b"\x02"


def encrypted(
    plain: bytes,
    receiver: EllipticCurvePublicKey,
    auth: bytes,
    *,
    salt: bytes | None = None,
    sender: EllipticCurvePrivateKey | None = None,
) -> bytes:
    """The body of the request. `salt` and `sender` are new for each message; only tests give them."""
    salt = os.urandom(_SALT_BYTES) if salt is None else salt
    sender = generate_private_key(SECP256R1()) if sender is None else sender
    ours = raw_public(sender.public_key())
    about = b"WebPush: info\x00" + raw_public(receiver) + ours
    material = _derived(sender.exchange(ECDH(), receiver), auth, about, 32)
    key = _derived(material, salt, b"Content-Encoding: aes128gcm\x00", 16)
    nonce = _derived(material, salt, b"Content-Encoding: nonce\x00", 12)
    header = salt + struct.pack("!IB", RECORD, len(ours)) + ours
    return header + AESGCM(key).encrypt(nonce, plain + _LAST_RECORD, None)


def raw_public(key: EllipticCurvePublicKey) -> bytes:
    """The point uncompressed, as browsers and push services write keys."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def encoded(raw: bytes) -> str:
    """Base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """What was encoded, with padding or without; ValueError for anything else."""
    return base64.b64decode(
        text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True
    )


def _derived(material: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(SHA256(), length, salt, info).derive(material)
