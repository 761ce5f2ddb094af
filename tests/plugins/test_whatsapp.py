"""WhatsApp against a platform with a window, templates, rates, and statuses in whatever order."""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from pydantic import ValidationError

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
from plugins.channels.meta.whatsapp import WhatsAppChannel, WhatsAppSettings
from tests.plugins.conftest import NOW
from tests.plugins.platform_server import Reply, Request
from tests.ports import free_port

NUMBER, ACCESS, APP_SECRET, VERIFY = (
    "106540352242922",
    "token-of-the-app",
    "secret-of-the-app",
    "our own word",
)
TEMPLATES = "order_sent zh_CN: 您的订单{{1}}已发货，预计{{2}}送达"
TEMPLATE = Message("+8613800138000", "您的订单A-1 👟已发货，预计明天送达", is_marketing=False)
FREE = replace(TEMPLATE, body="您好 👩‍👩‍👧‍👦，有什么可以帮您？")


@dataclass
class WhatsApp:
    """The platform: who wrote when, which templates there are, how fast a number may write."""

    clock: Clock = field(default_factory=lambda: FixedClock(NOW))
    wrote: dict[str, datetime] = field(default_factory=dict)
    taken: list[dict[str, Any]] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    per_second: int = 80

    def answer(self, request: Request) -> Reply:
        if request.headers.get("authorization") != f"Bearer {ACCESS}":
            return self._error(401, 190, "Invalid OAuth access token")
        if request.path != f"/v23.0/{NUMBER}/messages":
            return self._error(400, 33, "Object does not exist", subcode=33)
        if self.replies:
            reply = self.replies.pop(0)
            return self._take(request) and reply if reply.drop else reply
        now, asked = self.clock.now(), request.data
        if len([at for at in self.times if now - at < timedelta(seconds=1)]) >= self.per_second:
            return self._error(429, 130429, "Rate limit hit")
        if asked["type"] == "template":
            name, language = asked["template"]["name"], asked["template"]["language"]["code"]
            if (name, language) != ("order_sent", "zh_CN"):
                return self._error(404, 132001, "Template name does not exist in the translation")
            if len(asked["template"]["components"][0]["parameters"]) != 2:
                return self._error(400, 132000, "Number of parameters does not match")
        elif now - self.wrote.get(asked["to"], datetime.min.replace(tzinfo=NOW.tzinfo)) > timedelta(hours=24):
            return self._error(400, 131047, "Re-engagement message")
        return self._take(request)

    def _take(self, request: Request) -> Reply:
        self.taken.append(request.data)
        self.times.append(self.clock.now())
        return Reply({"messaging_product": "whatsapp", "messages": [{"id": f"wamid.{len(self.taken)}"}]})

    @staticmethod
    def _error(status: int, code: int, message: str, subcode: int | None = None) -> Reply:
        error = {"message": message, "type": "OAuthException", "code": code}
        return Reply({"error": error | ({"error_subcode": subcode} if subcode else {})}, status)


@pytest.fixture
def platform() -> WhatsApp:
    return WhatsApp()


def settings_at(url: str, **others: Any) -> dict[str, Any]:
    return {
        "phone_number_id": NUMBER,
        "access_token": ACCESS,
        "app_secret": APP_SECRET,
        "verify_token": VERIFY,
        "templates": TEMPLATES,
        "base": url,
        **others,
    }


def channel_at(url: str, clock: Clock | None = None, **others: Any) -> WhatsAppChannel:
    return WhatsAppChannel(
        WhatsAppSettings.model_validate(settings_at(url, **others)), clock or FixedClock(NOW)
    )


def test_it_passes_the_contract_tests(platform: WhatsApp, url: str) -> None:
    platform.clock = SystemClock()
    check_channel(WhatsAppChannel(), message=TEMPLATE, settings=settings_at(url))


async def test_an_approved_text_goes_out_as_its_template_with_the_key(platform: WhatsApp, url: str) -> None:
    channel = channel_at(url)
    assert await channel.send(TEMPLATE, "key-1") == Accepted("wamid.1")
    (taken,) = platform.taken
    assert (taken["to"], taken["biz_opaque_callback_data"]) == ("8613800138000", "key-1")
    assert taken["template"] == {
        "name": "order_sent",
        "language": {"code": "zh_CN"},
        "components": [
            {
                "type": "body",
                "parameters": [{"type": "text", "text": "A-1 👟"}, {"type": "text", "text": "明天"}],
            }
        ],
    }
    await channel.close()


async def test_any_other_text_goes_out_while_the_window_is_open_and_is_refused_after(
    platform: WhatsApp, url: str
) -> None:
    channel = channel_at(url, platform.clock)
    told = await channel.send(FREE, "k1")
    assert isinstance(told, Rejected)
    assert (told.code, told.detail.split(":")[0]) == ("131047", "window_closed")
    assert isinstance(platform.clock, FixedClock)
    platform.wrote["8613800138000"] = platform.clock.now()
    platform.clock.advance(timedelta(hours=24))
    assert isinstance(await channel.send(FREE, "k2"), Accepted)
    platform.clock.advance(timedelta(seconds=1))
    assert isinstance(await channel.send(FREE, "k3"), Rejected)
    assert isinstance(await channel.send(TEMPLATE, "k4"), Accepted)
    await channel.close()


async def test_rates_and_wrong_tokens_are_said_of_everything(platform: WhatsApp, url: str) -> None:
    platform.per_second = 2
    channel = channel_at(url)
    results = [await channel.send(TEMPLATE, str(number)) for number in range(3)]
    assert results[2] == Retry(timedelta(minutes=1), "130429", of_provider=True)
    await channel.close()
    channel = channel_at(url, access_token="another")
    assert await channel.send(TEMPLATE, "k") == Retry(timedelta(minutes=1), "190", of_provider=True)
    await channel.close()


async def test_one_person_too_often_waits_alone_and_too_much_marketing_is_final(
    platform: WhatsApp, url: str
) -> None:
    platform.replies = [platform._error(400, 131056, "pair rate"), platform._error(400, 131049, "enough")]
    channel = channel_at(url)
    assert await channel.send(TEMPLATE, "k1") == Retry(timedelta(seconds=6), "131056")
    told = await channel.send(TEMPLATE, "k2")
    assert isinstance(told, Rejected)
    assert (told.code, told.permanent_address) == ("131049", False)
    await channel.close()


async def test_what_nobody_answered_is_unknown_until_its_status_comes(platform: WhatsApp, url: str) -> None:
    platform.replies = [Reply(drop=True), Reply({}, 502), platform._error(500, 131000, "went wrong")]
    channel = channel_at(url)
    assert isinstance(await channel.send(TEMPLATE, "k1"), Unknown)
    assert isinstance(await channel.send(TEMPLATE, "k2"), Unknown)
    assert isinstance(await channel.send(TEMPLATE, "k3"), Retry)
    await channel.close()
    assert isinstance(await channel_at(f"http://127.0.0.1:{free_port()}").send(TEMPLATE, "k"), Retry)


def posted(value: dict[str, Any], *, secret: str = APP_SECRET, number: str = NUMBER) -> Callback | Refused:
    change = {"field": "messages", "value": {"metadata": {"phone_number_id": number}, **value}}
    document = {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}
    body = json.dumps(document, ensure_ascii=False).encode()
    signed = "sha256=" + hmac.new(secret.encode(), body, sha256).hexdigest()
    return channel_at("http://x").parse_callback(body, {"x-hub-signature-256": signed}, {})


def status(said: str, **others: Any) -> dict[str, Any]:
    stamp = str(int(NOW.timestamp()))
    return {"id": "wamid.1", "status": said, "timestamp": stamp, "recipient_id": "86138", **others}


def test_statuses_are_receipts_of_the_key_in_whatever_order_they_come() -> None:
    failed = status("failed", errors=[{"code": 131026, "title": "Message undeliverable"}])
    named = {"biz_opaque_callback_data": "key-1"}
    said = posted(
        {"statuses": [status("read", **named), status("delivered", **named), status("sent"), failed]}
    )
    assert isinstance(said, Callback)
    assert said.told == (
        Receipt("read", NOW, "wamid.1", "key-1"),
        Receipt("delivered", NOW, "wamid.1", "key-1"),
        Receipt("accepted", NOW, "wamid.1"),
        Receipt("bounced", NOW, "wamid.1", code="131026"),
    )


def preference(value: str, **others: Any) -> dict[str, Any]:
    """As the platform documents `user_preferences`."""
    stamp = int(NOW.timestamp())
    detail = f"User requested to {value} marketing messages"
    said = {"wa_id": "8613800138000", "category": "marketing_messages", "value": value, "detail": detail}
    contact = {"profile": {"name": "Ann"}, "wa_id": "8613800138000"}
    return {"contacts": [contact], "user_preferences": [{**said, "timestamp": stamp, **others}]}


@pytest.mark.parametrize(("value", "wanted"), [("stop", False), ("resume", True)])
def test_who_stops_or_resumes_marketing_on_the_platform_is_heard(value: str, wanted: bool) -> None:
    said = posted(preference(value))
    assert isinstance(said, Callback)
    (told,) = said.told
    assert isinstance(told, Preference)
    assert (told.address, told.wanted, told.at) == ("+8613800138000", wanted, NOW)
    assert told.said == f"User requested to {value} marketing messages"


def test_a_preference_of_another_kind_is_left_alone_and_one_of_no_known_value_is_malformed() -> None:
    other = posted(preference("stop", category="service_messages"))
    assert isinstance(other, Callback)
    assert other.told == ()
    assert isinstance(posted(preference("perhaps")), Refused)


def test_a_message_that_failed_as_the_person_stopped_marketing_tells_of_that_as_well() -> None:
    said = posted({"statuses": [status("failed", errors=[{"code": 131050}])]})
    assert isinstance(said, Callback)
    assert said.told == (
        Receipt("bounced", NOW, "wamid.1", code="131050"),
        Preference("+86138", False, NOW, "131050:wamid.1", "error 131050"),
    )


def test_what_people_write_and_press_is_a_message_and_an_answer() -> None:
    common = {"from": "8613800138000", "timestamp": str(int(NOW.timestamp()))}
    reply = {"type": "button_reply", "button_reply": {"id": "b", "title": "退订"}}
    said = posted(
        {
            "messages": [
                {
                    **common,
                    "id": "m1",
                    "type": "text",
                    "text": {"body": "多少钱？👟"},
                    "context": {"id": "wamid.1"},
                },
                {**common, "id": "m2", "type": "interactive", "interactive": reply},
                {**common, "id": "m3", "type": "button", "button": {"text": "好的", "payload": "p"}},
                {**common, "id": "m4", "type": "image", "image": {"id": "1", "caption": "看"}},
                {**common, "id": "m5", "type": "location", "location": {"latitude": 1.0}},
            ]
        }
    )
    assert isinstance(said, Callback)
    assert said.told[0] == Inbound("+8613800138000", "多少钱？👟", NOW, "m1", "wamid.1", {"kind": "text"})
    assert [each.text for each in said.told if isinstance(each, Inbound)] == [
        "多少钱？👟",
        "退订",
        "好的",
        "看",
        "",
    ]


def test_other_numbers_of_the_business_are_left_alone() -> None:
    said = posted({"statuses": [status("read")]}, number="another")
    assert isinstance(said, Callback)
    assert said.told == ()


def test_the_address_is_tried_out_with_our_own_word() -> None:
    channel = channel_at("http://x")
    asked = {"hub.mode": "subscribe", "hub.verify_token": VERIFY, "hub.challenge": "1158201444"}
    assert channel.parse_callback(b"", {}, asked) == Callback(reply=b"1158201444")
    assert isinstance(channel.parse_callback(b"", {}, {**asked, "hub.verify_token": "guess"}), Refused)
    unset = channel_at("http://x", verify_token=None)
    assert isinstance(unset.parse_callback(b"", {}, {**asked, "hub.verify_token": ""}), Refused)


def test_what_is_forged_or_not_as_documented_is_refused_and_a_repetition_has_the_same_name() -> None:
    value = {"statuses": [status("read")]}
    forged = posted(value, secret="another")
    assert isinstance(forged, Refused)
    assert forged.code == "signature"
    first, second = posted(value), posted(value)
    assert isinstance(first, Callback)
    assert isinstance(second, Callback)
    assert first.id == second.id != ""
    broken: list[dict[str, Any]] = [
        {"statuses": [{}]},
        {"messages": [{"id": "m"}]},
        {"statuses": [status("read", timestamp="x")]},
    ]
    for wrong in broken:
        said = posted(wrong)
        assert isinstance(said, Refused)
        assert said.code == "malformed"


def test_a_template_without_a_language_is_refused_where_it_is_written() -> None:
    with pytest.raises(ValidationError, match="language"):
        WhatsAppSettings.model_validate(settings_at("http://x", templates="order_sent: 您的订单{{1}}已发货"))
