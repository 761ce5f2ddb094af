"""`wayline consent` and `wayline audit`: what contacts agreed to, and whether the record of it is whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.database import read, who, with_services
from engine.cli.output import Format, FormatOption, print_json, print_table, progress, shown
from engine.cli.records import OF_A_CONTACT, Contact
from engine.errors import CommandError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from engine.governance.records import Record
    from engine.services import Services
    from engine.store.bundles import BundleShelf

BATCH = 100
"""Lines of a file taken in together."""
_STATE = ["purpose", "channel", "state", "may_be_sent", "since", "version", "source"]


def register(app: typer.Typer) -> None:
    """Add the commands to `wayline`."""
    consent = typer.Typer(no_args_is_help=True, help="What contacts agreed to.")
    consent.command("grant")(grant)
    consent.command("withdraw")(withdraw)
    consent.command("show")(show)
    consent.command("import")(import_file)
    app.add_typer(consent, name="consent")
    audit = typer.Typer(no_args_is_help=True, help="Whether what must not be changed was changed.")
    audit.command("verify")(verify)
    audit.callback()(_about_audits)
    app.add_typer(audit, name="audit")


def grant(
    contact: Contact,
    purpose: Annotated[
        str, typer.Argument(help="A purpose of the workspace, personalisation or cross_border.")
    ],
    channel: Annotated[str, typer.Option(help="A channel, or * for all.")] = "*",
    legal_basis: Annotated[str, typer.Option(help="On what the permission rests.")] = "consent",
    notice: Annotated[
        str | None, typer.Option(help="The text that was shown; only its hash is kept.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="Of the notice, as zh.")] = None,
    jurisdiction: Annotated[str | None, typer.Option(help="Whose law applies, as CN.")] = None,
    proof: Annotated[str | None, typer.Option(help="Where the proof is kept, as a file's name.")] = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Record that a contact agreed. Where the purpose asks for a double opt-in, they are asked to confirm it.

    Example: wayline consent grant user:42 marketing --channel email
    """
    told = {
        "legal_basis": legal_basis,
        "notice": notice,
        "language": language,
        "jurisdiction": jurisdiction,
        "proof": proof,
    }
    _record("granted", contact, purpose, channel, told, output)


def withdraw(
    contact: Contact,
    purpose: Annotated[str, typer.Argument(help="A purpose, personalisation, cross_border, or * for all.")],
    channel: Annotated[str, typer.Option(help="A channel, or * for all.")] = "*",
    output: FormatOption = Format.TEXT,
) -> None:
    """Record that a contact withdrew; runs of the purpose end and held messages are dropped at once.

    Example: wayline consent withdraw user:42 marketing
    """
    _record("withdrawn", contact, purpose, channel, {}, output)


def show(
    contact: Contact,
    at: Annotated[
        str | None, typer.Option(help="A moment with its zone, as 2026-03-01T14:03:00+08:00; unset: now.")
    ] = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Show what a contact has agreed to, now or at an earlier moment, and everything in the ledger by then.

    Example: wayline consent show user:42 --at 2026-03-01T14:03:00+08:00
    """
    from engine.clock import SystemClock
    from engine.governance.consents import consent_report, journey_now
    from engine.governance.records import find_contact

    moment = None if at is None else _moment(at)

    def look(session: Session, shelf: BundleShelf) -> Record:
        now = journey_now(session, SystemClock().now())
        contact_id = find_contact(session, contact)
        return consent_report(session, shelf.live(session), contact_id, at=moment, now=now)

    report = read(look)
    if output is Format.JSON:
        print_json(report)
        return
    if not report["ledger"]:
        typer.echo("nothing is recorded")
        return
    print_table(report["state"], _STATE, nothing="the workspace has no channel")
    if not report["personalisation"]:
        typer.echo("\npersonalisation is refused: contents with a variant for that are sent in it")
    if report["cross_border"]:
        typer.echo("\nfacts may leave the contact's country, on their separate consent")
    typer.echo("\nledger")
    print_table(report["ledger"], ["id", *OF_A_CONTACT["consents"], "mechanism", "actor"], nothing="")


def import_file(
    file: Annotated[Path, typer.Argument(help="A .csv or .ndjson file.")],
    source: Annotated[str, typer.Option(help="The system it comes from, as old_crm.")],
    output: FormatOption = Format.TEXT,
) -> None:
    """Take consents over from another system, each line with its date and its proof.

    Columns: contact (user:42, email:a@b.c), purpose, decision (granted, denied, withdrawn), at, proof; if
    there: channel, version, legal_basis, language, notice, notice_hash, mechanism, actor, jurisdiction,
    valid_until. An import never overrides what the contact themselves refused. A file taken in twice counts
    once; a line that cannot be used is named and kept as a dead letter. Ends with 1 when there was one. A
    refusal for a purpose or channel that nothing here is called is kept without effect, and named.

    Example: wayline consent import consents.csv --source old_crm
    """
    from engine.intake.consent_files import ConsentMapper
    from engine.intake.files import in_batches, read_file
    from engine.intake.incoming import IncomingEvent

    if not file.is_file():
        raise CommandError(f"{file}: there is no such file")
    if not re.fullmatch(r"[a-z0-9][a-z0-9_.-]{0,39}", source):
        raise CommandError(f"--source {source[:80]!r}: name the system in lower case letters, as old_crm")
    counted = {"accepted": 0, "duplicates": 0, "dead": 0}
    faults: list[dict[str, str]] = []
    remarks: list[dict[str, str]] = []

    async def take_in(services: Services) -> None:
        total = file.stat().st_size
        with progress("import", total) as bar:
            for lines in in_batches(read_file(file, ConsentMapper()), BATCH):
                events = [line.incoming() for line in lines]
                receipt = await services.store.run(services.intake.accept, events, source=f"import:{source}")
                for name in counted:
                    counted[name] += getattr(receipt, name)
                for refusal in receipt.refusals:
                    place = lines[refusal.position].place
                    message = refusal.message.removeprefix(f"{place}: ")
                    faults.append({"place": place, "code": refusal.code, "message": message})
                places = {
                    event.message_id: line.place
                    for event, line in zip(events, lines, strict=True)
                    if isinstance(event, IncomingEvent)
                }
                remarks.extend(
                    {"place": places.get(note.message_id, file.name), "remark": note.text}
                    for note in receipt.notes
                )
                for run_id in receipt.run_ids:
                    await services.runs.carry(run_id)
                bar.to(lines[-1].bytes_read)

    with_services(take_in)
    if output is Format.JSON:
        print_json({**counted, "faults": faults, "remarks": remarks})
    else:
        for remark in remarks:
            typer.echo("{place}: {remark}".format(**remark), err=True)
        for fault in faults:
            typer.echo("{place}: {code} {message}".format(**fault), err=True)
        typer.echo("recorded {accepted}, known already {duplicates}, not usable {dead}".format(**counted))
        if faults:
            typer.echo("they are kept: wayline deadletter list")
    if faults:
        raise typer.Exit(1)


def verify(
    kept: Annotated[
        str | None,
        typer.Option(
            help="An end that was noted before, as printed: LENGTH:HASH. The chain must still hold it."
        ),
    ] = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Check that nobody changed, removed or slipped in an entry of the consent ledger. Ends with 1 if so.

    Who can write the whole database can forge the whole chain: note the end that is printed somewhere else.

    Example: wayline audit verify --kept 120:9f2c…
    """
    from engine.contacts.consent import chain_end, verify_chain

    noted = None if kept is None else _noted(kept)

    def look(session: Session, _: BundleShelf) -> dict[str, Any]:
        length, end = chain_end(session)
        faults = [
            {"chain": "consent", "entry": fault.entry_id, "fault": fault.message}
            for fault in verify_chain(session, kept=noted)
        ]
        return {"chain": "consent", "length": length, "end": f"{length}:{end}", "faults": faults}

    found = read(look)
    if output is Format.JSON:
        print_json(found)
    elif found["faults"]:
        print_table(found["faults"], ["chain", "entry", "fault"], nothing="")
    else:
        typer.echo(f"the consent ledger is whole: {found['length']} entries, end {found['end']}")
    if found["faults"]:
        raise typer.Exit(1)


def _record(
    decision: str, contact: str, purpose: str, channel: str, told: Mapping[str, str | None], output: Format
) -> None:
    """Through intake, as any consent event: so the journeys hear of it in the same transaction."""
    from engine.governance.consents import Said, journey_now, refused_still, said_event

    said = Said(decision, purpose, channel, told)
    about: dict[str, Any] = {}

    async def take_in(services: Services) -> None:
        with services.store.read() as session:
            event = said_event(session, services.shelf, contact, said, by=who())
        about["contact_id"] = event.contact_id
        receipt = services.intake.accept([event], source=f"cli:{who()}")
        if receipt.dead:
            raise CommandError(f"nothing was recorded: {receipt.refusals[0].message}")
        for run_id in receipt.run_ids:
            await services.runs.carry(run_id)
        if decision == "granted":
            with services.store.read() as session:
                now = journey_now(session, services.clock.now())
                live = services.shelf.live(session)
                about["refused_still"] = refused_still(
                    session, live, event.contact_id or "", purpose, channel, now
                )

    with_services(take_in)
    if output is Format.JSON:
        stated = {name: value for name, value in told.items() if value is not None}
        print_json({"decision": decision, **about, "purpose": purpose, "channel": channel, **stated})
        return
    typer.echo(decision)
    for each in about.get("refused_still", ()):
        what = "everything" if each["refused"] == "*" else each["refused"]
        typer.echo(
            f"and refused still on {each['channel']}: they refused {what} on {shown(each['since'])}; "
            f"it is lifted by {each['lifted_by']}"
        )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise CommandError(f"{text!r} is not a moment with its zone; write 2026-03-01T14:03:00+08:00")
    return moment.astimezone(UTC)


def _noted(text: str) -> tuple[int, str]:
    length, colon, end = text.partition(":")
    if not colon or not length.isdigit():
        raise CommandError(f"{text[:80]!r} is not an end as `wayline audit verify` prints it: LENGTH:HASH")
    return int(length), end


def _about_audits() -> None:
    """Keeps `audit verify` a subcommand while it is the only one."""
