"""What the interpreter does with repeats: rounds, conditions, repeats within repeats."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import time, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.journeys.program import Repeat, SetValues, Step, Wait
from engine.journeys.run import Cause, Ended, OutcomeKnown, Repeated, RunOutcome, Started, TimerDue, WaitKind
from engine.rules.condition import Any as AnyOf
from engine.rules.condition import Op, Rule, Test
from tests.journeys.advancing import DAY, FRESH, NOW, Rules, go, program, send
from tests.journeys.test_interpreter import NoRules


def repeat(step: str, *inside: str, times: int, then: str | None = None, rule: str | None = None) -> Repeat:
    return Repeat(step, inside[0], then, times, rule, frozenset(inside))


def test_a_repeat_does_its_steps_so_many_times_and_goes_on(decider: Rules) -> None:
    journey = program(repeat("thrice", "nudge", times=3, then="bye"), send("nudge", "thrice"), send("bye"))
    done = go(journey, FRESH, Started(), decider())
    seen = []
    while done.run.waiting is not None:
        at = done.run.waiting.step
        seen.append((at, done.run.visits[at], done.run.rounds["thrice"]))
        done = go(journey, done.run, OutcomeKnown(done.run.waiting.step, "sent"), decider())
    assert seen == [("nudge", 1, 1), ("nudge", 2, 2), ("nudge", 3, 3), ("bye", 1, 3)]
    assert not [each for each in done.effects if isinstance(each, Repeated)]


def test_an_inner_repeat_starts_anew_in_every_round_of_the_outer_one(decider: Rules) -> None:
    journey = program(
        repeat("outer", "inner", "nap", "close", times=3),
        repeat("inner", "nap", times=2, then="close"),
        Wait("nap", "inner", for_=DAY),
        SetValues("close", {}, "outer"),
    )
    done, now, naps = go(journey, FRESH, Started(), decider()), NOW, []
    while done.run.is_active:
        naps.append((done.run.rounds["outer"], done.run.rounds["inner"]))
        now += DAY
        done = go(journey, done.run, TimerDue(), decider(), now=now)
    assert naps == [(outer, inner) for outer in (1, 2, 3) for inner in (1, 2)]


def test_a_condition_is_asked_before_every_round_and_tells_why(decider: Rules) -> None:
    unanswered = Test("journey.outcomes.ask", Op.NE, "sent")
    rules = decider(Rule("r", "r", unanswered))
    some = decider(Rule("r", "r", AnyOf((Test("journey.rounds.until", Op.EQ, 0), unanswered))))
    journey = program(
        repeat("until", "ask", "nap", times=5, then="bye", rule="r"),
        send("ask", "nap"),
        Wait("nap", "until", for_=DAY),
        send("bye"),
    )
    never = go(journey, FRESH, Started(), rules)
    assert never.run.position == "bye"  # what is not known yet is not true
    done = go(journey, FRESH, Started(), some)
    assert [each.round for each in done.effects if isinstance(each, Repeated)] == [1]
    for round_, outcome in ((2, "capped"), (None, "sent")):
        done = go(journey, done.run, OutcomeKnown("ask", outcome), some)
        done = go(journey, done.run, TimerDue(), some, now=NOW + DAY)
        (asked,) = [each for each in done.effects if isinstance(each, Repeated)]
        assert (asked.round, asked.asked, asked.seen["journey.outcomes.ask"]) == (round_, ("r",), outcome)
    assert done.run.position == "bye"


def test_rounds_that_are_used_up_end_a_repeat_whatever_its_condition_says(decider: Rules) -> None:
    rules = decider(Rule("r", "r", Test("journey.rounds.until", Op.LT, 100)))
    journey = program(repeat("until", "nap", times=2, rule="r"), Wait("nap", "until", for_=DAY))
    done = go(journey, FRESH, Started(), rules)
    for days in (1, 2):
        done = go(journey, done.run, TimerDue(), rules, now=NOW + days * DAY)
    over, ended = done.effects
    assert isinstance(over, Repeated) and isinstance(ended, Ended)
    assert (over.round, over.rounds, over.asked, ended.reason) == (None, 2, (), "run.completed")


def test_a_time_of_day_is_the_next_one_in_every_later_round(decider: Rules) -> None:
    journey = program(repeat("daily", "ten", times=3), Wait("ten", "daily", at=time(11)))
    done, now, woken = go(journey, FRESH, Started(), decider()), NOW, []
    while done.run.waiting is not None and done.run.waiting.due_at is not None:
        now = done.run.waiting.due_at
        woken.append(now)
        done = go(journey, done.run, TimerDue(), decider(), now=now)
    # It is eleven in Shanghai as the run begins, so the first round does not wait.
    assert woken == [NOW + DAY, NOW + 2 * DAY]


def test_a_round_that_takes_some_seconds_does_not_wait_for_the_time_that_ended_the_last_one(
    decider: Rules,
) -> None:
    journey = program(repeat("daily", "ten", times=3), Wait("ten", "daily", at=time(11)))
    some_seconds = timedelta(seconds=17)
    done, woken = go(journey, FRESH, Started(), decider(), now=NOW + some_seconds), []
    while done.run.waiting is not None and done.run.waiting.due_at is not None:
        woken.append(done.run.waiting.due_at)
        done = go(journey, done.run, TimerDue(), decider(), now=woken[-1] + some_seconds)
    assert woken == [NOW + DAY, NOW + 2 * DAY]


@settings(max_examples=60, deadline=None)
@given(
    bounds=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    outcomes=st.lists(st.sampled_from(["sent", "capped"]), min_size=1, max_size=5),
)
def test_nested_repeats_do_the_product_of_their_times(bounds: list[int], outcomes: list[str]) -> None:
    """However the run is stored and read again between two steps: its state is a plain value."""
    names = [f"r{number}" for number in range(len(bounds))]
    steps: list[Step] = [send("ask", "nap"), Wait("nap", names[-1], for_=DAY)]
    inside: tuple[str, ...] = ("ask", "nap")
    for number in reversed(range(len(bounds))):
        back = names[number - 1] if number else None
        first = names[number + 1] if number + 1 < len(bounds) else "ask"
        steps.insert(0, Repeat(names[number], first, back, bounds[number], None, frozenset(inside)))
        inside = (*inside, names[number])
    journey = program(*steps)
    done, now, turn = go(journey, FRESH, Started(), NoRules()), NOW, 0
    while done.run.waiting is not None:
        now += DAY
        cause: Cause = TimerDue()
        if done.run.waiting.kind is WaitKind.OUTCOME:
            cause, turn = OutcomeKnown("ask", outcomes[turn % len(outcomes)]), turn + 1
        done = go(journey, replace(done.run, rounds=dict(done.run.rounds)), cause, NoRules(), now=now)
    assert turn == done.run.visits["ask"] == math.prod(bounds)
    assert done.run.outcome is RunOutcome.COMPLETED
