"""What a run knows of its own way: ends of messages and calls, answers, arms, rounds, values set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from engine.authoring.bundle import EventType
from engine.authoring.compiling.event_facts import remembered, said_by
from engine.authoring.compiling.nesting import walk
from engine.authoring.models.branching_steps import ExperimentStep, RepeatStep
from engine.authoring.models.doing_steps import CallStep, SendStep
from engine.authoring.models.journey import JourneyFile
from engine.authoring.models.waiting_steps import AskStep
from engine.gate.model import Outcome
from engine.journeys.keeping import ENTRY, EVENTS
from engine.journeys.program import Ask, Call, Experiment, Program, Scalar, Send, SetValues, WaitFor
from engine.journeys.run import NO_ANSWER, CallOutcome
from engine.rules.facts import Fact, FactType


def journey_facts(journey: JourneyFile) -> Iterator[Fact]:
    """What a journey knows of its own run: ends of sends and calls, answers to tasks, values set."""
    steps = [step for _, step in walk(journey.steps, ("steps",))]
    yield from _run_facts(
        [step.send for step in steps if isinstance(step, SendStep)],
        {step.ask: [each.id for each in step.choices] for step in steps if isinstance(step, AskStep)},
        {
            step.experiment: [arm.id for arm in step.arms]
            for step in steps
            if isinstance(step, ExperimentStep)
        },
        [(step.repeat, step.times or step.at_most or 1) for step in steps if isinstance(step, RepeatStep)],
    )
    for step in steps:
        if isinstance(step, CallStep):
            yield from _call_facts(step.call, {name: FactType(kind) for name, kind in step.results.items()})


def program_facts(program: Program, events: Mapping[str, EventType]) -> Iterator[Fact]:
    """The same of a journey that is compiled already, and what its runs remember of events."""
    steps = program.steps.values()
    yield from _run_facts(
        [step.id for step in steps if isinstance(step, Send)],
        {step.id: [each.id for each in step.choices] for step in steps if isinstance(step, Ask)},
        {step.id: step.design.arms for step in steps if isinstance(step, Experiment)},
        [(step.id, step.at_most) for step in program.repeats],
    )
    for step in steps:
        if isinstance(step, Call):
            yield from _call_facts(step.id, step.results)
        if isinstance(step, SetValues):
            yield from (value_fact(name, type_of(value)) for name, value in step.values.items())
            yield from (value_fact(name, copied.type) for name, copied in step.facts.items())
        if isinstance(step, WaitFor) and step.events:
            yield from remembered(said_by(events, step.events), f"{EVENTS}{step.id}.")
    yield from remembered(said_by(events, program.entry.events, parameter_facts(program)), ENTRY)


def parameter_facts(program: Program) -> Iterator[Fact]:
    """What a request brings along, as facts of its event."""
    for name, kind in (program.entry.parameters or {}).items():
        yield Fact(f"event.{name}", kind, name)


def value_fact(name: str, kind: FactType) -> Fact:
    return Fact(f"journey.values.{name}", kind, f"the value {name} that a step set")


def _call_facts(step: str, results: Mapping[str, FactType]) -> Iterator[Fact]:
    ends = tuple(str(outcome) for outcome in CallOutcome)
    yield Fact(f"journey.calls.{step}", FactType.TEXT, f"how the call of {step} ended", ends)
    for name, kind in results.items():
        yield Fact(f"journey.results.{step}.{name}", kind, f"what {step} answered as {name}")


def _run_facts(
    sends: Iterable[str],
    asks: Mapping[str, Sequence[str]],
    arms: Mapping[str, Sequence[str]],
    repeats: Iterable[tuple[str, int]],
) -> Iterator[Fact]:
    outcomes = tuple(str(outcome) for outcome in Outcome)
    for step in sends:
        yield Fact(f"journey.outcomes.{step}", FactType.TEXT, f"how the message of {step} ended", outcomes)
    for step, choices in asks.items():
        answers = (*choices, NO_ANSWER)
        yield Fact(f"journey.answers.{step}", FactType.TEXT, f"what was answered to {step}", answers)
    for step, choices in arms.items():
        yield Fact(f"journey.arms.{step}", FactType.TEXT, f"the contact's arm of {step}", tuple(choices))
    for step, at_most in repeats:
        title = f"how many rounds of {step} have begun"
        yield Fact(f"journey.rounds.{step}", FactType.NUMBER, title, least=0, most=at_most, whole=True)


def type_of(value: Scalar) -> FactType:
    """The fact type of a plain value."""
    if isinstance(value, bool):
        return FactType.BOOLEAN
    return FactType.TEXT if isinstance(value, str) else FactType.NUMBER
