"""A program drawn as a Mermaid flowchart."""

from __future__ import annotations

from collections.abc import Iterator

from engine.journeys.program import (
    Ask,
    Branch,
    Call,
    ChangeTags,
    Experiment,
    Program,
    Repeat,
    Send,
    SetValues,
    Start,
    Step,
    StepId,
    Stop,
    Wait,
    WaitFor,
)
from engine.rules.duration import format_duration

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MARKS = {'"': "#quot;", "|": "#124;"}
_END = "END_"
_ENTER = "ENTER_"


def to_mermaid(program: Program) -> str:
    """The journey as Mermaid text: steps as boxes, exits as labelled arrows, leaves and goal into the end."""
    lines = ["flowchart TD"]
    entered_by = program.entry.words or " or ".join(program.entry.events)
    lines.append(f'  {_ENTER}(["{_text(f"{program.journey}: {entered_by}")}"]) --> {_node(program.first)}')
    for step in program.steps.values():
        lines.append(f"  {_node(step.id)}{_shape(step)}")
        lines += [
            f"  {_node(step.id)} -->{f'|{_text(label)}|' if label else ''} {_node(following)}"
            for label, following in exits(step)
        ]
    lines.append(f'  {_END}(["end"])')
    ends = [f"leave: {' or '.join(leave.events) or 'condition'}" for leave in program.leaves]
    if program.goal is not None:
        within = f" within {format_duration(program.goal.within)}" if program.goal.within else ""
        ends.append(f"goal: {' or '.join(program.goal.events)}{within}")
    for number, end in enumerate(ends, start=1):
        lines.append(f'  ANY_{number}["{_text(end)}"] -.-> {_END}')
    return "\n".join(lines) + "\n"


def _node(step: StepId | None) -> str:
    # Step ids are lower_snake; a prefix keeps them apart from Mermaid's own words, such as `end`.
    return _END if step is None else f"s_{step}"


def _shape(step: Step) -> str:
    match step:
        case Send():
            channels = ", ".join(step.channels)
            return f'["{_text(f"send {step.id}: {step.content} by {channels}")}"]'
        case Wait():
            return f'("{_text(f"wait {step.id}: {_length(step)}")}")'
        case WaitFor():
            events = " or ".join(step.events) or "condition"
            return f'("{_text(f"wait for {step.id}: {events}")}")'
        case Ask():
            return f'[/"{_text(f"ask {step.id}: {step.queue}")}"/]'
        case Branch():
            return f'{{"{_text(f"branch {step.id}")}"}}'
        case Repeat():
            often = f"{step.at_most} times" if step.rule is None else f"at most {step.at_most} times"
            return f'{{{{"{_text(f"repeat {step.id}: {often}")}"}}}}'
        case Experiment():
            return f'{{"{_text(f"experiment {step.id}")}"}}'
        case SetValues():
            names = ", ".join([*step.values, *step.facts])
            return f'["{_text(f"set {step.id}: {names}")}"]'
        case ChangeTags():
            changes = " ".join([*(f"+{tag}" for tag in step.add), *(f"-{tag}" for tag in step.remove)])
            return f'["{_text(f"tag {step.id}: {changes}")}"]'
        case Start():
            return f'[["{_text(f"start {step.id}: {step.journey}")}"]]'
        case Call():
            return f'[["{_text(f"call {step.id}: {step.action}")}"]]'
        case Stop():
            return f'(["{_text(f"stop {step.id}")}"])'


def words_of(step: Step) -> tuple[str, str]:
    """What kind of step it is, and what it does, without its id."""
    text = _shape(step).partition('"')[2].rpartition('"')[0]
    for mark, letter in _MARKS.items():
        text = text.replace(letter, mark)
    named, _, detail = text.partition(": ")
    return named.removesuffix(f" {step.id}"), detail


def _length(step: Wait) -> str:
    parts = []
    if step.until:
        parts.append(f"until {step.until}")
    if step.for_ is not None:
        parts.append(format_duration(step.for_))
    if step.days is not None:
        parts.append(f"{step.days} calendar days" if step.days != 1 else "the next day")
    if step.at is not None:
        parts.append(f"at {step.at:%H:%M}")
    if step.weekdays:
        parts.append("on " + ", ".join(WEEKDAYS[day - 1] for day in step.weekdays))
    return ", ".join(parts)


def exits(step: Step) -> Iterator[tuple[str, StepId | None]]:
    """The ways out of a step, each with what it is called and the step it leads to; None ends the run."""
    match step:
        case Send():
            yield "", step.next
            yield from step.outcomes.items()
        case WaitFor():
            yield "seen", step.then
            yield (
                (f"after {format_duration(step.up_to)}" if step.up_to is not None else "never"),
                step.otherwise,
            )
        case Ask():
            for choice in step.choices:
                yield choice.title, choice.next
            working = " of working time" if step.calendar is not None else ""
            yield f"after {format_duration(step.deadline)}{working}", step.otherwise
        case Branch():
            for number, (_, following) in enumerate(step.cases, start=1):
                yield f"case {number}", following
            yield "else", step.otherwise
        case Repeat():
            yield "again", step.body
            yield "done", step.next
        case Call():
            yield "done", step.next
            yield "failed", step.failed
        case Experiment(design=design):
            total = sum(design.weights)
            for arm, weight, following in zip(design.arms, design.weights, step.ways, strict=True):
                yield f"{arm} {100 * weight / total:.4g}%", following
        case Wait() | SetValues() | ChangeTags() | Start():
            yield "", step.next
        case Stop():
            yield "", None


def _text(text: str) -> str:
    """Text that may stand inside a quoted Mermaid label."""
    for mark, letter in _MARKS.items():
        text = text.replace(mark, letter)
    return text.replace("\n", " ")
