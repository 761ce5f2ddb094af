"""How WeCom and WeChat are called: the access token stands in the address, the code in `errcode`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plugins.channels.http.answers import Answered
from plugins.channels.http.asking import Line
from plugins.channels.http.tokened import TokenedApi


class TencentApi(TokenedApi):
    """One account's way to its platform."""

    def token_in(self, said: Mapping[str, Any]) -> tuple[object, object]:
        return said.get("access_token"), said.get("expires_in")

    async def ask(
        self, line: Line, path: str, data: Mapping[str, Any] | None, query: Mapping[str, str], token: str
    ) -> Answered:
        asked = {"access_token": token, **query}
        if data is None:
            return await line.ask("GET", path, query=asked)
        return await line.post_json(path, data, query=asked)

    def code_of(self, said: Mapping[str, Any]) -> str | None:
        code = said.get("errcode")
        return None if code is None else str(code)
