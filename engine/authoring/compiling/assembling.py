"""Turns definitions that fit together into the bundle that the core understands."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from engine.authoring.built_in import AUDIENCE_EVENTS, BUILT_IN_EVENTS, with_choices
from engine.authoring.bundle import (
    ActionConfig,
    Bundle,
    ChannelConfig,
    CheckConfig,
    EventType,
    Merging,
    Workspace,
)
from engine.authoring.checking.policies import check_policy_conditions
from engine.authoring.compiling.brand import compile_brand
from engine.authoring.compiling.budgets import compile_budgets
from engine.authoring.compiling.calendars import WEEKDAYS, compile_calendars
from engine.authoring.compiling.catalogues import Catalogues
from engine.authoring.compiling.conditions import Rulebook
from engine.authoring.compiling.counts import compile_counts, count_facts
from engine.authoring.compiling.generators import compile_generator
from engine.authoring.compiling.journeys import compile_journey
from engine.authoring.compiling.lexicons import compile_lexicon
from engine.authoring.compiling.metrics import metrics_of
from engine.authoring.compiling.opt_outs import compile_opt_outs
from engine.authoring.compiling.overlaying import overlay_hash
from engine.authoring.compiling.patterns import compile_pattern
from engine.authoring.compiling.plans import compile_plans, under_plans
from engine.authoring.compiling.platforms import compile_platforms, platform_of
from engine.authoring.compiling.plugin_facts import fact_of, facts_of_plugins
from engine.authoring.compiling.profiles import compile_profile, computed_facts
from engine.authoring.compiling.providers import compile_providers
from engine.authoring.compiling.quiet import compile_quiet, compile_residence
from engine.authoring.compiling.reviews import compile_reviews, review_stages
from engine.authoring.compiling.texts import remembered_in
from engine.authoring.compiling.tolerances import Tolerances, compile_tolerances
from engine.authoring.compiling.worth import compile_contact_value
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.breakers import BreakerEntry
from engine.authoring.models.channels import FromEnvironment
from engine.authoring.models.contents import ContentEntry, Text
from engine.authoring.models.events import EventEntry
from engine.authoring.models.experiment import ExperimentFile
from engine.authoring.models.limits import CapEntry, RollingEntry
from engine.authoring.models.purposes import ConsentEntry, PurposeEntry
from engine.authoring.models.workspace import PHONES, WorkspaceFile
from engine.authoring.personal import TEMPLATE
from engine.errors import Problem
from engine.experiments.holding_out import HoldOut
from engine.gate.model import (
    CalendarUnit,
    CalendarWindow,
    Cap,
    Counts,
    DoubleOptIn,
    Purpose,
    Quota,
    RollingWindow,
    WhenFull,
)
from engine.journeys.program import Program
from engine.plugin.contracts import ContentSpec
from engine.risk.metrics import Metric
from engine.risk.model import Breaker, Level, Recovery
from engine.rules.sequences.pattern import Pattern


def hash_of(files: Mapping[str, str]) -> str:
    """The bundle's hash: equal files, in whatever order, give equal hashes."""
    digest = hashlib.sha256()
    for path in sorted(files):
        for text in (path, files[path]):
            encoded = text.encode("utf-8", "surrogatepass")  # what is no text is refused elsewhere
            digest.update(len(encoded).to_bytes(8, "big"))
            digest.update(encoded)
    return digest.hexdigest()


def compile_bundle(
    found: Definitions, files: Mapping[str, str], rulebook: Rulebook | None = None
) -> tuple[Bundle | None, list[Problem]]:
    """The bundle and the problems of its conditions; None when the workspace file itself is missing.

    Whoever passes an empty rulebook finds every condition in it afterwards, as it is written.
    """
    if found.workspace is None or not found.is_complete("workspace", "events", "tags", "audience"):
        return None, []
    workspace = found.workspace.item
    events = event_types(found)
    plugin_facts = facts_of_plugins(found)
    catalogues = Catalogues(
        workspace,
        events,
        [*count_facts(found), *computed_facts(found), *map(fact_of, plugin_facts)],
    )
    rulebook = Rulebook() if rulebook is None else rulebook
    problems: list[Problem] = []
    programs: dict[str, Program] = {}
    calendars = compile_calendars(found)
    patterns: dict[str, Pattern] = {}
    texts = {name: tuple(remembered_in(content.item)) for name, content in found.contents.items()}
    for name, journey in found.journeys.items():
        programs[name], more = compile_journey(journey, catalogues, rulebook, calendars, texts)
        problems.extend(more)
        if (pattern := journey.item.enter.pattern) is not None:
            patterns[name] = compile_pattern(journey, pattern, catalogues, rulebook, workspace.late_after)
    counts, more = compile_counts(found, events, catalogues, rulebook)
    problems.extend(more)
    profile, tags, more = compile_profile(found, counts, catalogues, rulebook)
    problems.extend(more)
    check_policy_conditions(found, catalogues, rulebook)
    tolerances = compile_tolerances(found, catalogues, rulebook)
    budgets = compile_budgets(found, catalogues, rulebook)
    contact_value = compile_contact_value(found, catalogues, rulebook)
    metrics = metrics_of(found)
    bundle = Bundle(
        hash=overlay_hash(hash_of(files), found.plans_on) if found.plans_on else hash_of(files),
        files=dict(files),
        workspace=_workspace(workspace),
        purposes={name: _purpose(defined.item) for name, defined in found.purposes.items()},
        events=events,
        programs=programs,
        caps=tuple(_cap(defined, tolerances) for defined in found.caps.values()),
        channels={
            name: ChannelConfig(
                name,
                each.item.plugin,
                each.item.identity,
                _settings(each.item.settings),
                platform_of(each.item, found),
            )
            for name, each in found.channels.items()
        },
        actions={
            name: ActionConfig(name, each.item.plugin, _settings(each.item.settings), each.item.identity)
            for name, each in found.actions.items()
        },
        generators={
            name: compile_generator(each.item, _settings(each.item.settings))
            for name, each in found.generators.items()
        },
        contents={
            name: _texts(defined.item, defined.item.locales) for name, defined in found.contents.items()
        },
        plain_contents={
            name: _plain_texts(defined.item, variant.locales, found)
            for name, defined in found.contents.items()
            for variant in defined.item.variants
            if not variant.personal and not variant.channels
        },
        channel_contents=_by_channel(found, personal=True),
        plain_channel_contents=_by_channel(found, personal=False),
        platforms=compile_platforms(found),
        checks=tuple(
            CheckConfig(
                each.item.id,
                each.item.plugin,
                each.item.lexicons,
                each.item.purposes,
                each.item.channels,
                dict(each.item.settings),
            )
            for each in found.checks.values()
        ),
        brand=compile_brand(found),
        lexicons={name: compile_lexicon(defined.item) for name, defined in found.lexicons.items()},
        breakers=tuple(
            _breaker(defined.item, metrics[defined.item.metric])
            for defined in found.breakers.values()
            if _is_watched(defined.item, metrics)
        ),
        tags=tags,
        rules=tuple(rulebook.rules),
        catalogue=catalogues.everything,
        rule_places=rulebook.places,
        test_places=rulebook.test_places,
        calendars=calendars,
        plans=compile_plans(found),
        counts=counts,
        profile=profile,
        patterns=patterns,
        hold_outs=tuple(_hold_outs(found)),
        quiet_hours=compile_quiet(found),
        opt_outs=compile_opt_outs(found),
        silence=tolerances.silence,
        budgets=budgets,
        contact_value=contact_value,
        content_values={
            name: defined.item.value for name, defined in found.contents.items() if defined.item.value != 1
        },
        providers=compile_providers(found),
        reviews=compile_reviews(found),
        review_stages=review_stages(found),
        plugin_facts=tuple(each.name for each in plugin_facts),
    )
    return under_plans(bundle, found), [*problems, *rulebook.problems]


def event_types(found: Definitions) -> dict[str, EventType]:
    """All event types by id: the workspace's own, which may add to the built-in ones, and plugins'."""
    types = {each.id: each for each in found.declared.events} | BUILT_IN_EVENTS
    for name, defined in found.events.items():
        types[name] = _event(defined.item)
    for name in AUDIENCE_EVENTS:
        types[name] = with_choices(types[name], "audience", found.audiences)
    return types


def _event(entry: EventEntry) -> EventType:
    built_in = BUILT_IN_EVENTS.get(entry.id)
    if built_in is None:
        return EventType(entry.id, entry.title, entry.schema_, entry.effect, entry.counts_as_activity)
    # Both must hold: what the engine needs of it, and what the workspace wants of it.
    schema: dict[str, Any] = {**entry.schema_}
    properties = {**built_in.schema.get("properties", {}), **entry.schema_.get("properties", {})}
    required = [*built_in.schema.get("required", ()), *entry.schema_.get("required", ())]
    if properties:
        schema["properties"] = properties
    if required:
        schema["required"] = list(dict.fromkeys(required))
    return EventType(entry.id, entry.title, schema, built_in.effect, built_in.counts_as_activity)


def _workspace(entry: WorkspaceFile) -> Workspace:
    return Workspace(
        id=entry.id,
        title=entry.title,
        timezone=entry.timezone,
        locales=entry.locales,
        identities=entry.identities,
        attributes={name: attribute.type for name, attribute in entry.attributes.items()},
        late_after=entry.late_after,
        ahead_by=entry.ahead_by,
        numbers=_numbers(entry),
        residence=compile_residence(entry),
        merging=Merging(entry.merging.by, entry.merging.at_most),
        queues={name: queue.title for name, queue in entry.queues.items()},
    )


def _numbers(entry: WorkspaceFile) -> dict[str, str | None]:
    if "numbers" in entry.model_fields_set:
        return {name: platform.country for name, platform in entry.numbers.items()}
    return {name: None for name in PHONES if name in entry.identities}


def _purpose(entry: PurposeEntry) -> Purpose:
    wanted = entry.consent or ConsentEntry()
    asked = wanted.double_opt_in
    return Purpose(
        entry.id,
        entry.title,
        entry.version,
        entry.kind,
        entry.max_hold,
        entry.repeat_unknown,
        valid_for=wanted.valid_for,
        honours=None if wanted.honours is None else frozenset(wanted.honours),
        double_opt_in=None if asked is None else DoubleOptIn(asked.within, asked.channels),
        titles=dict(entry.titles),
    )


def _cap(defined: Defined[CapEntry], tolerances: Tolerances) -> Cap:
    entry, place = defined.item, defined.place()
    window: RollingWindow | CalendarWindow | None = None
    if isinstance(entry.window, RollingEntry):
        window = RollingWindow(entry.window.rolling)
    elif entry.window is not None:
        starts = WEEKDAYS.index(entry.window.week_starts or "mon") + 1
        window = CalendarWindow(CalendarUnit(entry.window.calendar), entry.window.timezone, starts)
    counts = entry.counts
    is_scaled = entry.limit is not None and entry.quota is None
    return Cap(
        id=entry.id,
        counts=Counts(counts.purpose, counts.channels, counts.journeys, counts.tags, counts.contents),
        limit=entry.limit,
        window=window,
        min_gap=entry.min_gap,
        when_full=WhenFull(entry.when_full),
        max_defer=entry.max_defer,
        quota=Quota(entry.quota.source, entry.quota.as_of) if entry.quota is not None else None,
        look_ahead=entry.look_ahead,
        scale=tolerances.scales.get(defined.source.file, ()) if is_scaled else (),
        file=place.file,
        line=place.line,
    )


def _hold_outs(found: Definitions) -> Iterator[HoldOut]:
    for policy in found.policies:
        if isinstance(policy.item, ExperimentFile):
            entry, place = policy.item.hold_out, policy.place("hold_out")
            yield HoldOut(
                policy.item.id,
                entry.share,
                entry.seed,
                date.fromisoformat(entry.starts),
                date.fromisoformat(entry.ends),
                entry.of.purposes,
                entry.of.channels,
                entry.of.journeys,
                place.file,
                place.line,
            )


def _settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.model_dump(exclude_unset=True) if isinstance(value, FromEnvironment) else value
        for name, value in settings.items()
    }


def _texts(entry: ContentEntry, locales: Mapping[str, Text]) -> dict[str, ContentSpec]:
    writing = entry.writing
    return {
        locale: ContentSpec(
            entry.id,
            locale,
            text.body,
            text.subject,
            text.call_to_action,
            entry.generator,
            "" if writing is None else writing.instructions,
            () if writing is None else writing.facts,
        )
        for locale, text in locales.items()
    }


def _by_channel(found: Definitions, *, personal: bool) -> dict[str, dict[str, dict[str, ContentSpec]]]:
    """The texts that are written for single channels: content -> channel -> locale -> text."""
    texts: dict[str, dict[str, dict[str, ContentSpec]]] = {}
    for name, defined in found.contents.items():
        for variant in defined.item.variants:
            if variant.personal is personal:
                for channel in variant.channels:
                    texts.setdefault(name, {})[channel] = (
                        _texts(defined.item, variant.locales)
                        if personal
                        else _plain_texts(defined.item, variant.locales, found)
                    )
    return texts


def _plain_texts(
    entry: ContentEntry, locales: Mapping[str, Text], found: Definitions
) -> dict[str, ContentSpec]:
    """The texts for who refused personalisation; a generator that asks somebody is told nothing of them."""
    texts = _texts(entry, locales)
    if entry.generator not in found.generators:
        return texts
    return {
        locale: replace(spec, generator=TEMPLATE, instructions="", facts=()) for locale, spec in texts.items()
    }


def _is_watched(entry: BreakerEntry, metrics: Mapping[str, Metric]) -> bool:
    """Whether anything measures what the breaker watches; of others lint warns."""
    metric = metrics.get(entry.metric)
    is_measured = metric is not None and entry.scope in metric.scopes
    return is_measured and (entry.levels.yellow is not None or entry.levels.red is not None)


def _breaker(entry: BreakerEntry, metric: Metric) -> Breaker:
    levels = tuple(
        Level(name, float(level.gt))
        for name, level in entry.levels.said()
        if level.gt is not None and name != "black"  # which nothing acts upon
    )
    recover = entry.recover
    recovery = Recovery(recover.probe_after, recover.probes, recover.close_when.lt, recover.ramp)
    held = entry.held.resume_within if entry.held is not None else None
    return Breaker(entry.id, entry.scope, metric, entry.window, entry.min_samples, levels, recovery, held)
