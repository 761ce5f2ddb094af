"""`wayline publish`, `rollback`, `bundles`, `consent` and `db`: what is in force, and where it is kept."""

from __future__ import annotations

import asyncio
import getpass
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from engine.cli.output import Format, FormatOption, print_json, print_table
from engine.errors import CommandError, RulesetError

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from engine.intake.accepting import Receipt

T = TypeVar("T")


def register(app: typer.Typer) -> None:
    """Add the commands to `wayline`."""
    app.command("publish")(publish)
    app.command("rollback")(rollback)
    app.command("bundles")(bundles)
    consent = typer.Typer(no_args_is_help=True, help="What contacts agreed to.")
    consent.command("grant")(grant)
    consent.command("withdraw")(withdraw)
    consent.command("show")(show_consent)
    app.add_typer(consent, name="consent")
    database = typer.Typer(no_args_is_help=True, help="The database.")
    database.command("upgrade")(upgrade)
    database.callback()(_about_databases)
    app.add_typer(database, name="db")


def publish(
    folder: Annotated[Path | None, typer.Argument(help="Unset: WAYLINE_WORKSPACE, else rulesets/.")] = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Put the files of a workspace in force.

    Example: wayline publish rulesets
    """
    from engine.authoring.loading import load_folder
    from engine.authoring.reporting import report
    from engine.governance import publishing
    from engine.settings import Settings
    from engine.store.control import ensure_control

    settings = Settings()
    loaded = load_folder(folder or settings.workspace)
    if loaded.bundle is None:
        raise RulesetError(loaded.problems)
    typer.echo(report(loaded.problems), err=True, nl=False)
    files = loaded.bundle.files

    def put(session: Session, now: datetime) -> publishing.Published:
        ensure_control(session, now, scale=settings.time_scale)
        return publishing.publish(session, files, by=getpass.getuser(), now=now)

    _say(write(put), "in force", output)


def rollback(
    number: Annotated[int, typer.Argument(help="As `wayline bundles` lists it.")],
    output: FormatOption = Format.TEXT,
) -> None:
    """Put an earlier bundle in force again.

    Example: wayline rollback 3
    """
    from engine.governance import publishing

    published = write(
        lambda session, now: publishing.rollback(session, number, by=getpass.getuser(), now=now)
    )
    _say(published, f"in force, the same as bundle {number}", output)


def bundles(
    limit: Annotated[int, typer.Option(min=1, max=500)] = 20, output: FormatOption = Format.TEXT
) -> None:
    """List what was published, the latest first.

    Example: wayline bundles
    """
    from engine.cli.records import read
    from engine.governance.publishing import list_bundles
    from engine.store.control import read_control

    def look(session: Session) -> list[dict[str, Any]]:
        live = read_control(session).live_bundle
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
    if output is Format.JSON:
        print_json(rows)
    else:
        columns = ["number", "hash", "published_at", "published_by", "live"]
        print_table(rows, columns, nothing="nothing is published")


def upgrade() -> None:
    """Bring the database to this version's tables; makes them when there are none.

    Example: WAYLINE_DATABASE_URL=postgresql://… wayline db upgrade
    """
    from engine.settings import Settings
    from engine.store.database import upgrade as migrate

    migrate(Settings().database)
    typer.echo("the database is up to date")


def grant(
    contact: Annotated[str, typer.Argument(help="An id, or an identity such as user:42.")],
    purpose: Annotated[str, typer.Argument(help="A purpose of the workspace.")],
    channel: Annotated[str, typer.Option(help="A channel, or * for all.")] = "*",
    legal_basis: Annotated[str, typer.Option(help="On what the permission rests.")] = "consent",
    notice: Annotated[
        str | None, typer.Option(help="The text that was shown; only its hash is kept.")
    ] = None,
) -> None:
    """Record that a contact agreed.

    Example: wayline consent grant user:42 marketing --channel email
    """
    _consent("consent_granted", contact, purpose, channel, legal_basis=legal_basis, notice=notice)
    typer.echo("granted")


def withdraw(
    contact: Annotated[str, typer.Argument(help="An id, or an identity such as user:42.")],
    purpose: Annotated[str, typer.Argument(help="A purpose, or * for all.")],
    channel: Annotated[str, typer.Option(help="A channel, or * for all.")] = "*",
) -> None:
    """Record that a contact withdrew; runs of the purpose end and held messages are dropped at once.

    Example: wayline consent withdraw user:42 marketing
    """
    _consent("consent_withdrawn", contact, purpose, channel)
    typer.echo("withdrawn")


def show_consent(
    contact: Annotated[str, typer.Argument(help="An id, or an identity such as user:42.")],
    output: FormatOption = Format.TEXT,
) -> None:
    """Show everything the ledger holds of a contact, in the order written.

    Example: wayline consent show user:42
    """
    from engine.cli.records import read
    from engine.governance import records

    rows = read(
        lambda session: records.contact_record(session, records.find_contact(session, contact))["consents"]
    )
    if output is Format.JSON:
        print_json(rows)
    else:
        columns = ["recorded_at", "decision", "purpose", "channel", "legal_basis", "source", "valid_until"]
        print_table(rows, columns, nothing="nothing is recorded")


def write(work: Callable[[Session, datetime], T]) -> T:
    """What `work` returns, done in one transaction of the installation's database."""
    from engine.clock import SystemClock
    from engine.settings import Settings
    from engine.store.database import open_store

    store = open_store(Settings().database)
    try:
        with store.begin() as session:
            return work(session, SystemClock().now())
    finally:
        store.close()


def _consent(event_type: str, contact: str, purpose: str, channel: str, **more: str | None) -> None:
    """Through intake, as any consent event: so the journeys hear of it in the same transaction."""
    from engine.governance.records import find_contact
    from engine.intake.incoming import IncomingEvent
    from engine.services import build_services
    from engine.settings import Settings

    told = {"purpose": purpose, "channel": channel, "mechanism": "operator", **more}

    async def accept() -> Receipt:
        services = build_services(Settings())
        try:
            with services.store.read() as session:
                contact_id = find_contact(session, contact)
            event = IncomingEvent(
                message_id=f"operator:{uuid.uuid4().hex}",
                type=event_type,
                contact_id=contact_id,
                properties={name: value for name, value in told.items() if value is not None},
            )
            receipt = services.intake.accept([event], source=f"cli:{getpass.getuser()}")
            for run_id in receipt.run_ids:
                await services.runs.carry(run_id)
            return receipt
        finally:
            await services.close()

    if asyncio.run(accept()).dead:
        raise CommandError(f"{purpose!r} is not a purpose of this workspace; nothing was recorded")


def _say(published: Any, how: str, output: Format) -> None:
    if output is Format.JSON:
        print_json({"number": published.number, "hash": published.hash})
    else:
        typer.echo(f"bundle {published.number} ({published.hash[:12]}) is {how}")


def _about_databases() -> None:
    """Keeps `db upgrade` a subcommand while it is the only one."""
