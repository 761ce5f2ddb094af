"""Feishu group robots: the time in seconds and the secret are the key that signs nothing, in the body."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from pydantic import BaseModel, Field, SecretStr

from engine.plugin import Capabilities, Channel, Clock, Message, hookimpl
from plugins.channels.http.asking import LineSettings
from plugins.channels.platforms.taxonomy import taxonomy
from plugins.channels.robots.robot import EVERYBODY, Post, Robot, size_of, text_of

_MENTION = re.compile(r"<(?=\s*/?\s*at\b)", re.IGNORECASE)
FRAME = 480
"""Bytes of a request beside its text: the signature, whom it mentions, what JSON escapes."""
_ID = re.compile(r"[A-Za-z0-9_\-]+")


class FeishuSettings(LineSettings):
    """Which robot, and how it is secured."""

    hook: SecretStr = Field(min_length=1, description="The last part of the robot's webhook address.")
    secret: SecretStr | None = Field(
        default=None, description="Of a robot secured by signature; left out: by keywords or addresses."
    )
    base: str = Field(
        default="https://open.feishu.cn",
        description="Where the platform listens; open.larksuite.com for Lark.",
    )


def signature(secret: str, timestamp: int) -> str:
    """The `sign` of a request; the timestamp is in seconds, and good for an hour."""
    key = f"{timestamp}\n{secret}".encode()
    return base64.b64encode(hmac.new(key, b"", sha256).digest()).decode()


class FeishuChannel(Robot):
    """Writes to a group through its robot."""

    name = "feishu"
    platform = "feishu"
    immediate = True
    nonblocking = True
    settings: type[BaseModel] = FeishuSettings
    capabilities = Capabilities(
        max_length=taxonomy("feishu").limit("text_bytes") - FRAME, length_unit="bytes"
    )

    def __init__(self, configuration: FeishuSettings | None = None, clock: Clock | None = None) -> None:
        super().__init__(configuration.base if configuration else "", configuration, clock)
        self._configuration = configuration

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, FeishuSettings)
        return FeishuChannel(settings, self.clock)

    def post_of(self, message: Message, now: datetime) -> Post:
        assert self._configuration is not None
        data = _data(message)
        if self._configuration.secret is not None:
            timestamp = int(now.timestamp())
            data["timestamp"] = str(timestamp)
            data["sign"] = signature(self._configuration.secret.get_secret_value(), timestamp)
        return Post(f"/open-apis/bot/v2/hook/{self._configuration.hook.get_secret_value()}", data)

    def code_of(self, said: Mapping[str, Any]) -> str | None:
        # Older addresses answer StatusCode, newer ones code; both say 0 for success.
        code = said.get("code", said.get("StatusCode"))
        return None if code is None else str(code)

    def length_of(self, message: Message) -> int:
        # The limit is one of the whole request; what a signature adds is of one length.
        return size_of(_data(message) | {"timestamp": "1" * 10, "sign": "x" * 44})


def _data(message: Message) -> dict[str, Any]:
    # A contact's own words must not call a whole group.
    text = _MENTION.sub("<\u200b", text_of(message))
    if message.to == EVERYBODY:
        text = f'<at user_id="all"></at> {text}'
    elif _ID.fullmatch(message.to):
        text = f'<at user_id="{message.to}"></at> {text}'
    return {"msg_type": "text", "content": {"text": text}}


@hookimpl
def register_channels() -> Iterable[Channel]:
    return [FeishuChannel()]
