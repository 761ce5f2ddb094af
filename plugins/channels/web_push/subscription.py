"""What a browser gives to be notified: a subscription, and whether it may be written to at all.

Its address was chosen by whoever sent the subscription in: without a look at the host anybody could have
Wayline post into networks that only Wayline reaches.
"""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

from plugins.channels.web_push.encryption import AUTH_BYTES, decoded

HOSTS = "fcm.googleapis.com, *.push.services.mozilla.com, *.push.apple.com, *.notify.windows.com"
"""The push services of Chrome and its kin, Firefox, Safari and Edge."""
_HOST = re.compile(r"(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


class NotUsable(Exception):
    """A subscription that is not one, or one that must not be written to; `reason` is in lower_snake."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Subscription:
    """Where one browser is reached, and the keys to write so that only it can read."""

    origin: str
    """Scheme, host and port: who a token is signed for."""
    path: str
    key: EllipticCurvePublicKey
    auth: bytes


@dataclass(frozen=True)
class Allowed:
    """Which hosts may be written to."""

    hosts: tuple[str, ...]
    anywhere: bool = False
    """Also over plain HTTP and at addresses of numbers: for tests against a server of one's own."""

    def takes(self, host: str) -> bool:
        return any(
            host == each or (each.startswith("*.") and host.endswith(each[1:]) and host != each[2:])
            for each in self.hosts
        )


def hosts_in(text: str) -> tuple[str, ...]:
    """The hosts of a setting, separated by commas; `*.example.com` stands for all below it.

    ValueError names the one that is no host.
    """
    hosts = tuple(each.strip().lower() for each in text.split(",") if each.strip())
    for each in hosts:
        if not _HOST.fullmatch(each) or (each.startswith("*.") and "." not in each[2:]):
            raise ValueError(f"{each[:80]!r} is neither a host nor *. and a domain of at least two names")
    if not hosts:
        raise ValueError("no host is named; nothing could be sent")
    return hosts


def subscription_in(address: str, allowed: Allowed) -> Subscription:
    """The subscription, as `JSON.stringify(subscription)` of the browser gives it; NotUsable otherwise."""
    try:
        said = json.loads(address)
        endpoint, keys = said["endpoint"], said["keys"]
        receiver, auth = decoded(keys["p256dh"]), decoded(keys["auth"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise NotUsable("bad_address", "no subscription: endpoint, keys.p256dh and keys.auth") from None
    try:
        key = EllipticCurvePublicKey.from_encoded_point(SECP256R1(), receiver)
    except ValueError:
        raise NotUsable("bad_address", "keys.p256dh is no point of P-256") from None
    if len(receiver) != 65 or len(auth) != AUTH_BYTES:
        raise NotUsable("bad_address", "keys.p256dh has 65 bytes and keys.auth 16")
    return Subscription(*_place(endpoint, allowed), key, auth)


def _place(endpoint: object, allowed: Allowed) -> tuple[str, str]:
    if not isinstance(endpoint, str) or not _PRINTABLE.fullmatch(endpoint):
        raise NotUsable("bad_address", "the endpoint is no URL")
    try:
        split = urlsplit(endpoint)
        host, port = (split.hostname or "").lower(), split.port
    except ValueError:
        raise NotUsable("bad_address", "the endpoint is no URL") from None
    if not host or split.username is not None or "\\" in endpoint:
        raise NotUsable("bad_address", "the endpoint names no host, or a user")
    plain = split.scheme == "http" and allowed.anywhere
    if split.scheme != "https" and not plain:
        raise NotUsable("bad_address", "the endpoint is not https")
    if not allowed.anywhere and (_is_number(host) or port not in (None, 443)):
        raise NotUsable("host_not_allowed", "the endpoint is an address of numbers or on a port of its own")
    if not allowed.takes(host):
        raise NotUsable("host_not_allowed", "the endpoint's host is not among the hosts of the settings")
    origin = f"{split.scheme}://{host}" + (f":{port}" if port not in (None, 443) else "")
    return origin, (split.path or "/") + (f"?{split.query}" if split.query else "")


def _is_number(host: str) -> bool:
    # 127.1 and 0x7f000001 are addresses too, to those who resolve them.
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return bool(re.fullmatch(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*\.?", host))
    return True
