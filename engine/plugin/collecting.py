"""Asks every plugin once for what it offers; what one does wrong is noted, and nothing of it is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from itertools import islice
from typing import Any

import pluggy

from engine.plugin.declaring import fault_of_event_kind, fault_of_fact, fault_of_metric
from engine.plugin.finding import Fault, Origin, ask, find_installed, imported
from engine.plugin.hookspecs import PROJECT, Hooks
from engine.plugin.shapes import fault_of_action, fault_of_channel, fault_of_check, fault_of_generator

MOST_OFFERS = 1000
"""Of one kind by one plugin; a generator function that never ends must not fill the memory."""
KINDS: Mapping[str, tuple[str, Callable[[object], str]]] = {
    "channel": ("register_channels", fault_of_channel),
    "generator": ("register_generators", fault_of_generator),
    "check": ("register_checks", fault_of_check),
    "action": ("register_actions", fault_of_action),
    "fact": ("register_facts", fault_of_fact),
    "event type": ("register_event_types", fault_of_event_kind),
    "metric": ("register_metrics", fault_of_metric),
}
"""What there is to offer -> the hook that offers it, and what is wrong with an offer."""


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Hooks)
    return manager


@dataclass
class Collecting:
    """One pass over all plugins."""

    patience: timedelta
    manager: pluggy.PluginManager = field(default_factory=_manager)
    plugins: list[Origin] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    notes: list[Fault] = field(default_factory=list)

    def take_installed(self, disabled: Iterable[str]) -> None:
        """Import and register what is installed."""
        for origin, point in find_installed(disabled, self.faults):
            if point is None:
                self.plugins.append(origin)
                continue
            answer = imported(origin, point, self.patience)
            self._note_printing(origin.name, answer.printed)
            if answer.failure:
                self.plugins.append(origin)
                self._fault("PL001", origin.name, answer.failure)
            else:
                self.take(answer.value, origin)

    def take(self, plugin: object, origin: Origin) -> None:
        """Register a plugin under its name."""
        if self.manager.is_registered(plugin):
            return
        self.plugins.append(origin)

        def register() -> None:
            try:
                self.manager.register(plugin, name=origin.name)
            except pluggy.PluginValidationError as error:
                self._fault("PL004", origin.name, f"plugin {origin}: {_first_line(error)}")
                # Registered in part it would be half in use.
                with suppress(ValueError, AssertionError):
                    self.manager.unregister(name=origin.name)
            except ValueError as error:
                text = f"plugin {origin} cannot be registered: {_first_line(error)}"
                self._fault("PL002", origin.name, text)

        # pluggy looks at every attribute, and a property of a stranger's may do anything.
        answer = ask(register, self.patience)
        if answer.failure:
            self._fault("PL001", origin.name, f"plugin {origin} cannot be registered: it {answer.failure}")

    def check_hooks(self) -> None:
        """A misspelt hook, or none at all, is a fault: it would be accepted and never called."""
        known = [hook for hook, _ in KINDS.values()]
        try:
            self.manager.check_pending()
        except pluggy.PluginValidationError:
            for name, plugin in self.manager.list_name_plugin():
                for caller in self.manager.get_hookcallers(plugin) or ():
                    if caller.name not in known:
                        text = f"plugin {self._origin(name)} implements the unknown hook {caller.name!r}"
                        self._fault("PL004", name, f"{text}{did_you_mean(caller.name, known)}")
        accused = {fault.plugin for fault in self.faults}
        for name, plugin in self.manager.list_name_plugin():
            if plugin is not None and name not in accused and not self.manager.get_hookcallers(plugin):
                text = f"plugin {self._origin(name)} offers nothing: mark one of {', '.join(known)} with"
                self._fault("PL005", name, f"{text} @hookimpl")

    def collected(self, kind: str, hook: str, fault_of: Callable[[object], str]) -> dict[str, Any]:
        """What the plugins offer of one kind, by name; of a name that is offered twice, nothing."""
        found: dict[str, list[tuple[str, Any]]] = {}
        for implementation in getattr(self.manager.hook, hook).get_hookimpls():
            plugin = implementation.plugin_name
            for name, offer in self._offered(plugin, kind, hook, implementation.function, fault_of):
                found.setdefault(name, []).append((plugin, offer))
        offers: dict[str, Any] = {}
        for name, given in found.items():
            if len(given) == 1:
                self.owners[f"{kind}:{name}"], offers[name] = given[0]
                continue
            # Which one came first must not decide through what people are reached.
            by = " and ".join(str(self._origin(plugin)) for plugin in sorted({each for each, _ in given}))
            twice = "twice by the plugin" if len({each for each, _ in given}) == 1 else "by two plugins:"
            text = f"{kind} {name!r} is offered {twice} {by}; none of them is used, disable one"
            for plugin in sorted({each for each, _ in given}):
                self._fault("PL002", plugin, text)
        return offers

    def _offered(
        self,
        plugin: str,
        kind: str,
        hook: str,
        function: Callable[[], Any],
        fault_of: Callable[[object], str],
    ) -> list[tuple[str, Any]]:
        def look() -> list[tuple[str, object, str]] | str:
            returned = function()
            if not isinstance(returned, Iterable):
                return type(returned).__name__
            told = [(each, fault_of(each)) for each in islice(returned, MOST_OFFERS)]
            return [("" if fault else str(getattr(each, "name", "")), each, fault) for each, fault in told]

        whose = f"plugin {self._origin(plugin)}"
        answer = ask(look, self.patience)
        self._note_printing(plugin, answer.printed)
        if answer.failure:
            self._fault("PL001", plugin, f"{whose}: {hook} {answer.failure}")
            return []
        if isinstance(answer.value, str):
            self._fault("PL003", plugin, f"{whose}: {hook} returned {answer.value}, not a list of {kind}s")
            return []
        for position, (_, _, fault) in enumerate(answer.value):
            if fault:
                self._fault("PL003", plugin, f"{whose}: {hook} returned at position {position}: {fault}")
        return [(name, offer) for name, offer, fault in answer.value if not fault]

    def _note_printing(self, plugin: str, printed: int) -> None:
        if printed:
            text = (
                f"plugin {self._origin(plugin)} printed {printed} characters while it was loaded; they were"
            )
            self.notes.append(Fault("PL008", plugin, f"{text} dropped, use the module logging"))

    def _fault(self, code: str, plugin: str, message: str) -> None:
        fault = Fault(code, plugin, message)
        if fault not in self.faults:
            self.faults.append(fault)

    def _origin(self, name: str) -> Origin:
        return next((origin for origin in self.plugins if origin.name == name), Origin(name))


def name_of(manager: pluggy.PluginManager, plugin: object) -> str:
    """What a plugin that was given directly is called: as its module or class, with a number if need be."""
    stem = str(getattr(plugin, "__name__", type(plugin).__name__))
    name, count = stem, 1
    while manager.has_plugin(name):
        count += 1
        name = f"{stem}#{count}"
    return name


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a sentence about an unknown name: the nearest one, or all there are."""
    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are {', '.join(names)}" if names else "; there are none"


def _first_line(error: Exception) -> str:
    text = " ".join(part.strip() for part in str(error).splitlines() if part.strip())
    return text or type(error).__name__
