"""Tests of rulesets: what passes and what fails."""

from __future__ import annotations

from engine.plugin.registry import Registry
from engine.simulation.testing import run_tests
from tests.simulation.rule_tests import SIGNED_UP, Shop, faults


async def test_what_happens_as_expected_passes(shop: Shop, registry: Registry) -> None:
    test = """
      - name: a new gold member who buys
        events:
          - {at: 0d, event: signed_up, properties: {plan: gold}}
          - {at: 3h, event: paid, properties: {amount: 120}}
          - {at: 2d, event: paid, properties: {amount: 5}}
        expect:
          - {entered: greet, at: 0d}
          - {send: hello, at: 0d, channel: email, content: hello, contains: [Hello, "Welcome, Shanghai"]}
          - {send: gift, at: "2026-03-02", channel: app, local_time: "10:00"}
          - {at: 2d, facts: {contact.order_count: 2, contact.total_spent: {gt: 120}}}
          - {ended: greet, at: 2d, reason: run.completed}
          - {at: 3d, facts: {contact.tags: {has: buyer}}}
    """
    report = await run_tests(shop(test), registry)

    assert [result.passed for result in report.results] == [True]


async def test_a_send_that_nobody_expects_fails(shop: Shop, registry: Registry) -> None:
    assert await faults(shop, registry, f"{SIGNED_UP}, expect: []") == [
        (
            "nothing else is sent",
            "sent without being expected: hello of greet by email at 2026-03-01 09:00 (0d)",
        )
    ]


async def test_two_expectations_are_not_met_by_one_send(shop: Shop, registry: Registry) -> None:
    twice = f"{SIGNED_UP}, expect: [{{send: hello}}, {{send: hello, at: 0d}}]"
    (fault,) = await faults(shop, registry, twice)

    assert fault[0].startswith("send hello")


async def test_the_order_of_expectations_does_not_matter_even_where_they_overlap(
    shop: Shop, registry: Registry
) -> None:
    events = "events: [{at: 0d, event: signed_up}, {at: 2d, event: signed_up}]"
    test = f"- {{name: one, {events}, expect: [{{send: also}}, {{send: also, at: 0d}}]}}\n"
    again = """
        kind: journey
        id: other
        title: other
        owner: us
        purpose: marketing
        enter: {event: signed_up, reentry: always}
        steps:
          - {send: also, content: gift, channels: [app]}
        """
    report = await run_tests(shop(test, "other.yaml", other=again), registry)

    assert report.failed == ()


async def test_refusals_and_ends_are_expected_with_their_reasons(shop: Shop, registry: Registry) -> None:
    test = """
      - name: the wrong plan
        events: [{at: 0d, event: signed_up, properties: {plan: basic}}]
        expect: [{not_entered: greet, reason: entry.no_match}]
      - name: no consent, and left on the way
        contact: {consents: []}
        events:
          - {at: 0d, event: signed_up, properties: {plan: gold}}
          - {at: 5h, traits: {tags: [do_not_disturb]}}
        expect:
          - {not_sent: hello, reason: consent.unknown, at: 0d}
          - {ended: greet, reason: run.left, at: 5h}
    """
    report = await run_tests(shop(test), registry)

    assert [result.failures for result in report.results] == [(), ()]


async def test_history_counts_and_starts_nothing(shop: Shop, registry: Registry) -> None:
    test = """
      - name: an old customer
        history:
          - {ago: 90d, event: signed_up, properties: {plan: gold}}
          - {ago: 80d, event: paid, properties: {amount: 400}}
        expect:
          - {at: 0d, facts: {contact.total_spent: 400, contact.last_order_at: {older_than: 79d}}}
          - {at: 0d, facts: {contact.created_at: {older_than: 89d}}}
          - {not_entered: greet}
    """
    assert (await run_tests(shop(test), registry)).failed == ()


async def test_several_contacts_are_told_apart(shop: Shop, registry: Registry) -> None:
    test = """
      - name: ann and bob
        contacts: {ann: {}, bob: {timezone: Europe/Berlin}}
        events:
          - {at: 0d, event: signed_up, properties: {plan: gold}, contact: ann}
          - {at: "2026-03-03 10:00", event: signed_up, properties: {plan: gold}, contact: bob}
        expect:
          - {send: hello, at: 0d, contact: ann}
          - {send: hello, at: "2026-03-03", local_time: "10:00", contact: bob}
          - {send: hello, at: 3d, contact: bob}
    """
    (result,) = (await run_tests(shop(test), registry)).results

    (failure,) = result.failures
    assert failure.place.line == result.test.expected[2].place.line


async def test_a_phone_number_sets_the_clock_of_who_states_no_zone(shop: Shop, registry: Registry) -> None:
    who = {
        "ann": ("+442079460958", "", "10:00:00+00:00"),
        "bob": ("+442079460958", ", timezone: Asia/Tokyo", "10:00:00+09:00"),
        "cho": ("+34612345678", "", "10:00:00+08:00"),  # Madrid or the Canaries: the workspace's clock counts
    }
    contacts = "".join(
        f'{name}: {{identities: {{email: {name}@example.com, app: {name}, phone: "{phone}"}}{zone}}}, '
        for name, (phone, zone, _) in who.items()
    )
    events = "".join(
        f"{{at: 0d, event: signed_up, properties: {{plan: gold}}, contact: {name}}}, "
        f"{{at: 3h, event: paid, properties: {{amount: 120}}, contact: {name}}}, "
        for name in who
    )
    expected = "".join(
        f'{{send: hello, contact: {name}}}, {{send: gift, contact: {name}, at: "2026-03-02T{at}"}}, '
        for name, (*_, at) in who.items()
    )
    test = f"contacts: {{{contacts}}}, events: [{events}], expect: [{expected}]"

    assert await faults(shop, registry, test) == []


async def test_only_the_journeys_under_test_run(shop: Shop, registry: Registry) -> None:
    test = f"- {{name: alone, {SIGNED_UP}, expect: [{{send: hello}}]}}\n"
    assert (await run_tests(shop(test), registry)).failed == ()

    bundle = shop(test)
    (result,) = (await run_tests(bundle, registry)).results
    assert {sent.journey for sent in result.sends} == {"greet"}


async def test_only_chosen_tests_run(shop: Shop, registry: Registry) -> None:
    tests = "- {name: one, expect: []}\n- {name: two, expect: []}\n"
    heard: list[str] = []
    report = await run_tests(
        shop(tests),
        registry,
        chosen=lambda _, test: test.name == "two",
        tell=lambda result: heard.append(result.test.name),
    )

    assert [result.test.name for result in report.results] == heard == ["two"]


async def test_what_rules_make_of_history_holds_from_the_start(shop: Shop, registry: Registry) -> None:
    tags = """
        kind: tags
        id: tags
        title: tags
        owner: us
        tags: [{tag: big, level: value, when: {contact.total_spent: {gte: 100}}}]
        """
    test = """
      - name: a big spender of old
        history: [{ago: 9d, event: paid, properties: {amount: 100}}]
        expect: [{at: 0d, facts: {contact.tags: {has: big}}}]
    """
    assert (await run_tests(shop(test, tags=tags), registry)).failed == ()


async def test_time_alone_moves_people_into_an_audience_and_its_journey(
    shop: Shop, registry: Registry
) -> None:
    lapsed = """
        kind: audience
        id: lapsed
        title: lapsed
        owner: us
        when: {contact.last_order_at: {older_than: 3d}}
        """
    other = """
        kind: journey
        id: other
        title: other
        owner: us
        purpose: marketing
        enter: {audience: {entered: lapsed}}
        steps:
          - {send: also, content: gift, channels: [app]}
        """
    test = """
      - name: three days after the order
        events: [{at: 1h, event: paid, properties: {amount: 5}}]
        expect: [{at: 3d 1h..4d 1h, send: also}, {at: 3d, not_entered: other}]
    """
    report = await run_tests(shop(test, "other.yaml", lapsed=lapsed, other=other), registry)

    assert [result.failures for result in report.results] == [()]


async def test_a_journey_is_requested_and_a_schedule_fires_by_itself(shop: Shop, registry: Registry) -> None:
    head = "kind: journey\nid: other\ntitle: other\nowner: us\npurpose: marketing\n"
    steps = "steps:\n  - {send: also, content: gift, channels: [app]}\n"
    request = "- {name: one, events: [{at: 1h, event: journey_requested, properties: {journey: other}}],"
    request += " expect: [{at: 1h, send: also}]}\n"
    by_request = shop(request, "other.yaml", other=f"{head}enter: {{api: {{}}}}\n{steps}")
    clock = 'enter: {schedule: {cron: "0 10 * * *", timezone: contact}}\n'
    firing = "- {name: one, contact: {timezone: Europe/Berlin}, expect: ["
    firing += '{at: "2026-03-01", send: also, local_time: "10:00"}]}\n'
    by_clock = shop(firing, "other.yaml", other=f"{head}{clock}{steps}")

    for bundle in (by_request, by_clock):
        assert [result.failures for result in (await run_tests(bundle, registry)).results] == [()]


async def test_a_started_journey_is_expected_where_it_takes_part_and_no_fault_where_not(
    shop: Shop, registry: Registry
) -> None:
    greet = """
        kind: journey
        id: greet
        title: greet
        owner: us
        purpose: marketing
        enter: {event: signed_up}
        steps: [{start: on_to, journey: other}]
        """
    other = """
        kind: journey
        id: other
        title: other
        owner: us
        purpose: marketing
        enter: {api: {}}
        steps: [{send: also, content: gift, channels: [app]}]
        """
    alone = "- {name: alone, events: [{at: 0d, event: signed_up}], expect: [{ended: greet}]}\n"
    both = """
      - name: both
        events: [{at: 0d, event: signed_up}]
        expect: [{entered: other}, {send: also, journey: other}]
    """
    report = await run_tests(shop(alone, greet=greet, other=other), registry)
    assert report.failed == () and report.results[0].sends == ()
    report = await run_tests(shop(both, "[greet.yaml, other.yaml]", greet=greet, other=other), registry)
    assert report.failed == ()
