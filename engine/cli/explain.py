"""`wayline explain`: why a message was sent, held or not sent, and what became of a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from engine.authoring.reading.validating import known_list, nearest
from engine.cli.database import read
from engine.cli.output import Format, FormatOption, print_json
from engine.errors import CommandError, NotFound

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from engine.delivery.explaining import Story, Told
    from engine.store.bundles import BundleShelf


def register(app: typer.Typer) -> None:
    """Add the command to `wayline`."""
    app.command("explain")(explain)


def explain(
    intent: Annotated[
        str | None, typer.Argument(help="The key of an intent or a call, as `wayline run show` lists it.")
    ] = None,
    contact: Annotated[
        str | None, typer.Option(help="An id, or an identity such as user:42 or email:a@b.c.")
    ] = None,
    journey: Annotated[str | None, typer.Option(help="With --contact: only this journey.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="With --contact: how many decisions.")] = 50,
    output: FormatOption = Format.TEXT,
) -> None:
    """Say why a message was sent, held or not sent or what a call came to, and what would have had to differ.

    Example: wayline explain --contact email:a@example.com --journey welcome
    """
    from engine.clock import SystemClock
    from engine.delivery import explaining
    from engine.delivery.undecided import undecided
    from engine.governance.records import find_contact

    if (intent is None) == (contact is None):
        raise CommandError("name an intent, or a contact with --contact")
    if journey is not None and contact is None:
        raise CommandError("--journey goes with --contact")
    if intent is not None:
        key = intent

        def look_up(session: Session, shelf: BundleShelf) -> Story | list[Told]:
            try:
                return explaining.explain_intent(session, shelf, key)
            except NotFound:
                return explaining.explain_call(session, shelf, key)

        story = read(look_up)
        if output is Format.TEXT:
            text = explaining.render_decisions(story) if isinstance(story, list) else explaining.render(story)
            typer.echo(text, nl=False)
        elif isinstance(story, list):
            print_json([explaining.as_data(each) for each in story])
        else:
            print_json(explaining.as_data(story))
        return
    assert contact is not None, "one of the two is given"
    named = contact

    def look(session: Session, shelf: BundleShelf) -> tuple[list[Told], list[str]]:
        contact_id = find_contact(session, named)
        told = explaining.explain_contact(session, shelf, contact_id, journey=journey, limit=limit)
        if journey is None or told:
            return told, ["nothing was decided yet"]
        bundle = shelf.live(session)
        known = bundle.programs
        if journey not in known:
            raise CommandError(
                f"there is no journey {journey!r}: {nearest(journey, known) or known_list(known)}"
            )
        return told, undecided(session, bundle, contact_id, journey, SystemClock().now())

    told, otherwise = read(look)
    if output is Format.JSON:
        print_json([explaining.as_data(each) for each in told])
    else:
        typer.echo(explaining.render_decisions(told) or "\n".join(otherwise) + "\n", nl=False)
