"""Checks experiments and hold-outs: arms that nobody gets or that do the same, draws that hang together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from engine.authoring.compiling.conditions import Rulebook
from engine.authoring.compiling.nesting import nested_lists, walk
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.branching_steps import ExperimentStep
from engine.authoring.models.doing_steps import SendStep
from engine.authoring.models.experiment import ExperimentFile, HoldOutEntry
from engine.authoring.models.journey import JourneyFile
from engine.authoring.models.part import Part
from engine.errors import Problem
from engine.experiments.assignment import Design
from engine.experiments.balancing import LONGEST_BLOCK, lowest_terms
from engine.experiments.bucketing import STEPS, is_reachable, ranges_of
from engine.rules.condition import YamlPath
from engine.rules.facts import Catalogue, FactType

_OWN_TO_EACH = "contact.id"


def design_of(journey: str, step: ExperimentStep) -> Design:
    """How a step divides people."""
    key = f"{journey}/{step.experiment}"
    arms, weights = tuple(arm.id for arm in step.arms), tuple(arm.weight for arm in step.arms)
    return Design(key, step.seed or key, arms, weights, step.stratify_by)


def check_experiment(
    journey: Defined[JourneyFile], step: ExperimentStep, path: YamlPath
) -> Iterator[Problem]:
    """An experiment by itself: arms that nobody gets, or that are all the same."""
    weights = [arm.weight for arm in step.arms]
    if not step.stratify_by:
        for number, part in enumerate(ranges_of(weights)):
            if not is_reachable(part):
                share = f"{weights[number]} of {sum(weights)}"
                message = f"nobody is ever given '{step.arms[number].id}': {share} is too small a share"
                hint = f"people are told apart in {STEPS} steps; give it a larger weight"
                yield journey.problem("RS207", message, hint, at=(*path, "arms", number, "weight"))
    elif (length := sum(lowest_terms(weights))) > LONGEST_BLOCK:
        message = (
            f"the weights add up to {length} in lowest terms, so a stratum would hardly ever be balanced"
        )
        hint = f"use rounder weights, as 33, 33 and 34; {LONGEST_BLOCK} is the most"
        yield journey.problem("RS209", message, hint, at=(*path, "stratify_by"))
    first: dict[str, str] = {}
    for number, arm in enumerate(step.arms):
        does = _what_it_does(arm.steps)
        if does in first:
            message = f"the arms '{first[does]}' and '{arm.id}' do the same: there is nothing to compare"
            hint = "let them differ, or leave it to see how much chance alone brings about"
            yield journey.problem("RW065", message, hint, at=(*path, "arms", number))
        first.setdefault(does, arm.id)


def check_strata(
    defined: Defined[Any], paths: Sequence[str], at: YamlPath, catalogue: Catalogue, rulebook: Rulebook
) -> None:
    """Facts that make no strata, or too many of them; noted in the rulebook."""
    for number, path in enumerate(paths):
        here = (*at, number)
        types = {FactType.TEXT, FactType.BOOLEAN}
        if not path.startswith("contact."):
            message = f"'{path}' is no fact of a contact, and an arm is the contact's for good"
            hint = "name a fact of contacts, as contact.stage"
            rulebook.problems.append(defined.problem("RS208", message, hint, at=here))
            continue
        if not rulebook.fact(defined, path, catalogue, types, here, "a text, true or false"):
            continue
        fact = catalogue.get(path)
        if path in paths[:number]:
            hint = "remove one of them"
            rulebook.problems.append(defined.problem("RS042", f"'{path}' stands here twice", hint, at=here))
        elif path == _OWN_TO_EACH:
            message = f"'{path}' is another one for everybody, so each stratum would have one person"
            hint = "name something that people share, as contact.stage"
            rulebook.problems.append(defined.problem("RS208", message, hint, at=here))
        elif fact is not None and fact.type is FactType.TEXT and not fact.choices:
            message = f"'{path}' may be any text: every one of them is a stratum, balanced by itself alone"
            hint = "declare its 'choices', or stratify by a class or a stage, which have few values"
            rulebook.problems.append(defined.problem("RW067", message, hint, at=here))


def check_draws(found: Definitions) -> Iterator[Problem]:
    """Experiments and hold-outs under one seed: the arm in the one says which it is in the other."""
    drawn: dict[tuple[str, bool], str] = {}
    for what, seed, by_hash, defined, at in _draws(found):
        # The hash of a contact and the place in a stratum have nothing to do with each other.
        same = drawn.get((seed, by_hash))
        if same is not None:
            message = f"{same} is drawn with the seed '{seed}' too, so they are not independent"
            hint = "use another seed, unless the same people are meant to be in the same part of both"
            yield defined.problem("RW066", message, hint, at=at)
        drawn.setdefault((seed, by_hash), what)


def check_hold_out(defined: Defined[Any], entry: HoldOutEntry, found: Definitions) -> Iterator[Problem]:
    """Messages that nobody can be held out of."""
    at: YamlPath = ("hold_out", "of")
    for number, name in enumerate(entry.of.purposes):
        purpose = found.purposes.get(name)
        if purpose is not None and purpose.item.kind != "marketing":
            message = f"'{name}' is {purpose.item.kind}: nobody is held out of what they must be told"
            hint = "name marketing purposes, or remove it"
            yield defined.problem("RS211", message, hint, at=(*at, "purposes", number))
    for number, name in enumerate(entry.of.journeys):
        journey = found.journeys.get(name)
        if journey is None or not found.is_complete("purposes"):
            continue
        kinds = {found.purposes[each].item.kind for each in _purposes(journey.item) if each in found.purposes}
        if kinds and "marketing" not in kinds:
            message = f"'{name}' sends no marketing, and nobody is held out of anything else"
            yield defined.problem("RW068", message, "remove it", at=(*at, "journeys", number))


def _purposes(journey: JourneyFile) -> set[str]:
    sends = [step for _, step in walk(journey.steps, ("steps",)) if isinstance(step, SendStep)]
    return {step.purpose or journey.purpose for step in sends}


def _draws(found: Definitions) -> Iterator[tuple[str, str, bool, Defined[Any], YamlPath]]:
    for policy in found.policies:
        if isinstance(policy.item, ExperimentFile):
            name = f"the hold-out '{policy.item.id}'"
            yield name, policy.item.hold_out.seed, True, policy, ("hold_out", "seed")
    for journey in found.journeys.values():
        for path, step in walk(journey.item.steps, ("steps",)):
            if isinstance(step, ExperimentStep):
                design = design_of(journey.item.id, step)
                at = (*path, "seed") if step.seed else (*path, "experiment")
                yield f"the experiment '{design.key}'", design.seed, not design.stratify_by, journey, at


def _what_it_does(steps: Sequence[Part]) -> str:
    """The steps without their names: those have to differ."""
    return json.dumps([_nameless(step) for step in steps], sort_keys=True, default=str)


def _nameless(step: Part) -> dict[str, Any]:
    said = step.model_dump(mode="json", by_alias=True)
    said[next(iter(said))] = ""
    nested = {key: [_nameless(each) for each in inner] for key, inner in nested_lists(step)}
    for key, inner in nested.items():
        target: Any = said
        for part in key[:-1]:
            target = target[part]
        target[key[-1]] = inner
    return said
