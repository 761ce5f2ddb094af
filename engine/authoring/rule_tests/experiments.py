"""What a test says of experiments: the arms its contacts have, and the hold-outs they belong to."""

from __future__ import annotations

from collections.abc import Mapping

from engine.authoring.models.people import PersonEntry
from engine.authoring.reading.validating import known_list, nearest
from engine.authoring.rule_tests.ground import Ground
from engine.journeys.program import Experiment
from engine.rules.condition import YamlPath


def arms_of(ground: Ground, said: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """(journey, step) -> arm; what names nothing is left out, and told by `check_experiments`."""
    return {
        (journey, step): arm
        for step, arm in said.items()
        for journey, experiment in _owners(ground, step).items()
        if arm in experiment.design.arms
    }


def check_experiments(ground: Ground, person: PersonEntry, at: YamlPath) -> None:
    """Note steps, arms and hold-outs that are not there."""
    for step, arm in person.arms.items():
        owners = _owners(ground, step)
        here = (*at, "arms", step)
        if not owners:
            known = {
                each.id
                for program in ground.programs.values()
                for each in program.steps.values()
                if isinstance(each, Experiment)
            }
            ground.unknown(f"the journeys under test have no experiment '{step}'", step, known, here)
        elif len(owners) > 1:
            message = f"several journeys have an experiment '{step}': {', '.join(owners)}"
            ground.note("RS087", message, "test them in files of their own", here)
        elif arm not in (arms := next(iter(owners.values())).design.arms):
            ground.unknown(f"the experiment '{step}' has no arm '{arm}'", arm, arms, here)
    known_hold_outs = [each.id for each in ground.bundle.hold_outs]
    for number, name in enumerate(person.held_out):
        if name not in known_hold_outs:
            hint = nearest(name, known_hold_outs) or known_list(known_hold_outs)
            ground.note("RS087", f"'{name}' is no hold-out here", hint, (*at, "held_out", number))


def _owners(ground: Ground, step: str) -> dict[str, Experiment]:
    found = {name: program.steps.get(step) for name, program in ground.programs.items()}
    return {name: each for name, each in found.items() if isinstance(each, Experiment)}
