"""Channels ready to send, one for each configuration in use."""

from __future__ import annotations

import asyncio
import json

from engine.authoring.bundle import Bundle, ChannelConfig
from engine.errors import PluginError
from engine.plugin.contracts import Channel
from engine.plugin.registry import Registry


class Outlets:
    """Configured channels, made when first needed and kept: bundles with equal settings share connections."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._open: dict[str, Channel] = {}

    def open(self, bundle: Bundle, channel: str) -> Channel | None:
        """The channel as the bundle configures it; None when its plugin or its settings cannot be used."""
        config = bundle.channels.get(channel)
        if config is None:
            return None
        key = _identity(config)
        if key not in self._open:
            try:
                self._open[key] = self._registry.channel(config.plugin, config.settings)
            except PluginError:
                return None
        return self._open[key]

    async def close(self) -> None:
        """Close every channel; one that fails or hangs keeps no other open."""
        channels, self._open = list(self._open.values()), {}
        async with asyncio.timeout(10):
            await asyncio.gather(*(channel.close() for channel in channels), return_exceptions=True)


def _identity(config: ChannelConfig) -> str:
    return json.dumps([config.plugin, config.settings], sort_keys=True, default=str)
