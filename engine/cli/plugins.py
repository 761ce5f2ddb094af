"""`wayline plugins`: what this installation can send through, write with and check by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from engine.cli.output import Format, FormatOption, print_json, shown
from engine.plugin.registry import Registry, load_registry
from engine.rules.duration import format_duration


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="plugins")(plugins)


def plugins(output: FormatOption = Format.TEXT) -> None:
    """List the channels, generators and checks that rulesets may name, with their settings.

    Example: wayline plugins
    """
    offers = list(_offers(load_registry()))
    if output is Format.JSON:
        print_json(
            [
                {
                    "kind": kind,
                    "name": name,
                    "plugin": plugin,
                    "settings": model.model_json_schema() if model is not None else None,
                }
                for kind, name, plugin, model in offers
            ]
        )
        return
    for kind, name, plugin, model in offers:
        typer.echo(f"{kind} {name}, from the plugin {plugin}")
        for setting, field in model.model_fields.items() if model is not None else ():
            typer.echo(f"  {field.alias or setting:<16}{_described(field)}".rstrip())


def _offers(registry: Registry) -> Iterator[tuple[str, str, str, type[BaseModel] | None]]:
    """Kind, name, plugin and settings model of everything on offer."""
    kinds: Mapping[str, Mapping[str, Any]] = {
        "channel": registry.channels,
        "generator": registry.generators,
        "check": registry.checks,
    }
    for kind, offers in kinds.items():
        for name, offer in sorted(offers.items()):
            yield kind, name, registry.owners[f"{kind}:{name}"], getattr(offer, "settings", None)


def _described(field: FieldInfo) -> str:
    told = field.description or ""
    if field.is_required():
        return f"{told} (needed)".strip()
    default = field.get_default(call_default_factory=True)
    if default is None:
        return told
    usual = format_duration(default) if isinstance(default, timedelta) else shown(default)
    return f"{told} ({usual})".strip()
