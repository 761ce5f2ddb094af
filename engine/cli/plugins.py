"""`wayline plugins`: what this installation can send through, write with, check by and call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import typer
from pydantic.fields import FieldInfo

from engine.cli.output import Format, FormatOption, print_json, shown
from engine.plugin.registry import Registry, load_registry
from engine.rules.duration import format_duration

PARTS = ("settings", "values", "results")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="plugins")(plugins)


def plugins(output: FormatOption = Format.TEXT) -> None:
    """List the channels, generators, checks and actions that rulesets may name, with their settings.

    Of actions also what steps tell them and what they answer.

    Example: wayline plugins
    """
    offers = list(_offers(load_registry()))
    if output is Format.JSON:
        print_json([_as_data(*each) for each in offers])
        return
    for kind, name, plugin, offer in offers:
        typer.echo(f"{kind} {name}, from the plugin {plugin}")
        for part in PARTS if kind == "action" else PARTS[:1]:
            model = getattr(offer, part, None)
            for setting, field in model.model_fields.items() if model is not None else ():
                of = "" if part == "settings" else f"{part}."
                typer.echo(f"  {of + (field.alias or setting):<16}{_described(field)}".rstrip())


def _as_data(kind: str, name: str, plugin: str, offer: Any) -> dict[str, Any]:
    models = {part: getattr(offer, part, None) for part in (PARTS if kind == "action" else PARTS[:1])}
    schemas = {part: each.model_json_schema() if each is not None else None for part, each in models.items()}
    return {"kind": kind, "name": name, "plugin": plugin, **schemas}


def _offers(registry: Registry) -> Iterator[tuple[str, str, str, Any]]:
    """Kind, name, plugin and the thing itself, of everything on offer."""
    kinds: Mapping[str, Mapping[str, Any]] = {
        "channel": registry.channels,
        "generator": registry.generators,
        "check": registry.checks,
        "action": registry.actions,
    }
    for kind, offers in kinds.items():
        for name, offer in sorted(offers.items()):
            yield kind, name, registry.owners[f"{kind}:{name}"], offer


def _described(field: FieldInfo) -> str:
    told = field.description or ""
    if field.is_required():
        return f"{told} (needed)".strip()
    default = field.get_default(call_default_factory=True)
    if default is None:
        return told
    usual = format_duration(default) if isinstance(default, timedelta) else shown(default)
    return f"{told} ({usual})".strip()
