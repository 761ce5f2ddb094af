"""`wayline review`: texts that people approve before they are sent."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from engine.cli.database import read, who, write
from engine.cli.output import Format, FormatOption, print_fields, print_json, print_table

Review = Annotated[str, typer.Argument(metavar="ID", help="From `wayline review list`, or its beginning.")]


class ReviewState(StrEnum):
    """What is said of a text."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    ALL = "all"


class ReviewVerdict(StrEnum):
    """What can be said of it."""

    APPROVE = "approve"
    REJECT = "reject"
    WITHDRAW = "withdraw"


def register(app: typer.Typer) -> None:
    """Add the commands to `wayline`."""
    review = typer.Typer(no_args_is_help=True, help="Texts that people approve before they are sent.")
    review.command("list")(list_reviews)
    review.command("show")(show_review)
    review.command("decide")(decide)
    app.add_typer(review, name="review")


def list_reviews(
    state: Annotated[ReviewState, typer.Option(help="Only texts of which this is said.")] = (
        ReviewState.PENDING
    ),
    queue: Annotated[str | None, typer.Option(help="Only those on the list of this queue.")] = None,
    content: Annotated[str | None, typer.Option(help="Only texts of this content.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many.")] = 50,
    output: FormatOption = Format.TEXT,
) -> None:
    """List the texts in force that a review policy asks about; those that hold messages come first.

    Example: wayline review list --queue legal
    """
    from engine.governance import reviews

    wanted = None if state is ReviewState.ALL else state.value
    records = read(
        lambda session, shelf: reviews.list_reviews(
            session, shelf, state=wanted, queue=queue, content=content, limit=limit
        )
    )
    if output is Format.JSON:
        print_json({"reviews": records})
        return
    columns = ["id", "state", "content", "locale", "channels", "missing", "held"]
    short = [{**each, "id": str(each["id"])[:12]} for each in records]
    print_table(
        short, columns, nothing=f"no {state.value} reviews" if wanted else "no policy asks about any text"
    )


def show_review(review: Review, output: FormatOption = Format.TEXT) -> None:
    """Show a text as it goes out, with every decision over it.

    Example: wayline review show 4f1c09ab52de
    """
    from engine.governance import reviews

    record = read(lambda session, shelf: reviews.review_record(session, shelf, review))
    if output is Format.JSON:
        print_json(record)
        return
    print_fields(record, {"decisions": ["at", "decision", "stage", "by", "why"]})


def decide(
    review: Review,
    verdict: Annotated[ReviewVerdict, typer.Argument(help="What is said of it.")],
    stage: Annotated[
        str | None, typer.Option(help="In which stage; left out: the first that is missing.")
    ] = None,
    why: Annotated[str, typer.Option(help="For whoever reads the records.")] = "",
    output: FormatOption = Format.TEXT,
) -> None:
    """Approve exactly this text, reject it, or take an approval back. What waits for it is looked at again.

    Example: wayline review decide 4f1c09ab52de approve --why "figures checked"
    """
    from engine.governance import reviews

    decided = write(
        lambda session, shelf, now: reviews.decide(
            session, shelf, review, verdict.value, by=who(), now=now, stage=stage, why=why
        )
    )
    if output is Format.JSON:
        print_json({**vars(decided), "missing": list(decided.missing)})
        return
    rest = f"; still to approve: {', '.join(decided.missing)}" if decided.missing else ""
    typer.echo(f"{decided.hash[:12]} {decided.decision} in {decided.stage}: {decided.state}{rest}")
    if decided.woken:
        typer.echo(f"{decided.woken} messages that waited for it are looked at again")
