"""What lint says of the condition of a repeat: that no round begins, or that none changes it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.authoring.loading import load_files

WithJourney = Callable[..., dict[str, str]]

STEPS = """\
  - {{send: first, content: hello, channels: [email]}}
  - {{set: keep, values: {{tier: plain}}}}
  - repeat: again
    while: {condition}
    at_most: 3
    steps:
      - {{wait: pause, for: 1d}}
      - {{send: nudge, content: hello, channels: [email]}}
      - {{set: note, values: {{seen: true}}}}
      - {{repeat: inner, times: 2, steps: [{{wait: nap, for: 1h}}]}}
"""


@pytest.mark.parametrize(
    ("condition", "codes"),
    [
        ("{contact.visits: {lt: 3}}", []),
        ("{journey.rounds.again: {lt: 2}}", []),
        ("{journey.rounds.again: 0}", []),
        ("{journey.rounds.again: {gte: 1}}", ["RS095"]),
        ("{journey.outcomes.nudge: {ne: sent}}", ["RS095"]),
        ("{journey.values.seen: true, contact.visits: 1}", ["RS095"]),
        ("{journey.rounds.inner: {lt: 2}}", ["RS095"]),
        ("{none: [{journey.outcomes.nudge: sent}]}", ["RS095"]),
        ("{none: [{journey.outcomes.nudge: {exists: true}}]}", []),
        ("{any: [{journey.outcomes.nudge: {exists: false}}, {journey.outcomes.nudge: {ne: sent}}]}", []),
        ("{any: [{contact.visits: 1}, {journey.outcomes.nudge: {ne: sent}}]}", []),
        ("{journey.outcomes.first: sent}", ["RW061"]),
        ("{journey.values.tier: plain}", ["RW061"]),
        ("{journey.outcomes.first: sent, contact.visits: {lt: 3}}", []),
    ],
)
def test_a_condition_must_let_a_round_begin_and_be_changed_by_one(
    condition: str, codes: list[str], with_journey: WithJourney
) -> None:
    problems = load_files(with_journey(STEPS.format(condition=condition))).problems

    assert [each.code for each in problems] == codes


def test_a_repeat_may_ask_for_working_time(with_journey: WithJourney) -> None:
    calendar = """\
kind: calendar
id: office
title: 工作时间
owner: tests
timezone: contact
hours: [{days: [mon, tue], from: "09:00", to: "18:00"}]
"""
    files = {**with_journey(STEPS.format(condition="{calendar.office: true}")), "office.yaml": calendar}
    loaded = load_files(files)

    assert loaded.problems == () and loaded.bundle is not None
    assert set(loaded.bundle.programs["welcome"].calendars) == {"office"}
