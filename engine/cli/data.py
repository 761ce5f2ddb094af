"""`wayline ingest` and `wayline deadletter`: events in from files, and those that could not be used."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli.database import read
from engine.cli.output import (
    Bar,
    Format,
    FormatOption,
    print_fields,
    print_json,
    print_table,
    progress,
    say_rows,
)
from engine.errors import CommandError

if TYPE_CHECKING:
    import httpx

    from engine.intake.files import Line
    from engine.services import Services

DRAIN_SECONDS = 60.0


def register(app: typer.Typer) -> None:
    """Add the commands to `wayline`."""
    app.command("ingest")(ingest)
    letters = typer.Typer(no_args_is_help=True, help="Events that could not be used.")
    letters.command("list")(list_letters)
    letters.command("show")(show_letter)
    letters.command("retry")(retry_letters)
    app.add_typer(letters, name="deadletter")


@dataclass
class Counted:
    """What became of the events of all files."""

    accepted: int = 0
    duplicates: int = 0
    dead: int = 0


def ingest(
    files: Annotated[list[Path], typer.Argument(help=".jsonl, .ndjson or .csv files.")],
    maps: Annotated[
        list[str] | None,
        typer.Option("--map", help='TARGET=COLUMN or TARGET="constant"; properties.NAME:number=COLUMN.'),
    ] = None,
    time_format: Annotated[
        str | None, typer.Option(help="Of timestamps, as %Y%m%d; unset: ISO 8601.")
    ] = None,
    timezone: Annotated[str | None, typer.Option(help="IANA zone of timestamps that name none.")] = None,
    url: Annotated[str | None, typer.Option(help="Send to this server instead of the database.")] = None,
    write_key: Annotated[str | None, typer.Option(help="With --url; else WAYLINE_WRITE_KEY.")] = None,
    batch: Annotated[int, typer.Option(min=1, max=2000, help="Events in one transaction.")] = 100,
    output: FormatOption = Format.TEXT,
) -> None:
    """Take events in from files: Segment messages as JSON Lines, or any columns with a mapping.

    A file taken in twice counts once. A line that cannot be used becomes a dead letter, with file and line.

    Example: wayline ingest orders.csv --map userId=customer --map 'event="order_paid"' --map timestamp=date
    """
    from engine.intake.files import in_batches, read_file
    from engine.intake.mapping import read_mapping

    mapper = read_mapping(maps or [], time_format=time_format, timezone=timezone)
    for file in files:
        if not file.is_file():
            raise CommandError(f"{file}: there is no such file")
    counted = Counted()

    async def send_all() -> None:
        opened = _over_http(url, write_key) if url is not None else _into_database()
        total = sum(file.stat().st_size for file in files)
        before = 0
        async with opened as send:
            with progress("ingest", total) as bar:
                for file in files:
                    for lines in in_batches(read_file(file, mapper), batch):
                        await send(lines, file.name, counted)
                        _show(bar, before + lines[-1].bytes_read)
                    before += file.stat().st_size

    asyncio.run(send_all())
    if output is Format.JSON:
        print_json(asdict(counted))
        return
    typer.echo(f"accepted {counted.accepted}, duplicates {counted.duplicates}, dead {counted.dead}")
    if counted.dead:
        typer.echo("why: wayline deadletter list")


def list_letters(
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 50,
    resolved: Annotated[bool, typer.Option("--all", help="Also those that were settled since.")] = False,
    output: FormatOption = Format.TEXT,
) -> None:
    """List dead letters, the newest first.

    Example: wayline deadletter list --limit 20
    """
    from engine.intake.deadletters import list_dead_letters

    found = read(lambda session, _: list_dead_letters(session, limit=limit, with_resolved=resolved))
    rows = [_letter(letter) for letter in found]
    say_rows(output, rows, ["id", "received_at", "source", "code", "message"], nothing="no dead letters")


def show_letter(
    id_: Annotated[int, typer.Argument(metavar="ID")], output: FormatOption = Format.TEXT
) -> None:
    """Show one dead letter with what was sent.

    Example: wayline deadletter show 17
    """
    from engine.intake.deadletters import show_dead_letter

    record = _letter(read(lambda session, _: show_dead_letter(session, id_)))
    if output is Format.JSON:
        print_json(record)
    else:
        print_fields(record)


def retry_letters(
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="None: every open one.")] = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Take dead letters in again, once the reason is gone. Repeating it is harmless.

    Example: wayline deadletter retry 17 18
    """
    from engine.intake.deadletters import Retried, retry, show_dead_letter

    async def do() -> Retried:
        async with _services() as services:
            with services.store.read() as session:
                for id_ in ids or ():
                    show_dead_letter(session, id_)  # NotFound names it
            retried = await services.store.run(
                retry, services.store, services.intake, services.clock, ids or None
            )
            await _carry(services, retried.run_ids)
            return retried

    retried = asyncio.run(do())
    if output is Format.JSON:
        print_json({"resolved": retried.resolved, "still_dead": [_letter(one) for one in retried.still_dead]})
        return
    typer.echo(f"resolved {len(retried.resolved)}, still dead {len(retried.still_dead)}")
    if retried.still_dead:
        print_table([asdict(letter) for letter in retried.still_dead], ["id", "code", "message"], nothing="")


Send = Callable[["list[Line]", str, Counted], Awaitable[None]]


@asynccontextmanager
async def _into_database() -> AsyncIterator[Send]:
    """Takes batches straight into the database, and carries the runs they start."""
    async with _services() as services:
        started: list[str] = []

        async def send(lines: list[Line], name: str, counted: Counted) -> None:
            receipt = await services.store.run(
                services.intake.accept, [line.incoming() for line in lines], source=f"file:{name}"
            )
            counted.accepted += receipt.accepted
            counted.duplicates += receipt.duplicates
            counted.dead += receipt.dead
            started.extend(receipt.run_ids)
            if len(started) >= 200:
                await _carry(services, started)
                started.clear()

        yield send
        await _carry(services, started)


@asynccontextmanager
async def _over_http(url: str, write_key: str | None) -> AsyncIterator[Send]:
    """Sends batches to a server; lines that hold no message count as dead and are named on stderr."""
    import httpx

    from engine.settings import Settings

    set_key = Settings().write_key
    key = write_key or (set_key.get_secret_value() if set_key is not None else None)
    if not key:
        raise CommandError("--url needs --write-key, or WAYLINE_WRITE_KEY in the environment")
    async with httpx.AsyncClient(base_url=url, auth=(key, ""), timeout=60) as client:

        async def send(lines: list[Line], name: str, counted: Counted) -> None:
            del name
            for line in lines:
                if line.fault is not None:
                    # The server never sees it, so this is the only place that can say so.
                    typer.echo(f"{line.fault.code} {line.fault.message}", err=True)
                    counted.dead += 1
            messages = [line.message for line in lines if line.message is not None]
            if messages:
                answer = await _post(client, messages)
                counted.accepted += answer["accepted"]
                counted.duplicates += answer["duplicates"]
                counted.dead += answer["dead"]

        yield send


async def _post(client: httpx.AsyncClient, messages: list[dict[str, Any]]) -> dict[str, int]:
    import httpx

    try:
        response = await client.post("/v1/batch", json={"batch": messages})
    except (httpx.TransportError, httpx.InvalidURL) as error:
        raise CommandError(
            f"the server cannot be reached ({type(error).__name__}); what was sent so far was taken in, "
            "repeat the command for the rest"
        ) from error
    try:
        answer: dict[str, Any] = response.json()
        if response.status_code == 200:
            return {name: int(answer[name]) for name in ("accepted", "duplicates", "dead")}
        detail = f": {answer['detail']}" if "detail" in answer else ""
    except (ValueError, TypeError, KeyError):
        detail = "; is this a Wayline server?"
    raise CommandError(f"the server answered {response.status_code} {response.reason_phrase}{detail}")


@asynccontextmanager
async def _services() -> AsyncIterator[Services]:
    from engine.services import build_services
    from engine.settings import Settings

    services = build_services(Settings())
    try:
        yield services
    finally:
        await services.close()


async def _carry(services: Services, run_ids: list[str] | tuple[str, ...]) -> None:
    """Carry what was just started; a run that cannot be carried now is picked up by the dispatcher."""
    from engine.intake.carrying import Carrier

    carrier = Carrier(services.runs.carry)
    carrier.hand(run_ids)
    await carrier.drain(DRAIN_SECONDS)


def _letter(letter: Any) -> dict[str, Any]:
    from engine.masking import mask_value

    record = asdict(letter)
    return {**record, "raw": mask_value(record["raw"])}


def _show(bar: Bar, done: int) -> None:
    bar.to(done)
