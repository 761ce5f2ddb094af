"""Budgets from which nothing is ever spent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from engine.authoring.bundle import Bundle
from engine.authoring.definitions import Definitions
from engine.errors import Problem
from engine.gate.model import Intent
from engine.gate.spending import cost_of
from engine.journeys.program import Program, Send

_ANY_MOMENT = datetime(2026, 1, 5, tzinfo=UTC)


def check_spending(found: Definitions, bundle: Bundle) -> Iterator[Problem]:
    """RW220 for a budget that pays for nothing that a journey sends."""
    wishes = [
        _wish(program, step)
        for program in bundle.programs.values()
        for step in program.steps.values()
        if isinstance(step, Send)
    ]
    for budget in bundle.budgets:
        if not any(
            cost_of(budget, wish, bundle.purposes[wish.purpose], channel)
            for wish in wishes
            for channel in wish.channels
        ):
            message = f"no journey sends anything that '{budget.id}' pays for, or it costs nothing"
            hint = (
                "let 'pays_for' name other messages, or say what they cost: 'costs' of channels and contents"
            )
            yield found.budgets[budget.id].problem("RW220", message, hint, at=("pays_for",))


def _wish(program: Program, step: Send) -> Intent:
    """A message of the step, as far as budgets look at it."""
    return Intent(
        "", "", step.purpose, 0, step.content, step.channels, step.id, 1, _ANY_MOMENT, journey=program.journey
    )
