"""`wayline budget`: what there is, what is spent and may be spent now, and which shares are halted."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.cli.database import read, who, write
from engine.cli.output import Format, FormatOption, print_fields, print_json, print_table, say

Name = Annotated[str, typer.Argument(help="As `wayline budget list` shows it.")]
ShareName = Annotated[str, typer.Option("--share", help="As `wayline budget show` shows it.")]
Why = Annotated[str, typer.Option("--reason", help="Kept with the change.")]
OTHERS = "others"
"""The share of all messages that no other one is for, as `engine.gate.budgets` has it."""


def register(app: typer.Typer) -> None:
    """Add the commands to `wayline`."""
    budget = typer.Typer(no_args_is_help=True, help="Budgets of money and of messages.")
    budget.command("list")(list_budgets)
    budget.command("show")(show_budget)
    budget.command("halt")(halt)
    budget.command("resume")(resume)
    app.add_typer(budget, name="budget")


def list_budgets(output: FormatOption = Format.TEXT) -> None:
    """List the budgets in force: limit, spent, what is allowed by now, and when more is.

    Example: wayline budget list
    """
    from engine.clock import SystemClock
    from engine.governance import budgets

    records = read(lambda session, shelf: budgets.list_budgets(session, shelf, SystemClock()))
    if output is Format.JSON:
        print_json(records)
    else:
        columns = ["budget", "state", "limit", "spent", "held", "allowed_now", "next_at"]
        print_table(records, columns, nothing="there are no budgets")


def show_budget(
    name: Name,
    output: FormatOption = Format.TEXT,
) -> None:
    """Show one budget with its shares.

    Example: wayline budget show coupons
    """
    from engine.clock import SystemClock
    from engine.governance import budgets

    record = read(lambda session, shelf: budgets.budget_record(session, shelf, SystemClock(), name))
    if output is Format.JSON:
        print_json(record)
    else:
        columns = ["share", "weight", "allocated", "spent", "held", "allowed_now"]
        if record["judged_next_at"] is not None:
            columns += ["state", "halted_since", "return", "volatility", "periods"]
        print_fields(record, {"shares": columns})


def halt(name: Name, share: ShareName = OTHERS, reason: Why = "", output: FormatOption = Format.TEXT) -> None:
    """Spend nothing of a share of a budget that names a `return`, until somebody resumes it.

    Its messages are held, not lost. Kept are who said it, when and why.

    Example: wayline budget halt coupons --share valued --reason "the shop's figures are wrong"
    """
    _say_of_share(name, share, reason, output, halted=True)


def resume(
    name: Name, share: ShareName = OTHERS, reason: Why = "", output: FormatOption = Format.TEXT
) -> None:
    """Let a halted share go on; what it held is looked at again.

    Its return is judged by what is spent from now on. Kept are who said it, when and why.

    Example: wayline budget resume coupons --share valued --reason "a sale explains it"
    """
    _say_of_share(name, share, reason, output, halted=False)


def _say_of_share(name: str, share: str, reason: str, output: Format, *, halted: bool) -> None:
    from engine.clock import SystemClock
    from engine.governance import budgets

    by, state = who(), "halted" if halted else "going"
    changed = write(
        lambda session, shelf, now: budgets.say_of_share(
            session, shelf, SystemClock(), name, share, halted=halted, by=by, reason=reason
        )
    )
    record = {"budget": name, "share": share, "state": state, "changed": changed}
    said = f"is {state}" if changed else f"was {state} already"
    say(output, record, f"share {share} of {name} {said}")
