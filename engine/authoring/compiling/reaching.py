"""Where the steps of a program lead, and which of them nothing leads to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from engine.journeys.program import (
    Ask,
    Branch,
    Call,
    Experiment,
    Repeat,
    Send,
    Step,
    Stop,
    WaitFor,
)


def exits(step: Step) -> Iterator[str | None]:
    """Where a step can lead; None is the end of the run."""
    match step:
        case Send():
            yield step.next
            yield from step.outcomes.values()
        case WaitFor():
            yield step.then
            yield step.otherwise
        case Ask():
            yield from (choice.next for choice in step.choices)
            yield step.otherwise
        case Branch():
            yield from (case for _, case in step.cases)
            yield step.otherwise
        case Repeat():
            yield step.body
            yield step.next
        case Call():
            yield step.next
            yield step.failed
        case Experiment():
            yield from step.ways
        case Stop():
            return
        case _:
            yield step.next


def reached_from(first: str | None, steps: Mapping[str, Step]) -> set[str]:
    """The steps that a run may come to which begins at `first`."""
    reached: set[str] = set()
    ahead = [first] if first is not None else []
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead.extend(exit_ for exit_ in exits(steps[name]) if exit_ is not None)
    return reached
