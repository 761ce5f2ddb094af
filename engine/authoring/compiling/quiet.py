"""Compiles quiet hours, and finds those that together leave no time at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import product

from engine.authoring.checking.references import References
from engine.authoring.compiling.calendars import WEEKDAYS
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.quiet import HeldEntry, QuietEntry
from engine.authoring.models.workspace import WorkspaceFile
from engine.authoring.reading.validating import known_list, nearest
from engine.errors import Problem
from engine.gate.hours import (
    NOWHERE_STATED,
    Held,
    Hours,
    QuietRule,
    Residence,
    WhenQuiet,
    Window,
    holds_in,
    opening,
)
from engine.journeys.localtime import zone_of
from engine.rules.condition import YamlPath

_ANY_MOMENT = datetime(2026, 1, 5, tzinfo=UTC)
_NOWHERE = "ZZ"
"""The code of no country: contacts for whom only the rules without countries hold."""


def compile_quiet(found: Definitions) -> tuple[QuietRule, ...]:
    """The rules in the order of their files."""
    return tuple(_rule(defined, found) for defined in found.quiet_hours.values())


def compile_residence(workspace: WorkspaceFile) -> Residence:
    """How it is known where a contact lives."""
    entry = workspace.residence
    return Residence(entry.attribute, entry.otherwise) if entry is not None else NOWHERE_STATED


def check_quiet_hours(found: Definitions, references: References) -> Iterator[Problem]:
    """Names that lead nowhere, and rules that contradict each other."""
    for quiet in found.quiet_hours.values():
        entry = quiet.item
        yield from _held(entry.holds_back, quiet, ("holds_back",), references)
        if entry.except_ is not None:
            yield from _held(entry.except_, quiet, ("except",), references)
        if entry.wish is not None:
            yield from _attribute(found, entry.wish, quiet, ("wish",))
        if entry.on_holidays is not None:
            yield from references.check("calendar", entry.on_holidays, quiet, ("on_holidays",))
    workspace = found.workspace
    if workspace is None:
        return
    residence = workspace.item.residence
    if residence is not None and residence.attribute is not None:
        yield from _attribute(found, residence.attribute, workspace, ("residence", "attribute"))
    yield from _without_time(found, workspace.item.timezone)


def _held(
    entry: HeldEntry, quiet: Defined[QuietEntry], at: YamlPath, references: References
) -> Iterator[Problem]:
    for noun, key in (
        ("purpose", "purposes"),
        ("channel", "channels"),
        ("journey", "journeys"),
        ("content", "contents"),
        ("identity", "identities"),
    ):
        for number, name in enumerate(getattr(entry, key)):
            yield from references.check(noun, name, quiet, (*at, key, number))


def _attribute(
    found: Definitions, name: str, user: Defined[QuietEntry] | Defined[WorkspaceFile], at: YamlPath
) -> Iterator[Problem]:
    if found.workspace is None:
        return
    attributes = found.workspace.item.attributes
    texts = [each for each, attribute in attributes.items() if attribute.type == "text"]
    if name in texts:
        return
    message = f"'{name}' is not an attribute of this workspace"
    hint = nearest(name, texts) or known_list(texts)
    if name in attributes:
        message = f"'{name}' is an attribute of type {attributes[name].type}, and a text is wanted"
        hint = "declare it as {type: text}, or name another"
    yield user.problem("RS150", message, hint, at=at)


def _without_time(found: Definitions, timezone: str) -> Iterator[Problem]:
    """RS151 where the rules that hold for some message leave it no moment of the week.

    A contact's zone is taken for the workspace's; what contacts wish is not known here.
    """
    rules = {name: _rule(defined, found) for name, defined in found.quiet_hours.items()}
    codes = {_NOWHERE, *(code for rule in rules.values() for code in rule.countries)}
    places: list[tuple[str, ...]] = [(), *((code,) for code in sorted(codes))]
    named = [*(r.holds_back for r in rules.values()), *(r.spared for r in rules.values() if r.spared)]
    journeys = {None, *(name for each in named for name in each.journeys)}
    contents = {"", *(name for each in named for name in each.contents)}
    looked_at: set[frozenset[str]] = set()
    for (purpose, channel), lives_in, journey, content in product(
        product(found.purposes.values(), found.channels.values()),
        places,
        sorted(journeys, key=str),
        sorted(contents),
    ):
        said = (purpose.item.id, purpose.item.kind, channel.item.id, channel.item.identity, journey, content)
        concerned = frozenset(
            name
            for name, rule in rules.items()
            if rule.hours is not None
            and rule.holds_back.concerns(*said)
            and not (rule.spared is not None and rule.spared.concerns(*said))
            and holds_in(rule.countries, lives_in)
        )
        if concerned in looked_at:
            continue
        looked_at.add(concerned)
        windows = [_window(rules[name], timezone) for name in rules if name in concerned]
        if windows and _is_always_quiet(windows):
            names = ", ".join(f"'{name}'" for name in sorted(concerned))
            message = (
                f"together with the others that hold for them ({names}) this leaves {purpose.item.id} "
                f"messages on {channel.item.id} no time of the week"
            )
            last = found.quiet_hours[[name for name in rules if name in concerned][-1]]
            yield last.problem("RS151", message, "shorten one of them, or narrow 'holds_back'")
            return


def _is_always_quiet(windows: list[Window]) -> bool:
    found = opening(windows, _ANY_MOMENT)
    return found is not None and found.at is None


def _window(rule: QuietRule, timezone: str) -> Window:
    assert rule.hours is not None, "rules by wish are left out"
    named = timezone if rule.timezone in {"contact", "workspace"} else rule.timezone
    return Window(rule, rule.hours, zone_of(named, timezone))


def _rule(defined: Defined[QuietEntry], found: Definitions) -> QuietRule:
    entry, place = defined.item, defined.place()
    hours = None
    if entry.from_ is not None and entry.until is not None:
        days = frozenset(WEEKDAYS.index(day) + 1 for day in entry.weekdays)
        hours = Hours(entry.from_, entry.until, days, _holidays(entry.on_holidays, found))
    return QuietRule(
        id=entry.id,
        because=entry.because,
        holds_back=_which(entry.holds_back),
        timezone=entry.timezone,
        when_quiet=WhenQuiet(entry.when_quiet),
        hours=hours,
        wish=entry.wish,
        spared=_which(entry.except_) if entry.except_ is not None else None,
        countries=entry.countries,
        spread=entry.spread or QuietRule.spread,
        source=entry.source,
        as_of=entry.as_of or "",
        file=place.file,
        line=place.line,
    )


def _holidays(calendar: str | None, found: Definitions) -> frozenset[date] | None:
    """The days that the calendar names; none of one that does not exist, which is told elsewhere."""
    if calendar is None:
        return None
    named = found.calendars.get(calendar)
    return frozenset(day for each in named.item.holidays for day in each.dates()) if named else frozenset()


def _which(entry: HeldEntry) -> Held:
    return Held(
        entry.purposes,
        tuple(entry.kinds),
        entry.channels,
        entry.identities,
        entry.journeys,
        entry.contents,
    )
