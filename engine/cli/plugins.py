"""`wayline plugins`: what this installation can send through, write with, check by and call; `plugin new`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo

from engine.cli.output import Format, FormatOption, print_json, shown
from engine.clock import SystemClock
from engine.errors import CommandError, WaylineError
from engine.plugin.contracts import Channel, Window
from engine.plugin.describing import MODELS, describe, offers_of
from engine.plugin.registry import Registry, load_registry
from engine.plugin.scaffolding import PluginKind, start_plugin
from engine.rules.duration import format_duration
from engine.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(name="plugins")(plugins)
    group = typer.Typer(help="Plugins of your own.", no_args_is_help=True)
    group.command(name="new")(new)
    app.add_typer(group, name="plugin")


def new(
    kind: Annotated[PluginKind, typer.Argument(help="What it is.")],
    name: Annotated[str, typer.Argument(help="Its name, in lower_snake; rulesets will say it.")],
    folder: Annotated[
        Path | None, typer.Argument(help="Where to write it; left out: wayline-NAME in this folder.")
    ] = None,
) -> None:
    """Start a plugin: a package that installs, with tests that pass, and one module to change.

    Example: wayline plugin new channel pager
    """
    _not_taken(kind, name)
    written = start_plugin(kind, name, folder)
    for path in written:
        typer.echo(str(path))
    where = written[0].parent
    typer.echo(f"\nnext: pip install -e {where} && python -m pytest {where}, then change {written[2]}")


def _not_taken(kind: PluginKind, name: str) -> None:
    """CommandError when a plugin that is installed has the name: neither of the two would be used."""
    registry = load_registry(disabled=Settings().disabled_plugins)
    owner = registry.owners.get(f"{kind.value}:{name}")
    origin = next((each for each in registry.plugins if each.name in (name, owner)), None)
    if origin is not None:
        package = origin.package or "this installation"
        raise CommandError(f"the name {name!r} is taken by a plugin of {package}; take another")


def plugins(output: FormatOption = Format.TEXT) -> None:
    """List the plugins of this installation, what they offer and its settings; exit 1 when one is broken.

    Of actions also what steps tell them and what they answer.

    Example: wayline plugins
    """
    settings = Settings()
    registry = load_registry(disabled=settings.disabled_plugins)
    from engine.governance.plugins import with_health

    described = with_health(describe(registry), _health(settings))
    if output is Format.JSON:
        print_json({"plugins": described})
    else:
        for each in described:
            _show(each, registry)
    if registry.faults:
        raise typer.Exit(1)


def _show(plugin: Mapping[str, Any], registry: Registry) -> None:
    package = " ".join(part for part in (plugin["distribution"], plugin["version"]) if part)
    typer.echo(f"{plugin['name']}: {plugin['state']}, {plugin['module']} of {package or 'no package'}")
    for told in (*plugin["faults"], *plugin["notes"]):
        typer.echo(f"  {shown(told)}")
    for offered in plugin["offers"]:
        kind, name = offered["kind"], offered["name"]
        typer.echo(f"  {kind} {name}")
        for use in offered.get("used_by") or ():
            typer.echo(f"    used by {use['id']}: {_health_of(use)}")
        offer = offers_of(registry)[kind][name]
        for window in offer.capabilities.windows if isinstance(offer, Channel) else ():
            typer.echo(f"    window {_window(window)}")
        for part in MODELS[kind]:
            model = getattr(offer, part, None)
            for setting, field in model.model_fields.items() if model is not None else ():
                of = "" if part == "settings" else f"{part}."
                typer.echo(f"    {of + (field.alias or setting):<15} {_described(field)}".rstrip())


def _health(settings: Settings) -> dict[str, list[dict[str, Any]]] | None:
    """What the database knows of channels; None where there is none, or nothing is in force."""
    # Only here: whoever asks for help need not wait for a database driver.
    from engine.governance.plugins import health_of
    from engine.store.bundles import BundleShelf
    from engine.store.database import open_store

    with (
        suppress(WaylineError),
        closing(open_store(settings.database)) as store,
        closing(BundleShelf()) as shelf,
        store.read() as session,
    ):
        return health_of(session, shelf.live(session), SystemClock().now())
    return None


def _health_of(use: Mapping[str, Any]) -> str:
    counts = ", ".join(f"{number} {result}" for result, number in sorted(use["last_hour"].items()))
    told = f"{counts} in the last hour" if counts else "nothing sent in the last hour"
    until = use["left_alone_until"]
    return f"{told}; it keeps failing and is left alone until {shown(until)}" if until else told


def _window(window: Window) -> str:
    allowed = "messages" if window.allowance is None else f"{window.allowance} messages"
    lasts = "until they are used" if window.length is None else f"for {format_duration(window.length)}"
    opened_by = " or ".join(window.opened_by)
    return f"{window.name}: {allowed} {lasts} after {opened_by} ({window.source}, {window.as_of})"


def _described(field: FieldInfo) -> str:
    told = field.description or ""
    if field.is_required():
        return f"{told} (needed)".strip()
    default = field.get_default(call_default_factory=False)
    if default is None:
        return told
    usual = format_duration(default) if isinstance(default, timedelta) else shown(default)
    return f"{told} ({usual})".strip()
