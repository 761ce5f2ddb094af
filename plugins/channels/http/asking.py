"""Asks platforms over HTTP: kept connections, one time-out for a whole request, and plain answers.

Nothing is repeated here. Whether a request may be made again is for the channel to say: most platforms take
no idempotency key, and a request that was sent and not answered may have reached somebody.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field, field_validator

from engine.plugin import Duration, Rejected, Retry, Unknown
from plugins.channels.http.addresses import LONGEST_TIMEOUT, checked_address
from plugins.channels.http.answers import LONGEST_ANSWER, Answered, NoAnswer, wait_of

if TYPE_CHECKING:
    from plugins.channels.http.posting import Connections

TOO_MANY = 429


class LineSettings(BaseModel):
    """How a platform is asked, whichever it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    timeout: Duration = Field(
        default=timedelta(seconds=10),
        gt=timedelta(0),
        le=LONGEST_TIMEOUT,
        description="For one request and its answer.",
    )
    retry_after: Duration = Field(
        default=timedelta(minutes=1), description="When to come back where the platform does not say."
    )
    connections: int = Field(default=10, ge=1, le=1000)
    proxy: str | None = Field(default=None, description="HTTP proxy; the environment's is not used.")

    # Where a platform is asked says each of its own.
    @field_validator("base", "issuer_url", "proxy", check_fields=False)
    @classmethod
    def _can_be_asked(cls, value: str | None) -> str | None:
        return None if value is None else checked_address(value)


class Line:
    """The connections to one platform; opened when first needed, closed once."""

    def __init__(self, base: str, settings: LineSettings, *, longest_answer: int = LONGEST_ANSWER) -> None:
        self._base = base.rstrip("/")
        self._longest_answer = longest_answer
        self._settings = settings
        self._connections: Connections | None = None
        self._places = asyncio.Semaphore(settings.connections)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        """What came back; NoAnswer when nothing did, in time."""
        asked = f"{self._base}{path}"
        if query:
            asked = f"{asked}?{urlencode(query)}"
        connections = self._opened()
        deadline = connections.loop.time() + self._settings.timeout.total_seconds()
        try:
            async with asyncio.timeout_at(deadline):
                await self._places.acquire()
        except TimeoutError:
            raise NoAnswer("busy", was_sent=False) from None
        try:
            async with asyncio.timeout_at(deadline):
                return await connections.ask(method, asked, body, dict(headers or {}))
        except TimeoutError:
            raise NoAnswer("timeout", was_sent=True) from None
        finally:
            self._places.release()

    async def post_json(
        self,
        path: str,
        data: Mapping[str, Any],
        *,
        query: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        """`ask` with a JSON object."""
        told = {"content-type": "application/json; charset=utf-8", **(headers or {})}
        return await self.ask("POST", path, query=query, body=json_bytes(data), headers=told)

    async def close(self) -> None:
        connections, self._connections = self._connections, None
        if connections is not None and connections.loop is asyncio.get_running_loop():
            await connections.close()

    def _opened(self) -> Connections:
        # Connections belong to the loop that opened them.
        if self._connections is None or self._connections.loop is not asyncio.get_running_loop():
            # Only here: whoever lints loads every plugin, and an HTTP client is large.
            from plugins.channels.http.posting import Connections

            self._connections = Connections(
                self._base, self._settings.proxy, self._settings.connections, self._longest_answer
            )
            # A place of our own first: who found none in time has sent nothing.
            self._places = asyncio.Semaphore(self._settings.connections)
        return self._connections


def json_bytes(data: Mapping[str, Any]) -> bytes:
    """JSON in UTF-8, as platforms show it; half surrogates, which are no characters, as escapes."""
    try:
        return json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(data).encode("ascii")


def object_in(answered: Answered) -> dict[str, Any]:
    """The JSON object of an answer; an empty one when it is anything else."""
    try:
        found = json.loads(answered.body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def without_answer(error: NoAnswer, retry_after: timedelta) -> Retry | Unknown:
    """What a channel whose platform takes no key answers when nothing came back."""
    return Unknown(error.kind) if error.was_sent else Retry(retry_after, error.kind)


def by_status(answered: Answered, retry_after: timedelta, now: datetime) -> Retry | Rejected | Unknown:
    """What a channel answers to a status that stands alone, without a code of the platform's own.

    429 is said of everything. Whether a server that fails has sent the message nobody can tell, unless it
    says itself when to come again.
    """
    asked = wait_of(answered.retry_after, now)
    code = str(answered.status)
    if answered.status == TOO_MANY or (answered.status == 503 and asked is not None):
        return Retry(asked or retry_after, code, of_provider=True)
    if answered.status >= 500:
        return Unknown(f"the platform answered {code}")
    return Rejected(code, f"the platform answered {code}")
