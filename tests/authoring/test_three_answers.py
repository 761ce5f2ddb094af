"""What a condition without an answer does in each place of a journey, from the file to the run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from textwrap import indent

import pytest

from engine.authoring.loading import bundle_of
from engine.simulation.people import Person
from engine.simulation.virtual import VirtualWorld

START = datetime(2026, 3, 1, 2, tzinfo=UTC)

ASKED = {
    "test": "contact.city: 上海",
    "ne": "contact.city: {ne: 上海}",
    "not_in": "contact.city: {not_in: [上海]}",
    "none": "none: [{contact.city: 上海}]",
    "all": "all: [{contact.order_count: 0}, {contact.city: {ne: 上海}}]",
    "older_than": "contact.last_order_at: {older_than: 1d}",
    "another_fact": "contact.city: {ne: {fact: contact.timezone}}",
}
"""Conditions that need a fact which is not known of this contact."""


@contextmanager
def world(
    files: Mapping[str, str], *, enter: str = "", leave: str = "", case: str = ""
) -> Iterator[VirtualWorld]:
    journey = (
        "kind: journey\nid: asked\ntitle: asked\nowner: tests\npurpose: service\nenter:\n  event: asked\n"
    )
    journey += f"  when:\n{indent(enter, '    ')}\n" if enter else ""
    journey += f"leave:\n  - when:\n{indent(leave, '      ')}\n" if leave else ""
    journey += "steps:\n  - {wait: a_while, for: 1d}\n"
    if case:
        journey += (
            f"  - branch: which\n    cases:\n      - when:\n{indent(case, '          ')}\n"
            "        steps: [{send: chosen, content: hi, channels: [letter]}]\n"
            "    else: [{send: otherwise, content: hi, channels: [letter]}]\n"
        )
    else:
        journey += "  - {send: reached, content: hi, channels: [letter]}\n"
    more = {
        "asked.yaml": journey,
        "asked_events.yaml": (
            "kind: events\nid: asked_events\ntitle: e\nowner: tests\nevents:\n"
            "  - {id: asked, title: asked}\n  - {id: stirred, title: stirred}\n"
        ),
        "asked_content.yaml": (
            "kind: content\nid: asked_content\ntitle: c\nowner: tests\ncontents:\n"
            "  - {id: hi, locales: {zh: {body: 您好}, en: {body: Hi}}}\n"
        ),
    }
    kept = {
        name: text
        for name, text in files.items()
        if not name.startswith(("journeys/", "plans/")) and not name.endswith(".test.yaml")
    }
    with closing(VirtualWorld(bundle_of({**kept, **more}), START)) as made:
        made.add(Person("ann", {"app": "ann"}))
        made.feed("ann", "asked", START)
        made.feed("ann", "stirred", START + timedelta(hours=1))
        yield made


async def steps_sent(of: VirtualWorld) -> list[str]:
    await of.run_until(START + timedelta(days=3))
    return [sent.step for sent in of.sends]


@pytest.mark.parametrize("condition", ASKED.values(), ids=ASKED)
async def test_who_cannot_be_told_does_not_enter(shipped_files: Mapping[str, str], condition: str) -> None:
    with world(shipped_files, enter=condition) as asked:
        assert await steps_sent(asked) == []


@pytest.mark.parametrize("condition", ASKED.values(), ids=ASKED)
async def test_who_cannot_be_told_does_not_leave(shipped_files: Mapping[str, str], condition: str) -> None:
    with world(shipped_files, leave=condition) as asked:
        assert await steps_sent(asked) == ["reached"]


@pytest.mark.parametrize("condition", ASKED.values(), ids=ASKED)
async def test_who_cannot_be_told_goes_the_other_way(
    shipped_files: Mapping[str, str], condition: str
) -> None:
    with world(shipped_files, case=condition) as asked:
        assert await steps_sent(asked) == ["otherwise"]


@pytest.mark.parametrize(
    "condition",
    [
        "contact.city: {exists: false}",
        "any: [{contact.city: 上海}, {contact.city: {exists: false}}]",
        "contact.tags: {lacks: vip}",
        "none: [{contact.tags: {has: vip}}]",
    ],
)
async def test_what_can_be_answered_without_the_fact_is(
    shipped_files: Mapping[str, str], condition: str
) -> None:
    with world(shipped_files, enter=condition) as asked:
        assert await steps_sent(asked) == ["reached"]
    with world(shipped_files, leave=condition) as asked:
        assert await steps_sent(asked) == []
    with world(shipped_files, case=condition) as asked:
        assert await steps_sent(asked) == ["chosen"]
