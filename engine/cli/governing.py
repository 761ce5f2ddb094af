"""`wayline publish`, `rollback`, `bundles`, `consent` and `db`: what is in force, and where it is kept."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.authoring.reading.validating import known_list, nearest
from engine.cli.database import read, who, write
from engine.cli.diffing import Policy, print_people, read_policies
from engine.cli.output import Format, FormatOption, print_json, print_table
from engine.cli.records import OF_A_CONTACT, Contact
from engine.cli.workspaces import Folder, folder_of, load_workspace
from engine.errors import CommandError, RulesetError

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from engine.store.bundles import BundleShelf


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
    contact: Contact,
    purpose: Annotated[str, typer.Argument(help="A purpose of the workspace.")],
    channel: Annotated[str, typer.Option(help="A channel, or * for all.")] = "*",
    legal_basis: Annotated[str, typer.Option(help="On what the permission rests.")] = "consent",
    notice: Annotated[
        str | None, typer.Option(help="The text that was shown; only its hash is kept.")
    ] = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Record that a contact agreed.

    Example: wayline consent grant user:42 marketing --channel email
    """
    told = {"purpose": purpose, "channel": channel, "legal_basis": legal_basis, "notice": notice}
    _consent("consent_granted", contact, told, "granted", output)


def withdraw(
    contact: Contact,
    purpose: Annotated[str, typer.Argument(help="A purpose, or * for all.")],
    channel: Annotated[str, typer.Option(help="A channel, or * for all.")] = "*",
    output: FormatOption = Format.TEXT,
) -> None:
    """Record that a contact withdrew; runs of the purpose end and held messages are dropped at once.

    Example: wayline consent withdraw user:42 marketing
    """
    _consent("consent_withdrawn", contact, {"purpose": purpose, "channel": channel}, "withdrawn", output)


def show_consent(contact: Contact, output: FormatOption = Format.TEXT) -> None:
    """Show everything the ledger holds of a contact, in the order written.

    Example: wayline consent show user:42
    """
    from engine.governance import records

    rows = read(
        lambda session, _: records.contact_record(session, records.find_contact(session, contact))["consents"]
    )
    if output is Format.JSON:
        print_json(rows)
    else:
        print_table(rows, OF_A_CONTACT["consents"], nothing="nothing is recorded")


def _consent(
    event_type: str, contact: str, told: Mapping[str, str | None], done: str, output: Format
) -> None:
    """Through intake, as any consent event: so the journeys hear of it in the same transaction."""
    from engine.contacts.consent import consent_records
    from engine.governance.records import find_contact
    from engine.intake.incoming import IncomingEvent
    from engine.services import build_services
    from engine.settings import Settings

    properties = {name: value for name, value in told.items() if value is not None}

    async def accept() -> str:
        services = build_services(Settings())
        try:
            with services.store.read() as session:
                contact_id = find_contact(session, contact)
                known = consent_records(session, contact_id)
                bundle = services.shelf.live(session)
            # A misspelt name would be kept, and the contact would be written to all the same.
            purposes = {*bundle.purposes, *(record.purpose for record in known)}
            channels = {*bundle.channels, *(record.channel for record in known), "*"}
            _must_know("purpose", properties["purpose"], purposes | ({"*"} if done == "withdrawn" else set()))
            _must_know("channel", properties["channel"], channels)
            event = IncomingEvent(
                message_id=f"operator:{uuid.uuid4().hex}",
                type=event_type,
                contact_id=contact_id,
                properties={**properties, "mechanism": "operator", "actor": who()},
            )
            receipt = services.intake.accept([event], source=f"cli:{who()}")
            if receipt.dead:
                raise CommandError("nothing was recorded; see `wayline deadletter list`")
            for run_id in receipt.run_ids:
                await services.runs.carry(run_id)
            return contact_id
        finally:
            await services.close()

    contact_id = asyncio.run(accept())
    if output is Format.JSON:
        print_json({"decision": done, "contact_id": contact_id, **properties})
    else:
        typer.echo(done)


def _must_know(noun: str, name: str, known: set[str]) -> None:
    if name not in known:
        hint = nearest(name, known) or known_list(known)
        raise CommandError(f"{name!r} is not a {noun} of this workspace; nothing was recorded: {hint}")


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
