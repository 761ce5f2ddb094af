"""The workspace that a command is about, checked the same way whether it is linted, drawn or published."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from engine.authoring.bundle import Bundle
from engine.authoring.loading import Loaded, load_folder
from engine.authoring.reporting import below
from engine.authoring.understanding import Memory
from engine.errors import CommandError, RulesetError
from engine.plugin.registry import Registry, load_registry
from engine.settings import Settings

Folder = Annotated[
    Path | None,
    typer.Argument(
        help="The folder with wayline.yaml; left out: WAYLINE_WORKSPACE, this folder, or rulesets/."
    ),
]


def folder_of(named: Path | None, settings: Settings | None = None) -> Path:
    """The folder that was named, else the one that the settings or the present folder suggest."""
    return named if named is not None else (settings or Settings()).workspace_folder


def plugins_at_hand() -> Registry:
    """The plugins of this installation; what is broken about them is told beside the command's answer."""
    registry = load_registry(disabled=Settings().disabled_plugins)
    for fault in registry.faults:
        typer.echo(f"wayline: {fault}", err=True)
    return registry


def load_workspace(
    folder: Path,
    registry: Registry | None = None,
    *,
    advise: bool = False,
    memory: Memory | None = None,
    today: date | None = None,
) -> Loaded:
    """Everything that can be said of a workspace with the plugins of this installation.

    Places begin with the folder, so that the person who named it can open them. With `advise`, what nobody
    uses or tests is told too, with `today` which calendars have ended; `memory` is for whoever loads again
    and again.
    """
    registry = registry or plugins_at_hand()
    if not registry.channels:
        raise CommandError(
            "no channel plugin is installed, not even the built-in ones; install wayline again"
        )
    loaded = load_folder(folder, registry, advise=advise, memory=memory, today=today)
    return Loaded(loaded.bundle, tuple(below(str(folder), loaded.problems)))


def bundle_in(folder: Path) -> Bundle:
    """The bundle of a workspace, whatever plugins it names; RulesetError with every mistake.

    What installed plugins declare, facts and types of events, is in it.
    """
    loaded = load_folder(folder, declared_by=load_registry(disabled=Settings().disabled_plugins))
    if loaded.bundle is None:
        raise RulesetError(below(str(folder), loaded.errors))
    return loaded.bundle
