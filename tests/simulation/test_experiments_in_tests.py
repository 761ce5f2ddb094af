"""Tests of rulesets say which arm their contacts have and who is held out, and count arms as ways."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime
from textwrap import dedent

import pytest

from engine.authoring.bundle import Bundle
from engine.authoring.loading import load_files
from engine.experiments.bucketing import bucket_of
from engine.plugin.registry import Registry
from engine.simulation.people import Person
from engine.simulation.telling import trace_lines
from engine.simulation.testing import TestReport, run_tests
from engine.simulation.virtual import VirtualWorld
from tests.simulation.conftest import FILES, HEAD

START = datetime(2026, 3, 1, 1, tzinfo=UTC)
TRIAL = """\
    kind: journey
    id: greet
    title: greet
    owner: us
    purpose: marketing
    enter: {event: signed_up}
    steps:
      - experiment: tone
        arms:
          - {id: warm, weight: 1, steps: [{send: hello, content: hello, channels: [email]}]}
          - {id: dry, weight: 1, steps: [{send: gift, content: gift, channels: [email]}]}
          - {id: silent, weight: 1}
    """
HOLD_OUT = """\
    kind: experiment
    id: half_year
    title: hold-out
    owner: us
    hold_out: {share: 99%, of: {}, seed: h1, starts: "2026-01-01", ends: "2026-06-30"}
    """
WARM = """\
  - name: warm people are greeted
    contact: {arms: {tone: warm}}
    events: [{at: 0d, event: signed_up}]
    expect: [{at: 0d, send: hello}]
"""
DRY = """\
  - name: dry people get a gift
    contacts: {anna: {arms: {tone: dry}}, ben: {arms: {tone: dry}}}
    events: [{at: 0d, event: signed_up, contact: anna}, {at: 1d, event: signed_up, contact: ben}]
    expect: [{at: 0d, send: gift, contact: anna}, {at: 1d, send: gift, contact: ben}]
"""
SILENT = """\
  - name: some get nothing
    contact: {arms: {tone: silent}}
    events: [{at: 0d, event: signed_up}]
    expect: [{at: 0d, ended: greet}]
"""
HELD = """\
  - name: who is held out gets nothing
    contact: {arms: {tone: warm}, held_out: [half_year]}
    events: [{at: 0d, event: signed_up}]
    expect: [{at: 0d, not_sent: hello, reason: experiment.held_out}]
"""
Shop = Callable[..., Bundle]
Run = Callable[..., Awaitable[TestReport]]


@pytest.fixture
def trial(shop: Shop, registry: Registry) -> Run:
    async def run(*tests: str) -> TestReport:
        return await run_tests(shop("".join(tests), greet=TRIAL, hold_out=HOLD_OUT), registry)

    return run


def missed(report: TestReport) -> set[str]:
    return {f"{spot.kind} {spot.name}" for spot in report.coverage.missed if spot.journey == "greet"}


async def test_a_contact_has_the_arm_that_the_test_says(trial: Run) -> None:
    report = await trial(WARM, DRY, SILENT)

    assert [result.failures for result in report.results] == [(), (), ()]
    assert missed(report) == set()


@pytest.mark.parametrize(
    ("left_out", "never"),
    [(WARM, {"step hello", "way tone.arms.warm"}), (SILENT, {"way tone.arms.silent"})],
)
async def test_an_arm_that_no_test_goes_is_missed(left_out: str, never: set[str], trial: Run) -> None:
    report = await trial(*({WARM, DRY, SILENT} - {left_out}))

    assert missed(report) == never


async def test_in_tests_nobody_is_held_out_but_whom_they_name(trial: Run) -> None:
    report = await trial(WARM, HELD)  # of 99 in 100 people the hash would say so

    assert report.failed == ()


async def test_without_a_word_the_hash_of_the_name_decides_and_the_trace_says_so(
    shop: Shop, registry: Registry
) -> None:
    bundle = shop(SILENT.replace("{arms: {tone: silent}}", "{}"), greet=TRIAL)
    (result,) = (await run_tests(bundle, registry)).results
    bucket = bucket_of("greet/tone", "contact")
    arm = ("warm", "dry", "silent")[int(bucket * 3)]

    assert any(f"experiment tone: {arm} (hash" in line for line in trace_lines(result, bundle))


@pytest.mark.parametrize(
    ("said", "code", "message"),
    [
        ("{arms: {tone: worm}}", "RS087", "the experiment 'tone' has no arm 'worm'"),
        ("{arms: {ton: warm}}", "RS087", "the journeys under test have no experiment 'ton'"),
        ("{held_out: [half_yer]}", "RS087", "'half_yer' is no hold-out here"),
    ],
)
def test_names_that_lead_nowhere_are_told(said: str, code: str, message: str, registry: Registry) -> None:
    files = {name: dedent(text) for name, text in FILES.items()}
    files |= {"greet.yaml": dedent(TRIAL), "hold_out.yaml": dedent(HOLD_OUT)}
    files["greet.test.yaml"] = HEAD + WARM.replace("{arms: {tone: warm}}", said)
    (problem,) = load_files(files, registry).errors

    assert (problem.code, problem.message) == (code, message)
    assert problem.hint.startswith("did you mean")


def test_a_step_of_that_name_in_two_journeys_is_told(registry: Registry) -> None:
    files = {name: dedent(text) for name, text in FILES.items()}
    files |= {"greet.yaml": dedent(TRIAL), "other.yaml": dedent(TRIAL).replace("id: greet", "id: other")}
    head = HEAD.replace("ruleset: greet.yaml", "ruleset: [greet.yaml, other.yaml]")
    files["greet.test.yaml"] = head + WARM.replace("send: hello}", "send: hello, journey: greet}")
    (problem,) = load_files(files, registry).errors

    assert problem.message == "several journeys have an experiment 'tone': greet, other"


async def test_people_lived_through_one_by_one_fill_the_strata_together(shop: Shop) -> None:
    strata = TRIAL.replace("- experiment: tone", "- experiment: tone\n        stratify_by: [contact.locale]")
    world = VirtualWorld(shop(SILENT, greet=strata), START)
    arms = []
    with closing(world):
        for number in range(6):
            world.start_over(START)
            world.add(Person(f"p{number}"))
            world.feed(f"p{number}", "signed_up", START)
            await world.run_until(START)
            arms += [each.evidence["arm"] for each in world.decisions if each.kind == "experiment"]

    assert Counter(arms) == {"warm": 2, "dry": 2, "silent": 2}
