"""What the interpreter does with single causes: each step, each exit, and causes that do not fit."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.journeys.interpreter import BUDGET, Advanced, advance, next_send_at
from engine.journeys.program import Ask, Branch, ChangeTags, Choice, Leave, SetValues, Stop, Wait, WaitFor
from engine.journeys.run import (
    CallEnded,
    CallWish,
    Cancelled,
    Cause,
    Ended,
    EventSeen,
    GoalReached,
    LeaveSeen,
    OutcomeKnown,
    RunOutcome,
    SendIntent,
    Started,
    TagChange,
    TaskDecided,
    TimerDue,
    Waiting,
    WaitKind,
)
from engine.rules.condition import Op, Rule, Test
from tests.journeys.advancing import DAY, FRESH, HOUR, NOW, SHANGHAI, Rules, give, go, program, send


def test_a_send_wishes_one_message_and_waits_for_its_outcome(decider: Rules) -> None:
    done = go(program(send("hello", deadline=timedelta(seconds=20))), FRESH, Started(), decider())
    assert done.effects == (
        SendIntent("hello", 1, "hello_text", ("email", "app"), "marketing", timedelta(seconds=20)),
    )
    assert done.run.waiting == Waiting(WaitKind.OUTCOME, "hello")
    assert done.run.visits == {"hello": 1}


def test_sends_follow_each_other_and_the_end_completes_the_run(decider: Rules) -> None:
    journey = program(send("a", "b"), send("b"))
    at_a = go(journey, FRESH, Started(), decider()).run
    at_b = go(journey, at_a, OutcomeKnown("a", "sent"), decider())
    assert at_b.run.position == "b"
    done = go(journey, at_b.run, OutcomeKnown("b", "blocked"), decider())
    assert done.effects == (Ended(RunOutcome.COMPLETED, "run.completed"),)
    assert done.run.outcomes == {"a": "sent", "b": "blocked"}
    assert not done.run.is_active


def test_an_outcome_without_an_exit_goes_on_and_one_with_an_exit_takes_it(decider: Rules) -> None:
    journey = program(send("a", "b", outcomes={"capped": "c", "failed": None}), send("b"), send("c"))
    at_a = go(journey, FRESH, Started(), decider()).run
    assert go(journey, at_a, OutcomeKnown("a", "sent"), decider()).run.position == "b"
    assert go(journey, at_a, OutcomeKnown("a", "capped"), decider()).run.position == "c"
    assert go(journey, at_a, OutcomeKnown("a", "failed"), decider()).run.outcome is RunOutcome.COMPLETED


def test_a_wait_sleeps_until_its_moment_on_the_contacts_clock(decider: Rules) -> None:
    journey = program(Wait("night", "hello", days=1, at=time(10)), send("hello"))
    asleep = go(journey, FRESH, Started(), decider()).run
    due_at = datetime(2026, 5, 5, 2, 0, tzinfo=UTC)
    assert asleep.waiting == Waiting(WaitKind.TIMER, "night", due_at)
    assert asleep.waiting.began_at == NOW
    assert next_send_at(journey, asleep) == due_at
    assert go(journey, asleep, TimerDue(), decider(), now=due_at - timedelta(seconds=1)) == Advanced(asleep)
    assert go(journey, asleep, TimerDue(), decider(), now=due_at).run.position == "hello"


def test_a_wait_until_a_past_or_missing_moment_does_not_wait(decider: Rules) -> None:
    journey = program(Wait("w", None, until="contact.renewal_at"))
    assert go(journey, FRESH, Started(), decider(), facts={"contact.renewal_at": NOW - DAY}).run.outcome
    assert go(journey, FRESH, Started(), decider()).run.outcome is RunOutcome.COMPLETED
    ahead = go(journey, FRESH, Started(), decider(), facts={"contact.renewal_at": NOW + DAY})
    assert ahead.run.waiting == Waiting(WaitKind.TIMER, "w", NOW + DAY)


def test_wait_for_takes_then_on_its_event_and_otherwise_when_time_is_up(decider: Rules) -> None:
    journey = program(
        WaitFor("look", ("viewed",), None, 2 * DAY, "picks", "best"), send("picks"), send("best")
    )
    waiting = go(journey, FRESH, Started(), decider()).run
    assert waiting.waiting == Waiting(WaitKind.EVENT, "look", NOW + 2 * DAY)
    assert next_send_at(journey, waiting) == NOW + 2 * DAY
    assert go(journey, waiting, EventSeen("e1"), decider()).run.position == "picks"
    assert go(journey, waiting, TimerDue(), decider(), now=NOW + 2 * DAY).run.position == "best"


def test_a_condition_waited_for_is_asked_on_arrival_at_events_and_when_the_time_is_up(decider: Rules) -> None:
    journey = program(WaitFor("rich", (), "wait", 2 * DAY, "gold", "plain"), send("gold"), send("plain"))
    rules = decider(Rule("wait", "wait", Test("contact.total_spent", Op.GTE, 100)))
    poor, rich = {"contact.total_spent": 5}, {"contact.total_spent": 500}

    assert go(journey, FRESH, Started(), rules, facts=rich).run.position == "gold"
    waiting = go(journey, FRESH, Started(), rules, facts=poor).run
    assert waiting.waiting == Waiting(WaitKind.EVENT, "rich", NOW + 2 * DAY)
    assert go(journey, FRESH, Started(), rules).run.waiting == waiting.waiting  # not known: not come
    assert go(journey, waiting, EventSeen("e1"), rules, facts=rich).run.position == "gold"
    due = NOW + 2 * DAY
    assert go(journey, waiting, TimerDue(), rules, facts=poor, now=due).run.position == "plain"
    assert go(journey, waiting, TimerDue(), rules, facts=rich, now=due).run.position == "gold"


def test_wait_for_without_a_limit_is_never_due(decider: Rules) -> None:
    journey = program(WaitFor("look", ("viewed",), None, None, None, None))
    waiting = go(journey, FRESH, Started(), decider()).run
    assert go(journey, waiting, TimerDue(), decider(), now=NOW + 1000 * DAY) == Advanced(waiting)


def test_a_branch_takes_the_first_true_case_and_else_when_facts_are_missing(decider: Rules) -> None:
    shard = "branch:welcome/fork"
    rules = decider(
        Rule("branch:welcome/fork/1", shard, Test("contact.total_spent", Op.GTE, 100)),
        Rule("branch:welcome/fork/2", shard, Test("contact.total_spent", Op.GTE, 10)),
    )
    cases = (("branch:welcome/fork/1", "gold"), ("branch:welcome/fork/2", "silver"))
    journey = program(Branch("fork", cases, "plain"), send("gold"), send("silver"), send("plain"))
    for spent, step in ((500, "gold"), (50, "silver"), (5, "plain"), (None, "plain")):
        assert go(journey, FRESH, Started(), rules, facts={"contact.total_spent": spent}).run.position == step


def test_values_and_outcomes_are_facts_of_later_branches(decider: Rules) -> None:
    shard = "branch:welcome/fork"
    rules = decider(
        Rule("a", shard, Test("journey.values.tier", Op.EQ, "gold")),
        Rule("b", shard, Test("journey.outcomes.hello", Op.EQ, "capped")),
    )
    fork = Branch("fork", (("b", "sorry"), ("a", "gift")), None)
    journey = program(
        SetValues("keep", {"tier": "gold"}, "hello"), send("hello", "fork"), fork, send("sorry"), send("gift")
    )
    at_hello = go(journey, FRESH, Started(), rules).run
    assert at_hello.values == {"tier": "gold"}
    assert go(journey, at_hello, OutcomeKnown("hello", "sent"), rules).run.position == "gift"
    assert go(journey, at_hello, OutcomeKnown("hello", "capped"), rules).run.position == "sorry"


def test_a_call_waits_for_its_end_and_keeps_what_the_step_declares(decider: Rules) -> None:
    journey = program(give(), Branch("fork", (("rich", "hello"),), None), send("hello"), send("sorry"))
    rules = decider(Rule("rich", "branch:welcome/fork", Test("journey.results.give.balance", Op.GTE, 100)))
    done = go(journey, FRESH, Started(), rules)
    (wish,) = done.effects
    assert wish == CallWish("give", 1, "points", {"points": 50}, ("balance", "level"), "marketing", HOUR)
    assert done.run.waiting == Waiting(WaitKind.CALL, "give")
    answer: dict[str, Any] = {"balance": 150, "level": True, "secret": "x"}
    after = go(journey, done.run, CallEnded("give", "done", answer), rules)
    assert after.run.results == {"give": {"balance": 150}}, "what is of another type stays unknown"
    assert after.run.calls == {"give": "done"}
    assert after.run.position == "hello"


@pytest.mark.parametrize("outcome", ["failed", "expired", "unknown"])
def test_a_call_that_is_not_done_goes_the_other_way(decider: Rules, outcome: str) -> None:
    journey = program(give(next_="hello"), send("hello"), send("sorry"))
    waiting = go(journey, FRESH, Started(), decider()).run
    after = go(journey, waiting, CallEnded("give", outcome), decider())
    assert (after.run.position, after.run.calls) == ("sorry", {"give": outcome})


def test_a_tag_step_is_seen_by_the_branch_after_it(decider: Rules) -> None:
    rules = decider(Rule("vip", "branch:welcome/fork", Test("contact.tags", Op.HAS, "vip")))
    journey = program(
        ChangeTags("mark", ("vip",), ("new",), "fork"), Branch("fork", (("vip", "gift"),), None), send("gift")
    )
    done = go(journey, FRESH, Started(), rules, facts={"contact.tags": frozenset({"new"})})
    assert done.effects[0] == TagChange(("vip",), ("new",))
    assert done.run.position == "gift"


def test_stop_ends_the_run_where_it_stands(decider: Rules) -> None:
    done = go(program(Stop("enough")), FRESH, Started(), decider())
    assert done.effects == (Ended(RunOutcome.STOPPED, "run.stopped", "enough"),)


def test_an_empty_journey_is_completed_at_once(decider: Rules) -> None:
    assert go(program(), FRESH, Started(), decider()).run.outcome is RunOutcome.COMPLETED


@pytest.mark.parametrize(
    ("cause", "outcome", "reason"),
    [
        (LeaveSeen("1"), RunOutcome.LEFT, "run.left"),
        (GoalReached(), RunOutcome.GOAL, "run.goal"),
        (Cancelled("consent.withdrawn"), RunOutcome.CANCELLED, "consent.withdrawn"),
    ],
)
def test_leaves_goals_and_cancelling_end_a_run_from_anywhere(
    decider: Rules, cause: Cause, outcome: RunOutcome, reason: str
) -> None:
    journey = program(send("hello"))
    for run in (FRESH, go(journey, FRESH, Started(), decider()).run):
        done = go(journey, run, cause, decider())
        assert done.run.outcome is outcome
        assert done.run.waiting is None
        assert [effect.reason for effect in done.effects if isinstance(effect, Ended)] == [reason]
        assert go(journey, done.run, cause, decider()) == Advanced(done.run)


def test_a_state_to_leave_on_is_looked_at_before_every_move(decider: Rules) -> None:
    rules = decider(Rule("leave:welcome/1", "leave:welcome", Test("contact.tags", Op.HAS, "do_not_disturb")))
    journey = program(
        Wait("w", "hello", for_=DAY), send("hello"), leaves=(Leave("1", (), "leave:welcome/1"),)
    )
    asleep = go(journey, FRESH, Started(), rules).run
    disturbed = {"contact.tags": frozenset({"do_not_disturb"})}
    done = go(journey, asleep, TimerDue(), rules, facts=disturbed, now=NOW + DAY)
    assert done.effects == (Ended(RunOutcome.LEFT, "run.left", "1"),)


def test_a_loop_that_slipped_through_ends_the_run_as_failed(decider: Rules) -> None:
    done = go(program(SetValues("a", {}, "b"), SetValues("b", {}, "a")), FRESH, Started(), decider())
    assert done.run.outcome is RunOutcome.FAILED
    (ended,) = done.effects
    assert isinstance(ended, Ended)
    assert (ended.reason, ended.evidence) == ("run.loop", {"steps": BUDGET, "round": ["a", "b"]})


def test_a_loop_of_messages_ends_too_however_often_it_is_carried(decider: Rules) -> None:
    journey = program(send("a", "b"), send("b", "a"))
    done = go(journey, FRESH, Started(), decider())
    while done.run.is_active:
        assert done.run.waiting is not None
        done = go(journey, done.run, OutcomeKnown(done.run.waiting.step, "capped"), decider())
    assert sum(done.run.visits.values()) == BUDGET
    assert [effect.reason for effect in done.effects if isinstance(effect, Ended)] == ["run.loop"]


def test_who_slept_may_take_as_many_steps_again(decider: Rules) -> None:
    journey = program(send("a", "w"), Wait("w", "a", for_=DAY))
    run, now = go(journey, FRESH, Started(), decider()).run, NOW
    for _ in range(BUDGET):
        run = go(journey, run, OutcomeKnown("a", "sent"), decider(), now=now).run
        now += DAY
        run = go(journey, run, TimerDue(), decider(), now=now).run
    assert run.is_active


CAUSES = (
    Started(),
    TimerDue(),
    EventSeen("e"),
    OutcomeKnown("hello", "sent"),
    OutcomeKnown("other", "sent"),
    TaskDecided("call", "done"),
    TaskDecided("call", "no_choice"),
    TaskDecided("other", "done"),
    CallEnded("give", "done"),
    CallEnded("other", "done"),
)
FITTING: dict[WaitKind | None, set[Cause]] = {
    None: {Started()},
    WaitKind.TIMER: {TimerDue()},
    WaitKind.EVENT: {EventSeen("e"), TimerDue()},
    WaitKind.OUTCOME: {OutcomeKnown("hello", "sent")},
    WaitKind.TASK: {TaskDecided("call", "done"), TimerDue()},
    WaitKind.CALL: {CallEnded("give", "done")},
}


@settings(max_examples=100, deadline=None)
@given(cause=st.sampled_from(CAUSES), kind=st.sampled_from([None, *WaitKind]))
def test_only_a_fitting_cause_moves_a_run(cause: Cause, kind: WaitKind | None) -> None:
    journey = program(
        Wait("sleep", "look", for_=DAY),
        WaitFor("look", ("viewed",), None, DAY, "call", "call"),
        Ask("call", "support", "Call?", (Choice("done", "Done", "hello"),), DAY, "hello"),
        send("hello"),
        send("sorry"),
        give(next_="hello"),
    )
    steps = {
        WaitKind.TIMER: "sleep",
        WaitKind.EVENT: "look",
        WaitKind.OUTCOME: "hello",
        WaitKind.TASK: "call",
        WaitKind.CALL: "give",
    }
    step = steps[kind] if kind is not None else None
    run = FRESH
    if kind is not None and step is not None:
        due_at = None if kind in (WaitKind.OUTCOME, WaitKind.CALL) else NOW
        run = replace(FRESH, position=step, waiting=Waiting(kind, step, due_at), visits={step: 1})
    done = advance(journey, run, cause, facts={}, zone=SHANGHAI, now=NOW, matcher=NoRules())
    assert (done.run != run) == (cause in FITTING[kind])
    if cause not in FITTING[kind]:
        assert done.effects == ()


class NoRules:
    """For journeys that ask nothing."""

    def matching(self, shard: str, facts: object, now: datetime) -> tuple[str, ...]:
        return ()

    def holds(self, rule_id: str, facts: object, now: datetime) -> bool:
        return False
