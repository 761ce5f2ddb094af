"""What tests of rulesets reach, and what is said of the rest."""

from __future__ import annotations

from collections.abc import Callable

from engine.authoring.bundle import Bundle
from engine.plugin.registry import Registry
from engine.simulation.coverage import path_of
from engine.simulation.telling import coverage_lines, summary_line
from engine.simulation.testing import run_tests

Shop = Callable[..., Bundle]
GOLD = "{at: 0d, event: signed_up, properties: {plan: gold}}"


async def test_what_no_test_reaches_is_listed_by_file_and_line(shop: Shop, registry: Registry) -> None:
    test = f"- {{name: one, events: [{GOLD}], expect: [{{send: hello}}]}}\n"
    coverage = (await run_tests(shop(test), registry)).coverage

    assert coverage_lines(coverage, "here") == [
        "here/greet.yaml:6: the condition greet enter.when was true every time",
        "here/greet.yaml:7: the condition greet leave[0].when was never true",
        "here/greet.yaml:13: the condition greet worth.cases[0].when was never true",
        "here/greet.yaml:13: no test goes greet worth.cases[0] (gift)",
        "here/greet.yaml:16: no test goes greet order.then (note)",
        "here/other.yaml:8: no test is about other",
    ]
    assert summary_line(coverage) == ("coverage 50% (8 of 16); never reached: 3 steps, 2 ways, 3 conditions")


async def test_everything_can_be_reached(shop: Shop, registry: Registry) -> None:
    tests = f"""
      - name: the whole way
        events:
          - {GOLD}
          - {{at: 1h, event: paid, properties: {{amount: 120}}}}
          - {{at: 2d, event: paid, properties: {{amount: 1}}}}
        expect: [{{send: hello}}, {{send: gift, at: 1d..2d}}]
      - {{name: none of it, events: [{{at: 0d, event: signed_up, properties: {{plan: basic}}}}], expect: []}}
      - name: no gift
        events: [{GOLD}, {{at: 2d, traits: {{tags: [do_not_disturb]}}}}]
        expect: [{{send: hello}}]
    """
    coverage = (await run_tests(shop(tests), registry)).coverage

    assert {spot.journey for spot in coverage.missed} == {"other"} and coverage.untested == ("other",)


async def test_a_branch_without_else_is_to_be_passed_by_too(shop: Shop, registry: Registry) -> None:
    bought = f"[{GOLD}, {{at: 1h, event: paid, properties: {{amount: 120}}}}]"
    test = f"- {{name: one, events: {bought}, expect: [{{send: hello}}, {{send: gift}}]}}\n"
    coverage = (await run_tests(shop(test), registry)).coverage

    assert "worth.else" in {spot.name for spot in coverage.missed}


async def test_conditions_of_journeys_that_take_no_part_do_not_count(shop: Shop, registry: Registry) -> None:
    picky = """
        kind: journey
        id: other
        title: other
        owner: us
        purpose: marketing
        enter: {event: signed_up, when: {event.plan: silver}}
        steps:
          - {send: also, content: gift, channels: [app]}
        """
    test = f"- {{name: one, events: [{GOLD}], expect: [{{send: hello}}]}}\n"
    coverage = (await run_tests(shop(test, other=picky), registry)).coverage

    assert coverage.untested == ("other",)
    assert {
        spot.more for spot in coverage.missed if spot.journey == "other" and spot.name == "enter.when"
    } == {
        "true",
        "not true",
    }


def test_rules_are_shown_where_they_stand() -> None:
    shown = {
        "entry:a#b": "enter.when",
        "pattern:a/first#b": "enter.pattern first.when",
        "leave:a/2": "leave[1].when",
        "goal:a": "goal.when",
        "wait:a/s": "s.when",
        "branch:a/s/1": "s.cases[0].when",
        "class:activity/2": "class activity.cases[1].when",
        "score:recency/1": "score recency.bands[0]",
        "tag:big": "tag big",
        "audience:lapsed": "audience lapsed",
        "count:views#viewed": "count views",
    }

    assert {rule: path_of(rule) for rule in shown} == shown


async def test_the_condition_of_a_repeat_is_to_be_seen_on_both_sides(shop: Shop, registry: Registry) -> None:
    nag = """
        kind: journey
        id: greet
        title: greet
        owner: us
        purpose: marketing
        enter: {event: signed_up}
        steps:
          - repeat: remind
            while: {contact.total_spent: {lt: 100}}
            at_most: 2
            steps:
              - {wait: day, for: 1d}
              - {send: hello, content: hello, channels: [email]}
        """
    test = f"- {{name: one, events: [{GOLD}], expect: [{{send: hello}}, {{send: hello}}]}}\n"
    coverage = (await run_tests(shop(test, greet=nag), registry)).coverage

    assert [line for line in coverage_lines(coverage) if "greet" in line] == [
        "greet.yaml:10: the condition greet remind.while was true every time"
    ]
