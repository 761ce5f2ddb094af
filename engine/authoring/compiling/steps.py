"""Compiles the steps of a journey: nested lists as written become steps by id, each with its exits."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from engine.authoring.checking.experiments import check_strata, design_of
from engine.authoring.compiling.asking import OF_STATES, Asking
from engine.authoring.compiling.calendars import WEEKDAYS
from engine.authoring.compiling.conditions import NOTHING
from engine.authoring.compiling.nesting import step_id, walk
from engine.authoring.compiling.run_facts import type_of
from engine.authoring.models.branching_steps import BranchStep, ExperimentStep, RepeatStep
from engine.authoring.models.doing_steps import CallStep, SendStep
from engine.authoring.models.single_steps import CopiedFact, SetStep, StartStep, StopStep, TagStep, WaitStep
from engine.authoring.models.waiting_steps import AskStep, WaitForStep
from engine.journeys.program import (
    Ask,
    Branch,
    Call,
    ChangeTags,
    Choice,
    Copied,
    Experiment,
    Repeat,
    Scalar,
    Send,
    SetValues,
    Start,
    Step,
    Stop,
    Wait,
    WaitFor,
)
from engine.rules.condition import YamlPath
from engine.rules.facts import FactType

_COPIED = {FactType.TEXT, FactType.NUMBER, FactType.BOOLEAN}


class StepCompiler:
    """The steps of one journey; those compiled so far are in `steps`, by their ids."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self.steps: dict[str, Step] = {}

    def sequence(self, steps: Sequence[Any], path: YamlPath, following: str | None) -> str | None:
        """Compile a list of steps that goes on with `following`; the id of its first step, or `following`."""
        for number in reversed(range(len(steps))):
            following = self._step(steps[number], (*path, number), following)
        return following

    def _step(self, step: Any, path: YamlPath, following: str | None) -> str:
        name = step_id(step)
        self.steps[name] = self._compiled(step, name, path, following)
        return name

    def _compiled(self, step: Any, name: str, path: YamlPath, following: str | None) -> Step:
        match step:
            case SendStep():
                outcomes: dict[str, str | None] = {
                    outcome: self.sequence(steps, (*path, "outcomes", outcome), following)
                    for outcome, steps in step.outcomes.items()
                }
                purpose = step.purpose or self._asking.entry.purpose
                return Send(name, step.content, step.channels, purpose, following, step.deadline, outcomes)
            case WaitStep():
                if step.until is not None:
                    catalogue = self._asking.catalogues.inside(self._asking.entry)
                    self._asking.named.append(step.until)
                    self._asking.fact(step.until, catalogue, {FactType.INSTANT}, (*path, "until"), "a moment")
                days = tuple(sorted({WEEKDAYS.index(day) + 1 for day in step.weekdays}))
                calendar = self._asking.calendars.get(step.calendar or "")
                return Wait(name, following, step.for_, step.days, step.at, days, step.until, calendar)
            case WaitForStep():
                return self._wait_for(step, name, path, following)
            case AskStep():
                return self._ask(step, name, path, following)
            case BranchStep():
                return self._branch(step, name, path, following)
            case RepeatStep():
                return self._repeat(step, name, path, following)
            case ExperimentStep():
                return self._experiment(step, name, path, following)
            case SetStep():
                return self._set(step, name, path, following)
            case StartStep():
                return Start(name, step.journey, dict(step.values), following)
            case TagStep():
                return ChangeTags(name, step.add, step.remove, following)
            case CallStep():
                return self._call(step, name, path, following)
            case StopStep():
                return Stop(name)
        raise AssertionError(f"no step: {step!r}")

    @cached_property
    def _copied(self) -> frozenset[str]:
        """The names that some step sets to the value of a fact."""
        sets = [step for _, step in walk(self._asking.entry.steps, ("steps",)) if isinstance(step, SetStep)]
        return frozenset(
            name for step in sets for name, value in step.values.items() if isinstance(value, CopiedFact)
        )

    def _set(self, step: SetStep, name: str, path: YamlPath, following: str | None) -> SetValues:
        catalogue = self._asking.catalogues.inside(self._asking.entry)
        values: dict[str, Scalar] = {}
        facts: dict[str, Copied] = {}
        for key, value in step.values.items():
            at = (*path, "values", key)
            known = catalogue.get(f"journey.values.{key}")
            if not isinstance(value, CopiedFact):
                values[key] = value
                # Among written values the check of the file has compared the types already.
                if key in self._copied and known is not None and known.type is not type_of(value):
                    message = f"'{key}' is set to {type_of(value)} here and to {known.type} elsewhere"
                    self._asking.note("RS056", message, "use one type, or two names", at)
                continue
            if value.fact.startswith("journey.values."):
                message = f"'{value.fact}' is kept with the run already"
                self._asking.note("RS056", message, "name it where it is needed", (*at, "fact"))
                continue
            wanted = "a text, a number, or true or false"
            fact = catalogue.get(value.fact)
            if not self._asking.fact(value.fact, catalogue, _COPIED, (*at, "fact"), wanted) or fact is None:
                continue
            facts[key] = Copied(value.fact, fact.type)
            self._asking.named.append(value.fact)
            if known is not None and known.type is not fact.type:
                message = f"'{key}' is set to {fact.type} here and to {known.type} elsewhere"
                self._asking.note("RS056", message, "use one type, or two names", at)
        return SetValues(name, values, following, facts)

    def _wait_for(self, step: WaitForStep, name: str, path: YamlPath, following: str | None) -> WaitFor:
        rule, events = None, tuple(dict.fromkeys(step.event or ()))
        if step.when is not None:
            rule = f"wait:{self._asking.entry.id}/{name}"
            # Without an event it is asked between events too, so it sees what is known at any time.
            catalogue, elsewhere = self._asking.at_event(events), NOTHING
            if not events:
                catalogue, elsewhere = self._asking.catalogues.inside(self._asking.entry), OF_STATES
            at = (*path, "when")
            self._asking.keep(
                self._asking.condition(at, step.when, catalogue, [(rule, rule)], events, elsewhere=elsewhere)
            )
        then = self.sequence(step.then, (*path, "then"), following)
        otherwise = self.sequence(step.otherwise, (*path, "otherwise"), following)
        return WaitFor(name, events, rule, step.up_to, then, otherwise)

    def _ask(self, step: AskStep, name: str, path: YamlPath, following: str | None) -> Ask:
        choices = tuple(
            Choice(
                each.id,
                each.title,
                self.sequence(each.steps, (*path, "choices", number, "steps"), following),
            )
            for number, each in enumerate(step.choices)
        )
        otherwise = self.sequence(step.otherwise, (*path, "otherwise"), following)
        calendar = self._asking.calendars.get(step.calendar or "")
        return Ask(
            name, step.queue, step.question, choices, step.deadline, otherwise, calendar, step.priority
        )

    def _branch(self, step: BranchStep, name: str, path: YamlPath, following: str | None) -> Branch:
        shard = f"branch:{self._asking.entry.id}/{name}"
        catalogue = self._asking.between
        cases: list[tuple[str, str | None]] = []
        for number, case in enumerate(step.cases):
            rule, at = f"{shard}/{number + 1}", (*path, "cases", number)
            self._asking.keep(self._asking.condition((*at, "when"), case.when, catalogue, [(rule, shard)]))
            cases.append((rule, self.sequence(case.steps, (*at, "steps"), following)))
        return Branch(name, tuple(cases), self.sequence(step.else_, (*path, "else"), following))

    def _repeat(self, step: RepeatStep, name: str, path: YamlPath, following: str | None) -> Repeat:
        rule = None
        if step.while_ is not None:
            rule = f"repeat:{self._asking.entry.id}/{name}"
            at = (*path, "while")
            self._asking.keep(self._asking.condition(at, step.while_, self._asking.between, [(rule, rule)]))
        body = self.sequence(step.steps, (*path, "steps"), name)
        assert body is not None, "a repeat has at least one step"
        inside = frozenset(step_id(each) for _, each in walk(step.steps, (*path, "steps")))
        return Repeat(name, body, following, step.times or step.at_most or 1, rule, inside)

    def _call(self, step: CallStep, name: str, path: YamlPath, following: str | None) -> Call:
        return Call(
            id=name,
            action=step.action,
            values=dict(step.values),
            purpose=self._asking.entry.purpose,
            results={each: FactType(kind) for each, kind in step.results.items()},
            next=following,
            failed=self.sequence(step.failed, (*path, "failed"), following),
            deadline=step.deadline,
        )

    def _experiment(
        self, step: ExperimentStep, name: str, path: YamlPath, following: str | None
    ) -> Experiment:
        # An arm is for good, so what is only known of one run makes no strata.
        at = (*path, "stratify_by")
        check_strata(
            self._asking.journey, step.stratify_by, at, self._asking.catalogues.contact, self._asking.rulebook
        )
        ways = tuple(
            self.sequence(arm.steps, (*path, "arms", number, "steps"), following)
            for number, arm in enumerate(step.arms)
        )
        return Experiment(name, design_of(self._asking.entry.id, step), ways)
