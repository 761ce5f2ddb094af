"""Notifies browsers (Web Push, RFC 8030): the address is a browser's subscription, as JSON.

The service worker of the page shows what it decrypts. A push service takes no idempotency key: a request
that nobody answered is unknown. With `replace: message` a repetition takes the place of a message that the
browser has not fetched yet, and the key travels in the payload, for a page that shows each once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any, Literal

from pydantic import BaseModel, Field, SecretStr, field_validator

from engine.plugin import (
    Accepted,
    Capabilities,
    Channel,
    Clock,
    Duration,
    Message,
    Preflight,
    Rejected,
    Retry,
    SendResult,
    SystemClock,
    hookimpl,
)
from plugins.channels.http.answers import Answered, NoAnswer, wait_of
from plugins.channels.http.asking import Line, LineSettings, by_status, json_bytes, without_answer
from plugins.channels.platforms.taxonomy import taxonomy
from plugins.channels.web_push.encryption import OVERHEAD, encoded, encrypted
from plugins.channels.web_push.subscription import (
    HOSTS,
    Allowed,
    NotUsable,
    Subscription,
    hosts_in,
    subscription_in,
)
from plugins.channels.web_push.vapid import Vapid, key_in

PLATFORM = "web_push"
MOST_LINES = 64
"""Push services to which connections are kept; Edge alone has dozens of hosts."""
_LONGEST_KEY = 200
"""Characters of an idempotency key that are counted as part of the payload before it is known."""


class WebPushSettings(LineSettings):
    """Who writes, to which push services, and how long and how urgently they are to try."""

    private_key: SecretStr = Field(description="The VAPID key: 32 bytes in base64 for URLs, or a PEM.")
    contact: str = Field(
        pattern=r"(mailto:[^@\s]+@[^@\s]+|https://\S+)",
        description="Where push services reach you when something is wrong: mailto: or https:.",
    )
    ttl: Duration = Field(
        default=timedelta(days=1),
        ge=timedelta(0),
        le=timedelta(days=28),
        description="How long a push service keeps a message for a browser that is closed.",
    )
    urgency: Literal["very-low", "low", "normal", "high"] = "normal"
    replace: Literal["message", "content", "never"] = Field(
        default="message",
        description="What a message takes the place of while the browser has not fetched it: its own"
        " repetition, any earlier one of the same content, or nothing.",
    )
    hosts: str = Field(
        default=HOSTS, description="Push services that may be written to, separated by commas."
    )
    anywhere: bool = Field(
        default=False, description="Plain HTTP, ports and addresses of numbers too; for tests only."
    )

    @field_validator("private_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr) -> SecretStr:
        key_in(value.get_secret_value())
        return value

    @field_validator("hosts")
    @classmethod
    def _are_hosts(cls, value: str) -> str:
        hosts_in(value)
        return value


@dataclass
class _Used:
    """The connections to one push service, and how many messages are under way there."""

    line: Line
    times: int = 0


class WebPushChannel:
    """Notifies one browser per request."""

    name = "web_push"
    immediate = True
    nonblocking = True
    settings: type[BaseModel] = WebPushSettings
    capabilities = Capabilities(
        max_length=taxonomy(PLATFORM).limit("payload_bytes") - OVERHEAD, length_unit="bytes"
    )

    def __init__(self, configuration: WebPushSettings | None = None, clock: Clock | None = None) -> None:
        self._configuration = configuration
        self.clock: Clock = clock or SystemClock()
        """Dates signatures."""
        self._lines: dict[str, _Used] = {}
        self._allowed = Allowed(hosts_in(HOSTS))
        self._vapid = None
        if configuration is not None:
            key = key_in(configuration.private_key.get_secret_value())
            self._vapid = Vapid(key, configuration.contact, self.clock)
            self._allowed = Allowed(hosts_in(configuration.hosts), configuration.anywhere)

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, WebPushSettings)
        return WebPushChannel(settings, self.clock)

    def preflight(self, message: Message) -> Preflight:
        if not message.to:
            return Preflight(False, "no_address")
        if not (message.subject or message.body):
            return Preflight(False, "empty")
        try:
            subscription_in(message.to, self._allowed)
        except NotUsable as error:
            return Preflight(False, error.reason, error.detail)
        size = len(json_bytes(_shown(message, "k" * _LONGEST_KEY))) + OVERHEAD
        if size > taxonomy(PLATFORM).limit("payload_bytes"):
            return Preflight(False, "too_long", "more than push services take")
        return Preflight(True)

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        settings, vapid = self._configuration, self._vapid
        if settings is None or vapid is None:
            return Rejected("not_configured", "this channel was offered, not configured")
        said = self.preflight(message)
        if not said.ok:
            return Rejected(said.reason, said.detail)
        to = subscription_in(message.to, self._allowed)
        plain = json_bytes(_shown(message, idempotency_key[:_LONGEST_KEY]))
        headers = {
            "authorization": vapid.authorization(to.origin),
            "content-encoding": "aes128gcm",
            "content-type": "application/octet-stream",
            "ttl": str(int(settings.ttl.total_seconds())),
            "urgency": settings.urgency,
            **_topic(settings, message, idempotency_key),
        }
        body = encrypted(plain, to.key, to.auth)
        async with self._line(to, settings) as line:
            try:
                answered = await line.ask("POST", to.path, body=body, headers=headers)
            except NoAnswer as error:
                return without_answer(error, settings.retry_after)
        return self._result(answered, settings)

    async def close(self) -> None:
        lines, self._lines = self._lines, {}
        for each in lines.values():
            await each.line.close()

    @asynccontextmanager
    async def _line(self, to: Subscription, settings: WebPushSettings) -> AsyncIterator[Line]:
        """The connections to the subscription's push service; whom nobody uses makes room for another."""
        used = self._lines.pop(to.origin, None) or _Used(Line(to.origin, settings))
        self._lines[to.origin] = used  # the one used last is the last one
        used.times += 1
        try:
            yield used.line
        finally:
            used.times -= 1
            idle = [origin for origin, each in self._lines.items() if not each.times]
            for origin in idle[: max(0, len(self._lines) - MOST_LINES)]:
                await self._lines.pop(origin).line.close()

    def _result(self, answered: Answered, settings: WebPushSettings) -> SendResult:
        if 200 <= answered.status < 300:
            return Accepted()
        now, code = self.clock.now(), str(answered.status)
        asked = wait_of(answered.retry_after, now)
        if taxonomy(PLATFORM).knows(code) is not None:
            return taxonomy(PLATFORM).refusal(code, retry_after=settings.retry_after, asked=asked)
        if 300 <= answered.status < 400:
            return Rejected(code, "the push service sends elsewhere, where nobody said that it may")
        result = by_status(answered, settings.retry_after, now)
        # One push service speaks of itself; those of other browsers are not the same provider.
        return Retry(result.after, result.code) if isinstance(result, Retry) else result


def _shown(message: Message, key: str) -> dict[str, Any]:
    """What the page's service worker reads."""
    shown = {
        "title": message.subject,
        "body": message.body,
        "link": message.call_to_action,
        "content": message.content,
        "locale": message.locale,
        "key": key,
    }
    return {name: value for name, value in shown.items() if value}


def _topic(settings: WebPushSettings, message: Message, key: str) -> dict[str, str]:
    if settings.replace == "never":
        return {}
    named = key if settings.replace == "message" else message.content
    # 32 characters at most, and none that says anything to the push service.
    return {"topic": encoded(sha256(named.encode("utf-8", "surrogatepass")).digest())[:32]}


@hookimpl
def register_channels() -> Iterable[Channel]:
    return [WebPushChannel()]
