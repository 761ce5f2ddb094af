"""`wayline demo`: the demonstration with progress bars, and its closing table."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from engine.demo.running import Plan, Result, run_demo
from engine.demo.stage import CHANGED

QUIET_STEP_DAYS = 10
"""Without a terminal, one line of progress each so many journey days."""

NARROWEST = 110
"""Columns the closing table needs; used where nobody says how wide the output is."""


def register(app: typer.Typer) -> None:
    """Add the command to `wayline`."""
    app.command("demo")(demo)


def demo(
    contacts: Annotated[int, typer.Option(help="How many customers take part.")] = 150,
    days: Annotated[int, typer.Option(help="How many days are played.")] = 90,
    seconds_per_day: Annotated[float, typer.Option(help="Real seconds a journey day takes.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Seed of what the purchase data does not hold.")] = 1,
    folder: Annotated[Path, typer.Option(help="Where it keeps its files; emptied first.")] = Path(
        ".wayline/demo"
    ),
) -> None:
    """Replay real purchase histories through the shipped journeys at high speed.

    Everything is real: a Temporal server, SQLite, SMTP, webhooks; only journey time is compressed.

    Example: wayline demo --contacts 50 --days 60
    """
    plan = Plan(folder.resolve(), contacts, days, seconds_per_day, seed)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = NARROWEST
    changes = ", ".join(f"{key} {shipped} → {here}" for _, key, shipped, here in CHANGED)
    console.print(f"{contacts} CDNOW customers, {days} days, one day in {seconds_per_day:g} s.")
    console.print(
        f"Changed in the shipped rulesets, because delivery time stays real, and to fill a cap: {changes}."
    )
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("days  {task.fields[fed]}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as bars:
        bar = bars.add_task("1996-12-23", total=days, fed="")
        told = 0

        def progress(moment: datetime, fed: int, total: int) -> None:
            nonlocal told
            day = (moment - plan.begins).days
            bars.update(bar, completed=day, description=f"{moment:%Y-%m-%d}", fed=f"{fed}/{total} calls")
            if not console.is_terminal and day >= told + QUIET_STEP_DAYS:
                told = day
                console.print(f"day {day} of {days}: {fed} of {total} calls to the intake")

        result = asyncio.run(run_demo(plan, say=console.print, progress=progress))
    _show(console, result)
    if result.telling_intent is not None:
        console.print(f"\n$ wayline explain {result.telling_intent}")
        console.print(result.explanation, markup=False, soft_wrap=True, end="")


def _show(console: Console, result: Result) -> None:
    table = Table(title="What became of them", title_justify="left")
    table.add_column("journey")
    for name in ("entered", "ended", "sent", "held once", "capped", "blocked", "failed", "unknown", "open"):
        table.add_column(name, justify="right")
    for row in result.tally.journeys:
        figures = (
            row.entered,
            row.ended,
            row.sent,
            row.held,
            row.capped,
            row.blocked,
            row.failed,
            row.unknown,
        )
        table.add_row(row.journey, *(str(figure) for figure in (*figures, row.open)))
    console.print(table)
    for title, unit, rows in (
        ("Why a message did not go out at once, or not at all", "messages", result.tally.reasons),
        ("Why somebody did not enter a journey that listened", "events", result.tally.refusals),
    ):
        reasons = Table(title=title, title_justify="left", min_width=60)
        for name in ("verdict", "reason"):
            reasons.add_column(name)
        reasons.add_column(unit, justify="right")
        for verdict, reason, count in rows:
            reasons.add_row(verdict, reason, str(count))
        console.print(reasons)
    console.print(
        f"events {result.tally.events}, runs carried by Temporal {result.tally.workflows}, "
        f"breaker changes {result.tally.breaker_changes}, outbox left {result.tally.outbox_open}\n"
        f"mails taken {result.mails}, refused {result.mails_refused}, doubled {result.mails_doubled}; "
        f"webhooks applied {result.webhooks}, repeated {result.webhooks_repeated}; letters {result.letters}"
    )
