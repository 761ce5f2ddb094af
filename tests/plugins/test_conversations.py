"""Messenger and Instagram against a platform with a window of a day and people who block pages."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from engine.plugin import (
    Accepted,
    Callback,
    Clock,
    Inbound,
    Message,
    Preference,
    Receipt,
    Refused,
    Rejected,
    Retry,
    SystemClock,
    Unknown,
)
from engine.plugin.testing import FixedClock, check_channel
from plugins.channels.meta.conversations import ConversationSettings
from plugins.channels.meta.instagram import InstagramChannel
from plugins.channels.meta.messenger import MessengerChannel
from tests.plugins.conftest import NOW
from tests.plugins.platform_server import Reply, Request

PAGE, ACCESS, APP_SECRET = "1906385232743851", "token-of-the-page", "secret-of-the-app"
HELLO = Message("7001", "您好 👩‍👩‍👧‍👦", is_marketing=False)
KINDS: dict[str, type[MessengerChannel] | type[InstagramChannel]] = {
    "messenger": MessengerChannel,
    "instagram": InstagramChannel,
}
DOCUMENTS = {"messenger": "page", "instagram": "instagram"}
every_kind = pytest.mark.parametrize("kind", KINDS)


@dataclass
class Meta:
    """The platform: who wrote when."""

    clock: Clock = field(default_factory=lambda: FixedClock(NOW))
    wrote: dict[str, datetime] = field(default_factory=lambda: {"7001": NOW})
    taken: list[dict[str, Any]] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)

    def answer(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {ACCESS}":
            return self.error(401, 190)
        assert request.path == f"/v23.0/{PAGE}/messages"
        if self.replies:
            return self.replies.pop(0)
        whom = request.data["recipient"]["id"]
        since = self.wrote.get(whom)
        if since is None:
            return self.error(400, 100, 2018001)
        if self.clock.now() - since > timedelta(hours=24):
            return self.error(400, 10, 2018278)
        self.taken.append(request.data)
        return Reply({"recipient_id": whom, "message_id": f"m_{len(self.taken)}"})

    @staticmethod
    def error(status: int, code: int, subcode: int | None = None) -> Reply:
        error = {"message": "refused", "type": "OAuthException", "code": code}
        return Reply({"error": error | ({"error_subcode": subcode} if subcode else {})}, status)


@pytest.fixture
def platform() -> Meta:
    return Meta()


def settings_at(url: str, **others: Any) -> dict[str, Any]:
    common = {"account_id": PAGE, "access_token": ACCESS, "app_secret": APP_SECRET, "verify_token": "word"}
    return {**common, "base": url, **others}


def channel_at(
    kind: str, url: str, clock: Clock | None = None, **others: Any
) -> MessengerChannel | InstagramChannel:
    return KINDS[kind](
        ConversationSettings.model_validate(settings_at(url, **others)), clock or FixedClock(NOW)
    )


@every_kind
def test_it_passes_the_contract_tests(kind: str, platform: Meta, url: str) -> None:
    platform.clock = SystemClock()
    platform.wrote["7001"] = SystemClock().now()
    check_channel(KINDS[kind](), message=HELLO, settings=settings_at(url))


@every_kind
async def test_texts_go_out_for_a_day_after_the_person_wrote(kind: str, platform: Meta, url: str) -> None:
    channel = channel_at(kind, url, platform.clock)
    assert await channel.send(HELLO, "k") == Accepted("m_1")
    assert platform.taken[0]["message"] == {"text": HELLO.body}
    assert isinstance(platform.clock, FixedClock)
    platform.clock.advance(timedelta(hours=24, seconds=1))
    told = await channel.send(HELLO, "k")
    assert isinstance(told, Rejected)
    assert (told.code, told.detail.split(":")[0]) == ("10/2018278", "window_closed")
    await channel.close()


@every_kind
async def test_refusals_are_told_apart_by_their_subcodes(kind: str, platform: Meta, url: str) -> None:
    channel = channel_at(kind, url)
    told = await channel.send(replace(HELLO, to="unknown"), "k")
    assert isinstance(told, Rejected)
    assert not told.permanent_address, "what nobody has read closes no address"
    platform.replies = [
        platform.error(400, 10),
        platform.error(400, 200, 1545041),
        platform.error(400, 613),
        Reply(drop=True),
    ]
    assert await channel.send(HELLO, "k") == Retry(timedelta(minutes=1), "10", of_provider=True)
    assert isinstance(await channel.send(HELLO, "k"), Rejected)
    assert await channel.send(HELLO, "k") == Retry(timedelta(minutes=1), "613", of_provider=True)
    assert isinstance(await channel.send(HELLO, "k"), Unknown)
    await channel.close()


def posted(kind: str, *events: dict[str, Any], secret: str = APP_SECRET) -> Callback | Refused:
    document = {"object": DOCUMENTS[kind], "entry": [{"id": PAGE, "time": 1, "messaging": list(events)}]}
    body = json.dumps(document, ensure_ascii=False).encode()
    signed = "sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest()
    return channel_at(kind, "http://x").parse_callback(body, {"x-hub-signature-256": signed}, {})


def event(sender: str = "7001", **others: Any) -> dict[str, Any]:
    stamp = int(NOW.timestamp() * 1000)
    return {"sender": {"id": sender}, "recipient": {"id": PAGE}, "timestamp": stamp, **others}


@every_kind
def test_what_people_write_press_and_read_is_heard_and_our_own_echo_is_not(kind: str) -> None:
    said = posted(
        kind,
        event(message={"mid": "m1", "text": "多少钱 👟", "reply_to": {"mid": "m_1"}}),
        event(PAGE, message={"mid": "m2", "text": "hi", "is_echo": True}),
        event(postback={"mid": "m3", "title": "退订", "payload": "p"}),
        event(delivery={"mids": ["m_1", "m_2"], "watermark": 1}),
        event(read={"mid": "m_1"}),
        event(read={"watermark": 1}),
    )
    assert isinstance(said, Callback)
    assert said.told == (
        Inbound("7001", "多少钱 👟", NOW, "m1", "m_1", {"kind": "text"}),
        Inbound("7001", "退订", NOW, "m3", properties={"kind": "postback"}),
        Receipt("delivered", NOW, "m_1"),
        Receipt("delivered", NOW, "m_2"),
        Receipt("read", NOW, "m_1"),
    )


@every_kind
def test_who_stops_or_resumes_marketing_messages_is_heard_and_who_first_allows_them_is_not(kind: str) -> None:
    def optin(**said: str) -> dict[str, Any]:
        return event(optin={"type": "notification_messages", "notification_messages_token": "t", **said})

    said = posted(
        kind,
        optin(),
        optin(notification_messages_status="STOP_NOTIFICATIONS"),
        optin(notification_messages_status="RESUME NOTIFICATIONS"),
    )
    assert isinstance(said, Callback)
    found = [(each.address, each.wanted, each.at) for each in said.told if isinstance(each, Preference)]
    assert found == [("7001", False, NOW), ("7001", True, NOW)]
    assert len(said.told) == 2


@every_kind
def test_what_is_forged_or_not_as_documented_is_refused(kind: str) -> None:
    for said, code in (
        (posted(kind, event(), secret="another"), "signature"),
        (posted(kind, {"timestamp": "x"}), "malformed"),
        (posted(kind, event(message={"text": "no id"})), "malformed"),
    ):
        assert isinstance(said, Refused)
        assert said.code == code
