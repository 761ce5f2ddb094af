"""Douyin private messages (抖音私信): answers in a conversation, else the one call a day that people allowed.

An answer names the message that it answers (REPLY) or the moment when the person came into the conversation
(ENTER). Both come by callback and are kept with the person's address, so that any process answers. Outside of
a conversation, and where all answers to what they wrote were given, a message goes out as the day's call: to
people who have allowed it, with the mini-program's card below the text, as the platform wants it. The
platform refuses the second of a day (28003070).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, Field

from engine.plugin import (
    Accepted,
    Callback,
    Capabilities,
    Channel,
    Clock,
    Message,
    Preflight,
    Refused,
    Rejected,
    SendResult,
    SystemClock,
    Unknown,
    hookimpl,
)
from plugins.channels.douyin.api import PLATFORM, DouyinApi
from plugins.channels.douyin.callbacks import ANSWERED, CONVERSATION, DouyinCallbackSettings, read_callback
from plugins.channels.http.answers import NoAnswer
from plugins.channels.http.asking import without_answer
from plugins.channels.http.tokens import NoToken
from plugins.channels.platforms.taxonomy import taxonomy
from plugins.channels.robots.robot import text_of

_SCENES = {"reply": "im_reply_msg", "enter": "im_enter_direct_msg"}
"""Window -> what an answer in it is; who wrote and comes back later is still answered to what they wrote."""
_TEXT, _CARD = 1, 10
_DAILY = "im_authorize_message"


class DouyinSettings(DouyinCallbackSettings):
    """Which account, and the card that goes with the day's call."""

    card_template_id: str | None = Field(
        title="小程序引导卡片模板",
        default=None,
        description="Of the card below the day's call; left out: only people in a conversation are answered.",
    )
    card_path: str = Field(
        title="卡片页面路径", default="", description="The page of the mini-program that the card opens."
    )
    card_query: str = Field(
        title="卡片页面参数", default="", description='What the page is told, as JSON: {"from": "journey"}.'
    )


class DouyinChannel:
    """Writes to one person per request; the address is the person's OpenID for the mini-program."""

    name = "douyin"
    immediate = True
    nonblocking = True
    settings: type[BaseModel] = DouyinSettings
    capabilities = Capabilities(
        inbound=True,
        max_length=taxonomy(PLATFORM).limit("text_characters"),
        windows=taxonomy(PLATFORM).reply_windows,
        writes_first=True,
    )

    def __init__(self, configuration: DouyinSettings | None = None, clock: Clock | None = None) -> None:
        self._configuration = configuration
        self.clock: Clock = clock or SystemClock()
        """Dates tokens."""
        self._api = None if configuration is None else DouyinApi(configuration, self.clock)

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, DouyinSettings)
        return DouyinChannel(settings, self.clock)

    def preflight(self, message: Message) -> Preflight:
        return self._looked_at(message)[0]

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        settings, api = self._configuration, self._api
        if settings is None or api is None:
            return Rejected("not_configured", "this channel was offered, not configured")
        said, window = self._looked_at(message)
        if not said.ok:
            return Rejected(said.reason, said.detail)
        asked = _answer(message, window) if window else _daily_call(message, settings)
        try:
            code, answer = await api.call("/im/send/msg/", asked)
        except NoToken as error:
            return api.without_token(error)
        except NoAnswer as error:
            return without_answer(error, settings.retry_after)
        if code != "0":
            return api.refusal(code)
        if answer.get("all_send_success") is False:
            return _partly(api, answer)
        return Accepted(str(answer["msg_id"]) if answer.get("msg_id") else None)

    def parse_callback(
        self, raw_body: bytes, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> Callback | Refused:
        return read_callback(self._configuration, raw_body, headers)

    async def close(self) -> None:
        if self._api is not None:
            await self._api.close()

    def _looked_at(self, message: Message) -> tuple[Preflight, str]:
        """Whether the platform would take it, and as an answer in which window; empty: as the day's call."""
        if not message.to:
            return Preflight(False, "no_address"), ""
        text, most = text_of(message), taxonomy(PLATFORM).limit("text_characters")
        if not 0 < len(text) <= most:
            return Preflight(False, "too_long" if text else "empty", f"between 1 and {most} characters"), ""
        for window in _SCENES:
            if {CONVERSATION, ANSWERED} <= message.reply_to.get(window, {}).keys():
                return Preflight(True, within=(window,)), window
        if self._configuration is not None and self._configuration.card_template_id is None:
            why = "there is nothing to answer, and no card for the day's call"
            return Preflight(False, "window_closed", why), ""
        return Preflight(True, within=()), ""


def _answer(message: Message, window: str) -> dict[str, Any]:
    named = message.reply_to[window]
    return {
        "scene": _SCENES[window],
        "to_user_id": message.to,
        "conversation_id": named[CONVERSATION],
        "msg_id": named[ANSWERED],
        "content": _text(message),
    }


def _daily_call(message: Message, settings: DouyinSettings) -> dict[str, Any]:
    card = {
        "card_template_id": settings.card_template_id,
        "app_id": settings.client_key,
        "path": settings.card_path,
        "query": settings.card_query,
    }
    shown = {"msg_type": _CARD, "applet_card": {name: each for name, each in card.items() if each}}
    return {"scene": _DAILY, "to_user_id": message.to, "content_list": [_text(message), shown]}


def _text(message: Message) -> dict[str, Any]:
    return {"msg_type": _TEXT, "text": {"text": text_of(message)}}


def _partly(api: DouyinApi, answer: Mapping[str, Any]) -> SendResult:
    """What it comes to that not all of a call went out: the text, the card, or neither."""
    rows = answer.get("send_msg_status_list")
    codes = [str(row.get("error_code", "")) for row in rows if isinstance(row, Mapping)] if rows else []
    if codes and "0" not in codes:
        return api.refusal(codes[0])
    if codes[:1] == ["0"]:
        return Accepted()
    return Unknown("only a part of the call went out")


@hookimpl
def register_channels() -> Iterable[Channel]:
    return [DouyinChannel()]
