"""`wayline breaker` and `wayline kill`: stop and let go, by hand."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.database import read, who, write
from engine.cli.output import Format, FormatOption, print_json, say, say_rows

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.orm import Session

    from engine.delivery.breakers import Look
    from engine.governance.records import Record
    from engine.store.bundles import BundleShelf


class LevelName(StrEnum):
    """How far a breaker is tripped by hand."""

    YELLOW = "yellow"
    RED = "red"


Breaker = Annotated[str, typer.Argument(help="The breaker's id in the ruleset.")]
Scope = Annotated[str, typer.Argument(help="As channel:email; see `wayline breaker list`.")]
Why = Annotated[str, typer.Option("--reason", help="Kept with the change and shown to whoever asks.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `wayline`."""
    breaker = typer.Typer(no_args_is_help=True, help="Breakers: what they hold, by hand and by rule.")
    breaker.command("list")(list_all)
    breaker.command("trip")(trip)
    breaker.command("reset")(reset)
    app.add_typer(breaker, name="breaker")
    kill = typer.Typer(no_args_is_help=True, help="The kill switch: nothing is sent while it is on.")
    kill.command("on")(kill_on)
    kill.command("off")(kill_off)
    app.add_typer(kill, name="kill")


def list_all(output: FormatOption = Format.TEXT) -> None:
    """List every breaker in every scope it watches, with its figure as it is now.

    `figure` is the share of `samples` that is `against`; of messages and of what is told of them, each counts
    in the window of its breaker.

    Example: wayline breaker list --format json
    """
    from engine.clock import SystemClock
    from engine.delivery import breakers
    from engine.governance.records import breaker_record

    def look(session: Session, shelf: BundleShelf) -> list[Record]:
        found = breakers.read_breakers(session, shelf.live(session), SystemClock().now())
        return [breaker_record(*each) for each in found]

    rows = read(look)
    columns = [
        "breaker",
        "scope",
        "state",
        "level",
        "metric",
        "figure",
        "samples",
        "probes_left",
        "ramp",
        "since",
        "by",
    ]
    say_rows(output, rows, columns, nothing="the ruleset has no breakers")


def trip(
    breaker: Breaker,
    scope: Scope,
    level: Annotated[
        LevelName, typer.Option(help="What it is reported as; both hold messages.")
    ] = LevelName.RED,
    reason: Why = "",
    output: FormatOption = Format.TEXT,
) -> None:
    """Open a breaker by hand; it stays open until it is reset. Messages are held, not lost.

    It holds one scope; `wayline kill on` stops everything.

    Example: wayline breaker trip send_failure channel:email --reason "provider maintenance"
    """
    from engine.delivery import breakers

    by = who()
    look = write(
        lambda session, shelf, now: breakers.trip(
            session, shelf, breaker, scope, level=level.value, by=by, reason=reason, now=now
        )
    )
    _say(breaker, scope, look, output)


def reset(breaker: Breaker, scope: Scope, reason: Why = "", output: FormatOption = Format.TEXT) -> None:
    """Close a breaker by hand; what it held goes through the gate again.

    Example: wayline breaker reset send_failure channel:email
    """
    from engine.delivery import breakers

    by = who()
    look = write(
        lambda session, shelf, now: breakers.reset(
            session, shelf, breaker, scope, by=by, reason=reason, now=now
        )
    )
    _say(breaker, scope, look, output)


def kill_on(reason: Why = "", output: FormatOption = Format.TEXT) -> None:
    """Stop all sending at once; messages are held.

    Example: wayline kill on --reason "wrong price in the campaign"
    """
    from engine.governance.control import kill

    by = who()
    changed = write(lambda session, shelf, now: kill(session, by=by, reason=reason, now=now))
    said = "nothing is sent from now on" if changed else "it was on already"
    _say_kill({"state": "on", "changed": changed}, said, output)


def kill_off(output: FormatOption = Format.TEXT) -> None:
    """Allow sending again; what was held goes through the gate again.

    Example: wayline kill off
    """
    from engine.delivery.waking import wake
    from engine.gate.stages import KILL_SCOPE
    from engine.governance.control import unkill

    by = who()

    def let_go(session: Session, shelf: BundleShelf, now: datetime) -> tuple[bool, int]:
        changed = unkill(session, by=by, now=now)
        return changed, wake(session, KILL_SCOPE, now=now)

    changed, woken = write(let_go)
    said = f"sending again; {woken} held messages woken" if changed else "it was off already"
    _say_kill({"state": "off", "changed": changed, "woken": woken}, said, output)


def _say(breaker: str, scope: str, look: Look, output: Format) -> None:
    if output is Format.JSON:
        print_json({"breaker": breaker, "scope": scope, "state": look.state, "level": look.level})
        return
    level = f" ({look.level})" if look.level else ""
    typer.echo(f"{breaker} on {scope} is {look.state}{level}")


def _say_kill(data: dict[str, object], said: str, output: Format) -> None:
    say(output, data, f"kill switch {data['state']}: {said}")
