"""`wayline contact` and `wayline run`: what is known of one contact or run, and the end of a run by hand."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.contacts import add_commands
from engine.cli.database import read, who, write
from engine.cli.output import Format, FormatOption, print_fields, print_json, print_table, say, say_rows

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from engine.governance.records import Record
    from engine.store.bundles import BundleShelf

OF_A_CONTACT = {
    "identities": ["platform", "address", "added_at", "suppressed", "is_shared", "merged_from"],
    "merges": ["at", "gone", "joined_to", "because", "by", "reason", "undone_at", "undone_by"],
    "consents": ["recorded_at", "decision", "purpose", "channel", "legal_basis", "source", "valid_until"],
    "arms": ["experiment", "arm", "by", "since"],
    "runs": ["id", "journey", "status", "outcome", "position", "waiting", "due_at"],
    "tasks": ["created_at", "queue", "journey", "step_id", "state", "choice", "decided_by", "id"],
    "events": ["occurred_at", "type", "source", "event_id"],
}
OF_A_RUN = {
    "waits": ["name", "kind", "event_type", "until", "rule"],
    "intents": ["key", "step_id", "content", "state", "outcome", "reason", "channel"],
    "tasks": ["created_at", "queue", "step_id", "state", "choice", "decided_by", "due_at", "id"],
    "calls": ["key", "step_id", "action", "state", "outcome", "reason", "code", "attempts"],
    "decisions": ["at", "kind", "stage", "verdict", "channel", "reason", "hold_until"],
}


ZONE_SOURCES = {
    "stated": "stated: their account or a sender says so",
    "device": "device: the clock of what they last used",
    "number": "number: the country or area of their phone number",
    "default": "default: nothing is known of theirs, so the workspace's counts",
    "open": "default: their phone numbers leave several clocks open (timezone_candidates), so the "
    "workspace's counts",
}
"""Where a contact's time zone comes from, in words; one that comes from a weaker source changes nothing."""


class RunStatus(StrEnum):
    """Whether a run still goes on."""

    ACTIVE = "active"
    ENDED = "ended"


class Language(StrEnum):
    """In which titles are told."""

    EN = "en"
    ZH = "zh"


Contact = Annotated[str, typer.Argument(help="An id, or an identity such as user:42 or email:a@b.c.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `wayline`."""
    contact = typer.Typer(no_args_is_help=True, help="People who may receive messages.")
    contact.command("show")(show_contact)
    contact.command("timeline")(show_timeline)
    add_commands(contact)
    app.add_typer(contact, name="contact")
    run = typer.Typer(no_args_is_help=True, help="Contacts going through journeys.")
    run.command("list")(list_runs)
    run.command("show")(show_run)
    run.command("cancel")(cancel_run)
    app.add_typer(run, name="run")


def show_contact(contact: Contact, output: FormatOption = Format.TEXT) -> None:
    """Show a contact: profile, identities (masked), consents, arms, runs, latest events.

    Example: wayline contact show user:42
    """
    from engine.clock import SystemClock
    from engine.governance import records
    from engine.governance.consents import journey_now

    def look(session: Session, shelf: BundleShelf) -> Record:
        now = journey_now(session, SystemClock().now())
        contact_id = records.find_contact(session, contact)
        return records.contact_record(session, contact_id, bundle=shelf.live(session), now=now)

    record = read(look)
    if output is Format.JSON:
        print_json(record)
    else:
        source = record["timezone_source"]
        words = ZONE_SOURCES["open"] if record["timezone_candidates"] else ZONE_SOURCES.get(source, source)
        print_fields(record | {"timezone_source": words}, OF_A_CONTACT)


def show_timeline(
    contact: Contact,
    before: Annotated[str | None, typer.Option(help="Go on where a page ended, as it said.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many entries.")] = 50,
    language: Annotated[Language, typer.Option(help="Of the titles.")] = Language.EN,
    output: FormatOption = Format.TEXT,
) -> None:
    """Show all that happened to a contact in one list, the latest first: events, decisions, sends, tasks,
    consents, addresses that were closed.

    Example: wayline contact timeline user:42 --language zh
    """
    from engine.governance import records, timeline
    from engine.services import secret_of
    from engine.settings import Settings

    secret = secret_of(Settings())
    page = read(
        lambda session, shelf: timeline.contact_timeline(
            session,
            records.find_contact(session, contact),
            shelf=shelf,
            secret=secret,
            before=before,
            limit=limit,
        )
    )
    if output is Format.JSON:
        print_json({"timeline": page.entries, "next": page.next})
        return
    entries = [{**entry, "title": entry["title"][language.value]} for entry in page.entries]
    columns = ["at", "kind", "journey", "title", "what", "detail"]
    print_table(entries, columns, nothing="nothing has happened yet")
    if page.next is not None:
        typer.echo(f"more: --before {page.next}")


def list_runs(
    journey: Annotated[str | None, typer.Option(help="Only this journey.")] = None,
    contact: Annotated[
        str | None, typer.Option(help="Only this contact: an id, or an identity as user:42.")
    ] = None,
    status: Annotated[RunStatus | None, typer.Option(help="Only runs of this status.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 50,
    output: FormatOption = Format.TEXT,
) -> None:
    """List runs, the latest first.

    Example: wayline run list --journey welcome --status active
    """
    from engine.governance import records

    def look(session: Session, _: BundleShelf) -> list[Record]:
        contact_id = records.find_contact(session, contact) if contact else None
        return records.list_runs(session, journey=journey, contact_id=contact_id, status=status, limit=limit)

    rows = read(look)
    columns = ["id", "journey", "contact_id", "status", "outcome", "position", "waiting", "due_at"]
    say_rows(output, rows, columns, nothing="no runs")


def show_run(
    run_id: Annotated[str, typer.Argument(metavar="ID")], output: FormatOption = Format.TEXT
) -> None:
    """Show a run: where it stands, what it waits for, its messages and decisions.

    Why a message was sent or not: wayline explain KEY, with the key of one of its intents.

    Example: wayline run show 3f6c0d5b2a9e4f718c0b1d2e3f405162
    """
    from engine.governance import records

    record = read(lambda session, _: records.run_record(session, run_id))
    if output is Format.JSON:
        print_json(record)
    else:
        print_fields(record, OF_A_RUN)


def cancel_run(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="As `wayline run list` shows it.")],
    why: Annotated[str, typer.Option("--why", help="The reason, for the record.")] = "",
    output: FormatOption = Format.TEXT,
) -> None:
    """End a run where it stands: its open task is withdrawn, a message that has not left is not sent.

    The contact's other runs go on, and the journey may take them in again as its re-entry says.

    Example: wayline run cancel 3f6c0d5b2a9e4f718c0b1d2e3f405162 --why "asked by phone"
    """
    from engine.runs.cancelling import cancel

    def act(session: Session, _: BundleShelf, now: datetime) -> bool:
        return cancel(session, run_id, by=who(), reason=why, now=now)

    changed = write(act)
    text = f"run {run_id} is cancelled" if changed else f"run {run_id} had ended already"
    say(output, {"run": run_id, "changed": changed}, text)
