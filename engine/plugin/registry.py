"""Holds what the plugins offer and hands it out configured; what was broken is left out and named."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar

from engine.errors import PluginError
from engine.gate.windows import ChannelWindows
from engine.masking import keep_secret
from engine.plugin.actions import Action
from engine.plugin.apart import set_apart
from engine.plugin.collecting import KINDS, Collecting, did_you_mean, name_of
from engine.plugin.configuring import validated, with_stand_ins
from engine.plugin.contracts import Channel, Check, Generator
from engine.plugin.declaring import ContactFact, EventKind, Metric
from engine.plugin.finding import LOADING, Fault, Origin
from engine.plugin.knowing import Knowing
from engine.plugin.secrecy import secrets_of
from engine.plugin.shapes import fault_of_action, fault_of_channel, fault_of_generator

CLOSING_SECONDS = 5.0

Offer = TypeVar("Offer", Channel, Action)


class Registry:
    """What the plugins of this installation offer, by name."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        generators: Mapping[str, Generator],
        checks: Mapping[str, Check],
        *,
        actions: Mapping[str, Action] | None = None,
        facts: Mapping[str, ContactFact] | None = None,
        event_types: Mapping[str, EventKind] | None = None,
        metrics: Mapping[str, Metric] | None = None,
        owners: Mapping[str, str],
        environ: Mapping[str, str],
        plugins: Sequence[Origin] = (),
        faults: Sequence[Fault] = (),
        notes: Sequence[Fault] = (),
    ) -> None:
        self.channels = MappingProxyType(dict(channels))
        """Unconfigured; `channel` gives one that can send."""
        self.generators = MappingProxyType(dict(generators))
        self.checks = MappingProxyType(dict(checks))
        self.actions = MappingProxyType(dict(actions or {}))
        """Unconfigured; `action` gives one that can do its work."""
        self.facts = MappingProxyType(dict(facts or {}))
        self.event_types = MappingProxyType(dict(event_types or {}))
        self.metrics = MappingProxyType(dict(metrics or {}))
        self.knowing = Knowing(lambda: self.facts, lambda: self.metrics)
        """Asks for the facts and the metrics."""
        self.owners = MappingProxyType(dict(owners))
        """`channel:email` -> the plugin that offers it."""
        self.plugins = tuple(plugins)
        """Every plugin that was found, disabled and broken ones included."""
        self.faults = tuple(faults)
        """What was left out and why. What needs it says no with a reason, as if it were not installed."""
        self.notes = tuple(notes)
        """What their authors should mend though it works."""
        self._environ = environ
        self._configured: list[Channel | Action] = []
        self._generators: list[Generator] = []
        self._to_ask: dict[tuple[str, str], Channel | None] = {}

    def channel(self, plugin: str, settings: Mapping[str, Any]) -> Channel:
        """A channel that can send, with these settings; every call gives a new one, so keep it.

        `{"env": NAME}` or `{"env": NAME, "default": value}` stands for a value from the environment.
        PluginError names the plugin and the setting at fault, never a value.
        """
        return self._configure("channel", plugin, self.channels, settings, fault_of_channel)

    def action(self, plugin: str, settings: Mapping[str, Any]) -> Action:
        """An action that can do its work, with these settings; everything else as with `channel`."""
        return self._configure("action", plugin, self.actions, settings, fault_of_action)

    def generator(self, plugin: str, settings: Mapping[str, Any]) -> Generator:
        """A generator that asks somebody else, with these settings; everything else as with `channel`.

        PluginError also for one that works alone, and has nothing to be set.
        """
        offered = self.generators.get(plugin)
        if offered is not None and getattr(offered, "settings", None) is None:
            raise PluginError(f"PL007 generator {plugin!r} works alone and takes no settings")
        configured: Generator = self._bound(
            "generator", plugin, self.generators, settings, fault_of_generator
        )
        self._generators.append(configured)
        return configured

    def _configure(
        self,
        kind: str,
        plugin: str,
        offers: Mapping[str, Offer],
        settings: Mapping[str, Any],
        fault_of: Callable[[object], str],
    ) -> Offer:
        configured: Offer = set_apart(self._bound(kind, plugin, offers, settings, fault_of))
        self._configured.append(configured)
        return configured

    def _bound(
        self,
        kind: str,
        plugin: str,
        offers: Mapping[str, Any],
        settings: Mapping[str, Any],
        fault_of: Callable[[object], str],
    ) -> Any:
        offered = offers.get(plugin)
        if offered is None:
            article = "an" if kind[0] in "aeiou" else "a"
            hint = did_you_mean(plugin, offers)
            raise PluginError(f"PL006 no plugin offers {article} {kind} {plugin!r}{hint}{self._broken()}")
        model = validated(plugin, offered.settings, settings, self._environ)
        for secret in secrets_of(model):
            # A library of the plugin's may log what it sends.
            keep_secret(secret)
        try:
            configured = offered.configured(model)
        except Exception as error:  # noqa: BLE001 - a plugin's failure must name the plugin, whatever it was
            # Only the type: the text of a foreign exception may hold a secret from the settings.
            raise PluginError(
                f"PL007 {kind} {plugin!r} could not be configured: {type(error).__name__}"
            ) from None
        fault = fault_of(configured)
        if fault:
            raise PluginError(f"PL003 {kind} {plugin!r}: configured() returned something unusable: {fault}")
        return configured

    def channel_to_ask(self, plugin: str, settings: Mapping[str, Any]) -> Channel | None:
        """A channel for preflights alone, the same for the same settings; None where there is none.

        It is asked about messages and given none, so something may stand for what only the environment of
        production knows. Where that will not do, as for keys that are read, there is none either.
        """
        key = plugin, json.dumps(settings, sort_keys=True, default=str)
        if key not in self._to_ask:
            self._to_ask[key] = self._to_be_asked(plugin, settings)
        return self._to_ask[key]

    def _to_be_asked(self, plugin: str, settings: Mapping[str, Any]) -> Channel | None:
        offered = self.channels.get(plugin)
        if offered is None:
            return None
        try:
            return offered.configured(validated(plugin, offered.settings, with_stand_ins(settings), {}))
        except Exception:  # noqa: BLE001 - whatever is wrong with it, nobody can be asked
            return None

    @cached_property
    def windows(self) -> Mapping[str, ChannelWindows]:
        """What channels' plugins, by name, say of their windows; without those that have none."""
        return MappingProxyType(
            {
                name: ChannelWindows(offer.capabilities.windows, offer.capabilities.writes_first)
                for name, offer in self.channels.items()
                if offer.capabilities.windows
            }
        )

    def refuse_faults(self) -> None:
        """PluginError with everything that was left out, for whoever wants all of it or nothing."""
        if self.faults:
            raise PluginError("\n".join(map(str, self.faults)))

    def _broken(self) -> str:
        names = sorted({fault.plugin for fault in self.faults})
        return f"; broken and left out: {', '.join(map(repr, names))}, see `wayline plugins`" if names else ""

    async def close(self) -> None:
        """Close everything this registry configured; what fails or hangs keeps nothing else open."""
        configured, self._configured = self._configured, []
        generators, self._generators = self._generators, []

        async def close_one(each: Channel | Action) -> None:
            async with asyncio.timeout(CLOSING_SECONDS):
                await each.close()

        async def let_go(each: Generator) -> None:
            if callable(close := getattr(each, "close", None)):
                async with asyncio.timeout(CLOSING_SECONDS):
                    await asyncio.to_thread(close)

        await asyncio.gather(*map(close_one, configured), *map(let_go, generators), return_exceptions=True)


def load_registry(
    *,
    entry_points: bool = True,
    extra: Sequence[object] = (),
    disabled: Iterable[str] = (),
    environ: Mapping[str, str] | None = None,
    patience: timedelta = LOADING,
) -> Registry:
    """Load every plugin once and collect what they offer.

    `extra` are plugins given directly (modules or objects); `disabled` names entry points that are not even
    imported. What a plugin does wrong is left out and stands in the registry's `faults`; nothing is raised.
    """
    loading = Collecting(patience)
    if entry_points:
        loading.take_installed(disabled)
    for plugin in extra:
        loading.take(plugin, Origin(name_of(loading.manager, plugin)))
    loading.check_hooks()
    offers = {kind: loading.collected(kind, *how) for kind, how in KINDS.items()}
    return Registry(
        offers["channel"],
        offers["generator"],
        offers["check"],
        actions=offers["action"],
        facts=offers["fact"],
        event_types=offers["event type"],
        metrics=offers["metric"],
        owners=loading.owners,
        environ=os.environ if environ is None else environ,
        plugins=sorted(loading.plugins, key=lambda origin: origin.name),
        faults=loading.faults,
        notes=loading.notes,
    )
