"""`wayline explain`: why a message was sent, held or not sent."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.cli.output import Format, FormatOption, print_json
from engine.errors import CommandError


def register(app: typer.Typer) -> None:
    """Add the command to `wayline`."""
    app.command("explain")(explain)


def explain(
    intent: Annotated[
        str | None, typer.Argument(help="The intent's key, as `contact timeline` shows it.")
    ] = None,
    contact: Annotated[
        str | None, typer.Option(help="A contact's id, or an identity as email:a@b.c.")
    ] = None,
    journey: Annotated[str | None, typer.Option(help="With --contact: only this journey.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="With --contact: how many decisions.")] = 50,
    output: FormatOption = Format.TEXT,
) -> None:
    """Say why a message was sent, held or not sent, and what would have had to differ.

    Example: wayline explain --contact email:a@example.com --journey welcome
    """
    from engine.delivery import explaining
    from engine.governance.records import find_contact
    from engine.settings import Settings
    from engine.store.bundles import BundleShelf
    from engine.store.database import open_store

    if (intent is None) == (contact is None):
        raise CommandError("name an intent, or a contact with --contact")
    if journey is not None and contact is None:
        raise CommandError("--journey goes with --contact")
    store, shelf = open_store(Settings().database), BundleShelf()
    try:
        with store.read() as session:
            if intent is not None:
                story = explaining.explain_intent(session, shelf, intent)
                if output is Format.JSON:
                    print_json(explaining.as_data(story))
                else:
                    typer.echo(explaining.render(story), nl=False)
                return
            assert contact is not None, "one of the two is given"
            found = find_contact(session, contact)
            told = explaining.explain_contact(session, found, journey=journey, limit=limit)
            if output is Format.JSON:
                print_json([explaining.as_data(each) for each in told])
            else:
                typer.echo(explaining.render_decisions(told) or "nothing was decided yet\n", nl=False)
    finally:
        shelf.close()
        store.close()
