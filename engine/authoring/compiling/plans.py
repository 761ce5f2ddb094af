"""Compiles plans, and what a bundle is while some of them are on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from engine.authoring.bundle import Bundle, Plan
from engine.authoring.compiling.overlaying import together
from engine.authoring.definitions import Definitions
from engine.journeys.program import Program, Send, Step


def compile_plans(found: Definitions) -> dict[str, Plan]:
    """The plans by id."""
    pairs = together(found)
    return {
        name: Plan(
            id=name,
            title=plan.item.title,
            at_most=plan.item.at_most,
            until=date.fromisoformat(plan.item.until) if plan.item.until is not None else None,
            together_with=frozenset(
                other for pair in pairs if name in pair for other in pair if other != name
            ),
        )
        for name, plan in found.plans.items()
    }


def under_plans(bundle: Bundle, found: Definitions) -> Bundle:
    """The bundle with what its plans pause, and with channels in their order."""
    if not found.plans_on:
        return bundle
    purposes: dict[str, str] = {}
    journeys: dict[str, str] = {}
    order: list[str] = []
    for name in found.plans_on:
        entry = found.plans[name].item
        if entry.pause is not None:
            purposes |= dict.fromkeys(entry.pause.purposes, name)
            journeys |= dict.fromkeys(entry.pause.journeys, name)
        order += [channel for channel in entry.channels if channel not in order]
    for program in bundle.programs.values():
        # Who came in would only wait: for days, and then all at once.
        if program.purpose in purposes:
            journeys.setdefault(program.journey, purposes[program.purpose])
    return replace(
        bundle,
        plans_on=found.plans_on,
        paused_purposes=purposes,
        paused_journeys=journeys,
        programs=_reordered(bundle.programs, order),
    )


def _reordered(programs: Mapping[str, Program], order: Sequence[str]) -> Mapping[str, Program]:
    if not order:
        return programs
    return {name: _first_by(program, order) for name, program in programs.items()}


def _first_by(program: Program, order: Sequence[str]) -> Program:
    steps: dict[str, Step] = {}
    for name, step in program.steps.items():
        steps[name] = step
        if isinstance(step, Send):
            first = [channel for channel in order if channel in step.channels]
            rest = [channel for channel in step.channels if channel not in order]
            steps[name] = replace(step, channels=(*first, *rest))
    if steps == dict(program.steps):
        return program
    version = hashlib.sha256(f"{program.version} {' '.join(order)}".encode()).hexdigest()[:32]
    return replace(program, version=version, steps=steps)
