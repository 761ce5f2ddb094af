"""`wayline explain`: why a message was sent, held or not sent, what became of a call, and other decisions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.authoring.reading.validating import known_list, nearest
from engine.cli.database import read
from engine.cli.moments import named_moment
from engine.cli.output import Format, FormatOption, print_json
from engine.errors import CommandError, NotFound
from engine.gate.model import Outcome, Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Row
    from sqlalchemy.orm import Session

    from engine.delivery.story import Story, Told
    from engine.governance.decisions import Wanted
    from engine.store.bundles import BundleShelf

MOST_PAGES = 200
"""Pages that are gone through for one answer; what is rarer than that needs a narrower question."""


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
    journey: Annotated[str | None, typer.Option(help="Only this journey.")] = None,
    run: Annotated[str | None, typer.Option(help="Only this run, by its id.")] = None,
    reason: Annotated[
        str | None, typer.Option(help="Only this reason, or this family of reasons: cap.full, cap.")
    ] = None,
    outcome: Annotated[Outcome | None, typer.Option(help="Only what ended a message so.")] = None,
    verdict: Annotated[Verdict | None, typer.Option(help="Only decisions of this verdict.")] = None,
    channel: Annotated[str | None, typer.Option(help="Only this channel.")] = None,
    since: Annotated[str | None, typer.Option("--from", help="Only from this day or moment on.")] = None,
    until: Annotated[
        str | None, typer.Option("--to", help="Only to the end of this day, or before this moment.")
    ] = None,
    before: Annotated[str | None, typer.Option(help="Go on where a list ended, as it said.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many decisions.")] = 50,
    output: FormatOption = Format.TEXT,
) -> None:
    """Say why a message was sent, held or not sent or what a call came to, and what would have had to differ.

    Without a key it tells the latest decisions of those asked for, oldest first.

    Example: wayline explain --contact email:a@example.com --journey welcome
    """
    asked = (contact, journey, run, reason, outcome, verdict, channel, since, until)
    if intent is not None:
        if any(each is not None for each in (*asked, before)):
            raise CommandError("a key names one message or call: leave the options out")
        _explain_one(intent, output)
        return
    if all(each is None for each in asked):
        raise CommandError("name an intent, a contact with --contact, or what else you look for: see --help")

    def look(session: Session, shelf: BundleShelf) -> tuple[list[Told], str | None, list[str]]:
        from engine.governance.decisions import Wanted
        from engine.governance.records import find_contact

        wanted = Wanted(
            contact_id=None if contact is None else find_contact(session, contact),
            journey=journey,
            run_id=run,
            reason=reason,
            outcome=outcome,
            verdict=verdict,
            channel=channel,
            since=_moment(session, shelf, since, "--from"),
            until=_moment(session, shelf, until, "--to", is_end=True),
        )
        told, more = _told(session, shelf, wanted, before, limit)
        return told, more, [] if told else _why_nothing(session, shelf, wanted)

    from engine.delivery.rendering import render_decisions
    from engine.delivery.story import as_data

    told, more, otherwise = read(look)
    if output is Format.JSON:
        print_json([as_data(each) for each in told])
    else:
        typer.echo(render_decisions(told) or "\n".join(otherwise) + "\n", nl=False)
    if more is not None:
        typer.echo(f"older: --before {more}", err=output is Format.JSON)


def _explain_one(key: str, output: Format) -> None:
    from engine.delivery import explaining, rendering
    from engine.delivery.story import as_data

    def look_up(session: Session, shelf: BundleShelf) -> Story | list[Told]:
        try:
            return explaining.explain_intent(session, shelf, key)
        except NotFound:
            return explaining.explain_call(session, shelf, key)

    story = read(look_up)
    if output is Format.TEXT:
        text = rendering.render_decisions(story) if isinstance(story, list) else rendering.render(story)
        typer.echo(text, nl=False)
    elif isinstance(story, list):
        print_json([as_data(each) for each in story])
    else:
        print_json(as_data(story))


def _told(
    session: Session, shelf: BundleShelf, wanted: Wanted, before: str | None, limit: int
) -> tuple[list[Told], str | None]:
    """As many as are wanted, oldest first, and where the list goes on; pages that hold less are followed."""
    from engine.delivery.explaining import tell
    from engine.governance.decisions import list_decisions

    rows: list[Row[Any]] = []
    for _ in range(MOST_PAGES):
        page = list_decisions(session, wanted, before=before, limit=limit - len(rows))
        rows += page.rows
        before = page.next
        if before is None or len(rows) == limit:
            break
    return tell(session, shelf, rows[::-1]), before


def _why_nothing(session: Session, shelf: BundleShelf, wanted: Wanted) -> list[str]:
    """What is said when no decision was found: of a contact and a journey, what is missing by now."""
    from engine.clock import SystemClock
    from engine.delivery.undecided import undecided
    from engine.governance.decisions import Wanted

    if wanted == Wanted(wanted.contact_id):
        return ["nothing was decided yet"]
    if wanted.journey is None:
        return ["no such decision"]
    bundle = shelf.live(session)
    known = bundle.programs
    if wanted.journey not in known:
        hint = nearest(wanted.journey, known) or known_list(known)
        raise CommandError(f"there is no journey {wanted.journey!r}: {hint}")
    if wanted.contact_id is None or wanted != Wanted(wanted.contact_id, wanted.journey):
        return ["no such decision"]
    return undecided(session, bundle, wanted.contact_id, wanted.journey, SystemClock().now())


def _moment(
    session: Session, shelf: BundleShelf, text: str | None, option: str, *, is_end: bool = False
) -> datetime | None:
    if text is None:
        return None
    return named_moment(text, shelf.live(session).workspace.timezone, option, is_end=is_end)
