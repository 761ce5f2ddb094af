"""Checks what files say about plugins against the plugins of this installation."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.messages import ChannelEntry
from engine.authoring.validating import known_list, nearest
from engine.errors import Problem
from engine.plugin.registry import Registry


def check_plugins(found: Definitions, registry: Registry) -> Iterator[Problem]:
    """Plugins that are not installed, and settings that they do not have or still need."""
    for channel in found.channels.values():
        yield from _installed(channel, "plugin", channel.item.plugin, "channel", registry.channels)
        if channel.item.plugin in registry.channels:
            yield from _settings(channel, registry)
    for content in found.contents.values():
        yield from _installed(content, "generator", content.item.generator, "generator", registry.generators)
    for check in found.checks.values():
        yield from _installed(check, "plugin", check.item.plugin, "check", registry.checks)


def _installed(
    user: Defined[Any], key: str, name: str, noun: str, known: Collection[str]
) -> Iterator[Problem]:
    if name not in known:
        hint = nearest(name, known) or known_list(known)
        yield user.problem("RS060", f"no installed plugin offers a {noun} '{name}'", hint, at=(key,))


def _settings(channel: Defined[ChannelEntry], registry: Registry) -> Iterator[Problem]:
    entry = channel.item
    fields = registry.channels[entry.plugin].settings.model_fields
    known = {field.alias or name: field for name, field in fields.items()}
    for name in entry.settings:
        if name not in known:
            hint = nearest(name, known) or known_list(known)
            message = f"the plugin '{entry.plugin}' has no setting '{name}'"
            yield channel.problem("RS063", message, hint, at=("settings", name))
    for name, field in known.items():
        if field.is_required() and name not in entry.settings:
            hint = f"{name}: {field.description}" if field.description else f"add '{name}'"
            at = ("settings",) if entry.settings else ("plugin",)
            message = f"the plugin '{entry.plugin}' needs the setting '{name}'"
            yield channel.problem("RS063", message, hint, at=at)
