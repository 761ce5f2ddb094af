"""All files of a workspace together: what is defined where, and what is defined twice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from engine.authoring.declared import NOTHING, Declared
from engine.authoring.models.actions import ActionEntry, ActionsFile
from engine.authoring.models.brand import BrandFile
from engine.authoring.models.breakers import BreakerEntry, BreakersFile
from engine.authoring.models.budgets import BudgetEntry, BudgetsFile
from engine.authoring.models.calendars import CalendarFile
from engine.authoring.models.channels import ChannelEntry, ChannelsFile
from engine.authoring.models.checks import CheckEntry, ChecksFile, LexiconFile
from engine.authoring.models.contents import ContentEntry, ContentFile
from engine.authoring.models.counts import CountEntry
from engine.authoring.models.events import EventEntry, EventsFile
from engine.authoring.models.experiment import ExperimentFile
from engine.authoring.models.generators import GeneratorEntry, GeneratorsFile
from engine.authoring.models.journey import JourneyFile
from engine.authoring.models.limits import CapEntry, CapsFile
from engine.authoring.models.opt_outs import OptOutEntry, OptOutsFile
from engine.authoring.models.part import Head, Part
from engine.authoring.models.plans import PlanFile
from engine.authoring.models.platforms import PlatformEntry, PlatformsFile
from engine.authoring.models.profile import AudienceFile, ClassEntry, ScoreEntry
from engine.authoring.models.purposes import PurposeEntry, PurposesFile
from engine.authoring.models.quiet import QuietEntry, QuietHoursFile
from engine.authoring.models.review import ReviewFile
from engine.authoring.models.scripts import ScriptEntry, ScriptsFile
from engine.authoring.models.tags import TagEntry, TagsFile
from engine.authoring.models.workspace import WorkspaceFile
from engine.authoring.reading.source import Source, dotted
from engine.authoring.scripts import with_scripts
from engine.errors import Place, Problem
from engine.rules.condition import YamlPath

WORKSPACE_FILE = "wayline.yaml"
Item = TypeVar("Item", bound=Part)


@dataclass(frozen=True)
class Defined(Generic[Item]):
    """One thing that a file defines, and where."""

    item: Item
    source: Source
    path: YamlPath

    def place(self, *further: str | int) -> Place:
        """Where it stands, or the value further down in it."""
        return self.source.place((*self.path, *further))

    def problem(self, code: str, message: str, hint: str = "", *, at: YamlPath = ()) -> Problem:
        """A problem with it, at the value that `at` leads to."""
        path = (*self.path, *at)
        return Problem(self.source.place(path), code, dotted(path), message, hint)


@dataclass
class Definitions:
    """Everything the enabled, readable files define, by id."""

    workspace: Defined[WorkspaceFile] | None = None
    purposes: dict[str, Defined[PurposeEntry]] = field(default_factory=dict)
    events: dict[str, Defined[EventEntry]] = field(default_factory=dict)
    channels: dict[str, Defined[ChannelEntry]] = field(default_factory=dict)
    actions: dict[str, Defined[ActionEntry]] = field(default_factory=dict)
    generators: dict[str, Defined[GeneratorEntry]] = field(default_factory=dict)
    contents: dict[str, Defined[ContentEntry]] = field(default_factory=dict)
    """With the scripts that they name put in; as they are written, they stand in their sources."""
    scripts: dict[str, Defined[ScriptEntry]] = field(default_factory=dict)
    checks: dict[str, Defined[CheckEntry]] = field(default_factory=dict)
    lexicons: dict[str, Defined[LexiconFile]] = field(default_factory=dict)
    platforms: dict[str, Defined[PlatformEntry]] = field(default_factory=dict)
    caps: dict[str, Defined[CapEntry]] = field(default_factory=dict)
    breakers: dict[str, Defined[BreakerEntry]] = field(default_factory=dict)
    tags: dict[str, Defined[TagEntry]] = field(default_factory=dict)
    counts: dict[str, Defined[CountEntry]] = field(default_factory=dict)
    scores: dict[str, Defined[ScoreEntry]] = field(default_factory=dict)
    classes: dict[str, Defined[ClassEntry]] = field(default_factory=dict)
    audiences: dict[str, Defined[AudienceFile]] = field(default_factory=dict)
    calendars: dict[str, Defined[CalendarFile]] = field(default_factory=dict)
    plans: dict[str, Defined[PlanFile]] = field(default_factory=dict)
    plans_on: tuple[str, ...] = ()
    """Plans whose overrides are in these definitions."""
    documents: list[tuple[Source, Head]] = field(default_factory=list)
    """All files that could be read, also those that are switched off."""
    budgets: dict[str, Defined[BudgetEntry]] = field(default_factory=dict)
    quiet_hours: dict[str, Defined[QuietEntry]] = field(default_factory=dict)
    opt_outs: dict[str, Defined[OptOutEntry]] = field(default_factory=dict)
    policies: list[Defined[CapsFile | ReviewFile | ExperimentFile]] = field(default_factory=list)
    """Files that say something as a whole, beside what they define."""
    brands: list[Defined[BrandFile]] = field(default_factory=list)
    """The files of the brand book, in the order of their names."""
    journeys: dict[str, Defined[JourneyFile]] = field(default_factory=dict)
    journey_files: list[Defined[JourneyFile]] = field(default_factory=list)
    """All of them, also two with one id: each is checked."""
    disabled: set[str] = field(default_factory=set)
    """`<kind> <id>` of what stands in files that are switched off."""
    unreadable: set[str] = field(default_factory=set)
    """Kinds of which at least one file could not be read: references to them cannot be judged."""
    problems: list[Problem] = field(default_factory=list)
    test_files: list[Source] = field(default_factory=list)
    """The files of tests; they define nothing."""
    declared: Declared = NOTHING
    """What plugins declare; what the files define by the same name takes its place."""
    sources: list[Source] = field(default_factory=list)
    """The files that count: readable, switched on, no tests."""

    def is_complete(self, *kinds: str) -> bool:
        """Whether every file of these kinds could be read."""
        return not self.unreadable & {*kinds, "?"}


def collect(
    documents: Sequence[tuple[Source, Head]], unreadable: Sequence[Source], texts: Mapping[str, str]
) -> Definitions:
    """The definitions of all files; things defined twice are noted at the later place."""
    found = Definitions()
    found.unreadable = {kind_of(source, texts[source.file]) for source in unreadable}
    found.documents = list(documents)
    heads: dict[tuple[str, str], Defined[Head]] = {}
    for source, head in documents:
        kind = str(source.data["kind"])
        defined = Defined(head, source, ())
        if (earlier := heads.setdefault((kind, head.id), defined)) is not defined:
            found.problems.append(_twice(defined, f"the {kind} file '{head.id}'", earlier, ("id",)))
        if not head.enabled:
            _switch_off(found, source, head)
            continue
        found.sources.append(source)
        _sort_in(found, source, head)
    scripts = {name: defined.item for name, defined in found.scripts.items()}
    for name, content in found.contents.items():
        found.contents[name] = replace(content, item=with_scripts(content.item, scripts))
    return found


def kind_of(source: Source, text: str) -> str:
    """The kind that a file means to be, from its data or else its text; `?` when it does not show."""
    if isinstance(source.data, dict) and isinstance(source.data.get("kind"), str):
        return str(source.data["kind"])
    written = re.search(r"^kind\s*[:：]\s*[\"']?([a-z_]+)", text, re.MULTILINE)
    return written[1] if written else "?"


def _sort_in(found: Definitions, source: Source, head: Head) -> None:
    match head:
        case WorkspaceFile():
            found.workspace = Defined(head, source, ())
        case JourneyFile():
            journey = Defined(head, source, ())
            found.journeys.setdefault(head.id, journey)
            found.journey_files.append(journey)
        case PlanFile():
            found.plans.setdefault(head.id, Defined(head, source, ()))
        case CalendarFile():
            found.calendars.setdefault(head.id, Defined(head, source, ()))
        case LexiconFile():
            found.lexicons.setdefault(head.id, Defined(head, source, ()))
        case PurposesFile():
            _add(found, found.purposes, "purpose", "purposes", head.purposes, source)
        case EventsFile():
            _add(found, found.events, "event type", "events", head.events, source)
        case ChannelsFile():
            _add(found, found.channels, "channel", "channels", head.channels, source)
        case ActionsFile():
            _add(found, found.actions, "action", "actions", head.actions, source)
        case GeneratorsFile():
            _add(found, found.generators, "generator", "generators", head.generators, source)
        case ContentFile():
            _add(found, found.contents, "content", "contents", head.contents, source)
        case ScriptsFile():
            _add(found, found.scripts, "script", "scripts", head.scripts, source)
        case ChecksFile():
            _add(found, found.checks, "check", "checks", head.checks, source)
        case PlatformsFile():
            _add(found, found.platforms, "platform", "platforms", head.platforms, source)
        case CapsFile():
            _add(found, found.caps, "cap", "caps", head.caps, source)
            found.policies.append(Defined(head, source, ()))
        case BudgetsFile():
            _add(found, found.budgets, "budget", "budgets", head.budgets, source)
        case QuietHoursFile():
            _add(found, found.quiet_hours, "quiet hour", "quiet_hours", head.quiet_hours, source)
        case OptOutsFile():
            _add(found, found.opt_outs, "opt-out list", "opt_outs", head.opt_outs, source)
        case BrandFile():
            found.brands.append(Defined(head, source, ()))
        case ReviewFile() | ExperimentFile():
            found.policies.append(Defined(head, source, ()))
        case BreakersFile():
            _add(found, found.breakers, "breaker", "breakers", head.breakers, source)
        case TagsFile():
            _add(found, found.tags, "tag", "tags", head.tags, source, key="tag")
            _add(found, found.counts, "count", "counts", head.counts, source)
            _add(found, found.scores, "score", "scores", head.scores, source)
            _add(found, found.classes, "class", "classes", head.classes, source)
        case AudienceFile():
            found.audiences.setdefault(head.id, Defined(head, source, ()))


def _add(
    found: Definitions,
    into: dict[str, Defined[Item]],
    noun: str,
    key_in_file: str,
    items: Sequence[Item],
    source: Source,
    *,
    key: str = "id",
) -> None:
    for number, item in enumerate(items):
        name = str(getattr(item, key))
        defined = Defined(item, source, (key_in_file, number))
        earlier = into.setdefault(name, defined)
        if earlier is not defined:
            found.problems.append(_twice(defined, f"the {noun} '{name}'", earlier, (key,)))


def _twice(defined: Defined[Item], what: str, earlier: Defined[Item], at: YamlPath) -> Problem:
    place = earlier.place(*at)
    message = f"{what} is defined twice; the first is in {place.file}:{place.line}"
    return defined.problem("RS042", message, "rename or remove one of them", at=at)


def _switch_off(found: Definitions, source: Source, head: Head) -> None:
    if isinstance(head, WorkspaceFile):
        problem = Defined(head, source, ()).problem(
            "RS055", "the workspace itself cannot be switched off", "remove it", at=("enabled",)
        )
        found.problems.append(problem)
        found.workspace = Defined(head, source, ())
        return
    shadow = Definitions()
    _sort_in(shadow, source, head)
    found.disabled |= set(_names(shadow))


def _names(found: Definitions) -> Iterator[str]:
    by_noun: dict[str, Mapping[str, object]] = {
        "purpose": found.purposes,
        "event type": found.events,
        "channel": found.channels,
        "action": found.actions,
        "generator": found.generators,
        "content": found.contents,
        "script": found.scripts,
        "lexicon": found.lexicons,
        "platform": found.platforms,
        "calendar": found.calendars,
        "journey": found.journeys,
        "audience": found.audiences,
    }
    for noun, names in by_noun.items():
        yield from (f"{noun} {name}" for name in names)
