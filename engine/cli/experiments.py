"""`wayline experiment`: how many contacts each arm has, and who was given which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.database import read
from engine.cli.output import Format, FormatOption, print_json, print_table

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from engine.governance.records import Record
    from engine.store.bundles import BundleShelf

ARMS = ["experiment", "seed", "in_force", "arm", "contacts", "expected"]
STRATA = ["seed", "stratum", "arm", "contacts"]
EXPOSURES = ["at", "contact_id", "arm", "by", "bucket", "stratum", "place", "instead_of"]
HOLD_OUTS = ["hold_out", "share", "seed", "starts", "ends", "purposes", "channels", "journeys"]


def register(app: typer.Typer) -> None:
    """Add the commands to `wayline`."""
    experiment = typer.Typer(no_args_is_help=True, help="Experiments in journeys, and global hold-outs.")
    experiment.command("list")(list_all)
    experiment.command("show")(show)
    app.add_typer(experiment, name="experiment")


def list_all(output: FormatOption = Format.TEXT) -> None:
    """List experiments with the contacts of each arm, and the hold-outs in force.

    Example: wayline experiment list
    """
    from engine.governance import experiments

    def look(session: Session, shelf: BundleShelf) -> tuple[list[Record], list[Record]]:
        return experiments.list_experiments(session, shelf), experiments.list_hold_outs(session, shelf)

    found, hold_outs = read(look)
    if output is Format.JSON:
        print_json({"experiments": found, "hold_outs": hold_outs})
        return
    print_table(_arms(found), ARMS, nothing="there are no experiments")
    if hold_outs:
        typer.echo("\nhold-outs")
        print_table(hold_outs, HOLD_OUTS, nothing="")


def show(
    experiment: Annotated[str, typer.Argument(help="Journey and step, as welcome/subject_line.")],
    arm: Annotated[str | None, typer.Option(help="Only contacts of this arm.")] = None,
    before: Annotated[int | None, typer.Option(min=1, help="Continue a list: ids before this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many contacts.")] = 50,
    output: FormatOption = Format.TEXT,
) -> None:
    """Show an experiment: contacts per arm and stratum, and the latest contacts with why they have their arm.

    Example: wayline experiment show welcome/subject_line --arm short
    """
    from engine.governance import experiments

    def look(session: Session, shelf: BundleShelf) -> tuple[Record, list[Record]]:
        record = experiments.experiment_record(session, shelf, experiment)
        exposures = experiments.list_exposures(
            session, experiment=experiment, arm=arm, before=before, limit=limit
        )
        return record, exposures

    record, exposures = read(look)
    if output is Format.JSON:
        print_json({**record, "exposures": exposures})
        return
    print_table(_arms(record["draws"]), ARMS, nothing="")
    if record["strata"]:
        typer.echo("\nstrata")
        print_table(record["strata"], STRATA, nothing="")
    typer.echo("\ncontacts, the latest first")
    print_table(exposures, EXPOSURES, nothing="nobody has come by yet")


def _arms(draws: list[Record]) -> list[dict[str, Any]]:
    return [
        {**{name: draw[name] for name in ("experiment", "seed", "in_force")}, **arm}
        for draw in draws
        for arm in draw["arms"]
    ]
