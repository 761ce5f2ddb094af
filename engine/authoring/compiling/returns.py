"""Compiles what comes back of what budgets spend, and tells what cannot be reckoned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from fractions import Fraction
from typing import Any

from engine.authoring.built_in import BUILT_IN_EVENTS
from engine.authoring.checking.references import References
from engine.authoring.compiling.event_facts import property_facts
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.budgets import BudgetEntry
from engine.authoring.reading.validating import known_list, nearest
from engine.errors import Problem
from engine.gate.budgets import Budget, Returns
from engine.gate.pacing import span_of
from engine.journeys.localtime import MIDNIGHT, clock_moment, zone_of
from engine.rules.duration import format_duration
from engine.rules.facts import FactType


def check_returns(
    budget: Defined[BudgetEntry], timed: Budget | None, found: Definitions, references: References
) -> Iterator[Problem]:
    """Events that are not there, amounts that are no numbers, and periods longer than the window.

    `timed` is the budget as far as it is about time; None where nobody knows.
    """
    entry = budget.item.return_
    if entry is None:
        return
    at = ("return", "event")
    yield from references.check("event type", entry.event, budget, at)
    own, built_in = found.events.get(entry.event), BUILT_IN_EVENTS.get(entry.event)
    if own is not None or built_in is not None:
        schema: Mapping[str, Any] = {
            "properties": {
                **(built_in.schema.get("properties", {}) if built_in is not None else {}),
                **(own.item.schema_.get("properties", {}) if own is not None else {}),
            }
        }
        if built_in is not None and built_in.is_own:
            message = f"'{entry.event}' tells what Wayline did, and nothing comes back by that"
            yield budget.problem("RS071", message, "name an event that reaches Wayline from outside", at=at)
        else:
            yield from _amount(budget, entry.event, entry.amount, schema)
    if timed is not None:
        yield from _window(budget, timed)


def compile_returns(entry: BudgetEntry, least: int, decimals: int) -> Returns | None:
    """The budget's return; `least` in its smallest unit, `decimals` of the currency of the amounts."""
    said = entry.return_
    if said is None:
        return None
    above = Fraction(str(said.unstable_above))
    return Returns(
        event=said.event,
        amount=said.amount,
        within=said.within,
        period=said.period,
        periods=said.periods,
        unstable_above=above,
        stable_below=Fraction(str(said.stable_below)) if said.stable_below is not None else above,
        least=least,
        decimals=decimals,
    )


def _amount(
    budget: Defined[BudgetEntry], event: str, name: str, schema: Mapping[str, Any]
) -> Iterator[Problem]:
    kinds = {fact.path.removeprefix("event."): fact.type for fact in property_facts(schema)}
    if kinds.get(name) is FactType.NUMBER:
        return
    numbers = [each for each, kind in kinds.items() if kind is FactType.NUMBER]
    if name in schema["properties"]:
        message = f"'{name}' of {event} is not declared as a number"
    else:
        message = f"{event} declares no property '{name}'"
    hint = (
        nearest(name, numbers)
        or (known_list(numbers) if numbers else "")
        or (f"declare it in the schema of {event}: {{{name}: {{type: number}}}}")
    )
    yield budget.problem("RS224", message, hint, at=("return", "amount"))


def _window(budget: Defined[BudgetEntry], timed: Budget) -> Iterator[Problem]:
    entry = budget.item.return_
    assert entry is not None, "the caller has looked"
    starts = timed.starts or date(2026, 1, 1)
    span = span_of(timed, clock_moment(starts, MIDNIGHT, zone_of(timed.zone, timed.zone)))
    if span is not None and span[1] - span[0] < entry.period:
        message = f"the window ends before a period of {format_duration(entry.period)} is over"
        yield budget.problem("RS225", message, "use a shorter 'period'", at=("return", "period"))
