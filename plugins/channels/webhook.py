"""Messages as signed HTTP requests, after the Standard Webhooks specification, and what is told back so.

The idempotency key travels as `webhook-id`. A receiver must answer a repeated id without a second effect:
2xx, or 409, which counts as accepted. That is what makes it safe to try again whenever the answer is missing.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from engine.plugin import (
    Accepted,
    Callback,
    Capabilities,
    Channel,
    Clock,
    Duration,
    Message,
    Preflight,
    Refused,
    Rejected,
    Retry,
    SendResult,
    SystemClock,
    hookimpl,
)
from plugins.channels.http.addresses import LONGEST_TIMEOUT, checked_address
from plugins.channels.http.answers import Answered, NoAnswer, wait_of
from plugins.channels.standard_webhooks import refusal, signature_headers, signing_key
from plugins.channels.telling import NotReadable, read_told

if TYPE_CHECKING:
    from plugins.channels.http.posting import Connections

TRY_AGAIN = frozenset({408, 425, 429})
SAFE_KEY = re.compile(r"[!-~]{1,200}")


def _can_sign(value: SecretStr | None) -> SecretStr | None:
    if value is not None and not signing_key(value.get_secret_value()):
        raise ValueError("the signing secret is empty, or not base64 after whsec_")
    return value


class PostSettings(BaseModel):
    """Where signed requests are posted to, and what they are signed with."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = Field(description="The receiver, http:// or https://.")
    secret: SecretStr = Field(description="Signing secret: whsec_ and base64, or any text.")
    timeout: Duration = Field(
        default=timedelta(seconds=15),
        gt=timedelta(0),
        le=LONGEST_TIMEOUT,
        description="For the whole request and its answer.",
    )
    retry_after: Duration = Field(
        default=timedelta(minutes=1), description="When to come back where the receiver does not say."
    )
    connections: int = Field(default=10, ge=1, le=1000)
    proxy: str | None = Field(default=None, description="HTTP proxy; the environment's is not used.")

    @field_validator("url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        return checked_address(value, may_ask=True)

    @field_validator("proxy")
    @classmethod
    def _can_be_asked(cls, value: str | None) -> str | None:
        return None if value is None else checked_address(value)

    _secret_signs = field_validator("secret")(_can_sign)


class WebhookSettings(PostSettings):
    """Where a webhook channel posts to, and what either side signs with."""

    callback_secret: SecretStr | None = Field(
        default=None, description="What the receiver signs callbacks with; left out: the signing secret."
    )

    _callbacks_sign = field_validator("callback_secret")(_can_sign)


class WebhookChannel:
    """Posts one signed request per message over kept connections."""

    name = "webhook"
    immediate = True
    nonblocking = True
    settings: type[BaseModel] = WebhookSettings
    capabilities = Capabilities(idempotency_key=True, receipts=True, inbound=True)

    def __init__(self, configuration: WebhookSettings | None = None, clock: Clock | None = None) -> None:
        self._configuration = configuration
        self.clock: Clock = clock or SystemClock()
        """Gives the signature's time, against which receivers refuse old requests."""
        self._connections: Connections | None = None

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, WebhookSettings)
        return WebhookChannel(settings, self.clock)

    def preflight(self, message: Message) -> Preflight:
        return Preflight(True) if message.to else Preflight(False, "no_address")

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        settings = self._configuration
        if settings is None:
            return Rejected("not_configured", "this channel was offered, not configured")
        if not message.to:
            return Rejected("no_address", permanent_address=True)
        now = self.clock.now()
        body = _body_of(message, now)
        headers = signature_headers(settings.secret.get_secret_value(), id_of(idempotency_key), now, body)
        try:
            async with asyncio.timeout(settings.timeout.total_seconds()):
                answered = await self._post(settings, body, headers)
        except TimeoutError:
            return Retry(settings.retry_after, "timeout")
        except NoAnswer as error:
            # Perhaps it arrived; the id makes a second delivery harmless.
            return Retry(settings.retry_after, error.kind)
        return self._result(settings, answered, now)

    def parse_callback(
        self, raw_body: bytes, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> Callback | Refused:
        settings = self._configuration
        if settings is None:
            return Refused("signature", "this channel was offered, not configured")
        secret = (settings.callback_secret or settings.secret).get_secret_value()
        refused = refusal(secret, headers, raw_body, self.clock.now())
        if refused is not None:
            return refused
        try:
            return Callback(read_told(raw_body), id=headers["webhook-id"])
        except NotReadable as error:
            return Refused("malformed", str(error))

    async def close(self) -> None:
        connections, self._connections = self._connections, None
        if connections is not None and connections.loop is asyncio.get_running_loop():
            await connections.close()

    async def _post(self, settings: WebhookSettings, body: bytes, headers: dict[str, str]) -> Answered:
        # Connections belong to the loop that opened them.
        if self._connections is None or self._connections.loop is not asyncio.get_running_loop():
            from plugins.channels.http.posting import Connections

            self._connections = Connections(settings.url, settings.proxy, settings.connections)
        return await self._connections.post(body, headers)

    @staticmethod
    def _result(settings: WebhookSettings, answered: Answered, now: datetime) -> SendResult:
        status = answered.status
        if 200 <= status < 300 or status == 409:
            return Accepted()
        if status in TRY_AGAIN or status >= 500:
            asked = wait_of(answered.retry_after, now)
            return Retry(asked or settings.retry_after, str(status), of_provider=asked is not None)
        return Rejected(str(status), f"the receiver answered {status}")


def id_of(key: str) -> str:
    """The key itself where a header can carry it, else its hash."""
    return key if SAFE_KEY.fullmatch(key) else sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _body_of(message: Message, now: datetime) -> bytes:
    data = {
        "to": message.to,
        "subject": message.subject,
        "body": message.body,
        "call_to_action": message.call_to_action,
        "contact_id": message.contact_id,
        "purpose": message.purpose,
        "is_marketing": message.is_marketing,
        "content": message.content,
        "locale": message.locale,
        "unsubscribe_url": message.unsubscribe_url,
        "headers": dict(message.headers),
    }
    stamped = now.astimezone(UTC).isoformat().replace("+00:00", "Z")
    # ASCII with \u escapes: valid JSON whatever the text holds, half surrogates included.
    return json.dumps({"type": "message.send", "timestamp": stamped, "data": data}).encode("ascii")


@hookimpl
def register_channels() -> Iterable[Channel]:
    return [WebhookChannel()]
