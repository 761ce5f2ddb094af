"""What an operator does with a contact as a whole: merge, part, export, erase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.database import read, who, with_services, write
from engine.cli.output import Format, FormatOption, print_json
from engine.errors import CommandError

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from engine.governance.erasing import Erased
    from engine.intake.merging import Merged, Parted
    from engine.services import Services
    from engine.store.bundles import BundleShelf

Named = Annotated[str, typer.Argument(help="An id, or an identity such as user:42 or email:a@b.c.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept with the record.")]


def add_commands(contact: typer.Typer) -> None:
    """Add the commands to `wayline contact`."""
    contact.command("merge")(merge)
    contact.command("unmerge")(unmerge)
    contact.command("shared")(shared)
    contact.command("export")(export)
    contact.command("erase")(erase)


def merge(one: Named, other: Named, reason: Reason, output: FormatOption = Format.TEXT) -> None:
    """Make two contacts one. Who was known first survives; the stricter of both consents and caps holds.

    What the other had goes along, and comes back with unmerge. Of two runs in each other's way the one
    further on goes on. Asked again, nothing happens.

    Example: wayline contact merge user:42 email:a@b.c --reason "called us"
    """
    from engine.governance.records import find_contact

    one_id, other_id = read(lambda session, _: (find_contact(session, one), find_contact(session, other)))

    async def work(services: Services) -> Merged:
        merged = services.merger.merge(one_id, other_id, by=who(), reason=reason)
        await services.runs.carry_found(merged.run_ids)
        return merged

    merged = with_services(work)
    if output is Format.JSON:
        print_json(
            {
                "survivor": merged.survivor,
                "gone": merged.gone,
                "merge_id": merged.merge_id,
                "told": dict(merged.told or {}),
            }
        )
    elif merged.gone is None:
        typer.echo(f"they are one already: {merged.survivor}")
    else:
        typer.echo(
            f"{merged.gone} is part of {merged.survivor}; undo it with: wayline contact unmerge {merged.gone}"
        )


def unmerge(
    contact: Annotated[str, typer.Argument(help="The id of the contact that is part of another one.")],
    reason: Reason,
    output: FormatOption = Format.TEXT,
) -> None:
    """Undo a merge: what came before it goes back, what came since stays. Refusals hold for both.

    Example: wayline contact unmerge 0f3a... --reason "two sisters"
    """

    async def work(services: Services) -> Parted:
        parted = services.merger.unmerge(contact, by=who(), reason=reason)
        await services.runs.carry_found(parted.run_ids)
        return parted

    parted = with_services(work)
    if output is Format.JSON:
        told = {"survivor": parted.survivor, "returned": parted.returned, "merge_id": parted.merge_id}
        print_json({**told, "told": dict(parted.told)})
    else:
        typer.echo(f"{parted.returned} and {parted.survivor} are two again")


def shared(
    identity: Annotated[str, typer.Argument(help="An identity, as email:a@b.c.")],
    off: Annotated[bool, typer.Option("--off", help="One person has it alone after all.")] = False,
    output: FormatOption = Format.TEXT,
) -> None:
    """Mark an identity that several people use: contacts are never joined by it.

    Example: wayline contact shared email:family@b.c
    """
    from engine.contacts.identity import mark_shared

    platform, colon, address = identity.partition(":")

    def work(session: Session, _: BundleShelf, __: datetime) -> None:
        if not colon or not mark_shared(session, (platform, address), is_shared=not off):
            raise CommandError("nobody has such an identity; write it as email:a@b.c")

    write(work)
    if output is Format.JSON:
        print_json({"identity": identity, "is_shared": not off})
    else:
        typer.echo("one person has it alone" if off else "several people use it: nobody is joined by it")


def export(contact: Named) -> None:
    """Print everything that is held of a contact as JSON, addresses and all.

    Example: wayline contact export user:42 > ada.json
    """
    from engine.governance.exporting import export_contact
    from engine.governance.records import find_living

    print_json(read(lambda session, _: export_contact(session, find_living(session, contact))))


def erase(
    contact: Named,
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", help="Do it: nothing brings it back.")] = False,
    output: FormatOption = Format.TEXT,
) -> None:
    """Erase a contact: runs end, what says who they were goes, decisions stay. It cannot be undone.

    Addresses that were suppressed stay so by keyed hashes. Backups and log files are yours to see to.

    Example: wayline contact erase user:42 --reason "asked for it on 3 March" --yes
    """
    from engine.governance.records import find_living

    contact_id = read(lambda session, _: find_living(session, contact))
    if not yes:
        raise CommandError(f"this erases the contact {contact_id} for good; say so with --yes")

    async def work(services: Services) -> Erased:
        return services.eraser.erase(contact_id, by=who(), reason=reason)

    erased = with_services(work)
    if output is Format.JSON:
        told = {"contact_id": erased.contact_id, "erased_at": erased.at.isoformat(), "by": erased.by}
        print_json({**told, "told": dict(erased.told)})
    else:
        typer.echo(f"{erased.contact_id} was erased at {erased.at.isoformat()} by {erased.by}")
