"""What a hostile world does to journeys: each has one answer, in SQL and in virtual time."""

from __future__ import annotations

import asyncio
import shutil
import textwrap
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from engine.authoring.loading import bundle_of
from engine.rules.duration import LONGEST
from engine.store.database import Store
from tests.simulation.small_workspace import DAY, FILES, START
from tests.simulation.two_drivers import Happening, SqlLife, Story, live_in_memory

BASE = ("wayline.yaml", "purposes.yaml", "channels.yaml", "content.yaml", "events.yaml")
HEAD = "kind: journey\nid: {0}\ntitle: {0}\nowner: us\npurpose: service\n"


@pytest.fixture
def told(_sqlite_template: Path, tmp_path: Path) -> Any:
    """What is decided about Ann in these journeys while these things happen to her, by both drivers."""

    def live(
        happenings: list[Happening], more: Mapping[str, str] = MappingProxyType({}), /, **journeys: str
    ) -> list[Story]:
        files = {name: textwrap.dedent(FILES[name]) for name in BASE}
        files["wayline.yaml"] += "queues: {support: {title: Support}}\n"
        files |= more
        files |= {
            f"{name}.yaml": HEAD.format(name) + textwrap.dedent(body) for name, body in journeys.items()
        }
        bundle = bundle_of(files)
        in_memory, _ = asyncio.run(live_in_memory(happenings, bundle))
        path = tmp_path / "wayline.db"
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            in_sql = asyncio.run(SqlLife(store, bundle.files).live(happenings))
        assert [comparable(each) for each in in_sql["ann"]] == [comparable(each) for each in in_memory["ann"]]
        return in_memory["ann"]

    return live


def comparable(told: Story) -> Story:
    """What a decision says, but for the step of a task, which stands in its evidence."""
    return told if told[1] != "task" else (*told[:3], None, *told[4:])


def happens(event: str, after: timedelta = timedelta(), **properties: Any) -> Happening:
    return Happening(after, "ann", event, properties)


def reasons(story: list[Story]) -> list[str]:
    return [each[6] for each in story]


SLEEPS = """
    enter: {event: added, reentry: always}
    steps:
      - {wait: night, for: 1d}
      - {send: hello, content: text, channels: [email]}
    """


def test_a_wait_of_a_hundred_years_is_slept_through(told: Any) -> None:
    longest = f"{LONGEST.days}d"
    body = SLEEPS.replace("1d", longest) + f"  - {{wait_for: sign, event: viewed, up_to: {longest}}}\n"
    story = told([happens("added"), happens("paid", LONGEST), happens("paid", LONGEST + DAY)], sleeps=body)

    assert reasons(story) == ["entry.entered", "sent.accepted", "run.completed"]
    assert [each[0] - START for each in story] == [timedelta(0), LONGEST, 2 * LONGEST]


def test_who_is_deleted_while_a_run_waits_gets_nothing_and_the_run_ends_at_once(told: Any) -> None:
    story = told([happens("added"), happens("contact_deleted", DAY / 2)], sleeps=SLEEPS)

    assert reasons(story) == ["entry.entered", "run.contact_deleted"]
    assert story[-1][0] - START == DAY / 2


def test_nobody_is_left_with_a_task_about_who_was_deleted(told: Any) -> None:
    asks = """
    enter: {event: added, reentry: always}
    steps:
      - {ask: call, queue: support, question: Call them, choices: [{id: done, title: Done}], deadline: 2d}
      - {send: hello, content: text, channels: [email]}
    """
    story = told([happens("added"), happens("contact_deleted", DAY / 2)], asks=asks)

    assert reasons(story) == ["entry.entered", "task.opened", "task.withdrawn", "run.contact_deleted"]


def test_a_message_that_is_held_is_dropped_when_its_contact_is_deleted(told: Any) -> None:
    capped = """
    enter: {event: added, reentry: always}
    steps:
      - {send: one, content: text, channels: [email], purpose: marketing}
      - {send: two, content: text, channels: [email], purpose: marketing}
    """
    caps = (
        "kind: caps\nid: caps\ntitle: caps\nowner: us\n"
        "caps: [{id: breathing, counts: {purpose: marketing}, min_gap: 4h, when_full: defer}]\n"
    )
    story = told([happens("added"), happens("contact_deleted", DAY / 8)], {"caps.yaml": caps}, capped=capped)

    assert reasons(story)[-2:] == ["run.contact_deleted", "run.ended"]


def test_a_journey_that_waits_for_the_deletion_goes_on_with_it(told: Any) -> None:
    waits = """
    enter: {event: added, reentry: always}
    steps:
      - wait_for: gone
        event: contact_deleted
        up_to: 3d
        then:
          - {tag: note, add: [gone]}
          - {send: bye, content: text, channels: [email]}
    """
    enters = """
    enter: {event: contact_deleted}
    steps:
      - {ask: why, queue: support, question: Why, choices: [{id: done, title: Done}], deadline: 1d}
    """
    story = told([happens("added"), happens("contact_deleted", DAY / 2)], waits=waits, enters=enters)

    of = {name: [each[6] for each in story if each[2] == name] for name in ("waits", "enters")}
    assert of["waits"] == ["entry.entered", "suppressed.contact", "run.completed"]
    assert of["enters"] == ["entry.entered", "task.opened", "task.expired", "run.completed"]


def test_who_is_deleted_leaves_at_once_where_the_journey_says_so(told: Any) -> None:
    leaves = SLEEPS.replace("steps:", "leave: [{event: contact_deleted}]\n    steps:")
    story = told([happens("added"), happens("contact_deleted", DAY / 2)], sleeps=leaves)

    assert reasons(story) == ["entry.entered", "run.left"]
    assert story[-1][0] - START == DAY / 2


def test_an_event_for_a_run_that_has_ended_does_nothing_to_it(told: Any) -> None:
    waits = """
    enter: {event: added, reentry: never}
    goal: {event: paid}
    steps:
      - {wait_for: look, event: viewed, up_to: 1d, then: [{stop: seen}]}
    """
    late = [happens("viewed", 2 * DAY), happens("paid", DAY), happens("viewed", DAY)]
    story = told([happens("added"), *late], waits=waits)

    assert reasons(story) == ["entry.entered", "run.completed"]


def test_an_event_that_comes_at_the_moment_a_wait_is_over_comes_before_it(told: Any) -> None:
    waits = """
    enter: {event: added, reentry: never}
    steps:
      - wait_for: look
        event: viewed
        up_to: 1d
        then: [{stop: seen}]
        otherwise: [{stop: missed}]
    """
    assert reasons(told([happens("added"), happens("viewed", DAY)], waits=waits))[-1] == "run.stopped"


def test_rounds_without_a_wait_all_come_at_one_moment_and_are_bounded(told: Any) -> None:
    storm = """
    enter: {event: added, reentry: never}
    steps:
      - repeat: often
        times: 40
        steps: [{send: hello, content: text, channels: [email]}]
    """
    story = told([happens("added")], storm=storm)

    assert reasons(story) == ["entry.entered", *["sent.accepted"] * 40, "run.completed"]
    assert {each[0] for each in story} == {START}
