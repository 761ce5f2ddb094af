"""The channels of a simulation: they take every message and tell nobody."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache

from pydantic import BaseModel

from engine.authoring.bundle import Bundle
from engine.delivery.content import ContentPipeline, Made
from engine.gate.judging import Way
from engine.gate.model import Answer, Intent
from engine.gate.state import View
from engine.plugin.calling import call_preflight
from engine.plugin.contracts import (
    Accepted,
    Capabilities,
    Channel,
    Message,
    Preflight,
    Rejected,
    SendResult,
)
from engine.plugin.registry import Registry

_ASKING = timedelta(seconds=2)
_CAN_GO = Preflight(True)
_TAKEN = Accepted()


def ask_at_once(channel: Channel, message: Message, _timeout: timedelta) -> Preflight:
    """The silent channel answers at once, so nobody needs to watch over it."""
    return channel.preflight(message)


async def send_at_once(channel: Channel, message: Message, key: str, _timeout: timedelta) -> SendResult:
    """It takes no time to take a message either."""
    return await channel.send(message, key)


class EveryText(ContentPipeline):
    """Takes every text as it stands in the ruleset: for simulations of journeys, not of texts."""

    def make(self, intent: Intent, view: View, way: Way, live: Bundle, pinned: Bundle) -> Made | Answer:
        if intent.content not in live.contents:
            return super().make(intent, view, way, live, pinned)
        message = Message(way.address, body="", contact_id=intent.contact_id, content=intent.content)
        return Made(message, _hash_of_content(intent.content))


@lru_cache(maxsize=4096)
def _hash_of_content(content: str) -> str:
    """Stands for the hash of a text that is not made."""
    return hashlib.sha256(content.encode()).hexdigest()


class _Settings(BaseModel):
    """Nothing to set."""


class _SilentChannel:
    """Accepts everything and tells nobody."""

    name = "silent"
    settings: type[BaseModel] = _Settings
    capabilities = Capabilities()

    def __init__(self) -> None:
        self.taken: dict[str, Message] = {}
        """By idempotency key, until it is counted as sent."""
        self.refused: Mapping[str, str] = {}
        """By idempotency key: what it refuses, and with which code."""

    def configured(self, settings: BaseModel) -> Channel:
        return self

    def preflight(self, message: Message) -> Preflight:
        return _CAN_GO

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        code = self.refused.get(idempotency_key)
        if code is not None:
            return Rejected(code)
        self.taken[idempotency_key] = message
        return _TAKEN

    async def close(self) -> None:
        return None


class _WritesFirst(_SilentChannel):
    """Stands for a channel some of whose messages leave outside of its windows, as approved templates do."""

    def __init__(self, silent: _SilentChannel, real: Channel | None) -> None:
        super().__init__()
        self._silent = silent
        self._real = real

    def preflight(self, message: Message) -> Preflight:
        if self._real is None or not message.body:
            # Whoever writes to people unasked has their texts approved; who cannot tell believes it.
            return Preflight(True, within=())
        said = call_preflight(self._real, message, _ASKING)
        return Preflight(True, within=said.within if said.ok else ())

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        return await self._silent.send(message, idempotency_key)


class SilentOutlets:
    """Every channel of a simulation: no provider is called, whatever the ruleset configures."""

    def __init__(self, registry: Registry | None) -> None:
        self.channel = _SilentChannel()
        self._registry = registry

    def open(self, bundle: Bundle, channel: str) -> Channel | None:
        config, said = bundle.channels.get(channel), bundle.windows.get(channel)
        if config is None or said is None or not said.writes_first:
            return self.channel if config is not None else None
        real = None
        if self._registry is not None:
            real = self._registry.channel_to_ask(config.plugin, config.settings)
        return _WritesFirst(self.channel, real)
