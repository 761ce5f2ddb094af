"""The commands of people who write rulesets: lint, init, facts, schemas, graph."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from engine.authoring.bundle import Bundle
from engine.authoring.compiling.catalogues import calendar_facts
from engine.authoring.compiling.event_facts import property_facts
from engine.authoring.compiling.run_facts import program_facts
from engine.authoring.mending import mend_folder
from engine.authoring.picturing import picture
from engine.authoring.reading.validating import known_list, nearest
from engine.authoring.reporting import as_data, count_of, report
from engine.authoring.schemas import stale_schemas, write_schemas
from engine.authoring.starting import start_workspace
from engine.authoring.upcoming import Upcoming, upcoming
from engine.cli.output import Format, FormatOption, print_json
from engine.cli.platforms import show_platforms
from engine.cli.workspaces import Folder, bundle_in, folder_of, load_workspace, plugins_at_hand
from engine.clock import SystemClock
from engine.errors import CommandError
from engine.journeys.drawing import Counts
from engine.journeys.graph import to_mermaid
from engine.rules.facts import BUILT_IN, Fact


class GraphFormat(StrEnum):
    """What a graph is written as."""

    MERMAID = "mermaid"
    SVG = "svg"


def register(app: typer.Typer) -> None:
    """Add the commands of authors."""
    app.command(name="lint")(lint)
    app.command(name="init")(init)
    app.command(name="facts")(facts)
    app.command(name="schemas")(schemas)
    app.command(name="graph")(graph)


def lint(
    folder: Folder = None,
    output: FormatOption = Format.TEXT,
    fix: Annotated[
        bool, typer.Option("--fix", help="First mend what is mechanical, and say what was changed.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --fix: say what would be changed, and change nothing.")
    ] = False,
) -> None:
    """Report every mistake of every file of a workspace, each with its place and the way out.

    Exit 0 when there is none (warnings do not count), 1 when there is one.

    Example: wayline lint rulesets
    """
    if dry_run and not fix:
        raise CommandError("--dry-run only means something with --fix")
    where = folder_of(folder)
    if fix:
        changes = mend_folder(where, plugins_at_hand(), write=not dry_run)
        # Programs read one document on stdout.
        for change in changes:
            typer.echo(f"{where}/{change}", err=output is Format.JSON)
        noun = "change" if len(changes) == 1 else "changes"
        done = "would be made" if dry_run else "made"
        typer.echo(f"{where}: {len(changes)} {noun} {done}", err=output is Format.JSON)
    loaded = load_workspace(where, advise=True, today=SystemClock().now().date())
    problems, bundle = loaded.problems, loaded.bundle
    if output is Format.JSON:
        print_json({"problems": as_data(problems)})
    else:
        typer.echo(report(problems), nl=False)
        found = f"{count_of(problems)}" if problems else "no problems"
        size = f"{len(bundle.files)} files, {len(bundle.programs)} journeys, " if bundle is not None else ""
        typer.echo(f"{where}: {size}{found}")
    raise typer.Exit(0 if bundle is not None else 1)


def init(folder: Annotated[Path, typer.Argument(help="A folder that is empty or not there yet.")]) -> None:
    """Start a workspace: copy the shipped rulesets into a folder, with the schemas for your editor.

    Example: wayline init my-workspace
    """
    written = start_workspace(folder)
    typer.echo(f"{folder}: {len(written)} files written")
    typer.echo(f"next: change what differs, then run: wayline lint {folder}")


def facts(
    folder: Folder = None,
    schedule: Annotated[
        bool, typer.Option("--schedule", help="Instead, the next five firings of each schedule.")
    ] = False,
    platforms: Annotated[
        bool,
        typer.Option("--platforms", help="Instead, what each platform takes of a text."),
    ] = False,
    output: FormatOption = Format.TEXT,
) -> None:
    """List what conditions may ask about: facts of contacts, event types and journeys' runs, and tags.

    Example: wayline facts rulesets
    """
    if schedule and platforms:
        raise CommandError("--schedule and --platforms are two lists: ask for one of them")
    bundle = bundle_in(folder_of(folder))
    if platforms:
        show_platforms(bundle, output)
        return
    if schedule:
        _show_firings(upcoming(bundle, SystemClock().now()), output)
        return
    sections = _sections(bundle)
    if output is Format.JSON:
        listed: dict[str, list[dict[str, Any]]] = {
            name: [
                {"path": fact.path, "type": fact.type, "title": fact.title, "choices": fact.choices}
                for fact in section
            ]
            for name, section in sections.items()
        }
        listed["tags"] = [{"tag": tag.tag, "level": tag.level} for tag in bundle.tags]
        print_json(listed)
        return
    width = max(len(fact.path) for section in sections.values() for fact in section)
    for name, section in sections.items():
        typer.echo(name)
        for fact in section:
            choices = f" ({', '.join(fact.choices)})" if fact.choices else ""
            typer.echo(f"  {fact.path:<{width}}  {fact.type:<7}  {fact.title}{choices}")
    if bundle.tags:
        typer.echo("tags that follow from rules (contact.tags)")
        for tag in bundle.tags:
            place = bundle.rule_places[tag.rule]
            typer.echo(f"  {tag.tag:<{width}}  {tag.level:<9}  {place.file}:{place.line}")


def schemas(
    folder: Annotated[Path, typer.Argument(help="Where the schemas lie.")] = Path("schemas"),
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit 1 when one is stale.")] = False,
) -> None:
    """Write the JSON Schema of every kind of file, for completion and checks in an editor.

    Example: wayline schemas schemas
    """
    if check:
        stale = stale_schemas(folder)
        for name in stale:
            typer.echo(f"{folder / name}: not what the models say; run: wayline schemas {folder}", err=True)
        raise typer.Exit(1 if stale else 0)
    written = write_schemas(folder)
    done = f"{len(written)} schemas written" if written else "all schemas are current"
    typer.echo(f"{folder}: {done}")


def graph(
    journey: Annotated[str, typer.Argument(help="Id of the journey.")],
    folder: Folder = None,
    output: Annotated[
        GraphFormat,
        typer.Option("--format", help="mermaid: text that Markdown pages draw; svg: a picture by itself."),
    ] = GraphFormat.MERMAID,
    counts: Annotated[
        Path | None,
        typer.Option(help="With svg: show how many went where, out of `wayline backtest --format json`."),
    ] = None,
) -> None:
    """Draw a journey as a flow chart.

    Example: wayline graph welcome rulesets --format svg > welcome.svg
    """
    if counts is not None and output is not GraphFormat.SVG:
        raise CommandError("--counts only means something with --format svg")
    bundle = bundle_in(folder_of(folder))
    programs = bundle.programs
    if journey not in programs:
        raise CommandError(
            f"there is no journey {journey!r}: {nearest(journey, programs) or known_list(programs)}"
        )
    match output:
        case GraphFormat.MERMAID:
            typer.echo(to_mermaid(programs[journey]), nl=False)
        case GraphFormat.SVG:
            found = _counts_in(counts, journey) if counts is not None else None
            typer.echo(picture(bundle, journey, found), nl=False)


def _counts_in(file: Path, journey: str) -> Counts:
    """The counts of a journey out of a back-test's report."""
    try:
        said = orjson.loads(file.read_bytes())["here"]["journeys"][journey]["counts"]
        return Counts(
            visits=dict(said["visits"]),
            went={(one, other): number for one, other, number in said["went"]},
            cases={(step, case): number for step, case, number in said["cases"]},
            left=dict(said["left"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        message = f"{file}: not what `wayline backtest --format json` prints, or without {journey!r}"
        raise CommandError(message) from error


def _show_firings(coming: Sequence[Upcoming], output: Format) -> None:
    if output is Format.JSON:
        print_json([each.as_data() for each in coming])
        return
    for each in coming:
        typer.echo(f"{each.journey}  {each.cron}  {each.whose}")
        for moment in each.firings:
            local = moment.astimezone(each.zone)
            typer.echo(f"  {local:%a %Y-%m-%d %H:%M} {each.zone.key}  {moment:%Y-%m-%d %H:%M} UTC")
        if not each.firings:
            typer.echo("  does not fire in the years to come")
    if not coming:
        typer.echo("no journey enters by schedule")


def _sections(bundle: Bundle) -> dict[str, Sequence[Fact]]:
    """The facts of a bundle under headings, in the order in which people look for them."""
    calendars = list(calendar_facts(bundle.calendars))
    own = {name: sorted(property_facts(kind.schema), key=_path) for name, kind in bundle.events.items()}
    return {
        "contact": [fact for fact in bundle.catalogue if fact.path.startswith("contact.")],
        "event (every type)": sorted(
            (fact for fact in BUILT_IN if fact.path.startswith("event.")), key=_path
        ),
        **{
            f"event {name} ({bundle.events[name].title})": properties
            for name, properties in own.items()
            if properties
        },
        **{
            f"journey {name} ({program.title})": sorted(program_facts(program, bundle.events), key=_path)
            for name, program in bundle.programs.items()
        },
        **(
            {"calendar (in journeys, where a condition has a moment)": sorted(calendars, key=_path)}
            if calendars
            else {}
        ),
    }


def _path(fact: Fact) -> str:
    return fact.path
