"""How many steps a journey can take without a sleep: as many as the longest way through its program has."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.authoring.checking.pacing import longest_stride
from engine.authoring.compiling.reaching import exits
from engine.authoring.loading import load_files
from engine.authoring.models.journey import JourneyFile
from engine.journeys.program import LONGEST_STRIDE, Program, Repeat, Wait, WaitFor

Steps = list[dict[str, Any]]
Rounds = tuple[tuple[str, int], ...]

single = st.sampled_from(
    [
        {"set": "", "values": {"a": 1}},
        {"send": "", "content": "hello", "channels": ["email"]},
        {"wait": "", "for": "1d"},
        {"wait": "", "weekdays": ["mon"]},
        {"wait_for": "", "event": "order_paid", "up_to": "1d"},
        {"wait_for": "", "when": {"contact.visits": {"gte": 3}}, "up_to": "1d"},
        {"tag": "", "add": ["x"]},
    ]
)


def holding(steps: st.SearchStrategy[Steps]) -> st.SearchStrategy[Steps]:
    one = st.one_of(
        single,
        st.builds(
            lambda inner, other: {
                "branch": "",
                "cases": [{"when": {"contact.visits": {"gte": 3}}, "steps": inner}],
                "else": other,
            },
            steps,
            steps,
        ),
        st.builds(
            lambda inner, times: {"repeat": "", "times": times, "steps": inner}, steps, st.integers(2, 3)
        ),
        st.builds(
            lambda inner, at_most: {
                "repeat": "",
                "while": {"contact.visits": {"lt": 3}},
                "at_most": at_most,
                "steps": inner,
            },
            steps,
            st.integers(1, 3),
        ),
        st.builds(
            lambda inner: {
                "wait_for": "",
                "event": "order_paid",
                "up_to": "1d",
                "then": inner,
                "otherwise": [{"stop": ""}],
            },
            steps,
        ),
    )
    return st.lists(one, min_size=1, max_size=3)


journeys = st.recursive(st.lists(single, min_size=1, max_size=3), holding, max_leaves=12)


def named(steps: Steps, count: list[int]) -> Steps:
    """The steps with an id each."""
    found = []
    for step in steps:
        count[0] += 1
        kind, *_ = step
        named_step = {**step, kind: f"s{count[0]}"}
        for key in ("steps", "then", "otherwise", "else"):
            if key in step:
                named_step[key] = named(step[key], count)
        if "cases" in step:
            named_step["cases"] = [{**each, "steps": named(each["steps"], count)} for each in step["cases"]]
        found.append(named_step)
    return found


def longest_way(program: Program) -> int:
    """Every way through the program, with how often each repeat went round: the reference."""
    lengths: dict[tuple[str, str | None, Rounds], int] = {}
    starts: list[tuple[str | None, str | None, Rounds]] = [(program.first, None, ())]
    seen = set(starts)

    def length(here: str | None, came_from: str | None, rounds: Rounds) -> int:
        if here is None:
            return 0
        key = (here, came_from, rounds)
        if key not in lengths:
            lengths[key] = 1 + max(
                (length(*following) for following in ways(here, came_from, rounds)), default=0
            )
        return lengths[key]

    def ways(here: str, came_from: str | None, rounds: Rounds) -> list[tuple[str | None, str | None, Rounds]]:
        step = program.steps[here]
        if isinstance(step, Repeat):
            begun = dict(rounds).get(here, 0) if came_from in step.inside else 0
            more = tuple(sorted({**dict(rounds), here: begun + 1}.items()))
            again: list[tuple[str | None, str | None, Rounds]] = [(step.body, here, more)]
            over: list[tuple[str | None, str | None, Rounds]] = [(step.next, here, rounds)]
            if begun >= step.at_most:
                return over
            return again + over if step.rule is not None else again
        following: list[tuple[str | None, str | None, Rounds]] = [
            (each, here, rounds) for each in exits(step)
        ]
        sleeps = (isinstance(step, Wait) and step.for_ is not None) or (
            isinstance(step, WaitFor) and bool(step.events)
        )
        if not sleeps:
            return following
        for each in following:
            if each not in seen:
                seen.add(each)
                starts.append(each)
        return []

    most = 0
    for start in starts:  # grows while it is gone through
        most = max(most, length(*start))
    return most


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(steps=journeys)
def test_the_longest_stride_is_that_of_the_longest_way_through_the_program(
    steps: Steps, small: Mapping[str, str]
) -> None:
    data = {
        "kind": "journey",
        "id": "welcome",
        "title": "a",
        "owner": "a",
        "purpose": "marketing",
        "enter": {"event": "contact_added"},
        "steps": named(steps, [0]),
    }
    loaded = load_files({**small, "welcome.yaml": json.dumps(data)})
    if loaded.bundle is None:
        assert {each.code for each in loaded.errors} <= {"RS059"}, loaded.errors
        return
    journey = JourneyFile.model_validate(data)
    assert longest_stride(journey.steps) == longest_way(loaded.bundle.programs["welcome"])


@pytest.mark.parametrize(("count", "code"), [(LONGEST_STRIDE, None), (LONGEST_STRIDE + 1, "RS100")])
def test_a_thousand_steps_may_follow_each_other_and_not_one_more(
    count: int, code: str | None, small: Mapping[str, str]
) -> None:
    head, _, _ = small["welcome.yaml"].partition("steps:")
    steps = "".join(f"  - {{set: s{number}, values: {{a: 1}}}}\n" for number in range(count))
    loaded = load_files({**small, "welcome.yaml": f"{head}steps:\n{steps}"})

    assert [each.code for each in loaded.errors] == ([code] if code else [])


@pytest.mark.parametrize("times", [2, 3, 7, 36, 1000])
def test_many_rounds_are_as_long_as_one_after_the_other(times: int) -> None:
    """Each round asks the repeat and takes two steps; the repeat is asked once more at the end."""

    def stride(**repeat: Any) -> int:
        steps = [{"set": "a", "values": {"x": 1}}, {"tag": "b", "add": ["x"]}]
        data = {"repeat": "r", "steps": steps, **repeat}
        head = {"kind": "journey", "id": "j", "title": "j", "owner": "j", "purpose": "p"}
        journey = JourneyFile.model_validate({**head, "enter": {"event": "e"}, "steps": [data]})
        return longest_stride(journey.steps)

    assert stride(times=times) == 3 * times + 1
    assert stride(**{"while": {"contact.x": 1}, "at_most": times}) == 3 * times + 1


def test_ten_thousand_steps_with_waits_are_read_compiled_and_checked_in_bounded_time(
    small: Mapping[str, str],
) -> None:
    """Neither the depth of recursion nor the square of the steps: such a file takes seconds."""
    head, _, _ = small["welcome.yaml"].partition("steps:")
    steps = "".join(
        f"  - {{branch: b{number}, cases: [{{when: {{journey.outcomes.hi: sent}}, steps: []}}]}}\n"
        f"  - {{wait: w{number}, for: 1d}}\n"
        for number in range(4_999)
    )
    more = "  - {send: hi, content: hello, channels: [email]}\n  - {stop: end}\n"
    begun = time.process_time()
    loaded = load_files({**small, "welcome.yaml": f"{head}steps:\n{steps}{more}"})

    assert loaded.errors == () and loaded.bundle is not None
    assert len(loaded.bundle.programs["welcome"].steps) == 10_000
    assert time.process_time() - begun < 20  # some two seconds on a quiet machine
