"""`wayline doctor`: is everything there, and do runs and workflows agree; `--repair` makes them agree."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

import typer

from engine.cli.examining import Checked, Examiner, loaded_plugins
from engine.cli.output import Format, FormatOption, print_json
from engine.errors import WaylineError
from engine.services import build_services
from engine.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(name="doctor")(doctor)


def doctor(
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Start missing workflows, end those without a run."),
    ] = False,
    format_: FormatOption = Format.TEXT,
) -> None:
    """Look whether everything is there and agrees; exit 1 when something needs care.

    After either database was lost or restored, `wayline doctor --repair` brings runs and workflows together.

    Example: wayline doctor --repair
    """
    settings = Settings()
    found = asyncio.run(examine(settings, repair=repair))
    if format_ is Format.JSON:
        print_json([asdict(item) for item in found])
    else:
        for item in found:
            mark = "ok" if item.is_well else "repaired" if item.is_repaired else "CARE"
            typer.echo(f"{mark:<9} {item.name:<10} {item.detail}")
    if any(item.needs_care for item in found):
        raise typer.Exit(1)


async def examine(settings: Settings, *, repair: bool) -> list[Checked]:
    """Every check in the order in which they build on each other."""
    try:
        services = build_services(settings)
    except WaylineError as error:
        return [Checked("set-up", False, str(error))]
    try:
        set_up = Checked("set-up", True, "the database is migrated")
        return [set_up, loaded_plugins(services.registry), *await Examiner(services, repair=repair).examine()]
    finally:
        await services.close()
