"""Checks what files say about plugins against the plugins of this installation."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, SecretBytes, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from engine.authoring.checking.calls import check_calls
from engine.authoring.checking.references import References
from engine.authoring.checking.writing import check_generators
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.actions import ActionEntry
from engine.authoring.models.channels import ChannelEntry, FromEnvironment
from engine.authoring.models.checks import CheckEntry
from engine.authoring.models.generators import GeneratorEntry
from engine.authoring.reading.validating import known_list, nearest
from engine.errors import Problem
from engine.plugin.configuring import SILENT
from engine.plugin.registry import Registry

_NOT_SAID = object()
"""Stands for a value that only the environment knows."""


def check_plugins(found: Definitions, registry: Registry) -> Iterator[Problem]:
    """Plugins that are not installed, and settings that they do not have, still need or refuse."""
    references = References(found)
    for channel in found.channels.values():
        name = channel.item.plugin
        yield from _installed(registry, channel, "plugin", name, "channel", registry.channels)
        if name in registry.channels:
            yield from _settings(channel, registry.channels[name].settings)
            queue = _said(channel.item.settings.get("queue"))
            if registry.channels[name].capabilities.by_hand and isinstance(queue, str):
                yield from references.check("queue", queue, channel, ("settings", "queue"))
    for action in found.actions.values():
        name = action.item.plugin
        yield from _installed(registry, action, "plugin", name, "action", registry.actions)
        if name in registry.actions:
            yield from _settings(action, registry.actions[name].settings)
    yield from check_calls(found, registry.actions)
    yield from check_generators(found, registry)
    for generator in found.generators.values():
        plugin = registry.generators.get(generator.item.plugin)
        yield from _installed(
            registry, generator, "plugin", generator.item.plugin, "generator", registry.generators
        )
        if (model := getattr(plugin, "settings", None)) is not None:
            yield from _settings(generator, model)
    yield from _brand(found, registry)
    for check in found.checks.values():
        name = check.item.plugin
        yield from _installed(registry, check, "plugin", name, "check", registry.checks)
        if check.item.plugin in registry.checks:
            yield from _check(check, registry.checks[check.item.plugin], found)
    yield from _languages(found, registry)


def _installed(
    registry: Registry, user: Defined[Any], key: str, name: str, noun: str, known: Collection[str]
) -> Iterator[Problem]:
    if name not in known:
        hint = nearest(name, known) or known_list(known)
        if broken := sorted({fault.plugin for fault in registry.faults}):
            hint += f"; broken and left out: {', '.join(broken)}, see `wayline plugins`"
        article = "an" if noun[0] in "aeiou" else "a"
        message = f"no installed plugin offers {article} {noun} '{name}'"
        yield user.problem("RS060", message, hint, at=(key,))


def _check(check: Defined[CheckEntry], plugin: object, found: Definitions) -> Iterator[Problem]:
    entry = check.item
    model = getattr(plugin, "settings", None)
    if model is not None:
        yield from _settings(check, model)
    elif entry.settings:
        message = f"the plugin '{entry.plugin}' takes no settings"
        yield check.problem("RS063", message, "remove them", at=("settings",))
    if getattr(plugin, "needs_lexicons", False) and not entry.lexicons:
        message = f"the plugin '{entry.plugin}' needs a word list; without one every message would be blocked"
        known = f"; {known_list(found.lexicons)}" if found.lexicons else ", and write one"
        yield check.problem("RS063", message, f"add 'lexicons: [...]'{known}", at=("plugin",))


def _languages(found: Definitions, registry: Registry) -> Iterator[Problem]:
    """Words of languages that a check does not tell apart: it could not be made ready, and would block."""
    for name, lexicon in found.lexicons.items():
        users = [check.item.plugin for check in found.checks.values() if name in check.item.lexicons]
        known = [getattr(registry.checks.get(user), "languages", None) for user in users]
        told_apart = {code for each in known if each is not None for code in each}
        if not told_apart:
            continue
        for number, entry in enumerate(lexicon.item.entries):
            for position, code in enumerate(entry.languages):
                if code not in told_apart:
                    message = f"'{code}' is none of the languages that are told apart"
                    at = ("entries", number, "languages", position)
                    yield lexicon.problem("RS006", message, known_list(told_apart, limit=60), at=at)


def _brand(found: Definitions, registry: Registry) -> Iterator[Problem]:
    """Checks that go by a brand book that is not there, and a brand book that no check goes by."""
    going = [
        check
        for check in found.checks.values()
        if getattr(registry.checks.get(check.item.plugin), "needs_brand", False)
    ]
    if found.brands and not going and found.is_complete("checks"):
        message = "no check goes by the brand book, so texts that do not keep to it are sent"
        hint = "add a check with the plugin brand: {id: brand, plugin: brand}"
        yield found.brands[0].problem("RW241", message, hint, at=("kind",))
    for check in going if not found.brands and found.is_complete("brand") else ():
        message = (
            f"the plugin '{check.item.plugin}' goes by a brand book; without one it blocks every message"
        )
        yield check.problem("RS063", message, "add a file of kind brand", at=("plugin",))


_WithSettings = Defined[ChannelEntry] | Defined[ActionEntry] | Defined[GeneratorEntry] | Defined[CheckEntry]


def _settings(user: _WithSettings, model: type[BaseModel]) -> Iterator[Problem]:
    entry = user.item
    known = {field.alias or name: field for name, field in model.model_fields.items()}
    meant = set()
    for name in entry.settings:
        if name not in known:
            hint = nearest(name, known)
            meant |= {each for each in known if f"'{each}'" in hint}
            message = f"the plugin '{entry.plugin}' has no setting '{name}'"
            yield user.problem("RS063", message, hint or known_list(known), at=("settings", name))
    for name, field in known.items():
        if field.is_required() and name not in entry.settings and name not in meant:
            hint = f"{name}: {field.description}" if field.description else f"add '{name}'"
            at = ("settings",) if entry.settings else ("plugin",)
            message = f"the plugin '{entry.plugin}' needs the setting '{name}'"
            yield user.problem("RS063", message, hint, at=at)
        elif name in entry.settings and _is_secret(field) and _said(entry.settings[name]) is not _NOT_SAID:
            message = f"'{name}' is a secret, and secrets do not stand in files"
            hint = "write {env: NAME}, without a default, and set that variable where Wayline runs"
            yield user.problem("RS065", message, hint, at=("settings", name))
    yield from _refused(user, model, known)


def _refused(
    user: _WithSettings, model: type[BaseModel], known: Mapping[str, FieldInfo]
) -> Iterator[Problem]:
    """Values that stand in the file, defaults included, and that the plugin's own model does not take."""
    entry = user.item
    values = {name: _said(value) for name, value in entry.settings.items() if name in known}
    said = {name: value for name, value in values.items() if value is not _NOT_SAID}
    try:
        model.model_validate(said)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_context=False):
            name = str(item["loc"][0]) if item["loc"] else ""
            if item["type"] == "missing" or (not name and len(said) < len(values)):
                continue
            told = str(item["msg"]).removeprefix("Value error, ").replace("Input should", "it should")
            if item["type"] not in SILENT and any(_is_secret(known[each]) for each in said):
                told = "its own check does not take it"  # whose words may quote a secret that stands here
            message = f"the plugin '{entry.plugin}' refuses this: {told[:1].lower()}{told[1:]}"
            at = ("settings", name) if name in entry.settings else ("settings",)
            described = known[name].description if name in known else None
            yield user.problem("RS063", message, f"{name}: {described}" if described else "", at=at)
    except Exception as error:  # noqa: BLE001 - a validator of a stranger may raise anything
        message = f"the settings of the plugin '{entry.plugin}' raised {type(error).__name__}"
        yield user.problem("RS063", message, "ask its author", at=("settings",))


def _said(value: Any) -> Any:
    """What the file itself says of a setting's value."""
    if not isinstance(value, FromEnvironment):
        return value
    return _NOT_SAID if value.default is None else value.default


def _is_secret(field: FieldInfo) -> bool:
    kinds = {field.annotation, *get_args(field.annotation)}
    return not kinds.isdisjoint({SecretStr, SecretBytes})
