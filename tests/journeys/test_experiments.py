"""The step `experiment` in the interpreter: the way of an arm, the fact it leaves, the same way each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.experiments.assignment import By, Design
from engine.journeys.graph import to_mermaid
from engine.journeys.interpreter import Advanced, advance, next_send_at
from engine.journeys.migrating import destination, move
from engine.journeys.program import (
    Branch,
    ChangeTags,
    Entry,
    Experiment,
    Program,
    Reentry,
    ReentryKind,
    Send,
    Step,
    Stop,
    Wait,
)
from engine.journeys.run import Exposed, RunOutcome, RunState, Started, Waiting, WaitKind
from engine.rules.condition import Op, Rule, Test
from engine.simulation.exposures import MemoryAssignments

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
DESIGN = Design("j/tone", "j/tone", ("warm", "dry"), (1, 1))
TONE = Experiment("tone", DESIGN, ("tagged", None))


def program(*steps: Step) -> Program:
    entry = Entry(("added",), None, Reentry(ReentryKind.NEVER))
    return Program(
        "j", "v1", "marketing", 50, entry, (), None, steps[0].id, {step.id: step for step in steps}
    )


def go(
    steps: tuple[Step, ...], who: str, decider: Any, memory: MemoryAssignments | None = None, **facts: Any
) -> Advanced:
    return advance(
        program(*steps),
        RunState("r1", "j", who, "entry"),
        Started(),
        facts={"contact.id": who, **facts},
        zone=ZoneInfo("UTC"),
        now=NOW,
        matcher=decider,
        assignments=memory or MemoryAssignments(),
    )


def test_people_go_the_way_of_their_arm(decider: Callable[..., Any]) -> None:
    tagged = ChangeTags("tagged", ("warm",), (), None)
    found = {}
    for number in range(20):
        done = go((TONE, tagged), f"c{number}", decider())
        (exposed,) = (each for each in done.effects if isinstance(each, Exposed))
        found[exposed.assignment.arm] = done.path
        assert done.run.arms == {"tone": exposed.assignment.arm}
        assert exposed.assignment.is_new

    assert found == {"warm": ("tone", "tagged"), "dry": ("tone",)}


def test_conditions_behind_it_see_the_arm(decider: Callable[..., Any]) -> None:
    rule = Rule("branch:j/b/1", "branch:j/b", Test("journey.arms.tone", Op.EQ, "warm", ()))
    steps = (
        Experiment("tone", DESIGN, ("b", "b")),
        Branch("b", (("branch:j/b/1", "yes"),), "no"),
        Stop("yes"),
        Stop("no"),
    )
    ends = {}
    for number in range(20):
        done = go(steps, f"c{number}", decider(rule))
        ends[done.run.arms["tone"]] = done.run.position

    assert ends == {"warm": "yes", "dry": "no"}


def test_a_kept_arm_is_told_and_is_not_new(decider: Callable[..., Any]) -> None:
    memory = MemoryAssignments()
    memory.give(DESIGN, "ann", "dry", NOW - timedelta(days=30))
    (exposed,) = (each for each in go((TONE, Stop("tagged")), "ann", decider(), memory).effects[:1])

    assert isinstance(exposed, Exposed)
    assert (exposed.assignment.arm, exposed.assignment.by) == ("dry", By.KEPT)
    assert not exposed.assignment.is_new


def test_a_run_goes_the_same_way_each_time_it_comes_by(decider: Callable[..., Any]) -> None:
    steps = (Experiment("tone", DESIGN, ("end", "end")), Stop("end"))
    memory = MemoryAssignments()
    memory.give(DESIGN, "ann", "warm", NOW)
    run = replace(RunState("r1", "j", "ann", "entry"), arms={"tone": "dry"})
    done = advance(
        program(*steps),
        run,
        Started(),
        facts={},
        zone=ZoneInfo("UTC"),
        now=NOW,
        matcher=decider(),
        assignments=memory,
    )

    assert done.run.arms == {"tone": "dry"}
    assert done.run.outcome is RunOutcome.STOPPED


@pytest.mark.parametrize("behind", ["tone", "end"])
def test_a_cap_that_looks_ahead_sees_a_message_in_any_of_the_arms(
    behind: str, decider: Callable[..., Any]
) -> None:
    send = Send("hello", "text", ("email",), "marketing", None)
    wait = Wait("night", behind, for_=timedelta(days=1))
    steps = (wait, Experiment("tone", DESIGN, ("hello", "end")), send, Stop("end"))
    done = go(steps, "ann", decider())

    sends_at = next_send_at(program(*steps), done.run)
    assert sends_at == (NOW + timedelta(days=1) if behind == "tone" else None)


def test_the_picture_shows_the_arms_with_their_shares() -> None:
    drawn = to_mermaid(program(TONE, Stop("tagged")))

    assert '{"experiment tone"}' in drawn
    assert "-->|warm 50%| s_tagged" in drawn
    assert "-->|dry 50%| END_" in drawn


def test_a_run_keeps_its_arm_when_the_step_gets_another_name() -> None:
    wait = Wait("night", None, for_=timedelta(days=1))
    old = program(TONE, wait)
    new = replace(program(replace(TONE, id="voice"), wait), was={"tone": "voice"})
    waiting = Waiting(WaitKind.TIMER, "night", NOW)
    run = RunState("r1", "j", "ann", "entry", position="night", arms={"tone": "dry"}, waiting=waiting)
    where = destination(old, new, "night")

    moved = move(run, None, old, new, where, facts={}, zone=ZoneInfo("UTC"), now=NOW)

    assert moved.run.arms == {"voice": "dry"}
