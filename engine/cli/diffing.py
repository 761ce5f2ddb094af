"""`wayline diff`, and how a publish tells what it does about people on their way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.database import read
from engine.cli.output import Format, FormatOption, print_json, print_table
from engine.cli.workspaces import Folder, folder_of, load_workspace
from engine.errors import CommandError, RulesetError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from engine.governance.difference import Difference, JourneyDifference
    from engine.governance.outlook import Fate, JourneyOutlook
    from engine.journeys.migrating import Destination
    from engine.journeys.program import InFlight
    from engine.store.bundles import BundleShelf

Policy = Annotated[
    list[str] | None,
    typer.Option(
        "--policy",
        metavar="JOURNEY=POLICY",
        help="What becomes of people on their way in a journey: pin (they finish on their version), migrate "
        "(they go over at their next safe point), drain (they finish, and nobody enters before), end.",
    ),
]
_MARKS = {"added": "+", "removed": "-", "changed": "~", "moved": ">", "renamed": "="}
_FILES = {"added": " (new)", "removed": " (gone)", "changed": ""}
_UNCHANGED = "its file is the same"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("diff")(diff)


def diff(folder: Folder = None, policy: Policy = None, output: FormatOption = Format.TEXT) -> None:
    """Show what publishing a workspace would change, and what it would mean for people on their way.

    Exit 1 when somebody would be stranded: publishing would be refused.

    Example: wayline diff rulesets --policy welcome=migrate
    """
    from engine.governance.difference import difference, difference_record
    from engine.settings import Settings

    settings = Settings()
    loaded = load_workspace(folder_of(folder, settings))
    if loaded.bundle is None:
        raise RulesetError(loaded.problems)
    wanted, policies = loaded.bundle, read_policies(policy)

    def look(session: Session, shelf: BundleShelf) -> Difference:
        return difference(session, shelf, wanted, policies)

    found = read(look)
    if output is Format.JSON:
        print_json(difference_record(found))
    else:
        _print(found)
    raise typer.Exit(1 if found.stranded else 0)


def read_policies(given: Sequence[str] | None) -> dict[str, InFlight]:
    """The policies of a command line; CommandError for what is none."""
    from engine.governance.outlook import policies_of

    said: dict[str, str] = {}
    for each in given or ():
        journey, equals, word = each.partition("=")
        if not equals:
            raise CommandError(f"--policy {each!r} is not of the form JOURNEY=POLICY, as welcome=migrate")
        if said.get(journey, word) != word:
            raise CommandError(f"--policy names two policies for {journey!r}")
        said[journey] = word
    return policies_of(said)


def print_people(people: Sequence[JourneyOutlook]) -> None:
    """What a publish does about people on their way, a line for each journey that has any."""
    for outlook in people:
        if outlook.people and (outlook.left or not outlook.is_there):
            gone = "" if outlook.is_there else ", which is gone"
            typer.echo(f"  {outlook.journey}{gone}: {_in_a_line(outlook)}")


def _in_a_line(outlook: JourneyOutlook) -> str:
    counted: dict[str, int] = {}
    for fate in outlook.fates:
        told = _told(outlook.becomes(fate))
        counted[told] = counted.get(told, 0) + fate.people
    parts = ", ".join(f"{people:,} {told}" for told, people in counted.items())
    return f"{outlook.policy.value}: {parts}"


def _print(found: Difference) -> None:
    if not found.files:
        typer.echo("nothing would change: these files are in force")
    else:
        names = ", ".join(f"{name}{_FILES[change]}" for name, change in found.files.items())
        typer.echo(f"files: {names}")
    for each in found.journeys:
        typer.echo("")
        _print_journey(each)
    if found.stranded:
        who = "1 person" if found.stranded == 1 else f"{found.stranded:,} people"
        typer.echo(f"\n{who} would be stranded: publishing is refused until `was` says where they go,")
        typer.echo("or --policy JOURNEY=pin lets them finish on their version")


def _print_journey(each: JourneyDifference) -> None:
    change = each.change
    typer.echo(f"{change.journey}: {_UNCHANGED if change.change == 'unchanged' else change.change}")
    for key in change.keys:
        typer.echo(f"  {key}")
    for step in change.steps:
        details = f"  {', '.join(step.details)}" if step.details else ""
        typer.echo(f"  {_MARKS[step.change]} {step.kind} {step.step}{details}")
    if each.people is None or not each.people.people:
        return
    outlook = each.people
    said = {"command": "as the command says", "file": "as its file says", "default": "when nothing is said"}
    typer.echo(f"  people on their way: {outlook.people:,}; {outlook.policy.value}, {said[outlook.said_by]}")
    columns = ["  step", "bundle", "people", "pin", "migrate", "drain"]
    rows = [_row(outlook, fate) for fate in outlook.fates]
    if outlook.policy.value == "end":
        columns.append("end")
    print_table([{**row, "  step": f"  {row['step']}"} for row in rows], columns, nothing="")
    if outlook.policy.value == "drain":
        typer.echo("  until the last of them has finished, nobody enters")
    if outlook.policy.value == "migrate" and any(fate.migrated.step is not None for fate in outlook.fates):
        typer.echo("  who waits for a message or an answer goes over once that has come")
    for fate in outlook.fates:
        if fate.silenced and _told(outlook.becomes(fate)).startswith("finish"):
            sends = ", ".join(fate.silenced)
            where = fate.step or "the start"
            typer.echo(
                f"  from {where} on, what they finish holds messages that can no longer be sent: {sends} "
                "(their channels or their purpose are gone)"
            )


def _row(outlook: JourneyOutlook, fate: Fate) -> Mapping[str, object]:
    from engine.governance.outlook import POLICIES

    told = {each.value: _told(outlook.becomes(fate, each)) for each in POLICIES}
    number = fate.number if fate.number is not None else fate.bundle[:12]
    return {"step": fate.step or "(start)", "bundle": number, "people": fate.people, **told}


def _told(where: Destination) -> str:
    match where.how.value, where.because:
        case "stays", "own version":
            return "finish as they began"
        case "stays", _:
            return "go over, and wait on" if where.step else "go over, and begin"
        case "renamed", _:
            return f"go over, to {where.step}"
        case "goes_on", _:
            return f"go over, on with {where.step}"
        case "ends", "policy":
            return "end at once"
        case "ends", _:
            return "end, as was says"
        case _, "unreadable":
            return "STRANDED (unreadable)"
    return "STRANDED"
