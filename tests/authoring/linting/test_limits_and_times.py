"""Caps that never have a say, messages that caps always stop, times that do not go together."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.authoring.loading import load_files

WithJourney = Callable[..., dict[str, str]]
CAPS = "kind: caps\nid: caps\ntitle: 频次\nowner: tests\ncaps:\n"


def codes(files: Mapping[str, str]) -> list[str]:
    return [problem.code for problem in load_files(files).problems]


def cap(name: str, what: str, counts: str = "{purpose: marketing}", full: str = "skip") -> str:
    return f"  - {{id: {name}, counts: {counts}, {what}, when_full: {full}}}\n"


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (cap("a", "limit: 1, window: {rolling: 7d}"), cap("b", "limit: 2, window: {rolling: 1d}"), ["RW034"]),
        (cap("a", "limit: 1, window: {rolling: 1d}"), cap("b", "limit: 3, window: {rolling: 7d}"), []),
        (cap("a", "limit: 1, window: {rolling: 1d}"), cap("b", "limit: 7, window: {rolling: 7d}"), ["RW034"]),
        (cap("a", "min_gap: 4h"), cap("b", "limit: 6, window: {rolling: 24h}"), ["RW034"]),
        (cap("a", "min_gap: 4h"), cap("b", "limit: 5, window: {rolling: 24h}"), []),
        (cap("a", "min_gap: 2d"), cap("b", "limit: 1, window: {rolling: 24h}"), ["RW034"]),
        (cap("a", "limit: 1, window: {rolling: 24h}"), cap("b", "min_gap: 4h"), ["RW034"]),
        (
            cap("a", "limit: 1, window: {rolling: 7d}", "{purpose: marketing, channels: [email]}"),
            cap("b", "limit: 2, window: {rolling: 1d}"),
            [],
        ),
        (
            cap("a", "limit: 1, window: {rolling: 7d}"),
            cap("b", "limit: 2, window: {rolling: 1d}", "{purpose: marketing, tags: [vip]}"),
            ["RW034"],
        ),
        (
            cap("a", "limit: 1, window: {calendar: day, timezone: contact}"),
            cap("b", "limit: 1, window: {rolling: 24h}"),
            [],
        ),
        (
            cap("a", "limit: 2, window: {calendar: day, timezone: contact}"),
            cap("b", "limit: 2, window: {calendar: day, timezone: UTC}"),
            [],
        ),
    ],
)
def test_a_cap_is_superfluous_when_another_is_always_full_first(
    one: str, other: str, expected: list[str], small: Mapping[str, str]
) -> None:
    assert codes({**small, "caps.yaml": CAPS + one + other}) == expected


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 4), st.integers(1, 30), st.integers(1, 4), st.integers(1, 30))
def test_a_cap_called_superfluous_never_binds_alone(
    small: Mapping[str, str], limit: int, hours: int, other_limit: int, other_hours: int
) -> None:
    """Messages as thick as the other cap lets them: the superfluous one is never full when it is not."""
    caps = (
        f"{CAPS}{cap('one', f'limit: {limit}, window: {{rolling: {hours}h}}')}"
        f"{cap('other', f'limit: {other_limit}, window: {{rolling: {other_hours}h}}')}"
    )
    needless = {
        problem.message.split("'")[1]
        for problem in load_files({**small, "caps.yaml": caps}).problems
        if problem.code == "RW034"
    }
    for name, most, length, others, other_length in (
        ("one", limit, hours, other_limit, other_hours),
        ("other", other_limit, other_hours, limit, hours),
    ):
        sent: list[int] = []
        for hour in range(100):
            while sum(hour - other_length < each <= hour for each in sent) < others:
                is_full = sum(hour - length < each <= hour for each in sent) >= most
                assert not (is_full and name in needless)
                sent.append(hour)


@pytest.mark.parametrize(
    ("between", "what", "full", "expected"),
    [
        ("", "limit: 1, window: {calendar: day, timezone: contact}", "skip", ["RW035"]),
        ("  - {wait: w, for: 2h}\n", "limit: 1, window: {calendar: day, timezone: contact}", "skip", []),
        ("  - {wait: w, for: 2h}\n", "limit: 1, window: {rolling: 24h}", "skip", ["RW035"]),
        ("  - {wait: w, for: 24h}\n", "limit: 1, window: {rolling: 24h}", "skip", []),
        ("  - {wait: w, for: 2h}\n", "limit: 1, window: {rolling: 24h}", "defer", []),
        ("  - {wait: w, for: 2h}\n", "limit: 1, window: {rolling: 7d}", "defer", ["RW035"]),
        ("  - {wait: w, for: 2h}\n", "limit: 2, window: {rolling: 7d}", "skip", []),
        ("  - {wait: w, for: 2h}\n", "min_gap: 4h", "skip", ["RW035"]),
        ('  - {wait: w, at: "10:00"}\n', "min_gap: 4h", "skip", []),
        ("  - {wait_for: w, event: order_paid}\n", "min_gap: 4h", "skip", ["RW002"]),
    ],
)
def test_a_message_that_a_cap_stops_on_every_way(
    between: str, what: str, full: str, expected: list[str], with_journey: WithJourney
) -> None:
    first = "  - {send: one, content: hello, channels: [email]}\n"
    files = with_journey(first + between + first.replace("one", "two"))

    assert codes({**files, "caps.yaml": CAPS + cap("a", what, full=full)}) == expected


def test_a_message_that_one_way_leaves_room_for_is_left_alone(with_journey: WithJourney) -> None:
    steps = (
        "  - branch: b\n    cases:\n      - when: {contact.member: true}\n"
        "        steps: [{send: one, content: hello, channels: [email]}]\n"
        "  - {send: two, content: hello, channels: [email]}\n"
    )

    assert codes({**with_journey(steps), "caps.yaml": CAPS + cap("a", "min_gap: 4h")}) == []


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        ("for: 8d", ["RW032"]),
        ("for: 7d", ["RW032"]),
        ("for: 6d", []),
        ("days: 9", ["RW032"]),
        ("days: 8", []),
        ("until: contact.trial_ends_at", []),
    ],
)
def test_a_message_that_leaves_when_the_goal_no_longer_counts(
    wait: str, expected: list[str], with_journey: WithJourney
) -> None:
    steps = f"  - {{wait: w, {wait}}}\n  - {{send: late, content: hello, channels: [email]}}\n"

    assert codes(with_journey(steps, more="goal: {event: order_paid, within: 7d}\n")) == expected
