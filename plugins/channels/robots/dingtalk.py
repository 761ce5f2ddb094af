"""DingTalk group robots: the secret signs the time in milliseconds, in the address of the request."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from pydantic import BaseModel, Field, SecretStr

from engine.plugin import Capabilities, Channel, Clock, Message, hookimpl
from plugins.channels.http.asking import LineSettings
from plugins.channels.platforms.taxonomy import taxonomy
from plugins.channels.robots.robot import EVERYBODY, Post, Robot, text_of


class DingTalkSettings(LineSettings):
    """Which robot, and how it is secured."""

    access_token: SecretStr = Field(min_length=1, description="Of the robot's webhook address.")
    secret: SecretStr | None = Field(
        default=None,
        description="Of a robot secured by signature (SEC…); left out: by keywords or addresses.",
    )
    base: str = Field(default="https://oapi.dingtalk.com", description="Where the platform listens.")


def signature(secret: str, timestamp: int) -> str:
    """The `sign` of a request; the timestamp is in milliseconds, and good for an hour."""
    signed = f"{timestamp}\n{secret}".encode()
    return base64.b64encode(hmac.new(secret.encode(), signed, sha256).digest()).decode()


class DingTalkChannel(Robot):
    """Writes to a group through its robot."""

    name = "dingtalk"
    platform = "dingtalk"
    immediate = True
    nonblocking = True
    settings: type[BaseModel] = DingTalkSettings
    capabilities = Capabilities(max_length=taxonomy("dingtalk").limit("text_bytes"), length_unit="bytes")

    def __init__(self, configuration: DingTalkSettings | None = None, clock: Clock | None = None) -> None:
        super().__init__(configuration.base if configuration else "", configuration, clock)
        self._configuration = configuration

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, DingTalkSettings)
        return DingTalkChannel(settings, self.clock)

    def post_of(self, message: Message, now: datetime) -> Post:
        assert self._configuration is not None
        query = {"access_token": self._configuration.access_token.get_secret_value()}
        if self._configuration.secret is not None:
            timestamp = int(now.timestamp() * 1000)
            query["timestamp"] = str(timestamp)
            query["sign"] = signature(self._configuration.secret.get_secret_value(), timestamp)
        everybody = message.to == EVERYBODY
        at: dict[str, Any] = {"isAtAll": True} if everybody else {"atUserIds": [message.to], "isAtAll": False}
        return Post(
            "/robot/send", {"msgtype": "text", "text": {"content": text_of(message)}, "at": at}, query
        )

    def code_of(self, said: Mapping[str, Any]) -> str | None:
        code = said.get("errcode")
        return None if code is None else str(code)


@hookimpl
def register_channels() -> Iterable[Channel]:
    return [DingTalkChannel()]
