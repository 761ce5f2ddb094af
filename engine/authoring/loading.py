"""From a folder or a mapping of files to a checked bundle, with every problem of every file at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from engine.authoring.bundle import Bundle
from engine.authoring.checking.journeys import check_journey
from engine.authoring.checking.plugins import check_plugins
from engine.authoring.checking.proofreading import proofread
from engine.authoring.checking.references import References
from engine.authoring.checking.texts import examine_texts
from engine.authoring.checking.unacted import refused, unacted_in
from engine.authoring.checking.workspace import check
from engine.authoring.compiling.assembling import compile_bundle
from engine.authoring.compiling.brand import check_claims_last
from engine.authoring.compiling.conditions import NOTHING, Rulebook
from engine.authoring.compiling.overlaying import check_plans, together, with_plans
from engine.authoring.compiling.platforms import check_platforms_last
from engine.authoring.declared import FILE as DECLARED_FILE
from engine.authoring.declared import declared_in, with_declared
from engine.authoring.definitions import WORKSPACE_FILE, Definitions, collect
from engine.authoring.linting.fitting import check_fitting
from engine.authoring.linting.lasting import check_calendars_last
from engine.authoring.linting.linter import advice, check_meaning, check_whole
from engine.authoring.linting.secrets import secrets_in
from engine.authoring.models.journey import JourneyFile
from engine.authoring.models.kinds import KINDS
from engine.authoring.models.part import Head
from engine.authoring.models.workspace import WorkspaceFile
from engine.authoring.reading.folders import meant_text, read_folder
from engine.authoring.reading.source import Source
from engine.authoring.rule_tests.landmarks import landmarks, switches
from engine.authoring.rule_tests.reading import TEST_SUFFIX, read_tests
from engine.authoring.understanding import RECENT, Memory
from engine.errors import Problem, RulesetError
from engine.plugin.registry import Registry
from engine.rules.faults import FAULTS


@dataclass(frozen=True)
class Loaded:
    """What became of a set of files: the bundle, unless a problem that is no warning forbids it."""

    bundle: Bundle | None
    problems: tuple[Problem, ...]

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if not problem.is_warning)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.is_warning)


def load_folder(
    path: Path | str,
    registry: Registry | None = None,
    *,
    advise: bool = False,
    memory: Memory | None = None,
    today: date | None = None,
    declared_by: Registry | None = None,
) -> Loaded:
    """The workspace in a folder, as `load_files` has it; places are relative to it.

    CommandError when there is no such folder.
    """
    files, problems = read_folder(path)
    # What may stand in a file that cannot be read is not missing anywhere.
    unread = {
        problem.place.file: meant_text(path, problem.place.file)
        for problem in problems
        if problem.code in {"RS019", "RS133"} and not problem.place.file.endswith(TEST_SUFFIX)
    }
    loaded = load_files(
        files,
        registry,
        advise=advise and not problems,
        unread=unread,
        memory=memory,
        today=today,
        declared_by=declared_by,
    )
    both = tuple(sorted({*problems, *loaded.problems}))
    is_usable = not any(not problem.is_warning for problem in problems)
    return Loaded(loaded.bundle if is_usable else None, both)


def load_files(
    files: Mapping[str, str],
    registry: Registry | None = None,
    *,
    advise: bool = False,
    unread: Mapping[str, str] = NOTHING,
    memory: Memory | None = None,
    today: date | None = None,
    declared_by: Registry | None = None,
) -> Loaded:
    """The workspace in a mapping from relative path to text.

    `unread` are files that are there and could not be read, with what can be guessed of their text: what
    such a file may define is not told to be missing.

    With a registry, the plugins and settings they name are checked too, and templates filled in for trial.
    What its plugins declare becomes a file of the bundle; with `declared_by` alone, that and no more.
    With `advise`, what nobody uses is told too: for people who write, not for those who only load.
    With `today`, calendars and claims that have ended are told.
    With a `memory` that served earlier loads, files that have not changed since are not read again, however
    many there are; without one, those that this process read last.
    """
    if plugins := declared_by or registry:
        files = with_declared(files, plugins)
    found, problems = _read_all(files, unread, memory)
    bundle = _check_all(found, files, problems)
    suites, more = read_tests(found.test_files, found, bundle)
    problems.extend(more)
    if bundle is not None:
        marks = {name: landmarks(journey) for name, journey in found.journeys.items()}
        bundle = replace(bundle, suites=suites, landmarks=marks, switches=switches(found))
    if bundle is not None and plugins is not None:
        bundle = replace(bundle, knowing=plugins.knowing)
    if registry is not None:
        bundle = bundle.with_windows(registry.windows) if bundle is not None else None
        problems.extend(check_plugins(found, registry))
        if bundle is not None and found.is_complete(*KINDS):
            problems.extend(proofread(found, bundle, registry))
            problems.extend(examine_texts(found, bundle, registry))
    for file, text in files.items():
        problems.extend(secrets_in(text, file))
    if bundle is not None and all(problem.is_warning for problem in problems):
        problems.extend(_with_each_plan(found, files))
        problems.extend(check_whole(found, bundle))
        problems.extend(check_fitting(found, bundle, registry))
        problems.extend(advice(found, suites) if advise else ())
        if today is not None:
            problems.extend(check_calendars_last(found, today))
            problems.extend(check_claims_last(found, today))
            problems.extend(check_platforms_last(found, today))
    ordered = tuple(sorted(set(problems)))
    is_usable = not any(not problem.is_warning for problem in ordered)
    return Loaded(bundle if is_usable else None, ordered)


def definitions_of(files: Mapping[str, str]) -> Definitions:
    """What files define that were found good once; what cannot be read any more is left out."""
    return _read_all(files)[0]


def _read_all(
    files: Mapping[str, str], unread: Mapping[str, str] = NOTHING, memory: Memory | None = None
) -> tuple[Definitions, list[Problem]]:
    """Everything that the files define, and the problems with reading them one by one."""
    documents: list[tuple[Source, Head]] = []
    unreadable = [Source(file, None) for file in unread]
    tests: list[Source] = []
    problems: list[Problem] = []
    if memory is None:
        memory = RECENT
    else:
        memory.keep_only(files)
    for file in sorted(name for name in files if name != DECLARED_FILE):
        each = memory.understood(files[file], file)
        problems.extend(each.problems)
        if file.endswith(TEST_SUFFIX):
            tests.append(each.source)
        elif each.head is None:
            unreadable.append(each.source)
        elif isinstance(each.head, WorkspaceFile) and file != WORKSPACE_FILE:
            problems.append(_misplaced(each.source))
        else:
            documents.append((each.source, each.head))
    found = collect(documents, unreadable, {**files, **unread})
    found.declared = declared_in(files)
    found.test_files = tests
    for defined in found.plans.values():
        # What a plan switches on is as good as switched on.
        for source, head in documents:
            if isinstance(head, JourneyFile) and not head.enabled and head.id in defined.item.enable:
                problems.extend(unacted_in(source, JourneyFile))
    return found, problems


def _misplaced(source: Source) -> Problem:
    message = f"the workspace is described in {WORKSPACE_FILE} at the top of the folder, not here"
    return Problem(source.place(("kind",)), "RS041", "kind", message, f"move it to {WORKSPACE_FILE}")


def _check_all(
    found: Definitions,
    files: Mapping[str, str],
    problems: list[Problem],
    done: Sequence[tuple[Source, Head]] = (),
) -> Bundle | None:
    """The bundle; problems are added. What conditions in files of `done` mean was looked into before."""
    problems.extend(check(found))
    references = References(found)
    for journey in found.journey_files:
        problems.extend(check_journey(journey, found, references))
    if not found.plans_on:
        problems.extend(check_plans(found, references))
    rulebook = Rulebook()
    bundle, more = compile_bundle(found, files, rulebook)
    problems.extend(more)
    seen = {id(source) for source, _ in done}
    problems.extend(check_meaning([each for each in rulebook.written if id(each.defined.source) not in seen]))
    return bundle


def _with_each_plan(found: Definitions, files: Mapping[str, str]) -> list[Problem]:
    """What is wrong with the workspace once a plan is on, or two that may be on together."""
    problems: list[Problem] = []
    for plans in [*((name,) for name in sorted(found.plans)), *together(found)]:
        for fault in _faults_with(found, files, plans, found.documents)[1]:
            names = " and ".join(f"'{name}'" for name in plans)
            message = f"with {names} on, {fault.place.file}:{fault.place.line} is wrong: {fault.message}"
            hint = f"{fault.code} {fault.path}" + (f": {fault.hint}" if fault.hint else "")
            problems.append(found.plans[plans[0]].problem("RS093", message, hint))
    return problems


def _faults_with(
    found: Definitions,
    files: Mapping[str, str],
    plans: Sequence[str],
    done: Sequence[tuple[Source, Head]] = (),
) -> tuple[Bundle | None, list[Problem]]:
    """The workspace with these plans on, and every problem of it that is no warning; `done` as before."""
    overlaid, problems = with_plans(found, plans)
    bundle = _check_all(overlaid, files, problems, done)
    return bundle, [problem for problem in problems if not problem.is_warning]


class Overlays:
    """Good files, read once, with this or that plan on."""

    def __init__(self, files: Mapping[str, str]) -> None:
        self._files = files
        self._found, problems = _read_all(files)
        self._faults = [problem for problem in problems if not problem.is_warning]

    def bundle(self, plans: Sequence[str]) -> Bundle:
        """The bundle with these plans on; RulesetError with every problem when they do not fit.

        KeyError for a plan that the files do not define.
        """
        bundle, faults = _faults_with(self._found, self._files, plans)
        faults += self._faults
        if bundle is None or faults:
            raise RulesetError(faults)
        return bundle


def bundle_with_plans(files: Mapping[str, str], plans: Sequence[str]) -> Bundle:
    """The bundle of good files with these plans on, as `Overlays` makes it."""
    return Overlays(files).bundle(plans)


def bundle_of(files: Mapping[str, str], registry: Registry | None = None) -> Bundle:
    """The bundle of files that are expected to be good; RulesetError with every problem when they are not."""
    loaded = load_files(files, registry)
    if loaded.bundle is None:
        raise RulesetError(loaded.errors)
    return loaded.bundle


def bundle_to_publish(files: Mapping[str, str], registry: Registry | None = None) -> Bundle:
    """The bundle of files that are to be put in force; RulesetError with every problem when they cannot be.

    What is checked and not acted upon is such a problem here: nobody would ever see that it does nothing.
    """
    loaded = load_files(files, registry)
    problems = [*loaded.errors, *refused(loaded.warnings)]
    if loaded.bundle is None or problems:
        raise RulesetError(problems)
    return loaded.bundle


def published_bundle(
    files: Mapping[str, str], plans: Sequence[str] = (), *, memory: Memory | None = None
) -> Bundle:
    """The bundle of files that were published, perhaps by an earlier version of Wayline with milder checks,
    with these plans on.

    People may be on their way in it, so it is used as long as every file and every condition in it can be
    read: to leave one out could let through what it forbids. RulesetError when one cannot. `memory` as for
    `load_files`.
    """
    found, problems = _read_all(files, memory=memory)
    if plans:
        found, more = with_plans(found, plans)
        problems += more
    bundle, more = compile_bundle(found, files)
    problems.extend(problem for problem in more if problem.code in FAULTS)
    if bundle is None or any(not problem.is_warning for problem in problems):
        raise RulesetError(load_files(files).errors)
    return bundle
