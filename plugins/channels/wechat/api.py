"""Calls the interface of a WeChat account, with the token that is the same for all who ask."""

from __future__ import annotations

from pydantic import Field, SecretStr

from engine.plugin import Clock
from plugins.channels.http.answers import Answered
from plugins.channels.http.asking import Line, LineSettings
from plugins.channels.tencent.api import TencentApi

PLATFORM = "wechat"


class WeChatAppSettings(LineSettings):
    """Which account."""

    app_id: str = Field(title="AppID", pattern=r"wx[0-9a-z]+", description="Of the service account.")
    secret: SecretStr = Field(title="AppSecret", min_length=1, description="Of the service account.")
    base: str = Field(
        title="接口地址", default="https://api.weixin.qq.com", description="Where the platform listens."
    )


class WeChatApi(TencentApi):
    """One account's way to the platform."""

    platform = PLATFORM
    old_token = frozenset({"40001", "40014", "42001"})

    def __init__(self, settings: WeChatAppSettings, clock: Clock) -> None:
        super().__init__(settings.base, settings, clock)
        self._settings = settings

    async def ask_for_token(self, line: Line) -> Answered:
        # The stable one: however many processes ask, they get the same, and none takes away another's.
        asked = {
            "grant_type": "client_credential",
            "appid": self._settings.app_id,
            "secret": self._settings.secret.get_secret_value(),
            "force_refresh": False,
        }
        return await line.post_json("/cgi-bin/stable_token", asked)
