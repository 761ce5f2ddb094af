"""What channels of Meta's Graph API share: how they ask, what refusals come to, how callbacks are signed."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from pydantic import Field, SecretStr

from engine.plugin import Callback, Refused, Rejected, Retry, Unknown
from plugins.channels.http.answers import Answered, NoAnswer, wait_of
from plugins.channels.http.asking import Line, LineSettings, by_status, object_in, without_answer
from plugins.channels.platforms.taxonomy import Taxonomy

SIGNATURE = "x-hub-signature-256"


class GraphSettings(LineSettings):
    """By which token we write, and what callbacks are signed with."""

    access_token: SecretStr = Field(min_length=1, description="Of a system user; one that does not end.")
    app_secret: SecretStr | None = Field(
        default=None, description="Of the app; signs callbacks. Left out: none is believed."
    )
    verify_token: SecretStr | None = Field(
        default=None, description="A word of your own that the platform says when it tries the address out."
    )
    version: str = Field(default="v23.0", pattern=r"v[0-9]+\.[0-9]+", description="Of the Graph API.")
    base: str = Field(default="https://graph.facebook.com", description="Where the platform listens.")


class Graph:
    """One account's way to the platform."""

    def __init__(self, settings: GraphSettings, known: Taxonomy) -> None:
        self._settings = settings
        self._known = known
        self._line = Line(settings.base, settings)

    async def post(
        self, node: str, data: Mapping[str, Any], now: datetime
    ) -> dict[str, Any] | Retry | Rejected | Unknown:
        """What the platform answered when it took the request, or what its refusal comes to."""
        headers = {"authorization": f"Bearer {self._settings.access_token.get_secret_value()}"}
        path = f"/{self._settings.version}/{node}/messages"
        try:
            answered = await self._line.post_json(path, data, headers=headers)
        except NoAnswer as error:
            return without_answer(error, self._settings.retry_after)
        said = object_in(answered)
        if 200 <= answered.status < 300 and "error" not in said:
            return said
        return self._refusal(answered, said, now)

    async def close(self) -> None:
        await self._line.close()

    def _refusal(
        self, answered: Answered, said: Mapping[str, Any], now: datetime
    ) -> Retry | Rejected | Unknown:
        error = said.get("error")
        retry_after = self._settings.retry_after
        if not isinstance(error, Mapping) or "code" not in error:
            return by_status(answered, retry_after, now)
        asked = wait_of(answered.retry_after, now)
        code = code_of(error, self._known)
        if self._known.knows(code) is None and answered.status >= 500:
            return by_status(answered, retry_after, now)
        return self._known.refusal(code, retry_after=retry_after, asked=asked)


def code_of(error: Mapping[str, Any], known: Taxonomy) -> str:
    """The platform's code, with its subcode where that says more than the code alone."""
    code, subcode = str(error.get("code", "")), error.get("error_subcode")
    named = f"{code}/{subcode}"
    return named if subcode is not None and known.knows(named) is not None else code


def opened(
    settings: GraphSettings | None, raw_body: bytes, headers: Mapping[str, str], query: Mapping[str, str]
) -> tuple[dict[str, Any], str] | Callback | Refused:
    """The document of a callback that is signed and the name of its delivery; or what to answer at once.

    The signature holds no time: a delivery that comes again is known by its signature, which names its bytes.
    """
    if not raw_body:
        return _tried_out(settings, query)
    secret = None if settings is None else settings.app_secret
    if secret is None:
        return Refused("signature", "no app_secret is set")
    given = headers.get(SIGNATURE, "").encode("utf-8", "surrogatepass")
    expected = "sha256=" + hmac.new(secret.get_secret_value().encode(), raw_body, sha256).hexdigest()
    if not hmac.compare_digest(given, expected.encode()):
        return Refused("signature", f"{SIGNATURE} does not fit")
    try:
        found = json.loads(raw_body)
    except (ValueError, RecursionError):
        return Refused("malformed", "the body is not JSON")
    if not isinstance(found, dict):
        return Refused("malformed", "the body is not an object")
    return found, expected


def _tried_out(settings: GraphSettings | None, query: Mapping[str, str]) -> Callback | Refused:
    token = None if settings is None else settings.verify_token
    given = query.get("hub.verify_token", "").encode("utf-8", "surrogatepass")
    if (
        token is None
        or query.get("hub.mode") != "subscribe"
        or not hmac.compare_digest(given, token.get_secret_value().encode())
    ):
        return Refused("signature", "hub.verify_token is not the one that was set")
    return Callback(reply=query.get("hub.challenge", "").encode("utf-8", "replace"))
