"""Checks who writes contents: plugins that work alone, and those that are configured to ask somebody else."""

from __future__ import annotations

from collections.abc import Iterator

from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.contents import ContentEntry
from engine.authoring.reading.validating import known_list, nearest
from engine.errors import Problem
from engine.plugin.contracts import Generator
from engine.plugin.registry import Registry


def check_generators(found: Definitions, registry: Registry) -> Iterator[Problem]:
    """Generators that nobody offers or that cannot be used as they are, and instructions nobody reads."""
    alone = {name for name, plugin in registry.generators.items() if not asks_others(plugin)}
    for name, generator in found.generators.items():
        plugin = registry.generators.get(generator.item.plugin)
        if name in alone:
            message = f"'{name}' is the name of a generator that works alone"
            yield generator.problem("RS043", message, "give it another id", at=("id",))
        if plugin is not None and not asks_others(plugin):
            message = f"the plugin '{generator.item.plugin}' works alone and takes no settings"
            hint = f"remove this, and write 'generator: {generator.item.plugin}' in the contents"
            yield generator.problem("RS063", message, hint, at=("plugin",))
    for content in found.contents.values():
        yield from _of_content(content, found, registry, alone)


def asks_others(plugin: Generator) -> bool:
    """Whether it has to be configured, since it asks somebody else for texts."""
    return getattr(plugin, "settings", None) is not None


def _of_content(
    content: Defined[ContentEntry], found: Definitions, registry: Registry, alone: set[str]
) -> Iterator[Problem]:
    name, writing = content.item.generator, content.item.writing
    if name in found.generators:
        plugin = registry.generators.get(found.generators[name].item.plugin)
        if writing is None and getattr(plugin, "needs_instructions", False):
            message = f"'{name}' is not told what to write, so there would never be a text of it"
            yield content.problem("RS063", message, "add 'writing: {instructions: …}'", at=("generator",))
    elif name in registry.generators and name not in alone:
        message = f"the plugin '{name}' asks somebody else, and nothing says whom"
        hint = "configure it in a file of kind generators, and name its id there"
        yield content.problem("RS063", message, hint, at=("generator",))
    elif name not in alone:
        if not found.is_complete("generators"):
            return
        known = {*alone, *found.generators}
        hint = nearest(name, known) or known_list(known)
        if broken := sorted({fault.plugin for fault in registry.faults}):
            hint += f"; broken and left out: {', '.join(broken)}, see `wayline plugins`"
        yield content.problem(
            "RS060", f"no installed plugin offers a generator '{name}'", hint, at=("generator",)
        )
    elif writing is not None:
        message = f"'{name}' works alone and reads no instructions"
        yield content.problem("RS063", message, "remove 'writing'", at=("writing",))
