"""A WeChat that counts what windows and subscriptions let through, and an account on it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from engine.plugin import (
    Clock,
    Message,
)
from engine.plugin.testing import FixedClock
from plugins.channels.wechat.account import WeChatChannel, WeChatSettings
from tests.plugins.conftest import NOW
from tests.plugins.platform_server import Reply, Request

VECTORS = json.loads(
    (Path(__file__).parent / "vectors" / "wechat_callbacks.json").read_text(encoding="utf-8")
)
APP, TOKEN, AES_KEY = VECTORS["receiver"], VECTORS["token"], VECTORS["encoding_aes_key"]
SECRET = "secret-of-the-account"
HELLO = Message("oAnna", "您好 👩‍👩‍👧‍👦", contact_id="c-1", is_marketing=False)
SENT = "ngqIpbwh8bUfcSsECmogfXcV14J0tQlEpBO27izEYtY"
ARRIVING = "VRR0UEO9VJOLs0MHlU0OilqX6MVFDwH3_3gz3Oc0NIc"
TEMPLATES = f"{SENT}: 订单号：{{{{character_string1.DATA}}}}\\n商品：{{{{thing2.DATA}}}}"
SUBSCRIPTIONS = f"{ARRIVING}: 到货提醒：{{{{thing1.DATA}}}}"
SHIPPED = replace(HELLO, body="订单号：A-1\n商品：跑鞋", call_to_action="https://shop.example/o/1")
ARRIVED = replace(HELLO, body="到货提醒：跑鞋 42 码")
LENGTHS = {"thing": 20, "character_string": 32}
DAY = timedelta(days=1)


@dataclass
class WeChat:
    """The platform: one stable token, followers, windows with so many texts each, notices allowed."""

    clock: Clock = field(default_factory=lambda: FixedClock(NOW))
    followers: set[str] = field(default_factory=lambda: {"oAnna", "oBen"})
    refusing: set[str] = field(default_factory=set)
    """Who has turned messages off."""
    windows: dict[tuple[str, str], tuple[datetime, int]] = field(default_factory=dict)
    """By person and act: until when, and how many texts are left; the same act begins a new one."""
    refused: list[int] = field(default_factory=list)
    """The codes with which texts were refused."""
    allowed: dict[str, int] = field(default_factory=dict)
    known: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """Notices by person and client_msg_id, and when."""
    texts: list[str] = field(default_factory=list)
    notices: list[dict[str, Any]] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    tokens: int = 0
    asked_for_tokens: int = 0
    token_until: datetime = NOW
    calls_a_day: int = 1000

    def write(self, whom: str, texts: int = 5) -> None:
        self.windows[whom, "wrote"] = (self.clock.now() + timedelta(hours=48), texts)

    def act(self, whom: str, what: str) -> None:
        """They begin to follow, scan a code, press the menu."""
        self.windows[whom, what] = (self.clock.now() + timedelta(minutes=1), 3)

    def answer(self, request: Request) -> Reply:
        if request.path == "/cgi-bin/stable_token":
            return Reply(self._token(request.data))
        if request.query.get("access_token") != f"token-{self.tokens}":
            return self.error(40001)
        if self.clock.now() >= self.token_until:
            return self.error(42001)
        if self.replies:
            reply = self.replies.pop(0)
            if reply.drop:
                self._sent(request)
            return reply
        if not self.calls_a_day:
            return self.error(45009)
        self.calls_a_day -= 1
        return self._sent(request)

    def _token(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.asked_for_tokens += 1
        wanted = {"grant_type": "client_credential", "appid": APP, "secret": SECRET, "force_refresh": False}
        if asked != wanted:
            return {"errcode": 40125, "errmsg": "invalid appsecret"}
        # The same for all who ask, until its last five minutes.
        if self.clock.now() >= self.token_until - timedelta(minutes=5):
            self.tokens += 1
            self.token_until = self.clock.now() + timedelta(hours=2)
        left = int((self.token_until - self.clock.now()).total_seconds())
        return {"access_token": f"token-{self.tokens}", "expires_in": left}

    def _sent(self, request: Request) -> Reply:
        asked = request.data
        whom = asked["touser"]
        match request.path:
            case "/cgi-bin/message/custom/send":
                return self._texted(whom, asked["text"]["content"])
            case "/cgi-bin/message/template/send":
                return self._noticed(whom, asked, SENT)
            case "/cgi-bin/message/subscribe/bizsend":
                if not self.allowed.get(whom):
                    return self.error(43101)
                reply = self._noticed(whom, asked, ARRIVING)
                self.allowed[whom] -= reply.data["errcode"] == 0
                return reply
        return self.error(48001)

    def _texted(self, whom: str, text: str) -> Reply:
        now = self.clock.now()
        open_ = {key: found for key, found in self.windows.items() if key[0] == whom and found[0] > now}
        through = [key for key, (_, left) in open_.items() if left]
        if whom not in self.followers or not through or len(text.encode()) > 2048:
            over = 45047 if open_ else 45015
            code = 40003 if whom not in self.followers else 45002 if through else over
            self.refused.append(code)
            return self.error(code)
        # What ends soonest is used first.
        key = min(through, key=open_.__getitem__)
        self.windows[key] = (open_[key][0], open_[key][1] - 1)
        self.texts.append(text)
        return Reply({"errcode": 0, "errmsg": "ok"})

    def _noticed(self, whom: str, asked: dict[str, Any], template: str) -> Reply:
        if asked["template_id"] != template:
            return self.error(40037)
        if whom not in self.followers:
            return self.error(43004)
        if whom in self.refusing:
            return self.error(43101)
        for name, value in asked["data"].items():
            if len(value["value"]) > LENGTHS[name.rstrip("0123456789")]:
                return self.error(47003)
        key = (whom, str(asked.get("client_msg_id", len(self.notices))))
        if key not in self.known or self.clock.now() - self.known[key] > timedelta(minutes=10):
            self.known[key] = self.clock.now()
            self.notices.append(asked)
        return Reply({"errcode": 0, "errmsg": "ok", "msgid": 200228332 + len(self.notices)})

    @staticmethod
    def error(code: int) -> Reply:
        return Reply({"errcode": code, "errmsg": "refused rid: 65eac940"})


def settings_at(url: str, **others: Any) -> dict[str, Any]:
    common = {
        "app_id": APP,
        "secret": SECRET,
        "token": TOKEN,
        "encoding_aes_key": AES_KEY,
        "templates": TEMPLATES,
        "subscriptions": SUBSCRIPTIONS,
    }
    return {**common, "base": url, **others}


def channel_at(url: str, clock: Clock | None = None, **others: Any) -> WeChatChannel:
    return WeChatChannel(WeChatSettings.model_validate(settings_at(url, **others)), clock or FixedClock(NOW))


def xml(kind: str, inside: str, whom: str = "oAnna", at: datetime = NOW) -> str:
    return (
        f"<xml><ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[{whom}]]></FromUserName>"
        f"<CreateTime>{int(at.timestamp())}</CreateTime><MsgType>{kind}</MsgType>{inside}</xml>"
    )


def event(name: str, inside: str = "", at: datetime = NOW) -> str:
    return xml("event", f"<Event>{name}</Event>{inside}", at=at)
