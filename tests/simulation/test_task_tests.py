"""Tests of rulesets with tasks for people: answers, what was given to whom, and every way that was taken."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.authoring.bundle import Bundle
from engine.plugin.registry import Registry
from engine.simulation.telling import coverage_lines, failure_lines
from engine.simulation.testing import TestReport, run_tests

Shop = Callable[..., Bundle]
WORKSPACE = """
    kind: workspace
    id: shop
    title: shop
    owner: us
    timezone: Asia/Shanghai
    locales: [en]
    identities: [email, app]
    attributes: {city: {type: text}}
    queues: {support: {title: Support}, legal: {title: Legal}}
    """
GREET = """
    kind: journey
    id: greet
    title: greet
    owner: us
    purpose: marketing
    enter: {event: signed_up, reentry: always}
    steps:
      - ask: call
        queue: support
        question: Call them?
        choices:
          - {id: keen, title: Keen, steps: [{send: gift, content: gift, channels: [app]}]}
          - {id: cold, title: Cold}
        deadline: 1d
        otherwise: [{send: hello, content: hello, channels: [email]}]
    """
EVENTS = "events: [{at: 0d, event: signed_up}]"


async def run(shop: Shop, registry: Registry, *tests: str) -> TestReport:
    lines = "".join(f"- {{name: test {number}, {each}}}\n" for number, each in enumerate(tests))
    return await run_tests(shop(lines, wayline=WORKSPACE, greet=GREET), registry)


async def faults(shop: Shop, registry: Registry, test: str) -> list[tuple[str, str]]:
    (result,) = (await run(shop, registry, test)).results
    return [(failure.wanted, failure.found) for failure in result.failures]


@pytest.mark.parametrize(
    "test",
    [
        "answers: [{at: 2h, task: call, choice: keen}], expect: [{at: 2h, send: gift}]",
        "answers: [{at: 2h, task: call, choice: cold}], expect: [{ended: greet, at: 2h}]",
        "expect: [{task: call, at: 0d, queue: support}, {at: 1d, send: hello}]",
        "answers: [{at: 2h, task: call, choice: cold, journey: greet}], expect: [{task: call, at: 0d}]",
    ],
)
async def test_answers_and_deadlines_lead_their_ways(shop: Shop, registry: Registry, test: str) -> None:
    assert await faults(shop, registry, f"{EVENTS}, {test}") == []


@pytest.mark.parametrize(
    ("test", "wanted", "found"),
    [
        (
            "expect: [{send: hello}]",
            "no other task is given",
            "given without being expected: call of greet at 2026-03-01 09:00 (0d)",
        ),
        (
            "expect: [{task: call, at: 2h}, {send: hello}]",
            "task call at 2h",
            "given at 2026-03-01 09:00 (0d): 2h too early",
        ),
        (
            "answers: [{at: 25h, task: call, choice: keen}], expect: [{send: hello}]",
            "call answered keen at 2026-03-02 10:00 (1d 1h)",
            "the task was not open then: task.expired (nobody decided the task before its deadline)"
            " at 2026-03-02 09:00 (1d)",
        ),
    ],
)
async def test_a_difference_is_told(
    shop: Shop, registry: Registry, test: str, wanted: str, found: str
) -> None:
    assert (wanted, found) in await faults(shop, registry, f"{EVENTS}, {test}")


async def test_a_task_that_is_never_given_says_where_the_run_is(shop: Shop, registry: Registry) -> None:
    (fault,) = await faults(shop, registry, "events: [], expect: [{task: call}]")
    assert fault == ("task call", "never given: no event reached greet")


async def test_the_trace_tells_of_tasks(shop: Shop, registry: Registry) -> None:
    bundle = shop(
        f"- {{name: one, {EVENTS}, answers: [{{at: 2h, task: call, choice: keen}}], expect: []}}\n",
        wayline=WORKSPACE,
        greet=GREET,
    )
    (result,) = (await run_tests(bundle, registry)).results
    lines = [line.strip() for line in failure_lines(result, bundle)]
    assert "+ task call: task.opened" in lines
    assert "waits at call until 2026-03-02 09:00 (1d)" in lines
    assert "+ task call: task.decided" in lines
    assert "greet goes on, call is answered keen: gift" in lines


async def test_every_answer_and_the_deadline_are_ways_to_be_taken(shop: Shop, registry: Registry) -> None:
    keen = f"{EVENTS}, answers: [{{at: 2h, task: call, choice: keen}}], expect: [{{send: gift}}]"
    report = await run(shop, registry, keen)
    missed = [line for line in coverage_lines(report.coverage) if "call." in line]
    assert missed == [
        "greet.yaml:14: no test goes greet call.choices[1]",
        "greet.yaml:16: no test goes greet call.otherwise (hello)",
    ]
    cold = f"{EVENTS}, answers: [{{at: 2h, task: call, choice: cold}}], expect: []"
    late = f"{EVENTS}, expect: [{{task: call}}, {{send: hello}}]"
    report = await run(shop, registry, keen, cold, late)
    assert [line for line in coverage_lines(report.coverage) if "call." in line] == []
