"""`wayline suppress`: addresses and contacts that must not be written to, whatever any consent says."""

from __future__ import annotations

import mailbox
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.database import read, who, write
from engine.cli.output import Format, FormatOption, say, say_rows
from engine.errors import CommandError

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from engine.contacts.suppressing import Blocked
    from engine.store.bundles import BundleShelf

Named = Annotated[str, typer.Argument(help="An address, as email:a@b.c; with --contact an id or user:42.")]
Whole = Annotated[bool, typer.Option("--contact", help="The contact as a whole, on every channel.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `wayline`."""
    suppress = typer.Typer(no_args_is_help=True, help="Who must not be written to.")
    suppress.command("add")(add)
    suppress.command("remove")(remove)
    suppress.command("list")(show)
    suppress.command("import")(import_list)
    suppress.command("bounces")(bounces)
    app.add_typer(suppress, name="suppress")


def add(
    named: Named,
    reason: Annotated[str, typer.Option(help="Why, as complaint.")] = "operator",
    contact: Whole = False,
    output: FormatOption = Format.TEXT,
) -> None:
    """Suppress an address, also one that nobody has yet, or a contact. An address stays so when it is erased.

    Example: wayline suppress add email:a@b.c --reason complaint
    """
    from engine.contacts.suppressing import Blocked, block, suppress_contact
    from engine.governance.records import find_contact

    def work(session: Session, shelf: BundleShelf, now: datetime) -> None:
        if contact:
            suppress_contact(session, find_contact(session, named), reason)
            return
        platform, address = _address(session, shelf, named)
        block(session, _secret(), [Blocked(platform, address, reason)], source=f"cli:{who()}", now=now)

    write(work)
    say(output, {"suppressed": named, "reason": reason}, "suppressed")


def remove(named: Named, contact: Whole = False, output: FormatOption = Format.TEXT) -> None:
    """Lift a suppression. A contact's addresses keep theirs.

    Example: wayline suppress remove email:a@b.c
    """
    from engine.contacts.suppressing import allow_contact, unblock
    from engine.governance.records import find_contact

    def work(session: Session, shelf: BundleShelf, _: datetime) -> None:
        if contact:
            allow_contact(session, find_contact(session, named))
        elif not unblock(session, _secret(), *_address(session, shelf, named)):
            raise CommandError("this address is not suppressed")

    write(work)
    say(output, {"allowed": named}, "may be written to again")


def show(
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 100,
    output: FormatOption = Format.TEXT,
) -> None:
    """List what is suppressed: contacts, addresses (masked), and the hashed list that outlives them.

    Example: wayline suppress list
    """
    from engine.contacts.suppressing import list_suppressions, listed_hashes
    from engine.masking import mask_address

    def look(session: Session, _: BundleShelf) -> list[dict[str, Any]]:
        known = [
            {
                "what": "contact" if each.address is None else "address",
                "contact_id": each.contact_id,
                "platform": each.platform,
                "address": None if each.address is None else mask_address(each.address),
                "reason": each.reason,
            }
            for each in list_suppressions(session, limit=limit)
        ]
        hashed = [
            {
                "what": "hash",
                "platform": row.platform,
                "address": row.digest[:16],
                "reason": row.reason,
                "source": row.source,
                "added_at": row.added_at.isoformat(),
            }
            for row in listed_hashes(session, limit=limit)
        ]
        return [*known, *hashed]

    rows = read(look)
    columns = ["what", "platform", "address", "reason", "contact_id", "source", "added_at"]
    say_rows(output, rows, columns, nothing="nothing is suppressed")


def import_list(
    file: Annotated[Path, typer.Argument(help="One address a line; blank lines and # are passed over.")],
    platform: Annotated[str, typer.Option(help="Whose addresses these are, as email.")] = "email",
    reason: Annotated[str, typer.Option(help="Why.")] = "block_list",
    output: FormatOption = Format.TEXT,
) -> None:
    """Suppress the addresses of a block list. Bad lines are named; ends with 1 when there was one.

    Example: wayline suppress import blocked.txt --platform email
    """
    from engine.contacts.suppressing import Blocked, block

    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise CommandError(f"{file}: not UTF-8; save the file as UTF-8") from error
    faults: list[str] = []

    def work(session: Session, shelf: BundleShelf, now: datetime) -> tuple[int, int]:
        numbers = _platforms(session, shelf, platform)
        found: list[Blocked] = []
        for number, line in enumerate(lines, 1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            address = _normal(platform, text, numbers)
            if address is None:
                faults.append(f"{file.name}:{number}: this is no address on {platform}")
            else:
                found.append(Blocked(platform, address, reason))
        return len(found), block(session, _secret(), found, source=f"list:{file.name}", now=now)

    total, new = write(work)
    for fault in faults:
        typer.echo(fault, err=True)
    said = {"addresses": total, "new": new, "not_usable": len(faults)}
    say(output, said, f"suppressed {total}, of which {new} new; not usable {len(faults)}")
    if faults:
        raise typer.Exit(1)


def bounces(
    files: Annotated[list[Path], typer.Argument(help="Mails (.eml), an mbox file, or a Maildir folder.")],
    platform: Annotated[str, typer.Option(help="The platform of e-mail addresses.")] = "email",
    output: FormatOption = Format.TEXT,
) -> None:
    """Suppress addresses by the mails that came back: hard bounces (DSN) and complaints (ARF).

    What failed only for now suppresses nothing. Mails may be read twice without harm.

    Example: wayline suppress bounces /var/mail/bounces
    """
    from engine.contacts.suppressing import Blocked, block, newly_returned
    from engine.delivery.marks import mark_returned
    from engine.delivery.viewing import read_situation
    from engine.gate.state import Moment
    from engine.intake.bounces import read_returned

    returned: list[tuple[str, str]] = []
    counted = {"mails": 0, "unreadable": 0, "other": 0}
    for place, data in _mails(files):
        counted["mails"] += 1
        try:
            found = read_returned(data)
        except ValueError as error:
            counted["unreadable"] += 1
            typer.echo(f"{place}: {error}", err=True)
            continue
        counted["other"] += not found
        returned += ((each.address, each.reason) for each in found)

    def work(session: Session, shelf: BundleShelf, now: datetime) -> int:
        numbers = _platforms(session, shelf, platform)
        blocked = [
            Blocked(platform, address, reason)
            for text, reason in returned
            if (address := _normal(platform, text, numbers)) is not None
        ]
        told = newly_returned(session, blocked)
        added = block(session, _secret(), blocked, source="mail", now=now)
        if told:
            time = read_situation(session).time
            mark_returned(session, shelf.live(session), told, platform, Moment.of(now, time))
        return added

    new = write(work)
    reasons = {name: sum(reason == name for _, reason in returned) for name in ("hard_bounce", "complaint")}
    said = {**counted, **reasons, "new": new}
    line = "mails {mails}: hard bounces {hard_bounce}, complaints {complaint}, others {other}, unreadable"
    say(output, said, f"{line} {{unreadable}}; newly suppressed {{new}}".format(**said))


def _mails(files: list[Path]) -> Iterator[tuple[str, bytes]]:
    """Each mail with the place it stands at."""
    for file in files:
        if file.is_dir():
            for key, mail in mailbox.Maildir(file, create=False).iteritems():
                yield f"{file}/{key}", mail.as_bytes()
        elif not file.is_file():
            raise CommandError(f"{file}: there is no such file")
        elif _is_mbox(file):
            with closing(mailbox.mbox(file, create=False)) as box:
                for number, each in enumerate(box, 1):
                    yield f"{file}#{number}", each.as_bytes()
        else:
            yield str(file), file.read_bytes()


def _is_mbox(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(5) == b"From "


def _address(session: Session, shelf: BundleShelf, named: str) -> tuple[str, str]:
    platform, colon, given = named.partition(":")
    if not colon:
        raise CommandError("name an address with its platform, as email:a@b.c; or a contact with --contact")
    address = _normal(platform, given, _platforms(session, shelf, platform))
    if address is None:
        raise CommandError(f"this is no address on {platform}")
    return platform, address


def _platforms(session: Session, shelf: BundleShelf, platform: str) -> Mapping[str, str | None]:
    """The workspace's platforms of numbers; CommandError for a platform that it does not have."""
    workspace = shelf.live(session).workspace
    if platform not in workspace.identities:
        known = ", ".join(workspace.identities)
        raise CommandError(f"{platform!r} is not a platform of this workspace; known are {known}")
    return workspace.numbers


def _normal(platform: str, given: str, numbers: Mapping[str, str | None]) -> str | None:
    from engine.intake.identifying import normalised

    return normalised(platform, given, numbers)


def _secret() -> str:
    from engine.services import secret_of
    from engine.settings import Settings

    return secret_of(Settings())
