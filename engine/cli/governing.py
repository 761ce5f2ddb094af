"""`wayline publish`, `rollback`, `bundles` and `db`: what is in force, and where it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.database import read, who, write
from engine.cli.diffing import Policy, print_people, read_policies
from engine.cli.output import Format, FormatOption, print_json, say_rows
from engine.cli.workspaces import Folder, folder_of, load_workspace
from engine.errors import RulesetError

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from engine.store.bundles import BundleShelf


def register(app: typer.Typer) -> None:
    """Add the commands to `wayline`."""
    app.command("publish")(publish)
    app.command("rollback")(rollback)
    app.command("bundles")(bundles)
    database = typer.Typer(no_args_is_help=True, help="The database.")
    database.command("upgrade")(upgrade)
    database.callback()(_about_databases)
    app.add_typer(database, name="db")


def publish(folder: Folder = None, policy: Policy = None, output: FormatOption = Format.TEXT) -> None:
    """Put the files of a workspace in force, after the same checks as `wayline lint`.

    People on their way finish on their version, unless the journey's file or --policy say otherwise; `wayline
    diff` shows what that would mean, `wayline journey list` how far it is. Refused when somebody would be
    stranded.

    Example: wayline publish rulesets --policy welcome=migrate
    """
    from engine.authoring.reporting import below, report
    from engine.governance import publishing
    from engine.settings import Settings
    from engine.store.control import ensure_control

    settings = Settings()
    policies, where = read_policies(policy), folder_of(folder, settings)
    loaded = load_workspace(where)
    if loaded.bundle is None:
        raise RulesetError(loaded.problems)
    typer.echo(report(loaded.problems), err=True, nl=False)
    files = loaded.bundle.files
    publishing.prove_rules(loaded.bundle)  # takes a while: before there is a transaction

    def put(session: Session, shelf: BundleShelf, now: datetime) -> publishing.Published:
        ensure_control(session, now, scale=settings.time_scale)
        return publishing.publish(session, files, by=who(), now=now, policies=policies, shelf=shelf)

    try:
        published = write(put)
    except RulesetError as refused:
        raise RulesetError(below(str(where), refused.problems)) from refused
    _say(published, "in force", output)


def rollback(
    number: Annotated[int, typer.Argument(help="As `wayline bundles` lists it.")],
    policy: Policy = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Put an earlier bundle in force again.

    People on their way finish on their version, unless --policy or that bundle's files say otherwise.

    Example: wayline rollback 3 --policy welcome=migrate
    """
    from engine.governance import publishing

    policies = read_policies(policy)
    published = write(
        lambda session, shelf, now: publishing.rollback(
            session, number, by=who(), now=now, policies=policies, shelf=shelf
        )
    )
    _say(published, f"in force, the same as bundle {number}", output)


def bundles(
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20, output: FormatOption = Format.TEXT
) -> None:
    """List what was published, the latest first.

    Example: wayline bundles
    """
    from engine.governance.publishing import list_bundles
    from engine.store.control import read_control

    def look(session: Session, _: BundleShelf) -> list[dict[str, Any]]:
        control = read_control(session)
        live = control.published_bundle or control.live_bundle
        rows = list_bundles(session, limit=limit)
        latest = next((row.number for row in rows if row.hash == live), None)
        return [
            {
                "number": row.number,
                "hash": row.hash[:12] if output is Format.TEXT else row.hash,
                "published_at": row.published_at.isoformat(timespec="seconds"),
                "published_by": row.published_by,
                "live": row.number == latest,
            }
            for row in rows
        ]

    rows = read(look)
    columns = ["number", "hash", "published_at", "published_by", "live"]
    say_rows(output, rows, columns, nothing="nothing is published")


def upgrade() -> None:
    """Bring the database to this version's tables; makes them when there are none.

    Example: WAYLINE_DATABASE_URL=postgresql://… wayline db upgrade
    """
    from engine.settings import Settings
    from engine.store.database import upgrade as migrate

    migrate(Settings().database)
    typer.echo("the database is up to date")


def _say(published: Any, how: str, output: Format) -> None:
    if output is Format.JSON:
        from engine.governance.outlook import as_record

        people = [as_record(each) for each in published.people]
        print_json({"number": published.number, "hash": published.hash, "people": people})
    else:
        typer.echo(f"bundle {published.number} ({published.hash[:12]}) is {how}")
        print_people(published.people)


def _about_databases() -> None:
    """Keeps `db upgrade` a subcommand while it is the only one."""
