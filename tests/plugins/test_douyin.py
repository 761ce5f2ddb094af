"""Douyin private messages against a platform that knows who wrote, and who has had the call they allowed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha1
from typing import Any

import pytest
from pydantic import ValidationError

from engine.plugin import (
    Accepted,
    Callback,
    Clock,
    Happened,
    Inbound,
    Message,
    Refused,
    Rejected,
    Retry,
    SystemClock,
    Told,
    Unknown,
)
from engine.plugin.testing import FixedClock, check_channel
from plugins.channels.douyin.messages import DouyinChannel, DouyinSettings
from plugins.channels.platforms.taxonomy import taxonomy
from tests.plugins.conftest import NOW
from tests.plugins.platform_server import Reply, Request
from tests.ports import free_port

KEY, SECRET, OURS = "tt10abc", "secret-of-the-webhooks", "ours-7ae0-4399-914a"
HELLO = Message("anna-d7a6-4018-84be", "您好 👩‍👩‍👧‍👦", contact_id="c-1")
CARD = "@9VwNxuKKBZ03MXG7M8ooWM771FjUAMW"
ANNA = HELLO.to
REPLIES, ENTRIES = 6, 3
DAY = timedelta(days=1)


@dataclass
class Talk:
    """What somebody did in the conversation, and how often it was answered."""

    at: datetime
    length: timedelta
    answers_left: int


@dataclass
class Douyin:
    """The platform: a token of the account, conversations, people who allowed calls, one call a day each."""

    clock: Clock = field(default_factory=lambda: FixedClock(NOW))
    authorized: set[str] = field(default_factory=set)
    called: list[tuple[str, datetime]] = field(default_factory=list)
    talks: dict[str, Talk] = field(default_factory=dict)
    """By the name of what a person wrote, or of their coming in."""
    taken: list[dict[str, Any]] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    tokens: int = 0
    calls_a_day: int = 1

    def answer(self, request: Request) -> Reply:
        asked = request.data
        if request.path == "/oauth/business_token/":
            wanted = {
                "client_key": KEY,
                "client_secret": SECRET,
                "open_id": OURS,
                "scope": "im.direct_message",
            }
            if asked != wanted:
                return Reply({"data": {"error_code": 10013, "description": "secret"}, "message": "error"})
            self.tokens += 1
            data = {"biz_token": f"biz-{self.tokens}", "biz_expires_in": 2592000}
            return Reply({"data": data, "err_no": 0, "err_msg": ""})
        assert (request.path, request.query) == ("/im/send/msg/", {"open_id": OURS})
        if request.headers.get("access-token") != f"biz-{self.tokens}":
            return self.error(28001003)
        if self.replies:
            reply = self.replies.pop(0)
            if reply.drop:
                self._sent(asked)
            return reply
        return self._sent(asked)

    def _sent(self, asked: dict[str, Any]) -> Reply:
        match asked["scene"]:
            case "im_reply_msg" | "im_enter_direct_msg":
                talk = self.talks.get(asked["msg_id"])
                if talk is None or asked["conversation_id"] != f"conv-{asked['to_user_id']}":
                    return self.error(28003082)
                if self.clock.now() >= talk.at + talk.length:
                    return self.error(28003080)
                if not talk.answers_left:
                    return self.error(28003070)
                talk.answers_left -= 1
            case "im_authorize_message":
                kinds = [each["msg_type"] for each in asked["content_list"]]
                if not 1 <= len(kinds) <= 3 or 10 not in kinds:
                    return self.error(28001038)
                if asked["to_user_id"] not in self.authorized:
                    return self.error(28003082)
                since = self.clock.now() - DAY
                today = [at for whom, at in self.called if whom == asked["to_user_id"] and at > since]
                if len(today) >= self.calls_a_day:
                    return self.error(28003070)
                self.called.append((asked["to_user_id"], self.clock.now()))
                self.taken.append(asked)
                rows = [{"error_code": 0} for _ in kinds]
                return Reply({"all_send_success": True, "send_msg_status_list": rows, **self.fine()})
            case _:
                return self.error(11009)
        self.taken.append(asked)
        return Reply({"msg_id": f"@m{len(self.taken)}", **self.fine()})

    @staticmethod
    def fine() -> dict[str, Any]:
        return {"data": {"error_code": 0, "description": ""}, "extra": {"error_code": 0, "logid": "1"}}

    @staticmethod
    def error(code: int) -> Reply:
        fault = {"error_code": code, "description": "refused"}
        return Reply({"data": fault, "extra": {**fault, "logid": "1"}})


@pytest.fixture
def platform() -> Douyin:
    return Douyin()


def settings_at(url: str, **others: Any) -> dict[str, Any]:
    common = {
        "client_key": KEY,
        "client_secret": SECRET,
        "open_id": OURS,
        "card_template_id": CARD,
        "card_path": "pages/offer/index",
        "card_query": '{"from": "journey"}',
    }
    return {**common, "base": url, **others}


def channel_at(url: str, clock: Clock | None = None, **others: Any) -> DouyinChannel:
    return DouyinChannel(DouyinSettings.model_validate(settings_at(url, **others)), clock or FixedClock(NOW))


def posted(
    channel: DouyinChannel, document: dict[str, Any], *, secret: str = SECRET, msg_id: str = "1"
) -> Callback | Refused:
    body = json.dumps(document, ensure_ascii=False).encode()
    signed = sha1(secret.encode() + body).hexdigest()
    return channel.parse_callback(body, {"x-douyin-signature": signed, "msg-id": msg_id}, {})


def told_by(said: Callback | Refused) -> tuple[Told, ...]:
    assert isinstance(said, Callback)
    return said.told


def event(name: str, content: Any, **others: Any) -> dict[str, Any]:
    common = {"event": name, "client_key": KEY, "from_user_id": ANNA, "to_user_id": OURS, "log_id": "l1"}
    return {**common, "content": content, **others}


def wrote(text: Any = "多少钱 👟", name: str = "@s1", at: datetime = NOW, **others: Any) -> dict[str, Any]:
    content = {
        "conversation_short_id": f"conv-{ANNA}",
        "server_message_id": name,
        "conversation_type": 1,
        "create_time": int(at.timestamp() * 1000),
        "message_type": "text",
        "text": text,
    }
    return event("im_receive_msg", json.dumps(content | others))


def entered(name: str = "@e1", at: datetime = NOW) -> dict[str, Any]:
    content = {"conversation_short_id": f"conv-{ANNA}", "server_message_id": name}
    return event("im_enter_direct_msg", json.dumps({**content, "create_time": int(at.timestamp() * 1000)}))


def test_it_passes_the_contract_tests(platform: Douyin, url: str) -> None:
    platform.clock = SystemClock()
    platform.authorized.add(ANNA)
    platform.calls_a_day = 100
    check_channel(DouyinChannel(), message=HELLO, settings=settings_at(url))
    assert platform.tokens == 1, "one token for all of it"


async def test_who_wrote_is_answered_for_a_day_and_six_times(platform: Douyin, url: str) -> None:
    channel = channel_at(url, platform.clock)
    (heard,) = told_by(posted(channel_at(url), wrote()))
    assert isinstance(heard, Inbound)
    answer = replace(HELLO, reply_to={"reply": heard.reply_to})
    platform.talks["@s1"] = Talk(NOW, DAY, REPLIES)
    assert channel.preflight(answer).within == ("reply",)
    assert [await channel.send(answer, str(n)) for n in range(2)] == [Accepted("@m1"), Accepted("@m2")]
    assert platform.taken[0] == {
        "scene": "im_reply_msg",
        "to_user_id": ANNA,
        "conversation_id": f"conv-{ANNA}",
        "msg_id": "@s1",
        "content": {"msg_type": 1, "text": {"text": HELLO.body}},
    }
    for number in range(REPLIES - 2):
        await channel.send(answer, f"more {number}")
    told = await channel.send(answer, "k")
    assert isinstance(told, Rejected)
    assert (told.code, told.detail.split(":")[0]) == ("28003070", "quota")
    assert channel.preflight(HELLO).within == (), "nothing is left to answer"
    await channel.close()


async def test_who_comes_in_is_answered_for_half_a_minute_unless_they_wrote(
    platform: Douyin, url: str
) -> None:
    assert told_by(posted(channel_at(url), entered())) == (), "who is not told has no window"
    channel = channel_at(url, platform.clock, events="douyin_entered")
    (came,) = told_by(posted(channel, entered()))
    assert isinstance(came, Happened)
    platform.talks["@e1"] = Talk(NOW, timedelta(seconds=30), ENTRIES)
    welcome = replace(HELLO, reply_to={"enter": came.reply_to})
    assert channel.preflight(welcome).within == ("enter",)
    assert await channel.send(welcome, "k") == Accepted("@m1")
    assert platform.taken[0]["scene"] == "im_enter_direct_msg"
    (heard,) = told_by(posted(channel, wrote()))
    assert isinstance(heard, Inbound)
    both = replace(HELLO, reply_to={"enter": came.reply_to, "reply": heard.reply_to})
    assert channel.preflight(both).within == ("reply",), "the longer of both"
    platform.talks["@s1"] = Talk(NOW, DAY, REPLIES)
    assert await channel.send(both, "k") == Accepted("@m2")
    assert channel.preflight(replace(HELLO, reply_to={"reply": {"message": "@s1"}})).within == ()
    await channel.close()


async def test_who_allowed_it_is_called_once_a_day_with_a_card(platform: Douyin, url: str) -> None:
    channel = channel_at(url, platform.clock)
    platform.authorized.add(ANNA)
    assert channel.preflight(HELLO).within == ()
    assert await channel.send(HELLO, "k1") == Accepted()
    card = {
        "card_template_id": CARD,
        "app_id": KEY,
        "path": "pages/offer/index",
        "query": '{"from": "journey"}',
    }
    assert platform.taken[0]["content_list"] == [
        {"msg_type": 1, "text": {"text": HELLO.body}},
        {"msg_type": 10, "applet_card": card},
    ]
    told = await channel.send(HELLO, "k2")
    assert isinstance(told, Rejected)
    assert (told.code, told.detail.split(":")[0]) == ("28003070", "quota")
    assert isinstance(platform.clock, FixedClock)
    platform.clock.advance(DAY)
    assert await channel.send(HELLO, "k3") == Accepted()
    told = await channel.send(replace(HELLO, to="stranger"), "k")
    assert isinstance(told, Rejected)
    assert told.detail.startswith("not_reachable")
    await channel.close()


async def test_without_a_card_only_people_in_a_conversation_are_written_to(url: str) -> None:
    channel = channel_at(url, card_template_id=None)
    said = channel.preflight(HELLO)
    assert (said.ok, said.reason) == (False, "window_closed")
    assert isinstance(await channel.send(HELLO, "k"), Rejected)
    (heard,) = told_by(posted(channel, wrote()))
    assert isinstance(heard, Inbound)
    assert channel.preflight(replace(HELLO, reply_to={"reply": heard.reply_to})).ok
    assert channel.preflight(replace(HELLO, body="字" * 1001)).reason == "too_long"
    await channel.close()


async def test_a_call_that_went_out_in_part_is_not_made_again(platform: Douyin, url: str) -> None:
    channel = channel_at(url, platform.clock)

    def partly(*codes: int) -> Reply:
        rows = [{"error_code": code} for code in codes]
        return Reply({"all_send_success": False, "send_msg_status_list": rows, **Douyin.fine()})

    platform.replies = [partly(0, 28001038), partly(28001038, 0), partly(28003070, 28003070)]
    assert await channel.send(HELLO, "k1") == Accepted(), "the text went out"
    assert isinstance(await channel.send(HELLO, "k2"), Unknown), "the card did"
    told = await channel.send(HELLO, "k3")
    assert isinstance(told, Rejected)
    assert told.code == "28003070"
    await channel.close()


async def test_what_refusals_come_to(platform: Douyin, url: str) -> None:
    channel = channel_at(url, platform.clock)
    platform.authorized.add(ANNA)
    platform.replies = [
        Douyin.error(28003018),
        Douyin.error(28003095),
        Douyin.error(28001003),
        Reply({}, 502),
        Reply(drop=True),
    ]
    assert await channel.send(HELLO, "k") == Retry(timedelta(minutes=1), "28003018")
    assert await channel.send(HELLO, "k") == Retry(timedelta(hours=1), "28003095", of_provider=True)
    assert await channel.send(HELLO, "k") == Unknown("the platform answered 502"), "with a token of its own"
    assert platform.tokens == 2
    assert isinstance(await channel.send(HELLO, "k"), Unknown)
    await channel.close()
    wrong = channel_at(url, platform.clock, client_secret="another")
    assert await wrong.send(HELLO, "k") == Retry(timedelta(minutes=1), "10013", of_provider=True)
    away = channel_at(f"http://127.0.0.1:{free_port()}", platform.clock)
    assert isinstance(await away.send(HELLO, "k"), Retry)
    await wrong.close()


def test_the_windows_it_declares_are_those_that_the_platform_keeps() -> None:
    windows = {each.name: (each.length, each.allowance) for each in DouyinChannel.capabilities.windows}
    assert windows == {"reply": (DAY, REPLIES), "enter": (timedelta(seconds=30), ENTRIES)}
    assert taxonomy("douyin").limit("calls_per_person_per_day") == 1


def test_what_people_write_is_heard_and_our_own_words_are_not() -> None:
    channel = channel_at("http://x")
    said = posted(channel, wrote())
    assert isinstance(said, Callback)
    named = {"conversation": f"conv-{ANNA}", "message": "@s1"}
    assert said.told == (Inbound(ANNA, "多少钱 👟", NOW, "@s1", properties={"kind": "text"}, reply_to=named),)
    again = posted(channel, {**wrote(), "log_id": "l2"})
    assert isinstance(again, Callback)
    assert again.told == said.told, "a delivery that comes again tells the same by the same name"
    for document, text, kind in (
        (wrote(None, message_type="image", resource_url="x"), "", "image"),
        (wrote({"text": "你好"}), "你好", "text"),
    ):
        said = posted(channel, document)
        assert isinstance(said, Callback)
        (told,) = said.told
        assert isinstance(told, Inbound)
        assert (told.text, told.properties) == (text, {"kind": kind})
    for document in (
        event("im_send_msg", "{}", from_user_id=OURS, to_user_id=ANNA),
        {**wrote(), "to_user_id": "another of our accounts"},
        {**wrote(), "client_key": "another mini-program"},
        event("im_recall_msg", "{}"),
    ):
        said = posted(channel, document)
        assert isinstance(said, Callback)
        assert said.told == ()


def test_what_people_allow_and_take_back_is_told_as_the_account_is_set() -> None:
    stamp = int(NOW.timestamp())
    content = {"create_time": stamp, "update_time": stamp, "expire_time": stamp + 2592000, "auth_status": 1}
    allowed = event("im_authorize", json.dumps({**content, "source": "im.direct_message.bind"}))
    refused = event("im_authorize", json.dumps({**content, "auth_status": 2}))
    silent = posted(channel_at("http://x"), allowed)
    assert isinstance(silent, Callback)
    assert silent.told == ()
    channel = channel_at("http://x", events="douyin_authorized, douyin_unauthorized,douyin_entered")
    told = [each for document in (allowed, refused, entered()) for each in _told(posted(channel, document))]
    assert [(each.type, each.address, each.at) for each in told] == [
        ("douyin_authorized", ANNA, NOW),
        ("douyin_unauthorized", ANNA, NOW),
        ("douyin_entered", ANNA, NOW),
    ]
    assert told[0].properties == {"scene": "im.direct_message.bind"}
    assert len({each.id for each in told}) == 3


def _told(said: Callback | Refused) -> list[Happened]:
    assert isinstance(said, Callback)
    return [each for each in said.told if isinstance(each, Happened)]


def test_the_address_is_tried_out_with_a_challenge() -> None:
    channel = channel_at("http://x")
    challenge = {"event": "verify_webhook", "client_key": "", "content": {"challenge": 12345}}
    said = posted(channel, challenge)
    assert said == Callback(reply=b'{"challenge": 12345}', media_type="application/json")
    assert isinstance(posted(channel, challenge, secret="another"), Refused)
    assert isinstance(channel.parse_callback(b"", {}, {}), Refused)


def test_what_is_forged_or_not_as_documented_is_refused_and_nobody_is_answered_for_it() -> None:
    channel = channel_at("http://x")
    for said, code in (
        (posted(channel, wrote(), secret="another"), "signature"),
        (posted(channel, event("im_receive_msg", "no json")), "malformed"),
        (posted(channel, event("im_receive_msg", "{}")), "malformed"),
        (posted(channel, wrote(create_time="soon")), "malformed"),
        (
            posted(channel, event("im_authorize", json.dumps({"auth_status": 7, "create_time": 1}))),
            "malformed",
        ),
    ):
        assert isinstance(said, Refused)
        assert said.code == code
    body = json.dumps(wrote()).encode()
    signed = sha1(SECRET.encode() + body).hexdigest()
    changed = channel.parse_callback(body.replace(b"@s1", b"@s2"), {"x-douyin-signature": signed}, {})
    assert isinstance(changed, Refused)
    assert channel.preflight(HELLO).within == (), "nobody has written"


def test_an_event_that_there_is_not_is_refused_where_it_is_written() -> None:
    with pytest.raises(ValidationError, match="is none of douyin_entered"):
        DouyinSettings.model_validate(settings_at("http://x", events="douyin_came"))
