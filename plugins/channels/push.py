"""Push notifications to apps through Firebase Cloud Messaging (HTTP v1).

The address is the registration token of one installation of the app; one that the platform says is gone is
suppressed. It takes no idempotency key: a request that nobody answered is unknown. The key travels in the
notification's data, for an app that shows each once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, field_validator

from engine.plugin import (
    Accepted,
    Capabilities,
    Channel,
    Clock,
    Message,
    Preflight,
    Rejected,
    Retry,
    SendResult,
    SystemClock,
    hookimpl,
)
from plugins.channels.google_token import claim, exchanged, key_in
from plugins.channels.http.answers import Answered, NoAnswer, wait_of
from plugins.channels.http.asking import Line, LineSettings, by_status, json_bytes, object_in, without_answer
from plugins.channels.http.tokens import NoToken, Token, Tokens
from plugins.channels.platforms.taxonomy import taxonomy

PLATFORM = "fcm"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"


class PushSettings(LineSettings):
    """Which project, and the service account that may write for it."""

    project_id: str = Field(pattern=r"[a-z0-9\-]+")
    client_email: str = Field(min_length=1, description="Of the service account's file.")
    private_key: SecretStr = Field(description="Of the service account's file.")
    issuer_url: str = Field(
        default="https://oauth2.googleapis.com/token", description="Where tokens are given out."
    )
    base: str = Field(default="https://fcm.googleapis.com", description="Where the platform listens.")

    @field_validator("private_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr) -> SecretStr:
        key_in(value.get_secret_value())
        return value


class PushChannel:
    """Notifies one installation of an app per request."""

    name = "push"
    immediate = True
    nonblocking = True
    settings: type[BaseModel] = PushSettings
    capabilities = Capabilities(max_length=taxonomy(PLATFORM).limit("payload_bytes"), length_unit="bytes")

    def __init__(self, configuration: PushSettings | None = None, clock: Clock | None = None) -> None:
        self._configuration = configuration
        self.clock: Clock = clock or SystemClock()
        """Dates claims and tokens."""
        self._line = None if configuration is None else Line(configuration.base, configuration)
        self._tokens = None
        if configuration is not None:
            split = urlsplit(configuration.issuer_url)
            self._issuer = Line(f"{split.scheme}://{split.netloc}", configuration)
            self._key = key_in(configuration.private_key.get_secret_value())
            self._tokens = Tokens(self._fetch, self.clock)

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, PushSettings)
        return PushChannel(settings, self.clock)

    def preflight(self, message: Message) -> Preflight:
        if not message.to:
            return Preflight(False, "no_address")
        if not (message.subject or message.body):
            return Preflight(False, "empty")
        if len(json_bytes(_shown(message, ""))) > taxonomy(PLATFORM).limit("payload_bytes"):
            return Preflight(False, "too_long", "more than a notification may hold")
        return Preflight(True)

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        settings, tokens = self._configuration, self._tokens
        if settings is None or tokens is None:
            return Rejected("not_configured", "this channel was offered, not configured")
        said = self.preflight(message)
        if not said.ok:
            return Rejected(said.reason, said.detail)
        notification = {"message": {"token": message.to, **_shown(message, idempotency_key)}}
        try:
            token = await tokens.get()
            answered = await self._post(settings, notification, token)
            if answered.status == 401:
                # Refused before anything was done: once more, with a new one.
                tokens.spoil(token)
                answered = await self._post(settings, notification, await tokens.get())
        except NoToken as error:
            return Retry(settings.retry_after, error.code, of_provider=True)
        except NoAnswer as error:
            return without_answer(error, settings.retry_after)
        return self._result(answered, settings)

    async def close(self) -> None:
        if self._line is not None:
            await self._line.close()
            await self._issuer.close()

    async def _post(self, settings: PushSettings, notification: Mapping[str, Any], token: str) -> Answered:
        assert self._line is not None
        path = f"/v1/projects/{settings.project_id}/messages:send"
        return await self._line.post_json(path, notification, headers={"authorization": f"Bearer {token}"})

    def _result(self, answered: Answered, settings: PushSettings) -> SendResult:
        said, now = object_in(answered), self.clock.now()
        if 200 <= answered.status < 300:
            return Accepted(str(said["name"]) if said.get("name") else None)
        code = _code_in(said)
        if code is None or taxonomy(PLATFORM).knows(code) is None:
            return by_status(answered, settings.retry_after, now)
        asked = wait_of(answered.retry_after, now)
        return taxonomy(PLATFORM).refusal(code, retry_after=settings.retry_after, asked=asked)

    async def _fetch(self) -> Token:
        settings = self._configuration
        assert settings is not None
        assertion = claim(
            self._key,
            issuer=settings.client_email,
            scope=SCOPE,
            audience=settings.issuer_url,
            now=self.clock.now(),
        )
        return await exchanged(self._issuer, urlsplit(settings.issuer_url).path or "/", assertion)


def _shown(message: Message, key: str) -> dict[str, Any]:
    data = {"key": key, "content": message.content, "link": message.call_to_action}
    return {
        "notification": {"title": message.subject, "body": message.body},
        "data": {name: value for name, value in data.items() if value},
    }


def _code_in(said: Mapping[str, Any]) -> str | None:
    """The platform's own code, which says more than the status that goes with it."""
    error = said.get("error")
    if not isinstance(error, Mapping):
        return None
    details = error.get("details")
    for each in details if isinstance(details, list) else ():
        if isinstance(each, Mapping) and each.get("errorCode"):
            return str(each["errorCode"])
    # One that is about the request and not about the address carries no code of its own.
    return str(error["status"]) if error.get("status") else None


@hookimpl
def register_channels() -> Iterable[Channel]:
    return [PushChannel()]
