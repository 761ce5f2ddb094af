"""Tests of rulesets in which operators switch plans and trip breakers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.authoring.bundle import Bundle
from engine.plugin.registry import Registry
from engine.simulation.telling import coverage_lines
from engine.simulation.testing import TestReport, run_tests

Shop = Callable[..., Bundle]
SWITCHES: dict[str, str] = {
    "crisis": """
        kind: plan
        id: crisis
        title: crisis
        owner: us
        at_most: 3d
        pause: {purposes: [marketing]}
        """,
    "calm": """
        kind: plan
        id: calm
        title: calm
        owner: us
        at_most: 30d
        caps: {one_a_day: {limit: 2}}
        contents: {hello: gift}
        channels: [app]
        """,
    "breakers": """
        kind: breakers
        id: risk
        title: risk
        owner: us
        breakers:
          - id: send_failure
            scope: channel
            metric: send_failure_rate
            window: 10m
            min_samples: 5
            levels: {red: {gt: 40%}}
            recover: {probe_after: 5m, probes: 2, close_when: {lt: 5%}}
        """,
}
GOLD = (
    "events: [{at: 0d, event: signed_up, properties: {plan: gold}},"
    " {at: 1h, event: paid, properties: {amount: 200}}]"
)


async def run(shop: Shop, registry: Registry, test: str) -> TestReport:
    return await run_tests(shop(f"\n      - {{name: it, {test}}}\n", **SWITCHES), registry)


@pytest.mark.parametrize(
    ("acts", "expect"),
    [
        # A plan keeps people out; what is on its way is held until it is off, or ends by itself.
        ("{at: 0d, plan_on: crisis}", "{not_entered: greet, reason: entry.paused}"),
        (
            "{at: 1m, plan_on: crisis}, {at: 30h, plan_off: crisis}",
            "{send: hello, at: 0d}, {held: gift, at: 25h, reason: plan.paused}, {send: gift, at: 30h}",
        ),
        (
            "{at: 1m, plan_on: crisis, until: 26h}",
            "{send: hello, at: 0d}, {held: gift, reason: plan.paused}, {send: gift, at: 26h}",
        ),
        # Another text by another channel, for who comes in while it is on.
        (
            "{at: 0d, plan_on: calm, until: 1d}",
            "{send: hello, channel: app, contains: For you}, {send: gift}",
        ),
        ("{at: 1m, plan_on: calm}", "{send: hello, channel: email, contains: Welcome}, {send: gift}"),
        # A tripped channel holds what is for it alone, until it is reset; else the next channel takes over.
        (
            "{at: 1m, trip: send_failure, channel: app}, {at: 30h, reset: send_failure, channel: app}",
            "{send: hello}, {held: gift, at: 25h, reason: breaker.open}, {send: gift, at: 30h}",
        ),
        ("{at: 0d, trip: send_failure, channel: email}", "{send: hello, channel: app}, {send: gift}"),
    ],
)
async def test_what_operators_do_counts_as_in_production(
    shop: Shop, registry: Registry, acts: str, expect: str
) -> None:
    report = await run(shop, registry, f"acts: [{acts}], until: 40h, {GOLD}, expect: [{expect}]")
    (result,) = report.results
    assert [(each.wanted, each.found) for each in result.failures] == []


async def test_other_caps_hold_from_the_moment_of_the_plan_and_no_longer(
    shop: Shop, registry: Registry
) -> None:
    signed = "{at: 0d, event: signed_up, properties: {plan: gold}}"
    held = "{send: hello, at: 0d}, {held: also, at: 0d, reason: cap.full}"
    free = f"{held}, {{send: also, at: 1h}}"
    for acts, expect in (("", f"{held}, {{send: also, at: 15h}}"), ("{at: 1h, plan_on: calm}", free)):
        test = f"acts: [{acts}], until: 20h, events: [{signed}], expect: [{expect}]"
        bundle = shop(f"\n      - {{name: it, {test}}}\n", "[greet.yaml, other.yaml]", **SWITCHES)
        (result,) = (await run_tests(bundle, registry)).results
        assert [(each.wanted, each.found) for each in result.failures] == []


async def test_plans_and_breakers_that_no_test_switches_are_told(shop: Shop, registry: Registry) -> None:
    report = await run(
        shop, registry, f"acts: [{{at: 1m, plan_on: calm}}], {GOLD}, expect: [{{send: hello}}]"
    )
    assert [line.partition(": ")[2] for line in coverage_lines(report.coverage) if "switches" in line] == [
        "no test switches the plan crisis on"
    ]
    assert any("no test trips the breaker send_failure" in line for line in coverage_lines(report.coverage))


TWO = "contacts: {anna: {}, ben: {}}, until: 40h"
BOTH_SIGN_UP = (
    "{at: 0d, event: signed_up, properties: {plan: gold}, contact: anna},"
    " {at: 2h, event: signed_up, properties: {plan: gold}, contact: ben}"
)


@pytest.mark.parametrize(
    ("acts", "events", "expect"),
    [
        # Two people: each is welcomed on that day.
        ("", BOTH_SIGN_UP, "{send: hello, contact: anna}, {send: hello, contact: ben, at: 2h}"),
        # One person, who is in the journey already, whatever name the second sign-up came under.
        (
            "{at: 1h, merge: [ben, anna]}",
            BOTH_SIGN_UP,
            "{send: hello, contact: anna},"
            " {not_entered: greet, contact: anna, at: 2h, reason: entry.reentry}",
        ),
        # What one of them refused holds for the other from then on.
        (
            "{at: 1h, merge: [anna, ben]}",
            "{at: 30m, event: consent_withdrawn, properties: {purpose: marketing}, contact: ben},"
            " {at: 2h, event: signed_up, properties: {plan: gold}, contact: anna}",
            "{not_sent: hello, contact: anna, reason: consent.withdrawn}",
        ),
    ],
)
async def test_two_who_turn_out_to_be_one_count_as_one(
    shop: Shop, registry: Registry, acts: str, events: str, expect: str
) -> None:
    told = f"{TWO}, acts: [{acts}], events: [{events}], expect: [{expect}]"
    (result,) = (await run(shop, registry, told)).results
    assert [(each.wanted, each.found) for each in result.failures] == []
