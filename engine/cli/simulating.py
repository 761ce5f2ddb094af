"""`wayline simulate` and `wayline backtest`: what journeys would do, to one contact or to recorded ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.authoring.reading.validating import known_list, nearest
from engine.cli.database import opened
from engine.cli.finishing import finished
from engine.cli.moments import midnight, named_moment
from engine.cli.output import Format, FormatOption, print_json, progress
from engine.cli.workspaces import Folder, bundle_in, folder_of, plugins_at_hand
from engine.errors import CommandError
from engine.rules.duration import parse_duration

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from engine.authoring.bundle import Bundle
    from engine.simulation.histories import Happening, History
    from engine.simulation.people import Person
    from engine.simulation.tallying import Period
    from engine.store.bundles import BundleShelf

_FILE = re.compile(r"[^{}:]+\.ya?ml", re.IGNORECASE)
_EVENT = re.compile(r"(?P<after>\S+)\s+(?P<type>\S+)(?:\s+(?P<properties>.+))?", re.DOTALL)


def register(app: typer.Typer) -> None:
    """Add the commands to `wayline`."""
    app.command("simulate")(simulate)
    app.command("backtest")(backtest)


def simulate(
    folder: Folder = None,
    journey: Annotated[
        list[str] | None, typer.Option("--journey", help="Only this journey; may be repeated.")
    ] = None,
    contact: Annotated[
        str | None,
        typer.Option(
            help="A made-up contact: a YAML file, or YAML as '{tags: [vip], timezone: Europe/Berlin}' with "
            "identities, consents, tags, attributes, timezone, locale."
        ),
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(
            "--event", help="OFFSET TYPE {PROPERTIES}, as '2d order_paid {amount: 5}'; may be repeated."
        ),
    ] = None,
    sample: Annotated[
        int | None, typer.Option(min=1, max=1000, help="So many real contacts of the database instead.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Which contacts a sample draws.")] = 0,
    start: Annotated[
        str | None, typer.Option(help="A date or moment; left out: today's first moment.")
    ] = None,
    length: Annotated[str, typer.Option("--for", help="How long, as 30d.")] = "60d",
    output: FormatOption = Format.TEXT,
) -> None:
    """Show what would happen to a contact, moment by moment on their own clock, with the reason of every no.

    Nothing is sent or written. The same words give the same story.

    Example: wayline simulate rulesets --journey welcome --event "2d product_viewed {product_id: p1}"
    """
    from engine.simulation.made_up import faults_of
    from engine.simulation.stories import not_simulated, stories, story_data, story_lines
    from engine.simulation.testing import own_generator_only

    if sample is not None and (contact is not None or event):
        raise CommandError("--sample takes contacts as they are; leave out --contact and --event")
    where = folder_of(folder)
    plugins = plugins_at_hand()
    bundle = bundle_in(where).with_windows(plugins.windows)
    chosen = list(journey or ())
    for name in chosen:
        if name not in bundle.programs:
            hint = nearest(name, bundle.programs) or known_list(bundle.programs)
            raise CommandError(f"there is no journey {name!r}: {hint}")
    begin = (
        named_moment(start, bundle.workspace.timezone, "--start")
        if start
        else midnight(datetime.now(UTC).date(), bundle.workspace.timezone)
    )
    _check_beginning(begin, "--start")
    until = begin + _length(length, "--for")
    if sample is not None:
        with _reading() as (session, _):
            histories = list(_recorded(session, bundle, begin, until, sample=sample, seed=seed))
    else:
        histories = [_made_up(bundle, contact, event or (), chosen, begin)]
        if faults := faults_of(histories[0].person, bundle, begin):
            raise CommandError("--contact cannot be used:\n" + "\n".join(faults))
    registry = own_generator_only(plugins)
    found = finished(stories(bundle, histories, begin, until, journeys=chosen, registry=registry))
    if output is Format.JSON:
        print_json(
            {
                "bundle": bundle.hash,
                "start": begin,
                "until": until,
                "seed": seed,
                "not_simulated": not_simulated(bundle),
                "stories": [story_data(each) for each in found],
            }
        )
        return
    for number, story in enumerate(found):
        typer.echo("" if number else f"{begin:%Y-%m-%d %H:%M}Z to {until:%Y-%m-%d %H:%M}Z")
        for line in story_lines(story, bundle, chosen, str(where)):
            typer.echo(line)
    for left_out in not_simulated(bundle) if found else ():
        typer.echo(f"not simulated: {left_out}")
    if not found:
        typer.echo("the database has no contacts to draw from")


def backtest(
    folder: Folder = None,
    since: Annotated[str, typer.Option("--from", help="The first day, or a moment.")] = "",
    to: Annotated[str, typer.Option("--to", help="The last day, or the moment of the end.")] = "",
    against: Annotated[
        str | None, typer.Option(help="Another folder, or the number of a published bundle.")
    ] = None,
    events: Annotated[
        list[Path] | None,
        typer.Option("--events", help="Files of events as `wayline ingest` takes, instead of the database."),
    ] = None,
    maps: Annotated[list[str] | None, typer.Option("--map", help="With --events, as in ingest.")] = None,
    time_format: Annotated[str | None, typer.Option(help="With --events, as in ingest.")] = None,
    timezone: Annotated[str | None, typer.Option(help="With --events, as in ingest.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Only so many of the contacts.")] = None,
    seed: Annotated[int, typer.Option(help="Which contacts a sample draws.")] = 0,
    lead: Annotated[
        str, typer.Option(help="How long journeys run before the first day, so that it finds people in them.")
    ] = "30d",
    html: Annotated[Path | None, typer.Option(help="Also write a page with pictures to this file.")] = None,
    output: FormatOption = Format.TEXT,
) -> None:
    """Tell what a workspace would have done to the contacts on record, and how another one would differ.

    Nothing is sent or written. The report says what it rests on.

    Example: wayline backtest rulesets --from 2026-03-01 --to 2026-03-31 --against 7 --html report.html
    """
    from engine.simulation.backtesting import backtest as run
    from engine.simulation.reporting import Source, as_data, report_lines
    from engine.simulation.webpage import web_page

    if not since or not to:
        raise CommandError("name the period: --from 2026-03-01 --to 2026-03-31")
    windows = plugins_at_hand().windows
    bundle = bundle_in(folder_of(folder)).with_windows(windows)
    period = _period(since, to, lead, bundle)
    with ExitStack() as stack:
        database = None
        is_number = against is not None and against.isdigit() and not Path(against).is_dir()
        if against is not None and not is_number and not Path(against).is_dir():
            raise CommandError(f"--against {against}: no such folder, and no number of a published bundle")
        if not events or is_number:
            database = stack.enter_context(_reading())
        other = _other(against, database).with_windows(windows) if against is not None else None
        histories: Iterable[History]
        if events:
            gathered = _gather(events, maps, time_format, timezone, bundle)
            histories, total = gathered.histories, len(gathered.histories)
            source = Source(f"events of {', '.join(file.name for file in events)}", gathered.unusable)
            if sample is not None and sample < total:
                import random

                histories = random.Random(seed).sample(gathered.histories, sample)
                total, source = sample, Source(f"{source.words}, a sample", source.unusable, seed)
        else:
            assert database is not None, "it was opened above"
            session = database[0]
            ids = _ids(session, sample, seed)
            total = len(ids)
            from engine.simulation.population import from_store

            histories = from_store(session, ids, bundle, period.begin, period.until)
            sampled = sample is not None
            source = Source(f"the database{', a sample' if sampled else ''}", seed=seed if sampled else None)
        with progress("backtest", total) as bar:
            done = finished(run(_counted(histories, bar), bundle, period, other))
    if html is not None:
        html.write_text(web_page(done, source), encoding="utf-8")
    if output is Format.JSON:
        print_json(as_data(done, source))
        return
    for line in report_lines(done, source):
        typer.echo(line)
    if html is not None:
        typer.echo(f"\nwith pictures: {html}")


def _counted(histories: Iterable[History], bar: Any) -> Iterator[History]:
    for number, history in enumerate(histories, 1):
        yield history
        bar.to(number)


# What the arguments mean


def _period(since: str, to: str, lead: str, bundle: Bundle) -> Period:
    from engine.simulation.tallying import Period

    first, last = (
        named_moment(since, bundle.workspace.timezone, "--from"),
        named_moment(to, bundle.workspace.timezone, "--to", is_end=True),
    )
    _check_beginning(first, "--from")
    _check_beginning(last, "--to")
    if last <= first:
        raise CommandError("--to must lie after --from")
    return Period(begin=first - _length(lead, "--lead"), since=first, until=last)


def _check_beginning(moment: datetime, option: str) -> None:
    from engine.simulation.histories import EARLIEST, LATEST, can_begin

    if not can_begin(moment):
        raise CommandError(f"{option}: name a moment of the years {EARLIEST.year} to {LATEST.year - 1}")


def _length(text: str, option: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise CommandError(f"{option}: {error}") from error


def _other(against: str, database: tuple[Session, BundleShelf] | None) -> Bundle:
    """The bundle to hold it against: of a folder, or one that was published."""
    if Path(against).is_dir():
        return bundle_in(Path(against))
    assert database is not None, "it was opened for the number"
    from engine.governance.publishing import bundle_row

    session, shelf = database
    return shelf.get(session, bundle_row(session, int(against)).hash)


# Where contacts come from


def _reading() -> Any:
    """A session that reads, and the shelf of bundles, for the length of a `with`."""
    return opened()


def _ids(session: Session, sample: int | None, seed: int) -> list[str]:
    from engine.simulation.population import contact_ids

    return contact_ids(session, sample=sample, seed=seed)


def _recorded(
    session: Session, bundle: Bundle, begin: datetime, until: datetime, *, sample: int, seed: int
) -> Iterator[History]:
    from engine.simulation.population import from_store

    return from_store(session, _ids(session, sample, seed), bundle, begin, until)


def _gather(
    files: Sequence[Path],
    maps: Sequence[str] | None,
    time_format: str | None,
    timezone: str | None,
    bundle: Bundle,
) -> Any:
    from engine.intake.files import read_file
    from engine.intake.mapping import read_mapping
    from engine.simulation.population import from_lines

    for file in files:
        if not file.is_file():
            raise CommandError(f"{file}: there is no such file")
    mapper = read_mapping(maps or [], time_format=time_format, timezone=timezone)
    lines = (line for file in files for line in read_file(file, mapper))
    return from_lines(lines, bundle, datetime.now(UTC))


def _made_up(
    bundle: Bundle, contact: str | None, events: Sequence[str], journeys: Sequence[str], begin: datetime
) -> History:
    from engine.simulation.histories import Happening, History

    happenings = [_happening(text, bundle, begin) for text in events]
    if not events:
        # Who names a journey and nothing else wants to see it from its beginning.
        for name in journeys:
            entry = bundle.programs[name].entry
            own = [each for each in entry.events if not bundle.events[each].is_own]
            if own and not bundle.events[own[0]].schema.get("required"):
                happenings.append(Happening(begin, own[0]))
    happenings.sort(key=lambda each: each.at)
    return History(_person(contact, bundle), tuple(happenings))


def _happening(text: str, bundle: Bundle, begin: datetime) -> Happening:
    from engine.intake.schemas import EventSchemas
    from engine.simulation.histories import Happening

    found = _EVENT.fullmatch(text.strip())
    if found is None:
        raise CommandError(f"--event {text!r}: wanted OFFSET TYPE {{PROPERTIES}}, as '2d order_paid'")
    after = timedelta() if found["after"] in ("0", "now") else _length(found["after"], "--event")
    kind = found["type"]
    if kind not in bundle.events or bundle.events[kind].is_own:
        known = [name for name, each in bundle.events.items() if not each.is_own]
        raise CommandError(
            f"--event: there is no event {kind!r}: {nearest(kind, known) or known_list(known)}"
        )
    properties = _mapping(found["properties"] or "{}", "--event")
    fault = EventSchemas(bundle.events).fault(kind, properties)
    if fault is not None:
        raise CommandError(f"--event {kind}: {fault}")
    return Happening(begin + after, kind, properties)


def _person(contact: str | None, bundle: Bundle) -> Person:
    """The contact that was described; of whom nothing is said can be reached everywhere and agrees to all."""
    from engine.authoring.models.people import PersonEntry
    from engine.authoring.reading.source import read
    from engine.authoring.reading.validating import validate_as
    from engine.authoring.reporting import report
    from engine.simulation.people import Person

    everywhere = {platform: f"{platform}-of-somebody" for platform in bundle.workspace.identities}
    everywhere |= {"email": "somebody@example.com"} if "email" in everywhere else {}
    if contact is None:
        return Person("somebody", identities=everywhere, consents=tuple(bundle.purposes))
    is_file = Path(contact).is_file() if len(contact) < 256 else False
    if not is_file and _FILE.fullmatch(contact):
        raise CommandError(f"--contact {contact}: there is no such file")
    text = Path(contact).read_text(encoding="utf-8") if is_file else contact
    source = read(text, contact if is_file else "--contact")
    entry, problems = validate_as(PersonEntry, source)
    if entry is None:
        raise CommandError("--contact cannot be used:\n" + report([*source.problems, *problems]).rstrip())
    stated = entry.model_fields_set
    if of_tests := sorted(stated & {"arms", "held_out"}):
        raise CommandError(f"--contact cannot be used:\n{of_tests[0]}: only tests of rulesets know it")
    return Person(
        "somebody",
        identities=entry.identities if "identities" in stated else everywhere,
        consents=tuple(entry.consents) if "consents" in stated else tuple(bundle.purposes),
        timezone=entry.timezone,
        locale=entry.locale,
        tags=frozenset(entry.tags),
        attributes=entry.attributes,
    )


def _mapping(text: str, option: str) -> dict[str, Any]:
    from engine.authoring.reading.source import read

    source = read(text, option)
    if source.problems or not isinstance(source.data, dict):
        raise CommandError(f"{option}: {text!r} is no mapping, as {{amount: 5}}")
    return dict(source.data)
