"""Conditions that choose nobody or everybody are found; those that choose are left alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.authoring.loading import load_files

WithJourney = Callable[..., dict[str, str]]
EVENTS = """\
kind: events
id: events
title: 事件
owner: tests
events:
  - id: order_paid
    title: 支付
    effect: order
    schema:
      type: object
      required: [amount, kind]
      properties:
        amount: {type: number, minimum: 0}
        pieces: {type: integer, minimum: 1, maximum: 9}
        kind: {type: string, enum: [web, shop]}
  - id: product_viewed
    title: 浏览
    schema:
      type: object
      properties: {amount: {type: number, minimum: -5}, kind: {type: string, enum: [app]}}
"""


def codes(files: dict[str, str]) -> list[str]:
    return [problem.code for problem in load_files(files).problems]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("{event.amount: {lt: 0}}", ["RS130"]),
        ("{event.amount: {gte: 0}}", ["RW030"]),
        ("{event.amount: {gt: 0}}", []),
        ("{event.pieces: {gt: 9}}", ["RS130"]),
        ("{event.pieces: {between: [1, 9]}}", ["RW030"]),
        ("{event.pieces: {gt: 4, lt: 5}}", ["RS130"]),
        ("{event.kind: {in: [web, shop]}}", ["RW030"]),
        ("{event.kind: {exists: true}}", ["RW030"]),
        ("{event.pieces: {exists: true}}", []),
        ("{event.type: order_paid}", ["RW030"]),
        ("{event.type: product_viewed}", ["RS110"]),
        ("{contact.tags: {has: a, lacks: b}}", []),
        ("{contact.visits: {gt: 1, lt: 3}}", []),
        ("{any: [{contact.member: true}, {contact.member: false}]}", ["RW030"]),
        ("{none: [{contact.member: true}, {contact.member: false}]}", ["RS130"]),
        ("{contact.trial_ends_at: {after: {fact: contact.created_at}, within: 3d}}", []),
    ],
)
def test_an_entry_that_lets_in_nobody_or_everybody(
    when: str, expected: list[str], with_journey: WithJourney
) -> None:
    files = with_journey("  - {stop: here}\n", f"{{event: order_paid, when: {when}}}")

    assert codes({**files, "events.yaml": EVENTS}) == expected


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ("{event.amount: {lt: 0}}", []),  # of one of the two types
        ("{event.amount: {lt: -5}}", ["RS130"]),
        ("{event.kind: {in: [web, shop, app]}}", ["RW030"]),
        ("{event.kind: {exists: true}}", []),
        ("{event.type: order_paid}", []),
    ],
)
def test_of_two_types_of_events_only_what_is_true_of_both_counts(
    when: str, expected: list[str], with_journey: WithJourney
) -> None:
    files = with_journey("  - {stop: here}\n", f"{{event: [order_paid, product_viewed], when: {when}}}")

    assert codes({**files, "events.yaml": EVENTS}) == expected


def branch(*cases: str, otherwise: str = "") -> str:
    told = "".join(
        f"      - {{when: {case}, steps: [{{wait: w{n}, for: 1d}}]}}\n" for n, case in enumerate(cases)
    )
    return f"  - branch: b\n    cases:\n{told}" + (
        f"    else: [{{wait: {otherwise}, for: 1d}}]\n" if otherwise else ""
    )


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        (["{contact.visits: {gte: 1}}", "{contact.visits: {gte: 3}}"], ["RS131"]),
        (["{contact.visits: {gte: 3}}", "{contact.visits: {gte: 1}}"], []),
        (["{contact.tags: {has: a}}", "{contact.tags: {lacks: a}}", "{contact.visits: 3}"], ["RS131"]),
        # Whose visits are not known is taken by neither of the first two.
        (["{contact.visits: {gte: 1}}", "{contact.visits: {lt: 1}}", "{contact.tags: {has: a}}"], []),
        (["{contact.tags: {has_any: [a, b]}}", "{contact.tags: {has_all: [a, c]}}"], ["RS131"]),
    ],
)
def test_a_case_that_the_ones_before_use_up(
    cases: list[str], expected: list[str], with_journey: WithJourney
) -> None:
    assert codes(with_journey(branch(*cases))) == expected


def test_an_else_for_those_of_whom_nothing_is_known_is_reached(with_journey: WithJourney) -> None:
    known = ["{contact.visits: {gte: 1}}", "{contact.visits: {lt: 1}}"]
    sure = ["{contact.order_count: {gte: 1}}", "{contact.order_count: {lt: 1}}"]

    assert codes(with_journey(branch(*known, otherwise="rest"))) == []
    assert codes(with_journey(branch(*sure, otherwise="rest"))) == ["RW031"]
    assert codes(with_journey(branch(*sure))) == []


@pytest.mark.parametrize(
    ("enter", "leave", "expected"),
    [
        ("{contact.tags: {has: vip}}", "{contact.tags: {has: vip}}", ["RS132"]),
        ("{contact.visits: {gt: 5}}", "{contact.visits: {gte: 3}}", ["RS132"]),
        ("{contact.visits: {gte: 3}}", "{contact.visits: {gt: 5}}", []),
        ("{event.source: shop}", "{event.source: shop}", []),  # the next event may come from elsewhere
        ("{contact.tags: {lacks: vip}}", "{contact.tags: {has: vip}}", []),
    ],
)
def test_a_reason_to_leave_that_holds_of_everybody_who_enters(
    enter: str, leave: str, expected: list[str], with_journey: WithJourney
) -> None:
    files = with_journey(
        "  - {wait: w, for: 1d}\n", f"{{event: order_paid, when: {enter}}}", f"leave: [{{when: {leave}}}]\n"
    )

    assert codes(files) == expected


def test_a_reason_to_leave_on_one_event_is_not_met_on_entering(with_journey: WithJourney) -> None:
    when = "{contact.tags: {has: vip}}"
    files = with_journey(
        "  - {wait: w, for: 1d}\n",
        f"{{event: order_paid, when: {when}}}",
        f"leave: [{{event: product_viewed, when: {when}}}]\n",
    )

    assert codes(files) == []
