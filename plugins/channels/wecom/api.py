"""Calls the interface of WeCom, with the access token of one app."""

from __future__ import annotations

from engine.plugin import Clock
from plugins.channels.http.answers import Answered
from plugins.channels.http.asking import Line
from plugins.channels.tencent.api import TencentApi
from plugins.channels.wecom.callbacks import WeComAppSettings

PLATFORM = "wecom"


class WeComApi(TencentApi):
    """One app's way to the platform."""

    platform = PLATFORM
    old_token = frozenset({"40014", "42001"})
    # The three thousand tags that a corporation may have come in one answer.
    longest_answer = 2 * 1024 * 1024

    def __init__(self, settings: WeComAppSettings, clock: Clock) -> None:
        super().__init__(settings.base, settings, clock)
        self._settings = settings

    async def ask_for_token(self, line: Line) -> Answered:
        query = {"corpid": self._settings.corp_id, "corpsecret": self._settings.secret.get_secret_value()}
        return await line.ask("GET", "/cgi-bin/gettoken", query=query)
