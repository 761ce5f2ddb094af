"""A channel for Wayline: push notifications through an ntfy server, one topic for each contact."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta

import httpx
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, SecretStr

from engine.plugin import (
    Accepted,
    Capabilities,
    Channel,
    Duration,
    Message,
    Preflight,
    Rejected,
    Retry,
    SendResult,
    Unknown,
    hookimpl,
)

TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
LONGEST = 4096
"""Bytes of a message; ntfy makes an attachment of a longer one."""
NO_SUCH_TOPIC = (40009, 40010)


class NtfySettings(BaseModel):
    """What a ruleset says under `settings`."""

    model_config = ConfigDict(extra="forbid")

    server: HttpUrl = Field(description="The ntfy server.")
    token: SecretStr | None = Field(default=None, description="Access token, if the server asks for one.")
    priority: int = Field(default=3, ge=1, le=5, description="From 1, silent, to 5.")
    timeout: Duration = Field(default=timedelta(seconds=10), description="For the whole request.")
    retry_after: Duration = Field(default=timedelta(minutes=1), description="Pause where ntfy names none.")


class NtfyChannel:
    name = "ntfy"
    settings: type[BaseModel] = NtfySettings
    capabilities = Capabilities(max_length=LONGEST, length_unit="bytes")
    immediate = True
    nonblocking = True

    def __init__(self, settings: NtfySettings | None = None) -> None:
        self._settings = settings
        self._client: httpx.AsyncClient | None = None

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, NtfySettings)
        return NtfyChannel(settings)

    def preflight(self, message: Message) -> Preflight:
        if not message.to:
            return Preflight(False, "no_address")
        if not TOPIC.fullmatch(message.to):
            return Preflight(False, "address_invalid", "a topic is 1 to 64 letters, digits, - and _")
        if len(message.body.encode("utf-8", "replace")) > LONGEST:
            return Preflight(False, "too_long", f"more than {LONGEST} bytes")
        return Preflight(True)

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        settings = self._settings
        if settings is None:
            return Rejected("not_configured")
        if not self.preflight(message).ok:
            return Rejected(self.preflight(message).reason)
        told = {"topic": message.to, "message": message.body, "priority": settings.priority}
        if message.subject:
            told["title"] = " ".join(message.subject.split())
        if message.call_to_action.startswith(("https://", "http://")):
            told["click"] = message.call_to_action
        try:
            answer = await self._http(settings).post(str(settings.server), json=told)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            return Retry(settings.retry_after, "unreachable")
        except httpx.HTTPError as error:
            return Unknown(type(error).__name__)
        except UnicodeEncodeError:
            return Rejected("not_text")
        return self._read(answer, settings)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _http(self, settings: NtfySettings) -> httpx.AsyncClient:
        # Made at the first message: a client belongs to the event loop that uses it.
        if self._client is None:
            token = settings.token.get_secret_value() if settings.token is not None else ""
            self._client = httpx.AsyncClient(
                headers={"Authorization": f"Bearer {token}"} if token else {},
                timeout=settings.timeout.total_seconds(),
                trust_env=False,
            )
        return self._client

    def _read(self, answer: httpx.Response, settings: NtfySettings) -> SendResult:
        try:
            said = answer.json()
        except ValueError:
            said = {}
        said = said if isinstance(said, dict) else {}
        if answer.is_success:
            provider_id = said.get("id")
            return Accepted(provider_id if isinstance(provider_id, str) else None)
        code = said.get("code") if isinstance(said.get("code"), int) else answer.status_code
        if answer.status_code == 429:
            return Retry(settings.retry_after, f"ntfy_{code}", of_provider=True)
        if answer.is_server_error:
            # It may have gone out before the server failed, and ntfy takes no key to ask again with.
            return Unknown(f"ntfy_{code}")
        return Rejected(f"ntfy_{code}", permanent_address=code in NO_SUCH_TOPIC)


@hookimpl
def register_channels() -> Iterable[Channel]:
    return [NtfyChannel()]
