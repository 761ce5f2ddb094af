"""Channels ready to send, one for each configuration in use."""

from __future__ import annotations

import asyncio
import json

from engine.authoring.bundle import Bundle, ChannelConfig
from engine.errors import PluginError
from engine.plugin.contracts import Channel
from engine.plugin.registry import Registry

_MOST_KEYS = 1000


class Outlets:
    """Configured channels, made when first needed and kept: bundles with equal settings share connections."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._open: dict[str, Channel] = {}
        self._keys: dict[tuple[str, str], str] = {}

    def open(self, bundle: Bundle, channel: str) -> Channel | None:
        """The channel as the bundle configures it; None when its plugin or its settings cannot be used."""
        config = bundle.channels.get(channel)
        if config is None:
            return None
        key = self._key(bundle, config)
        if key not in self._open:
            try:
                self._open[key] = self._registry.channel(config.plugin, config.settings)
            except PluginError:
                return None
        return self._open[key]

    def opened(self, bundle: Bundle, channel: str) -> Channel | None:
        """The channel, if it has been opened with these settings before; for callers in any thread."""
        config = bundle.channels.get(channel)
        return None if config is None else self._open.get(self._key(bundle, config))

    def _key(self, bundle: Bundle, config: ChannelConfig) -> str:
        """Two channels with the same key share connections; writing it anew takes longer than the rest."""
        name = (bundle.hash, config.id)
        if name not in self._keys:
            if len(self._keys) >= _MOST_KEYS:
                self._keys.clear()
            self._keys[name] = _identity(config)
        return self._keys[name]

    async def close(self) -> None:
        """Close every channel; one that fails or hangs keeps no other open."""
        channels, self._open = list(self._open.values()), {}
        async with asyncio.timeout(10):
            await asyncio.gather(*(channel.close() for channel in channels), return_exceptions=True)


def _identity(config: ChannelConfig) -> str:
    return json.dumps([config.plugin, config.settings], sort_keys=True, default=str)
