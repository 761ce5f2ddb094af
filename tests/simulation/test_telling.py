"""Failed tests of rulesets: what is told of them, and the trace of what led there."""

from __future__ import annotations

import pytest

from engine.plugin.registry import Registry
from engine.simulation.telling import failure_lines
from engine.simulation.testing import run_tests
from tests.simulation.rule_tests import SIGNED_UP, Shop, faults


@pytest.mark.parametrize(
    ("expected", "why"),
    [
        ("at: 2h..3h", "2h too early"),
        ('local_time: "10:00"', "the contact's clock showed 09:00"),
        ("channel: app", "it went by email"),
        ("contains: Goodbye", "it does not contain 'Goodbye'"),
    ],
)
async def test_the_nearest_miss_is_told(shop: Shop, registry: Registry, expected: str, why: str) -> None:
    ((_, found),) = await faults(shop, registry, f"{SIGNED_UP}, expect: [{{send: hello, {expected}}}]")

    assert found == f"sent at 2026-03-01 09:00 (0d): {why}"


@pytest.mark.parametrize(
    ("test", "why"),
    [
        (
            f"{SIGNED_UP}, expect: [{{send: hello}}, {{send: gift}}], until: 1h",
            "never wished: greet is still at overnight when the test ends",
        ),
        (
            f"{SIGNED_UP}, expect: [{{send: hello}}, {{send: gift}}]",
            "never wished: greet: run.completed (the run came to the end of its journey)",
        ),
        (
            "events: [{at: 0d, event: signed_up}], expect: [{send: hello}]",
            "never wished: greet: entry.no_match (the journey's condition did not hold)",
        ),
        ("expect: [{send: hello}]", "never wished: no event reached greet"),
        (
            f"contact: {{consents: []}}, {SIGNED_UP}, expect: [{{send: hello}}]",
            "not sent: consent.unknown (there is no consent on record)",
        ),
    ],
)
async def test_a_message_that_never_came_is_explained(
    shop: Shop, registry: Registry, test: str, why: str
) -> None:
    ((_, found),) = await faults(shop, registry, test)

    assert found.startswith(why)


async def test_a_message_that_a_cap_delayed_says_so(shop: Shop, registry: Registry) -> None:
    expected = "[{send: hello, at: 0d}, {send: also, at: 0d}]"
    test = f"- {{name: one, until: 1d, {SIGNED_UP}, expect: {expected}}}\n"
    (result,) = (await run_tests(shop(test, "[greet.yaml, other.yaml]"), registry)).results
    (failure,) = result.failures

    late = "sent at 2026-03-02 00:00 (15h): 15h too late; it had to wait: cap.full one_a_day"
    assert failure.found.startswith(late)


@pytest.mark.parametrize(
    ("expected", "why"),
    [
        ("not_entered: greet", "entry.entered (the journey took the contact in) at 2026-03-01 09:00 (0d)"),
        (
            "ended: greet, reason: run.left",
            "run.completed (the run came to the end of its journey) at 2026-03-04 10:00 (3d 1h): "
            "not because of run.left",
        ),
        ("held: hello", "sent.accepted (the provider took the message) at 2026-03-01 09:00 (0d)"),
        (
            "at: 1d, facts: {contact.order_count: {gte: 2}}",
            "contact.order_count was 0, wanted gte 2",
        ),
    ],
)
async def test_other_expectations_say_what_was_found_instead(
    shop: Shop, registry: Registry, expected: str, why: str
) -> None:
    test = f"{SIGNED_UP}, expect: [{{send: hello}}, {{{expected}}}]"
    ((_, found),) = await faults(shop, registry, test)

    assert found == why


async def test_a_failure_is_told_with_a_trace_by_file_and_line(shop: Shop, registry: Registry) -> None:
    bundle = shop(
        """
        - name: a gift on the second day
          contact: {timezone: Europe/Berlin}
          history: [{ago: 9d, event: paid, properties: {amount: 50}}]
          events: [{at: 0d, event: signed_up, properties: {plan: gold}}]
          expect: [{send: hello}, {send: gift}]
        """
    )
    (result,) = (await run_tests(bundle, registry)).results

    assert failure_lines(result, bundle, "here") == [
        "FAIL here/greet.test.yaml:7 a gift on the second day",
        "  wanted  send gift  here/greet.test.yaml:11",
        "  found   never wished: greet: run.completed (the run came to the end of its journey) "
        "at 2026-03-04 10:00 (3d 8h)",
        "  trace (clock of Europe/Berlin; UTC in brackets)",
        "    0d        2026-03-01 02:00 (01:00Z)",
        "      event signed_up {plan: gold}",
        "      + greet enter.when  here/greet.yaml:6",
        "          + event.plan (was gold, wanted eq gold)  :6",
        "      + greet: entry.entered",
        "      greet begins: hello",
        "      + send hello by email: sent.accepted",
        "      greet goes on, hello is sent: overnight",
        "        waits at overnight until 2026-03-02 10:00 (1d 8h)",
        "    1d 8h     2026-03-02 10:00 (09:00Z)",
        "      - greet worth.cases[0].when  here/greet.yaml:13",
        "          - contact.total_spent (was 50, wanted gte 100)  :13",
        "      greet goes on after overnight: worth → order",
        "        waits at order until 2026-03-04 10:00 (3d 8h)",
        "    3d 8h     2026-03-04 10:00 (09:00Z)",
        "      greet goes on after order",
        "      + greet: run.completed",
    ]


async def test_a_pattern_is_tested_and_traced_like_any_other_way_in(shop: Shop, registry: Registry) -> None:
    other = """
        kind: journey
        id: other
        title: other
        owner: us
        purpose: marketing
        enter:
          pattern:
            count: {event: paid, when: {event.amount: {lt: 10}}}
            at_least: 2
            within: 24h
        steps:
          - {send: also, content: gift, channels: [app]}
        """
    test = """
      - name: two small orders in a day
        events:
          - {at: 0d, event: paid, properties: {amount: 5}}
          - {at: 1h, event: paid, properties: {amount: 50}}
          - {at: 2h, event: paid, properties: {amount: 5}}
        expect: [{at: 2h, send: also}]
      - name: and two in two days are not enough
        events:
          - {at: 0d, event: paid, properties: {amount: 5}}
          - {at: 2d, event: paid, properties: {amount: 5}}
        expect: [{at: 2d, send: also}]
    """
    bundle = shop(test, "other.yaml", other=other)
    report = await run_tests(bundle, registry)

    assert [result.passed for result in report.results] == [True, False]
    told = failure_lines(report.failed[0], bundle)
    assert "  found   never wished: other: entry.no_match" in told[2]
    assert any(line.startswith("      + other enter.pattern 1.when  other.yaml:9") for line in told)
    assert not [spot for spot in report.coverage.missed if spot.journey == "other"]


async def test_a_long_trace_leaves_out_its_middle(shop: Shop, registry: Registry) -> None:
    events = ", ".join(f"{{at: {hour}h, event: paid, properties: {{amount: 1}}}}" for hour in range(100))
    bundle = shop(f"- {{name: one, events: [{events}], expect: [{{send: hello}}]}}\n")
    (result,) = (await run_tests(bundle, registry)).results
    told = failure_lines(result, bundle)

    assert "    … 60 more moments …" in told
    assert told[4].startswith("    0d ") and told[-2].startswith("    4d 3h ")


async def test_a_trace_of_several_contacts_names_them_on_their_own_clocks(
    shop: Shop, registry: Registry
) -> None:
    bundle = shop(
        """
        - name: two
          contacts: {ann: {}, bob: {timezone: Europe/Berlin}}
          events:
            - {at: 1h, event: paid, properties: {amount: 1}, contact: ann}
            - {at: 1h, event: paid, properties: {amount: 1}, contact: bob}
          expect: [{send: hello, contact: bob}]
        """
    )
    (result,) = (await run_tests(bundle, registry)).results

    heads = [line for line in failure_lines(result, bundle) if line.endswith(("ann", "bob"))]
    assert heads == [
        "    1h        2026-03-01 10:00 (02:00Z)  ann",
        "    1h        2026-03-01 03:00 (02:00Z)  bob",
    ]
