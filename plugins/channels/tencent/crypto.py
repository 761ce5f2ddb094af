"""What WeCom and WeChat seal and sign: AES-256-CBC under the EncodingAESKey, SHA-1 over the parts."""

from __future__ import annotations

import base64
import binascii
import hmac
import struct
from hashlib import sha1

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

BLOCK = 32
"""Bytes to whose multiple texts are filled up (PKCS#7); the cipher's own blocks are shorter."""
_HEAD = 20
"""Sixteen bytes of chance and four of length before the text."""


class NotDecrypted(Exception):
    """It cannot be read with this key, or is meant for somebody else."""


def key_of(encoding_aes_key: str) -> bytes:
    """The key of 32 bytes; ValueError for anything that is no EncodingAESKey."""
    try:
        key = base64.b64decode(f"{encoding_aes_key}=", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("the EncodingAESKey has 43 letters and digits") from None
    if len(key) != 32:
        raise ValueError("the EncodingAESKey has 43 letters and digits")
    return key


def signature(token: str, *parts: str) -> str:
    """Over a sealed text with its time and nonce; over these two alone where an address is tried out."""
    ordered = sorted((token, *parts))
    # The platform's own choice; nothing else here rests on SHA-1.
    return sha1("".join(ordered).encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()


def is_signed(given: str, token: str, *parts: str) -> bool:
    expected = signature(token, *parts)
    return hmac.compare_digest(expected.encode(), given.encode("utf-8", "surrogatepass"))


def encrypted(key: bytes, text: bytes, receiver: str, chance: bytes) -> str:
    """The text as the platform would send it; `chance` are 16 bytes nobody can foresee."""
    whole = chance + struct.pack(">I", len(text)) + text + receiver.encode()
    missing = BLOCK - len(whole) % BLOCK
    cipher = Cipher(AES(key), CBC(key[:16])).encryptor()
    sealed = cipher.update(whole + bytes([missing]) * missing) + cipher.finalize()
    return base64.b64encode(sealed).decode()


def decrypted(key: bytes, sealed: str, receiver: str) -> bytes:
    """The text; NotDecrypted when it is not for this receiver or not under this key."""
    try:
        raw = base64.b64decode(sealed, validate=True)
    except (binascii.Error, ValueError):
        raise NotDecrypted("it is not base64") from None
    if not raw or len(raw) % 16:
        raise NotDecrypted("it is no whole number of blocks")
    cipher = Cipher(AES(key), CBC(key[:16])).decryptor()
    whole = cipher.update(raw) + cipher.finalize()
    missing = whole[-1]
    if not 1 <= missing <= BLOCK or len(whole) < _HEAD + missing:
        raise NotDecrypted("it was filled up otherwise")
    whole = whole[:-missing]
    (length,) = struct.unpack(">I", whole[16:_HEAD])
    text, for_whom = whole[_HEAD : _HEAD + length], whole[_HEAD + length :]
    if len(text) < length or not hmac.compare_digest(for_whom, receiver.encode()):
        raise NotDecrypted("it is meant for somebody else")
    return text
