"""What Messenger and Instagram share: texts to a person who wrote to a page, and what people write back.

Both take texts only within 24 hours of the person's last message, a window that the gate keeps, and take no
idempotency key: a request that nobody answered is unknown.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from engine.plugin import (
    Accepted,
    Callback,
    Channel,
    Clock,
    Inbound,
    Message,
    Preference,
    Preflight,
    Receipt,
    Refused,
    Rejected,
    SendResult,
    SystemClock,
    Told,
)
from plugins.channels.meta.graph import Graph, GraphSettings, opened
from plugins.channels.platforms.taxonomy import taxonomy
from plugins.channels.robots.robot import text_of

_WANTED = {"STOP_NOTIFICATIONS": False, "RESUME_NOTIFICATIONS": True}
"""What `optin.notification_messages_status` of `messaging_optins` says where somebody has changed it."""


class ConversationSettings(GraphSettings):
    """Which page or account writes."""

    account_id: str = Field(pattern=r"[0-9]+", description="The platform's id of our page or account.")


class Conversations(ABC):
    """Writes to people who wrote to one page or account."""

    platform: ClassVar[str]
    """Whose taxonomy it answers by."""
    document: ClassVar[str]
    """What callbacks for it say they are about."""

    def __init__(self, configuration: ConversationSettings | None, clock: Clock | None) -> None:
        self._configuration = configuration
        self._graph = None if configuration is None else Graph(configuration, taxonomy(self.platform))
        self.clock: Clock = clock or SystemClock()

    @abstractmethod
    def configured(self, settings: BaseModel) -> Channel: ...

    def length_of(self, text: str) -> int:
        """How long a text is, as the platform counts."""
        return len(text)

    def preflight(self, message: Message) -> Preflight:
        if not message.to:
            return Preflight(False, "no_address")
        length = self.length_of(text_of(message))
        if not 0 < length <= taxonomy(self.platform).limit("text_length"):
            return Preflight(False, "too_long" if length else "empty")
        return Preflight(True)

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        settings, graph = self._configuration, self._graph
        if settings is None or graph is None:
            return Rejected("not_configured", "this channel was offered, not configured")
        said = self.preflight(message)
        if not said.ok:
            return Rejected(said.reason, said.detail)
        told = await graph.post(
            settings.account_id,
            {
                "recipient": {"id": message.to},
                "messaging_type": "RESPONSE",
                "message": {"text": text_of(message)},
            },
            self.clock.now(),
        )
        if not isinstance(told, dict):
            return told
        return Accepted(str(told["message_id"]) if told.get("message_id") else None)

    def parse_callback(
        self, raw_body: bytes, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> Callback | Refused:
        found = opened(self._configuration, raw_body, headers, query)
        if not isinstance(found, tuple):
            return found
        document, name = found
        assert self._configuration is not None
        if document.get("object") != self.document:
            return Callback(id=name)
        try:
            return Callback(tuple(_told(document, self._configuration.account_id)), id=name)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            return Refused("malformed", f"not as documented: {type(error).__name__}")

    async def close(self) -> None:
        if self._graph is not None:
            await self._graph.close()


def _told(document: Mapping[str, Any], account_id: str) -> Iterator[Told]:
    for entry in document.get("entry", ()):
        for event in entry.get("messaging", ()):
            at = datetime.fromtimestamp(int(event["timestamp"]) / 1000, UTC)
            if event["sender"]["id"] == account_id:
                continue  # an echo of what we, or somebody at the page, wrote
            if "message" in event and not event["message"].get("is_echo"):
                yield _inbound(event, event["message"], at)
            elif "postback" in event:
                pressed = event["postback"]
                name = str(pressed.get("mid") or f"{event['sender']['id']}:{event['timestamp']}")
                yield Inbound(
                    str(event["sender"]["id"]),
                    str(pressed.get("title") or ""),
                    at,
                    name,
                    properties={"kind": "postback"},
                )
            elif (preference := _preference(event, at)) is not None:
                yield preference
            for mid in (event.get("delivery") or {}).get("mids") or ():
                yield Receipt("delivered", at, str(mid))
            # Messenger says up to when a person has read and names no message; Instagram names one.
            if mid := (event.get("read") or {}).get("mid"):
                yield Receipt("read", at, str(mid))


def _preference(event: Mapping[str, Any], at: datetime) -> Preference | None:
    """That a person stopped marketing messages of the page, or resumed them; None for any other opt-in."""
    said = str((event.get("optin") or {}).get("notification_messages_status") or "")
    wanted = _WANTED.get(said.upper().replace(" ", "_"))
    if wanted is None:
        return None
    whom = str(event["sender"]["id"])
    return Preference(whom, wanted, at, f"{whom}:{said}:{event['timestamp']}", said)


def _inbound(event: Mapping[str, Any], message: Mapping[str, Any], at: datetime) -> Inbound:
    return Inbound(
        str(event["sender"]["id"]),
        str(message.get("text") or ""),
        at,
        str(message["mid"]),
        str((message.get("reply_to") or {}).get("mid") or ""),
        {"kind": "text" if message.get("text") else "attachment"},
    )
