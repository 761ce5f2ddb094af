"""`wayline plan` and `wayline journey`: what is switched on and off while everything runs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.database import read, who, write
from engine.cli.output import Format, FormatOption, say, say_rows, shown

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from engine.governance.records import Record
    from engine.store.bundles import BundleShelf

Why = Annotated[str, typer.Option("--why", help="The reason, for the record.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `wayline`."""
    plan = typer.Typer(no_args_is_help=True, help="Prepared sets of overrides: holiday, hot topic, crisis.")
    plan.command("list")(list_plans)
    plan.command("on")(switch_on)
    plan.command("off")(switch_off)
    app.add_typer(plan, name="plan")
    journey = typer.Typer(no_args_is_help=True, help="The journeys in force.")
    journey.command("list")(list_journeys)
    journey.command("pause")(pause)
    journey.command("resume")(resume)
    app.add_typer(journey, name="journey")


def list_plans(output: FormatOption = Format.TEXT) -> None:
    """List the plans of the bundle in force, and which are on.

    Example: wayline plan list
    """
    from engine.governance import plans

    states = read(plans.list_plans)
    rows = [
        {
            "plan": state.id,
            "title": state.title,
            "state": "on" if state.is_on else "off",
            "since": state.since,
            "until": state.until,
            "by": state.by,
            "why": state.reason,
        }
        for state in states
    ]
    columns = ["plan", "title", "state", "since", "until", "by", "why"]
    say_rows(output, rows, columns, nothing="there are no plans")


def switch_on(
    plan: Annotated[str, typer.Argument(help="As `wayline plan list` shows it.")],
    until: Annotated[
        str | None,
        typer.Option(help='When it ends by itself: a length as 2d, or a moment as "2026-10-08T00:00+08:00".'),
    ] = None,
    why: Why = "",
    output: FormatOption = Format.TEXT,
) -> None:
    """Put a plan in force everywhere at once; without --until, for as long as its file allows.

    Example: wayline plan on crisis --until 2d --why "recall of batch 42"
    """
    from engine.governance import plans

    def act(session: Session, shelf: BundleShelf, now: datetime) -> datetime:
        ends = plans.end_said(until, now) if until is not None else None
        return plans.switch_on(session, shelf, plan, until=ends, by=who(), reason=why, now=now)

    ends = write(act)
    say(output, {"plan": plan, "state": "on", "until": ends.isoformat()}, f"{plan} is on until {shown(ends)}")


def switch_off(
    plan: Annotated[str, typer.Argument(help="As `wayline plan list` shows it.")],
    why: Why = "",
    output: FormatOption = Format.TEXT,
) -> None:
    """Take a plan out of force; messages that it held are looked at again.

    Example: wayline plan off crisis
    """
    from engine.governance import plans

    def act(session: Session, shelf: BundleShelf, now: datetime) -> bool:
        return plans.switch_off(session, shelf, plan, by=who(), reason=why, now=now)

    changed = write(act)
    text = f"{plan} is off" if changed else f"{plan} was not on"
    say(output, {"plan": plan, "state": "off", "changed": changed}, text)


def list_journeys(output: FormatOption = Format.TEXT) -> None:
    """List the journeys in force: paused or not, how many contacts are in them, when they fire next.

    Example: wayline journey list
    """
    from engine.governance import journeys

    rows: list[Record] = read(journeys.list_journeys)
    columns = ["journey", "title", "enters_by", "active_runs", "in_flight", "paused"]
    columns += ["next_at", "fired_at", "missed"]
    told = [{**row, "in_flight": _in_flight(row["in_flight"])} for row in rows]
    say_rows(output, rows, columns, nothing="there are no journeys", told=told)


def _in_flight(order: Record | None) -> str:
    """How far it is with people on earlier versions."""
    if order is None:
        return ""
    done = order["moved"] + order["ended"]
    return f"{order['policy']}: {order['left']} left" + (f", {done} done" if done else "")


Journey = Annotated[str, typer.Argument(help="As `wayline journey list` shows it.")]


def pause(journey: Journey, why: Why = "", output: FormatOption = Format.TEXT) -> None:
    """Let nobody into a journey any more; those on their way go on.

    Example: wayline journey pause welcome --why "the offer is sold out"
    """
    from engine.governance import journeys

    changed = write(
        lambda session, shelf, now: journeys.pause(session, shelf, journey, by=who(), reason=why, now=now)
    )
    _say(journey, "paused", changed, output)


def resume(journey: Journey, why: Why = "", output: FormatOption = Format.TEXT) -> None:
    """Let contacts into a journey again.

    Example: wayline journey resume welcome
    """
    from engine.governance import journeys

    changed = write(lambda session, _, now: journeys.resume(session, journey, by=who(), reason=why, now=now))
    _say(journey, "open", changed, output)


def _say(journey: str, state: str, changed: bool, output: Format) -> None:
    text = f"{journey} is {state}" if changed else f"{journey} was {state} already"
    say(output, {"journey": journey, "state": state, "changed": changed}, text)
