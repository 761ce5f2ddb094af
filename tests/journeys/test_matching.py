"""What one event does: ends first, then waits, then entries; re-entry as a property over histories."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.journeys.event import Event, event_facts
from engine.journeys.interpreter import Decider
from engine.journeys.matching import (
    ActiveRun,
    Doors,
    Entering,
    History,
    Listener,
    ListenerKind,
    Reaction,
    addressed,
    lasting_listeners,
    react,
    step_listeners,
)
from engine.journeys.program import Entry, Goal, Leave, Program, Reentry, ReentryKind, WaitFor
from engine.journeys.run import Cancelled, GoalReached, LeaveSeen, RunState, Waiting, WaitKind
from engine.rules.condition import Op, Rule, Test

NOW = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
Rules = Callable[..., Decider]
ALWAYS = Reentry(ReentryKind.ALWAYS)


def event(kind: str, *, seq: int = 10, at: datetime = NOW, **properties: object) -> Event:
    return Event(f"e{seq}", kind, "c1", at, at, "test", properties, seq)


def journey(
    name: str,
    *events: str,
    reentry: Reentry = ALWAYS,
    rule: str | None = None,
    leaves: tuple[Leave, ...] = (),
    goal: Goal | None = None,
) -> Program:
    look = WaitFor("look", ("viewed",), "wait:look" if rule else None, DAY, None, None)
    entry = Entry(events, rule, reentry)
    return Program(name, "v1", "marketing", 50, entry, leaves, goal, "look", {"look": look})


def doors(*programs: Program, matched: tuple[str, ...] = (), **history: History) -> Doors:
    return Doors(programs, matched, history, lambda journey, key: False, 7 * DAY)


def active(matcher: Decider, *listeners: Listener, name: str = "j", run_id: str = "r1") -> ActiveRun:
    return ActiveRun(run_id, name, "marketing", listeners, {}, matcher)


def happens(seen: Event, runs: list[ActiveRun], to: Doors, withdrawn: Collection[str] = ()) -> Reaction:
    return react(seen, event_facts(seen), seen.received_at, runs, to, withdrawn=withdrawn)


STEP = Listener(ListenerKind.STEP, "look", "viewed", since_seq=5)
LEAVE = Listener(ListenerKind.LEAVE, "1", "deleted", since_seq=5)
GOAL = Listener(ListenerKind.GOAL, "goal", "paid", since_seq=5, until=NOW + DAY)


def test_an_event_wakes_the_wait_that_listens_for_it(decider: Rules) -> None:
    reaction = happens(event("viewed"), [active(decider(), STEP)], doors())
    assert [(waking.run_id, waking.listener) for waking in reaction.wakings] == [("r1", STEP)]


def test_a_leave_comes_before_a_goal_and_a_goal_before_a_wait(decider: Rules) -> None:
    leave = Listener(ListenerKind.LEAVE, "1", "paid")
    step = Listener(ListenerKind.STEP, "look", "paid")
    both = happens(event("paid"), [active(decider(), step, GOAL, leave)], doors())
    assert [ending.cause for ending in both.endings] == [LeaveSeen("1")]
    goal_only = happens(event("paid"), [active(decider(), step, GOAL)], doors())
    assert [ending.cause for ending in goal_only.endings] == [GoalReached()]
    assert both.wakings == goal_only.wakings == ()


def test_the_event_that_ends_a_run_may_start_the_next(decider: Rules) -> None:
    program = journey("j", "deleted")
    before = History(runs=1, active=1)
    refused = happens(event("deleted"), [active(decider(), STEP)], doors(program, j=before))
    assert [refusal.reason for refusal in refused.refusals] == ["entry.running"]
    ended = happens(event("deleted"), [active(decider(), LEAVE)], doors(program, j=before))
    assert [ending.run_id for ending in ended.endings] == ["r1"]
    assert ended.entries == (Entering(program, "n2"),)


def test_an_event_before_the_wait_began_or_after_it_was_due_is_not_heard(decider: Rules) -> None:
    due = Listener(ListenerKind.STEP, "look", "viewed", since_seq=5, until=NOW)
    assert happens(event("viewed", seq=5), [active(decider(), due)], doors()).wakings == ()
    late = event("viewed", at=NOW + timedelta(seconds=1))
    assert happens(late, [active(decider(), due)], doors()).wakings == ()
    assert len(happens(event("viewed"), [active(decider(), due)], doors()).wakings) == 1


def test_a_goal_counts_only_within_its_time(decider: Rules) -> None:
    late = event("paid", at=NOW + DAY + timedelta(seconds=1))
    assert happens(late, [active(decider(), GOAL)], doors()).endings == ()
    assert len(happens(event("paid"), [active(decider(), GOAL)], doors()).endings) == 1


def test_a_listener_with_a_rule_hears_only_what_the_rule_says(decider: Rules) -> None:
    rules = decider(Rule("dear", "wait:j/look", Test("event.price", Op.GTE, 100)))
    picky = Listener(ListenerKind.STEP, "look", "viewed", "dear")
    assert happens(event("viewed", price=5), [active(rules, picky)], doors()).wakings == ()
    assert happens(event("viewed"), [active(rules, picky)], doors()).wakings == ()
    assert len(happens(event("viewed", price=200), [active(rules, picky)], doors()).wakings) == 1


def test_a_withdrawal_ends_the_runs_of_its_purpose_only(decider: Rules) -> None:
    run = active(decider(), STEP)
    assert happens(event("consent_withdrawn"), [run], doors(), withdrawn={"service"}).endings == ()
    endings = happens(event("consent_withdrawn"), [run], doors(), withdrawn={"marketing", "news"}).endings
    assert [ending.cause for ending in endings] == [Cancelled("consent.withdrawn")]


def test_an_entry_whose_condition_is_not_true_is_refused_with_its_rule() -> None:
    program = journey("j", "added", rule="entry:j")
    refused = happens(event("added"), [], doors(program)).refusals[0]
    assert (refused.reason, refused.evidence) == ("entry.no_match", {"rule": "entry:j#added"})
    taken = happens(event("added"), [], doors(program, matched=("entry:j#added",)))
    assert taken.entries == (Entering(program, "n1"),)


def test_a_paused_journey_and_a_late_event_start_nothing_but_wake_waits(decider: Rules) -> None:
    program = journey("j", "viewed")
    paused = Doors([program], (), {}, lambda journey, key: False, 7 * DAY, paused={"j"})
    reaction = happens(event("viewed"), [active(decider(), STEP, name="other")], paused)
    assert [refusal.reason for refusal in reaction.refusals] == ["entry.paused"]
    assert len(reaction.wakings) == 1
    old = Event("e", "viewed", "c1", NOW - 8 * DAY, NOW, seq=9)
    assert [refusal.reason for refusal in happens(old, [], doors(program)).refusals] == ["entry.late"]


def test_once_per_enters_once_for_each_value_and_not_without_one() -> None:
    program = journey("j", "paid", reentry=Reentry(ReentryKind.ONCE_PER, per="event.order_id"))
    entered: set[tuple[str, str]] = set()
    door = Doors([program], (), {"j": History(1, 1)}, lambda name, key: (name, key) in entered, 7 * DAY)
    keys = []
    for order in ("o1", "o2", "o1", 7, 7.0, "x" * 200):
        reaction = happens(event("paid", order_id=order), [], door)
        for entry in reaction.entries:
            entered.add(("j", entry.entry_key))
            keys.append(entry.entry_key)
        if not reaction.entries:
            assert reaction.refusals[0].reason == "entry.reentry"
    assert keys[:3] == ["per:o1", "per:o2", "per:7"]
    assert len(keys) == 4
    assert len(keys[3]) < 50
    assert happens(event("paid"), [], door).refusals[0].evidence == {"missing": "event.order_id"}


def test_leaves_without_events_listen_to_every_event() -> None:
    program = journey("j", "a", leaves=(Leave("1", (), "leave:j/1"), Leave("2", ("x", "y"), None)))
    found = lasting_listeners(program, NOW, 3)
    assert [(listener.name, listener.event_type) for listener in found] == [
        ("1", "*"),
        ("2", "x"),
        ("2", "y"),
    ]
    goal = Goal(("paid",), None, 7 * DAY)
    assert lasting_listeners(journey("j", "a", goal=goal), NOW, 3)[0].until == NOW + 7 * DAY


def test_only_a_wait_for_listens_at_its_step() -> None:
    program = journey("j", "a")
    waiting = RunState("r", "j", "c", "n1", "look", waiting=Waiting(WaitKind.EVENT, "look", NOW + DAY))
    assert step_listeners(program, waiting, 4) == (
        Listener(ListenerKind.STEP, "look", "viewed", None, 4, NOW + DAY),
    )
    assert step_listeners(program, RunState("r", "j", "c", "n1"), 4) == ()


def test_a_condition_waited_for_listens_to_every_event() -> None:
    program = journey("j", "a")
    wait = WaitFor("rich", (), "wait:j/rich", DAY, None, None)
    run = RunState("r", "j", "c", "n1", "rich", waiting=Waiting(WaitKind.EVENT, "rich", NOW + DAY))

    assert step_listeners(replace(program, first="rich", steps={"rich": wait}), run, 4) == (
        Listener(ListenerKind.STEP, "rich", "*", "wait:j/rich", 4, NOW + DAY),
    )


moves = st.lists(
    st.tuples(
        st.sampled_from(["enter", "end"]), st.integers(1, 20).map(lambda hours: timedelta(hours=hours))
    ),
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from([ReentryKind.NEVER, ReentryKind.ALWAYS, ReentryKind.AFTER]), moves=moves)
def test_reentry_holds_over_any_history(kind: ReentryKind, moves: list[tuple[str, timedelta]]) -> None:
    program = journey("j", "in", reentry=Reentry(kind, after=timedelta(hours=24)))
    now = NOW
    runs: list[tuple[str, datetime, datetime | None]] = []
    for move, pause in moves:
        now += pause
        open_runs = [run for run in runs if run[2] is None]
        if move == "end":
            runs = [(key, began, ended or now) for key, began, ended in runs]
            continue
        ends = [ended for _, _, ended in runs if ended is not None]
        history = History(len(runs), len(open_runs), max(ends, default=None))
        keys = {key for key, _, _ in runs}
        door = Doors([program], (), {"j": history}, lambda name, key, keys=keys: key in keys, 7 * DAY)  # type: ignore[misc]
        reaction = happens(event("in", at=now), [], door)
        allowed = {
            ReentryKind.NEVER: not runs,
            ReentryKind.ALWAYS: not open_runs,
            ReentryKind.AFTER: not open_runs and (not ends or now >= max(ends) + timedelta(hours=24)),
        }[kind]
        assert bool(reaction.entries) == allowed
        assert len(reaction.entries) + len(reaction.refusals) == 1
        for entry in reaction.entries:
            assert entry.entry_key not in keys
            runs.append((entry.entry_key, now, None))


def test_an_event_of_an_audience_is_meant_for_the_journeys_of_that_audience() -> None:
    of_lapsed, of_dormant, of_any = (
        replace(journey(name), entry=Entry(("audience_entered",), None, ALWAYS, audience=audience))
        for name, audience in (("a", "lapsed"), ("b", "dormant"), ("c", None))
    )
    seen = event("audience_entered", audience="dormant")

    assert addressed([of_lapsed, of_dormant, of_any], seen) == [of_dormant, of_any]
