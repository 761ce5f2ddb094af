"""Calls in virtual time: said by tests of rulesets, and the same decisions as in SQL."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
import textwrap
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of, load_files
from engine.journeys.run import CallOutcome
from engine.plugin import ActionResult, Done, Failed, Unknown
from engine.simulation.calling import SaidCall
from engine.simulation.people import Person
from engine.simulation.telling import trace_lines
from engine.simulation.testing import run_tests
from engine.simulation.virtual import VirtualWorld
from engine.store.database import Store
from engine.store.tables import CallRow, ContactRow, DecisionRow
from tests.calls.conftest import FILES, GIFT, START, Ground

HEAD = "kind: journey\nid: gift\ntitle: gift\nowner: us\npurpose: service\n"
TESTS = """\
ruleset: gift.yaml
start: "2026-05-04T11:00:00+08:00"
until: 2d
tests:
  - name: {name}
    events: [{{at: 0d, event: added}}]
{more}
"""


def files(tests: str = "", body: str = GIFT) -> dict[str, str]:
    found = {name: textwrap.dedent(text) for name, text in FILES.items()}
    found["gift.yaml"] = HEAD + textwrap.dedent(body)
    return {**found, "gift.test.yaml": tests} if tests else found


def bundle_with(more: str) -> Bundle:
    return bundle_of(files(TESTS.format(name="one", more=textwrap.indent(textwrap.dedent(more), "    "))))


async def test_calls_are_done_where_a_test_says_nothing() -> None:
    bundle = bundle_with(
        "expect: [{called: give, at: 0d, reason: call.done}, {ended: gift, reason: run.completed}]"
    )
    (result,) = (await run_tests(bundle)).results
    assert result.passed, result.failures


async def test_a_test_says_how_calls_end_and_what_they_answer() -> None:
    rich = bundle_with(
        """
        calls: [{call: give, results: {balance: 120}}]
        expect: [{called: give}, {at: 1d, facts: {contact.tags: {has: rich}}}]
        """
    )
    sorry = bundle_with(
        """
        calls: [{call: give, outcome: failed}]
        expect: [{called: give, reason: call.failed}, {at: 1d, facts: {contact.tags: {has: sorry}}}]
        """
    )
    for bundle in (rich, sorry):
        (result,) = (await run_tests(bundle)).results
        assert result.passed, result.failures


async def test_the_trace_of_a_failing_test_tells_of_its_calls() -> None:
    bundle = bundle_with(
        "calls: [{call: give, outcome: unknown}]\nexpect: [{called: give, reason: call.done}]"
    )
    (result,) = (await run_tests(bundle)).results
    assert not result.passed
    told = "\n".join(trace_lines(result, bundle))
    assert "call give: call.unknown" in told
    assert "goes on, give is unknown" in told


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ("calls: [{call: giv}]\nexpect: []", "RS087"),
        ("calls: [{call: mark}]\nexpect: []", "RS087"),
        ("calls: [{call: give, results: {balanse: 1}}]\nexpect: []", "RS087"),
        ("calls: [{call: give, results: {balance: much}}]\nexpect: []", "RS088"),
        ("calls: [{call: give, outcome: failed, results: {balance: 1}}]\nexpect: []", "RS089"),
        ("expect: [{called: mark}]", "RS087"),
    ],
)
def test_what_a_test_says_wrongly_of_calls_is_told_with_its_place(more: str, code: str) -> None:
    text = TESTS.format(name="one", more=textwrap.indent(more, "    "))
    (problem,) = load_files(files(text)).problems
    assert (problem.code, problem.place.file) == (code, "gift.test.yaml")
    assert problem.hint


async def test_several_ends_said_for_one_step_serve_one_call_each_and_the_last_one_the_rest() -> None:
    body = """
        enter: {event: added, reentry: always}
        steps:
          - {call: give, action: points}
        """
    ends = [SaidCall("give", CallOutcome.FAILED), SaidCall("give", CallOutcome.DONE)]
    with closing(VirtualWorld(bundle_of(files(body=body)), START, calls=ends)) as world:
        world.add(Person("ann"))
        for hours in range(3):
            world.feed("ann", "added", START + timedelta(hours=hours))
        await world.run_until(START + timedelta(days=1))
        reasons = [each.reason for each in world.decisions if each.kind == "call"]
    assert reasons == ["call.failed", "call.done", "call.done"]


async def test_a_call_about_an_address_goes_wrong_for_who_has_none() -> None:
    found = files()
    found["actions.yaml"] = found["actions.yaml"].replace("recording}", "recording, identity: email}")
    with closing(VirtualWorld(bundle_of(found), START)) as world:
        world.add(Person("ann"))
        world.add(Person("ben", identities={"email": "ben@example.com"}))
        for who in ("ann", "ben"):
            world.feed(who, "added", START + timedelta(hours=1))
        await world.run_until(START + timedelta(days=1))
        calls = {each.contact_id: each.reason for each in world.decisions if each.kind == "call"}
        assert calls == {"ann": "channel.no_identity", "ben": "call.done"}


LONG = """
    enter: {event: added, reentry: always}
    leave: [{event: gone}]
    goal: {event: granted, within: 2d}
    steps:
      - call: give
        action: points
        values: {points: 50}
        results: {balance: number, level: text}
        failed: [{wait: pause, for: 3h}, {call: apology, action: points}]
      - wait_for: seen
        event: granted
        up_to: 5h
        then: [{call: more, action: points, results: {balance: number}}]
      - branch: rich
        cases:
          - when: {journey.results.give.balance: {gte: 100}}
            steps: [{tag: note, add: [rich]}]
          - when: {journey.calls.give: unknown}
            steps: [{tag: lost, add: [lost]}]
      - {wait: night, for: 8h}
      - {call: last, action: points}
    """
ENDS: Mapping[str, ActionResult] = {
    "done": Done(),
    "much": Done({"balance": 150, "level": "gold"}),
    "little": Done({"balance": 5, "level": 7}),
    "failed": Failed("no_account"),
    "unknown": Unknown("broken"),
}
lives = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 3600, 6 * 3600, 40 * 3600]), st.sampled_from(["added", "granted", "gone"])
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=15, deadline=None)
@given(life=lives, ends=st.lists(st.sampled_from(sorted(ENDS)), min_size=1, max_size=6))
def test_sql_and_virtual_time_decide_the_same(
    life: list[tuple[int, str]], ends: list[str], _sqlite_template: Path
) -> None:
    """One after another the calls end as listed, and are done once the list is used up."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            in_sql = asyncio.run(_in_sql(Ground(store, idempotent=False), life, ends))
    assert asyncio.run(_in_memory(life, ends)) == in_sql


async def _in_sql(ground: Ground, life: list[tuple[int, str]], ends: list[str]) -> list[Any]:
    ground.publish(LONG)
    ground.action.script.extend(ENDS[end] for end in ends)
    with ground.store.begin() as session:
        session.add(ContactRow(id="ann", created_at=START))
    for pause, event in life:
        await _pass(ground, timedelta(seconds=pause))
        await ground.feed(event, contact_id="ann")
        await ground.carry_told()
    await _pass(ground, timedelta(days=5))
    steps = {row.key: row.step_id for row in ground.rows(CallRow)}
    rows = sorted(ground.rows(DecisionRow), key=lambda row: row.id)
    ground.shelf.close()
    return [(row.at, row.kind, steps.get(row.intent_key or ""), row.verdict, row.reason) for row in rows]


async def _pass(ground: Ground, by: timedelta) -> None:
    """Let time go by, from one due moment to the next."""
    until = ground.clock.moment + by
    while (due := ground.next_due_at()) is not None and due < until:
        ground.clock.moment = max(due, ground.clock.moment)
        for run_id in ground.due_runs():
            await ground.runs.carry(run_id, durable=True)
    ground.clock.moment = until


async def _in_memory(life: list[tuple[int, str]], ends: list[str]) -> list[Any]:
    said = iter([*ends, *itertools.repeat("done", 99)])
    with closing(VirtualWorld(bundle_of(files(body=LONG)), START)) as world:
        call = world._life.runs._calling

        def end(contact_id: str, journey: str, step: str) -> SaidCall:
            answer = ENDS[next(said)]
            match answer:
                case Done(values):
                    return SaidCall(step, CallOutcome.DONE, values)
                case Failed():
                    return SaidCall(step, CallOutcome.FAILED)
            return SaidCall(step, CallOutcome.UNKNOWN)

        call.say = end  # type: ignore[method-assign]
        world.add(Person("ann"))
        at = START
        for pause, event in life:
            at += timedelta(seconds=pause)
            world.feed("ann", event, at)
        await world.run_until(at + timedelta(days=5))
        return [(each.at, each.kind, each.step, each.verdict, each.reason) for each in world.decisions]
