"""WeCom group robots: nothing is signed, and who knows the key in the address may write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field, SecretStr

from engine.plugin import Capabilities, Channel, Clock, Message, hookimpl
from plugins.channels.http.asking import LineSettings
from plugins.channels.platforms.taxonomy import taxonomy
from plugins.channels.robots.robot import Post, Robot, text_of


class WeComRobotSettings(LineSettings):
    """Which robot."""

    key: SecretStr = Field(min_length=1, description="Of the robot's webhook address.")
    base: str = Field(default="https://qyapi.weixin.qq.com", description="Where the platform listens.")


class WeComRobotChannel(Robot):
    """Writes to a group through its robot."""

    name = "wecom_robot"
    platform = "wecom_robot"
    immediate = True
    nonblocking = True
    settings: type[BaseModel] = WeComRobotSettings
    capabilities = Capabilities(max_length=taxonomy("wecom_robot").limit("text_bytes"), length_unit="bytes")

    def __init__(self, configuration: WeComRobotSettings | None = None, clock: Clock | None = None) -> None:
        super().__init__(configuration.base if configuration else "", configuration, clock)
        self._configuration = configuration

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, WeComRobotSettings)
        return WeComRobotChannel(settings, self.clock)

    def post_of(self, message: Message, now: datetime) -> Post:
        assert self._configuration is not None
        # "@all" is a member's name of the platform's own.
        text = {"content": text_of(message), "mentioned_list": [message.to]}
        key = {"key": self._configuration.key.get_secret_value()}
        return Post("/cgi-bin/webhook/send", {"msgtype": "text", "text": text}, key)

    def code_of(self, said: Mapping[str, Any]) -> str | None:
        code = said.get("errcode")
        return None if code is None else str(code)


@hookimpl
def register_channels() -> Iterable[Channel]:
    return [WeComRobotChannel()]
