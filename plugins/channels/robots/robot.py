"""Robots of group chats: one request per message to the robot's own address, mentioning whom it is for.

What they share; how each signs, and what its bodies look like, stands with each. None takes an idempotency
key, so a request that was sent and not answered is unknown.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar

from engine.plugin import Accepted, Clock, Message, Preflight, Rejected, SendResult, SystemClock
from plugins.channels.http.answers import Answered, NoAnswer, wait_of
from plugins.channels.http.asking import Line, LineSettings, by_status, json_bytes, object_in, without_answer
from plugins.channels.platforms.taxonomy import Taxonomy, taxonomy

EVERYBODY = "@all"
"""The address of a whole group; any other names one of its members, as the platform does."""


@dataclass(frozen=True)
class Post:
    """What is posted to a robot."""

    path: str
    data: Mapping[str, Any]
    query: Mapping[str, str] = field(default_factory=dict)


class Robot(ABC):
    """Sends through one robot; the parts that differ are for each platform's channel."""

    platform: ClassVar[str]
    """Whose taxonomy it answers by."""

    def __init__(self, base: str, settings: LineSettings | None, clock: Clock | None) -> None:
        self._line = None if settings is None else Line(base, settings)
        self._line_settings = settings
        self.clock: Clock = clock or SystemClock()
        """Gives the signature's time, against which platforms refuse old requests."""

    @property
    def facts(self) -> Taxonomy:
        """What is written down of the platform."""
        return taxonomy(self.platform)

    @abstractmethod
    def post_of(self, message: Message, now: datetime) -> Post:
        """The request that says the message."""

    @abstractmethod
    def code_of(self, said: Mapping[str, Any]) -> str | None:
        """The platform's code in its answer, "0" for success; None when there is none."""

    def length_of(self, message: Message) -> int:
        """How long it is, as the platform counts."""
        return len(text_of(message).encode("utf-8", "surrogatepass"))

    def preflight(self, message: Message) -> Preflight:
        if not message.to:
            return Preflight(False, "no_address")
        if not text_of(message).strip():
            return Preflight(False, "empty", "the platform takes no empty messages")
        most = self.facts.limit("text_bytes")
        if self.length_of(message) > most:
            return Preflight(False, "too_long", f"more than {most} bytes")
        return Preflight(True)

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        line, settings = self._line, self._line_settings
        if line is None or settings is None:
            return Rejected("not_configured", "this channel was offered, not configured")
        said = self.preflight(message)
        if not said.ok:
            return Rejected(said.reason, said.detail)
        now = self.clock.now()
        post = self.post_of(message, now)
        try:
            answered = await line.post_json(post.path, post.data, query=post.query)
        except NoAnswer as error:
            return without_answer(error, settings.retry_after)
        return self._result(answered, settings, now)

    async def close(self) -> None:
        if self._line is not None:
            await self._line.close()

    def _result(self, answered: Answered, settings: LineSettings, now: datetime) -> SendResult:
        code = self.code_of(object_in(answered))
        asked = self.wait_of(answered, now)
        if code == "0" and 200 <= answered.status < 300:
            return Accepted()
        if code is None or code == "0":
            return by_status(answered, asked or settings.retry_after, now)
        refused = self.facts.refusal(code, retry_after=settings.retry_after, asked=asked)
        if self.facts.knows(code) is None and isinstance(refused, Rejected) and answered.status != 200:
            return by_status(answered, asked or settings.retry_after, now)
        return refused

    def wait_of(self, answered: Answered, now: datetime) -> timedelta | None:
        """What the platform said of when to come back; None when nothing."""
        return wait_of(answered.retry_after, now)


def text_of(message: Message) -> str:
    """All that a reader sees, in one text."""
    return "\n".join(part for part in (message.subject, message.body, message.call_to_action) if part)


def size_of(data: Mapping[str, Any]) -> int:
    """Bytes of the request's body."""
    return len(json_bytes(data))
