"""Push against a platform that verifies claims, gives out tokens, and knows which installations are gone."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from engine.plugin import Accepted, Clock, Message, Rejected, Retry, SystemClock, Unknown
from engine.plugin.testing import FixedClock, check_channel
from plugins.channels.push import PushChannel, PushSettings
from tests.plugins.conftest import NOW
from tests.plugins.platform_server import Reply, Request, serving
from tests.ports import free_port

ACCOUNT = "wayline@shop.iam.gserviceaccount.com"
HELLO = Message(
    "token-of-a-phone", "到货啦 👩‍👩‍👧‍👦", subject="您好", call_to_action="https://shop.example", content="hi"
)


@cache
def key(number: int) -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def pem(number: int = 0) -> str:
    return key(number).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@dataclass
class Firebase:
    """The platform: it knows the account's public key, its own tokens, and the phones."""

    clock: Clock = field(default_factory=lambda: FixedClock(NOW))
    issued: int = 0
    gone: set[str] = field(default_factory=set)
    taken: list[dict[str, Any]] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    url: str = ""
    forgets: bool = False

    def answer(self, request: Request) -> Reply:
        if request.path == "/token":
            return self._token(request)
        assert request.path == "/v1/projects/shop-1/messages:send"
        if request.headers.get("authorization") != f"Bearer token-{self.issued}" or self.forgets:
            self.forgets = False
            return self.error(401, "UNAUTHENTICATED")
        if self.replies:
            return self.replies.pop(0)
        message = request.data["message"]
        if message["token"] in self.gone:
            return self.error(404, "NOT_FOUND", "UNREGISTERED")
        if not message["token"].startswith("token-of"):
            return self.error(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT")
        self.taken.append(message)
        return Reply({"name": f"projects/shop-1/messages/{len(self.taken)}"})

    def _token(self, request: Request) -> Reply:
        asked = parse_qs(request.body.decode())
        head, said, signature = asked["assertion"][0].split(".")
        try:
            key(0).public_key().verify(_decoded(signature), f"{head}.{said}".encode(), PKCS1v15(), SHA256())
        except InvalidSignature:
            return Reply({"error": "invalid_grant"}, 400)
        claims = json.loads(_decoded(said))
        now = self.clock.now().timestamp()
        right = claims["iss"] == ACCOUNT and claims["aud"] == f"{self.url}/token"
        if (
            not right
            or not claims["iat"] - 60 <= now <= claims["exp"]
            or claims["exp"] - claims["iat"] > 3600
        ):
            return Reply({"error": "invalid_grant"}, 400)
        self.issued += 1
        return Reply({"access_token": f"token-{self.issued}", "expires_in": 3599, "token_type": "Bearer"})

    @staticmethod
    def error(status: int, name: str, code: str = "", **headers: str) -> Reply:
        kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
        details = [{"@type": kind, "errorCode": code}] if code else []
        return Reply({"error": {"code": status, "status": name, "details": details}}, status, headers)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.fixture
def platform() -> Firebase:
    return Firebase()


@pytest.fixture
def url(platform: Firebase) -> Iterator[str]:
    with serving(platform.answer) as found:
        platform.url = found
        yield found


def settings_at(url: str, **others: Any) -> dict[str, Any]:
    common = {"project_id": "shop-1", "client_email": ACCOUNT, "private_key": pem()}
    return {**common, "issuer_url": f"{url}/token", "base": url, **others}


def channel_at(url: str, clock: Clock | None = None, **others: Any) -> PushChannel:
    return PushChannel(PushSettings.model_validate(settings_at(url, **others)), clock or FixedClock(NOW))


def test_it_passes_the_contract_tests(platform: Firebase, url: str) -> None:
    platform.clock = SystemClock()
    check_channel(PushChannel(), message=HELLO, settings=settings_at(url))
    assert platform.issued == 1, "one token for all of it"


async def test_a_notification_arrives_with_its_key_and_link(platform: Firebase, url: str) -> None:
    channel = channel_at(url)
    assert await channel.send(HELLO, "key-1") == Accepted("projects/shop-1/messages/1")
    (taken,) = platform.taken
    assert taken["notification"] == {"title": "您好", "body": "到货啦 👩‍👩‍👧‍👦"}
    assert taken["data"] == {"key": "key-1", "content": "hi", "link": "https://shop.example"}
    await channel.close()


async def test_an_installation_that_is_gone_is_suppressed_and_a_wrong_value_is_not(
    platform: Firebase, url: str
) -> None:
    platform.gone.add("token-of-a-phone")
    channel = channel_at(url)
    told = await channel.send(HELLO, "k")
    assert isinstance(told, Rejected)
    assert (told.code, told.permanent_address) == ("UNREGISTERED", True)
    told = await channel.send(replace(HELLO, to="nonsense"), "k")
    assert isinstance(told, Rejected)
    assert (told.code, told.permanent_address) == ("INVALID_ARGUMENT", False)
    await channel.close()


async def test_a_token_that_is_refused_is_fetched_anew_and_the_message_sent_once(
    platform: Firebase, url: str
) -> None:
    channel = channel_at(url)
    await channel.send(HELLO, "k1")
    platform.forgets = True
    assert isinstance(await channel.send(HELLO, "k2"), Accepted)
    assert (platform.issued, len(platform.taken)) == (2, 2)
    await channel.close()


async def test_another_key_holds_everything_and_quotas_are_said_of_everything(
    platform: Firebase, url: str
) -> None:
    channel = channel_at(url, private_key=pem(1))
    assert await channel.send(HELLO, "k") == Retry(timedelta(minutes=1), "invalid_grant", of_provider=True)
    await channel.close()
    platform.replies = [
        platform.error(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", **{"retry-after": "30"}),
        platform.error(503, "UNAVAILABLE", "UNAVAILABLE"),
        platform.error(500, "INTERNAL", "INTERNAL"),
        Reply(drop=True),
    ]
    channel = channel_at(url)
    assert await channel.send(HELLO, "1") == Retry(timedelta(seconds=30), "QUOTA_EXCEEDED", of_provider=True)
    assert await channel.send(HELLO, "2") == Retry(timedelta(minutes=1), "UNAVAILABLE", of_provider=True)
    assert isinstance(await channel.send(HELLO, "3"), Unknown)
    assert isinstance(await channel.send(HELLO, "4"), Unknown)
    await channel.close()
    assert isinstance(await channel_at(f"http://127.0.0.1:{free_port()}").send(HELLO, "5"), Retry)


def test_what_is_too_long_or_empty_never_leaves_and_a_key_that_is_none_is_refused() -> None:
    channel = channel_at("http://x")
    for message, reason in (
        (replace(HELLO, body="长" * 1400), "too_long"),
        (replace(HELLO, body="", subject=""), "empty"),
        (replace(HELLO, to=""), "no_address"),
    ):
        assert channel.preflight(message).reason == reason
    with pytest.raises(ValidationError, match="PEM"):
        PushSettings.model_validate(settings_at("http://x", private_key="no key"))
    escaped = pem().replace("\n", "\\n")
    PushSettings.model_validate(settings_at("http://x", private_key=escaped))
