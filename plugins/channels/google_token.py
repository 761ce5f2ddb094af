"""Access tokens of a Google service account: a signed claim is exchanged for one (RFC 7523)."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from plugins.channels.http.answers import NoAnswer
from plugins.channels.http.asking import Line, object_in
from plugins.channels.http.tokens import NoToken, Token

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LASTS = timedelta(hours=1)


def key_in(pem: str) -> RSAPrivateKey:
    """The account's key; ValueError for anything else. Line ends may be written as the file has them, \\n."""
    try:
        key = load_pem_private_key(pem.replace("\\n", "\n").encode(), password=None)
    except (ValueError, TypeError):
        raise ValueError("private_key is no PEM of a private key") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("private_key is no RSA key")
    return key


def claim(key: RSAPrivateKey, *, issuer: str, scope: str, audience: str, now: datetime) -> str:
    """A JSON Web Token, signed with RS256."""
    issued = int(now.timestamp())
    said = {
        "iss": issuer,
        "scope": scope,
        "aud": audience,
        "iat": issued,
        "exp": issued + int(LASTS.total_seconds()),
    }
    signed = ".".join(_encoded(json.dumps(part).encode()) for part in ({"alg": "RS256", "typ": "JWT"}, said))
    return f"{signed}.{_encoded(key.sign(signed.encode(), PKCS1v15(), SHA256()))}"


async def exchanged(line: Line, path: str, assertion: str) -> Token:
    """The token that the claim is good for; NoToken otherwise."""
    body = urlencode({"grant_type": GRANT, "assertion": assertion}).encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    try:
        said = object_in(await line.ask("POST", path, body=body, headers=headers))
    except NoAnswer as error:
        raise NoToken(error.kind) from None
    token, lasts = said.get("access_token"), said.get("expires_in")
    if not isinstance(token, str) or not token or not isinstance(lasts, int):
        raise NoToken(str(said.get("error", "no_token"))[:100])
    return Token(token, timedelta(seconds=lasts))


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
