"""`wayline reasons`: what every reason code means, what would have made it a yes, and who can change it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from engine.authoring.reading.validating import known_list, nearest
from engine.cli.output import print_json
from engine.errors import CommandError


class ReasonFormat(StrEnum):
    """How the reasons are printed."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


def register(app: typer.Typer) -> None:
    """Add the command to `wayline`."""
    app.command("reasons")(reasons)


def reasons(
    wanted: Annotated[
        str | None, typer.Argument(metavar="[CODE]", help="A code or a family: cap.full, cap.")
    ] = None,
    output: Annotated[
        ReasonFormat, typer.Option("--format", help="markdown: all of them, as in rulesets/REASONS.md.")
    ] = ReasonFormat.TEXT,
) -> None:
    """Say what a reason code means, what would have made it a yes, and who can change it.

    Example: wayline reasons cap.full
    """
    from engine.gate.reason_table import reason_rows, reasons_markdown
    from engine.gate.reasons import FAMILIES, REASONS

    if output is ReasonFormat.MARKDOWN:
        if wanted is not None:
            raise CommandError("markdown is the whole document: leave the code out")
        typer.echo(reasons_markdown(), nl=False)
        return
    if wanted is not None and wanted not in REASONS and wanted not in FAMILIES:
        hint = nearest(wanted, [*REASONS, *FAMILIES]) or known_list(FAMILIES)
        raise CommandError(f"there is no reason {wanted[:60]!r}: {hint}")
    rows = [row for row in reason_rows() if wanted in (None, row["code"], row["code"].partition(".")[0])]
    if output is ReasonFormat.JSON:
        print_json(rows)
        return
    for row in rows:
        typer.echo(row["code"])
        typer.echo(f"  {row['sentence']} · {row['sentence_zh']}")
        if row["would_pass_if"]:
            typer.echo(f"  it would have passed if {row['would_pass_if']} · {row['would_pass_if_zh']}")
        typer.echo(f"  can be changed by {row['changed_by']} · {row['changed_by_zh']}")
