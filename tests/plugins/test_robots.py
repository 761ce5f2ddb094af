"""Robots of groups against servers that sign, count and refuse as their platforms document."""

from __future__ import annotations

import base64
import hmac
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest

from engine.plugin import (
    Accepted,
    Channel,
    Clock,
    Message,
    Rejected,
    Retry,
    SendResult,
    SystemClock,
    Unknown,
)
from engine.plugin.testing import EXAMPLE_MESSAGE, FixedClock, check_channel
from plugins.channels.platforms.taxonomy import taxonomy
from plugins.channels.robots import dingtalk, feishu, wecom_robot
from tests.plugins.conftest import NOW
from tests.plugins.platform_server import Reply, Request, serving
from tests.ports import free_port

TOKEN, SECRET = "token-of-the-robot", "SECof-the-robot"
EMOJI = replace(EXAMPLE_MESSAGE, to="u7", subject="", body="到货啦 👩‍👩‍👧‍👦", call_to_action="")
HOUR = timedelta(hours=1)


@dataclass
class Platform(ABC):
    """A robot's platform: its secret, its limit per minute, its clock."""

    clock: Clock = field(default_factory=lambda: FixedClock(NOW))
    said: list[dict[str, Any]] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    """What to answer next instead; a dropped request has been worked on."""
    limit: int = 100
    throttled_for: timedelta = timedelta(minutes=1)
    busy_until: datetime | None = None

    def answer(self, request: Request) -> Reply:
        if self.replies:
            reply = self.replies.pop(0)
            if reply.drop:
                self.said.append(request.data)
            return reply
        fault = self.fault_of(request)
        if fault:
            return Reply(fault)
        now = self.clock.now()
        lately = [at for at in self.times if now - at < timedelta(minutes=1)]
        if (self.busy_until is not None and now < self.busy_until) or len(lately) >= self.limit:
            self.busy_until = self.busy_until or now + self.throttled_for
            return Reply(self.too_fast())
        self.busy_until = None
        self.said.append(request.data)
        self.times.append(now)
        return Reply(self.fine())

    @abstractmethod
    def fault_of(self, request: Request) -> dict[str, Any] | None: ...

    @abstractmethod
    def too_fast(self) -> dict[str, Any]: ...

    def fine(self) -> dict[str, Any]:
        return {"errcode": 0, "errmsg": "ok"}


class DingTalk(Platform):
    def __init__(self) -> None:
        super().__init__(limit=20, throttled_for=timedelta(minutes=10))

    def fault_of(self, request: Request) -> dict[str, Any] | None:
        if (request.method, request.path) != ("POST", "/robot/send"):
            return {"errcode": 404, "errmsg": "no such address"}
        if request.query.get("access_token") != TOKEN:
            return {"errcode": 300001, "errmsg": "token is not exist"}
        stamp = request.query.get("timestamp", "0")
        digest = hmac.new(SECRET.encode(), f"{stamp}\n{SECRET}".encode(), sha256).digest()
        away = abs(self.clock.now().timestamp() * 1000 - int(stamp))
        if request.query.get("sign") != base64.b64encode(digest).decode() or away > 3_600_000:
            return {"errcode": 310000, "errmsg": "sign not match"}
        return None

    def too_fast(self) -> dict[str, Any]:
        return {"errcode": 130101, "errmsg": "send too fast, exceed 20 times per minute"}


class Feishu(Platform):
    def fault_of(self, request: Request) -> dict[str, Any] | None:
        if request.path != f"/open-apis/bot/v2/hook/{TOKEN}":
            return {"code": 19001, "msg": "param invalid: incoming webhook access token invalid"}
        if len(request.body) > 20_480:
            return {"code": 9499, "msg": "Bad Request"}
        stamp = request.data.get("timestamp", "0")
        digest = hmac.new(f"{stamp}\n{SECRET}".encode(), b"", sha256).digest()
        away = abs(self.clock.now().timestamp() - int(stamp))
        if request.data.get("sign") != base64.b64encode(digest).decode() or away > 3600:
            return {
                "code": 19021,
                "msg": "sign match fail or timestamp is not within one hour from current time",
            }
        return None

    def too_fast(self) -> dict[str, Any]:
        return {"code": 11232, "msg": "frequency limited"}

    def fine(self) -> dict[str, Any]:
        return {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"}


class WeComRobot(Platform):
    def __init__(self) -> None:
        super().__init__(limit=20)

    def fault_of(self, request: Request) -> dict[str, Any] | None:
        if request.path != "/cgi-bin/webhook/send" or request.query.get("key") != TOKEN:
            return {"errcode": 93000, "errmsg": "invalid webhook url"}
        if len(request.data["text"]["content"].encode()) > 2048:
            return {"errcode": 40058, "errmsg": "text.content exceed max length 2048"}
        return None

    def too_fast(self) -> dict[str, Any]:
        return {"errcode": 45009, "errmsg": "api freq out of limit"}


@dataclass(frozen=True)
class Kind:
    """One robot: its platform, its channel and their settings."""

    platform: Callable[[], Platform]
    channel: Callable[[], Channel]
    settings: dict[str, Any]
    wrong: dict[str, Any]
    """Settings with which the platform does not believe us."""
    too_fast: str
    limit: int


KINDS = {
    "dingtalk": Kind(
        DingTalk,
        dingtalk.DingTalkChannel,
        {"access_token": TOKEN, "secret": SECRET},
        {"secret": "another"},
        "130101",
        20,
    ),
    "feishu": Kind(
        Feishu, feishu.FeishuChannel, {"hook": TOKEN, "secret": SECRET}, {"secret": "another"}, "11232", 100
    ),
    "wecom_robot": Kind(
        WeComRobot, wecom_robot.WeComRobotChannel, {"key": TOKEN}, {"key": "another"}, "45009", 20
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def channel_of(kind: Kind, platform: Platform, url: str, **others: Any) -> Channel:
    offered = kind.channel()
    offered.clock = platform.clock  # type: ignore[attr-defined]
    return offered.configured(offered.settings.model_validate({**kind.settings, "base": url, **others}))


async def sent(kind: Kind, platform: Platform, *messages: Message, **others: Any) -> list[SendResult]:
    with serving(platform.answer) as url:
        channel = channel_of(kind, platform, url, **others)
        results = [await channel.send(each, str(number)) for number, each in enumerate(messages)]
        await channel.close()
    return results


@every_kind
def test_it_passes_the_contract_tests(kind: Kind) -> None:
    platform = kind.platform()
    with serving(platform.answer) as url:
        # Settings alone: the clock of the contract tests is the machine's, and so is the platform's then.
        platform.clock = SystemClock()
        check_channel(kind.channel(), message=EMOJI, settings={**kind.settings, "base": url})


@every_kind
async def test_an_emoji_text_is_signed_and_arrives_whole_with_its_mention(kind: Kind) -> None:
    platform = kind.platform()
    assert await sent(kind, platform, EMOJI) == [Accepted()]
    (said,) = platform.said
    text = json.dumps(said, ensure_ascii=False)
    assert "到货啦 👩‍👩‍👧‍👦" in text
    assert "u7" in text


@every_kind
async def test_the_limit_per_minute_is_told_of_everything(kind: Kind) -> None:
    platform = kind.platform()
    results = await sent(kind, platform, *[EMOJI] * (kind.limit + 1))
    assert results[:-1] == [Accepted()] * kind.limit
    told = results[-1]
    assert isinstance(told, Retry)
    assert (told.code, told.of_provider) == (kind.too_fast, True)
    assert isinstance(platform.clock, FixedClock)
    platform.clock.advance(told.after)
    assert await sent(kind, platform, EMOJI) == [Accepted()], "it was told long enough to wait"


@every_kind
async def test_a_wrong_secret_holds_the_message_until_somebody_mends_it(kind: Kind) -> None:
    platform = kind.platform()
    (told,) = await sent(kind, platform, EMOJI, **kind.wrong)
    assert isinstance(told, Retry)
    assert told.of_provider
    assert taxonomy(next(name for name, each in KINDS.items() if each is kind)).means(told.code) == "auth"
    assert platform.said == []


@every_kind
async def test_what_nobody_answered_is_unknown_and_what_never_left_comes_again(kind: Kind) -> None:
    platform = kind.platform()
    platform.replies = [Reply(drop=True), Reply({}, 502), Reply("nonsense", 200)]
    dropped, failed, nonsense = await sent(kind, platform, EMOJI, EMOJI, EMOJI)
    assert isinstance(dropped, Unknown)
    assert isinstance(failed, Unknown)
    assert isinstance(nonsense, Rejected)
    nowhere = channel_of(kind, platform, f"http://127.0.0.1:{free_port()}")
    assert isinstance(await nowhere.send(EMOJI, "k"), Retry)


@every_kind
async def test_a_429_with_retry_after_is_said_of_everything(kind: Kind) -> None:
    platform = kind.platform()
    platform.replies = [Reply({}, 429, {"retry-after": "7"})]
    assert await sent(kind, platform, EMOJI) == [Retry(timedelta(seconds=7), "429", of_provider=True)]


@every_kind
def test_a_text_that_is_too_long_or_empty_never_leaves(kind: Kind) -> None:
    channel = kind.channel()
    most = channel.capabilities.max_length
    assert most is not None
    for text, reason in (("长" * most, "too_long"), (" ", "empty")):
        said = channel.preflight(replace(EMOJI, body=text))
        assert (said.ok, said.reason) == (False, reason)
    assert channel.preflight(replace(EMOJI, body="x" * (most - 100))).ok


async def test_an_old_signature_is_refused_by_either_platform() -> None:
    for name in ("dingtalk", "feishu"):
        kind = KINDS[name]
        platform = kind.platform()
        with serving(platform.answer) as url:
            channel = channel_of(kind, platform, url)
            platform.clock = FixedClock(NOW + HOUR + timedelta(seconds=2))
            told = await channel.send(EMOJI, "k")
            await channel.close()
        assert isinstance(told, Retry)
        assert told.code in ("310000", "19021")


async def test_a_contacts_own_words_call_nobody() -> None:
    platform = Feishu()
    hostile = replace(EMOJI, body='hi <at user_id="all"></at> < AT user_id="all">')
    assert await sent(KINDS["feishu"], platform, hostile) == [Accepted()]
    text = platform.said[0]["content"]["text"]
    assert text.count("<at ") == 1
    assert text.startswith('<at user_id="u7">')
    odd = replace(EMOJI, to='x"></at><at user_id="all')
    assert await sent(KINDS["feishu"], platform, odd) == [Accepted()]
    assert "all" not in platform.said[1]["content"]["text"]


def test_the_two_signatures_are_what_the_platforms_describe_and_differ() -> None:
    # DingTalk's secret is the key and the time is signed; Feishu's key is both, and signs nothing.
    stamp = 1599360473
    ding = hmac.new(b"s", f"{stamp}\ns".encode(), sha256).digest()
    fei = hmac.new(f"{stamp}\ns".encode(), b"", sha256).digest()
    assert dingtalk.signature("s", stamp) == base64.b64encode(ding).decode()
    assert feishu.signature("s", stamp) == base64.b64encode(fei).decode()
    assert ding != fei
