"""Calls Douyin's open platform in the name of one account that a mini-program is bound to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, SecretStr

from engine.plugin import Clock
from plugins.channels.http.answers import Answered
from plugins.channels.http.asking import Line, LineSettings
from plugins.channels.http.tokened import TokenedApi

PLATFORM = "douyin"
_SCOPE = "im.direct_message"


class DouyinAppSettings(LineSettings):
    """Which mini-program, and which account of it writes."""

    client_key: str = Field(title="小程序 AppID", min_length=1, description="The mini-program's AppID.")
    client_secret: SecretStr = Field(
        title="Webhook 密钥",
        min_length=1,
        description="Given when webhooks are enabled; it signs callbacks and fetches tokens.",
    )
    open_id: str = Field(
        title="经营者 OpenID",
        min_length=1,
        description="Of the account that writes, for this mini-program.",
    )
    base: str = Field(
        title="接口地址", default="https://open.douyin.com", description="Where the platform listens."
    )


class DouyinApi(TokenedApi):
    """One account's way to the platform."""

    platform = PLATFORM
    old_token = frozenset({"28001003", "28001008", "2190002", "2190008"})

    def __init__(self, settings: DouyinAppSettings, clock: Clock) -> None:
        super().__init__(settings.base, settings, clock)
        self._settings = settings

    async def ask_for_token(self, line: Line) -> Answered:
        asked = {
            "client_key": self._settings.client_key,
            "client_secret": self._settings.client_secret.get_secret_value(),
            "open_id": self._settings.open_id,
            "scope": _SCOPE,
        }
        return await line.post_json("/oauth/business_token/", asked)

    def token_in(self, said: Mapping[str, Any]) -> tuple[object, object]:
        data = _part(said, "data")
        return data.get("biz_token"), data.get("biz_expires_in")

    async def ask(
        self, line: Line, path: str, data: Mapping[str, Any] | None, query: Mapping[str, str], token: str
    ) -> Answered:
        named = {"open_id": self._settings.open_id, **query}
        return await line.post_json(path, data or {}, query=named, headers={"access-token": token})

    def code_of(self, said: Mapping[str, Any]) -> str | None:
        """The first code that says something is wrong, wherever the platform puts it."""
        places = ((said, "err_no"), (_part(said, "extra"), "error_code"), (_part(said, "data"), "error_code"))
        codes = [str(part[name]) for part, name in places if part.get(name) is not None]
        return next((code for code in codes if code != "0"), codes[0] if codes else None)


def _part(said: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = said.get(name)
    return found if isinstance(found, Mapping) else {}
