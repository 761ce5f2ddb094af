"""Finds plugins, refuses broken ones by name, and hands out what they offer, configured."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib.metadata import entry_points as installed_entry_points
from types import MappingProxyType
from typing import Any, TypeVar

import pluggy
from pydantic import BaseModel

from engine.errors import PluginError
from engine.plugin.actions import Action
from engine.plugin.configuring import validated
from engine.plugin.contracts import Capabilities, Channel, Check, Generator
from engine.plugin.hookspecs import PROJECT, Hooks

GROUP = "wayline.plugins"
NAME = re.compile(r"[a-z][a-z0-9_]*")
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
        owners: Mapping[str, str],
        environ: Mapping[str, str],
    ) -> None:
        self.channels = MappingProxyType(dict(channels))
        """Unconfigured; `channel` gives one that can send."""
        self.generators = MappingProxyType(dict(generators))
        self.checks = MappingProxyType(dict(checks))
        self.actions = MappingProxyType(dict(actions or {}))
        """Unconfigured; `action` gives one that can do its work."""
        self.owners = MappingProxyType(dict(owners))
        """`channel:email` -> the plugin that offers it."""
        self._environ = environ
        self._configured: list[Channel | Action] = []

    def channel(self, plugin: str, settings: Mapping[str, Any]) -> Channel:
        """A channel that can send, with these settings; every call gives a new one, so keep it.

        `{"env": NAME}` or `{"env": NAME, "default": value}` stands for a value from the environment.
        PluginError names the plugin and the setting at fault, never a value.
        """
        return self._configure("channel", plugin, self.channels, settings, fault_of_channel)

    def action(self, plugin: str, settings: Mapping[str, Any]) -> Action:
        """An action that can do its work, with these settings; everything else as with `channel`."""
        return self._configure("action", plugin, self.actions, settings, fault_of_action)

    def _configure(
        self,
        kind: str,
        plugin: str,
        offers: Mapping[str, Offer],
        settings: Mapping[str, Any],
        fault_of: Callable[[object], str],
    ) -> Offer:
        offered = offers.get(plugin)
        if offered is None:
            article = "an" if kind[0] in "aeiou" else "a"
            raise PluginError(f"PL006 no plugin offers {article} {kind} {plugin!r}{_known(plugin, offers)}")
        model = validated(plugin, offered.settings, settings, self._environ)
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
        self._configured.append(configured)
        return configured

    async def close(self) -> None:
        """Close everything this registry configured; what fails or hangs keeps nothing else open."""
        configured, self._configured = self._configured, []

        async def close_one(each: Channel | Action) -> None:
            async with asyncio.timeout(CLOSING_SECONDS):
                await each.close()

        await asyncio.gather(*map(close_one, configured), return_exceptions=True)


def load_registry(
    *,
    entry_points: bool = True,
    extra: Sequence[object] = (),
    disabled: Iterable[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Registry:
    """Load every plugin once and collect what they offer.

    `extra` are plugins given directly (modules or objects); `disabled` names entry points that are not even
    imported, the way out when an installed plugin is broken. PluginError lists every fault of every plugin.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    faults: list[str] = []
    if entry_points:
        _load_installed(manager, frozenset(disabled), faults)
    for plugin in extra:
        if not manager.is_registered(plugin):
            _register(manager, plugin, _name_of(manager, plugin), faults)
    _check_hooks(manager, faults)

    owners: dict[str, str] = {}
    channels = _collect(manager, "channel", "register_channels", fault_of_channel, owners, faults)
    generators = _collect(manager, "generator", "register_generators", fault_of_generator, owners, faults)
    checks = _collect(manager, "check", "register_checks", fault_of_check, owners, faults)
    actions = _collect(manager, "action", "register_actions", fault_of_action, owners, faults)
    if faults:
        raise PluginError("\n".join(faults))
    return Registry(
        channels,
        generators,
        checks,
        actions=actions,
        owners=owners,
        environ=os.environ if environ is None else environ,
    )


def _load_installed(manager: pluggy.PluginManager, disabled: frozenset[str], faults: list[str]) -> None:
    where: dict[str, str] = {}
    for point in sorted(installed_entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        if point.name in disabled:
            continue
        if point.name in where:
            if where[point.name] != point.value:
                faults.append(
                    f"PL002 two installed plugins are called {point.name!r}: {where[point.name]} and"
                    f" {point.value}; disable it or uninstall one of them"
                )
            continue
        where[point.name] = point.value
        try:
            plugin = point.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001
            # Importing a stranger's module can raise anything; it must be named, not take the process down.
            faults.append(
                f"PL001 plugin {point.name!r} ({point.value}) cannot be imported:"
                f" {type(error).__name__}: {error}; repair it, or disable {point.name!r}"
            )
            continue
        _register(manager, plugin, point.name, faults)


def _register(manager: pluggy.PluginManager, plugin: object, name: str, faults: list[str]) -> None:
    try:
        manager.register(plugin, name=name)
    except pluggy.PluginValidationError as error:
        faults.append(f"PL004 plugin {name!r}: {_first_line(error)}")
    except ValueError as error:
        faults.append(f"PL002 plugin {name!r} cannot be registered: {_first_line(error)}")


def _check_hooks(manager: pluggy.PluginManager, faults: list[str]) -> None:
    """A misspelt hook, or none at all, is a fault: it would be accepted and never called."""
    known = [name for name in vars(Hooks) if name.startswith("register_")]
    named: set[str] = set()
    try:
        manager.check_pending()
    except pluggy.PluginValidationError:
        for name, plugin in manager.list_name_plugin():
            for caller in manager.get_hookcallers(plugin) or ():
                if caller.name not in known:
                    named.add(name)
                    faults.append(
                        f"PL004 plugin {name!r} implements the unknown hook {caller.name!r}"
                        f"{_known(caller.name, known)}"
                    )
    for name, plugin in manager.list_name_plugin():
        if plugin is not None and name not in named and not manager.get_hookcallers(plugin):
            faults.append(
                f"PL005 plugin {name!r} offers nothing: mark one of {', '.join(known)} with @hookimpl"
            )


def _collect(
    manager: pluggy.PluginManager,
    kind: str,
    hook: str,
    fault_of: Callable[[object], str],
    owners: dict[str, str],
    faults: list[str],
) -> dict[str, Any]:
    offers: dict[str, Any] = {}
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        plugin = implementation.plugin_name
        try:
            returned = implementation.function()
            offered = list(returned) if isinstance(returned, Iterable) else None
        except (Exception, SystemExit) as error:  # noqa: BLE001 - contained for the same reason as an import
            faults.append(f"PL001 plugin {plugin!r}: {hook} failed: {type(error).__name__}: {error}")
            continue
        if offered is None:
            faults.append(
                f"PL003 plugin {plugin!r}: {hook} returned {type(returned).__name__}, not a list of {kind}s"
            )
            continue
        for position, offer in enumerate(offered):
            fault = fault_of(offer)
            if fault:
                faults.append(f"PL003 plugin {plugin!r}: {hook} returned at position {position}: {fault}")
            elif offer.name in offers:
                faults.append(
                    f"PL002 {kind} {offer.name!r} is offered by two plugins:"
                    f" {owners[f'{kind}:{offer.name}']!r} and {plugin!r}; disable one of them"
                )
            else:
                offers[offer.name] = offer
                owners[f"{kind}:{offer.name}"] = plugin
    return offers


def fault_of_channel(offer: object) -> str:
    if isinstance(offer, type) or not isinstance(offer, Channel):
        return _not_a(offer, "Channel", Channel)
    model, capabilities = _looked_up(offer, "settings"), _looked_up(offer, "capabilities")
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return f"channel {offer.name!r}: settings must be a pydantic model class"
    if not isinstance(capabilities, Capabilities):
        return f"channel {offer.name!r}: capabilities must be a Capabilities"
    for method in ("send", "close"):
        if not inspect.iscoroutinefunction(getattr(offer, method)):
            return f"channel {offer.name!r}: {method} must be `async def`"
    return _fault_of_name(offer.name)


def fault_of_action(offer: object) -> str:
    if isinstance(offer, type) or not isinstance(offer, Action):
        return _not_a(offer, "Action", Action)
    for name in ("settings", "values", "results"):
        model = _looked_up(offer, name)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return f"action {offer.name!r}: {name} must be a pydantic model class"
    if not isinstance(_looked_up(offer, "idempotent"), bool):
        return f"action {offer.name!r}: idempotent must be True or False"
    for method in ("run", "close"):
        if not inspect.iscoroutinefunction(getattr(offer, method)):
            return f"action {offer.name!r}: {method} must be `async def`"
    return _fault_of_name(offer.name)


def fault_of_generator(offer: object) -> str:
    if isinstance(offer, type) or not isinstance(offer, Generator):
        return _not_a(offer, "Generator", Generator)
    return _fault_of_name(offer.name)


def fault_of_check(offer: object) -> str:
    if isinstance(offer, type) or not isinstance(offer, Check):
        return _not_a(offer, "Check", Check)
    return _fault_of_name(offer.name)


def _looked_up(offer: object, name: str) -> object:
    """An attribute whose declared type a stranger may not have kept."""
    return getattr(offer, name)


def _fault_of_name(name: object) -> str:
    if isinstance(name, str) and NAME.fullmatch(name):
        return ""
    return f"the name {name!r} is not lower_snake text such as 'my_channel'"


def _not_a(offer: object, what: str, protocol: type) -> str:
    if isinstance(offer, type):
        return f"{offer.__name__} is a class; return an instance of it"
    wanted = {*getattr(protocol, "__annotations__", ()), *vars(protocol)}
    missing = sorted(name for name in wanted if not name.startswith("_") and not hasattr(offer, name))
    return f"{type(offer).__name__} is not a {what}; it lacks {', '.join(missing)}"


def _name_of(manager: pluggy.PluginManager, plugin: object) -> str:
    stem = str(getattr(plugin, "__name__", type(plugin).__name__))
    name, count = stem, 1
    while manager.has_plugin(name):
        count += 1
        name = f"{stem}#{count}"
    return name


def _known(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are {', '.join(names)}" if names else "; there are none"


def _first_line(error: Exception) -> str:
    text = " ".join(part.strip() for part in str(error).splitlines() if part.strip())
    return text or type(error).__name__
