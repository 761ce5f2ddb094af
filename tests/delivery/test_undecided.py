"""What is said of a journey that has decided nothing about a contact."""

from __future__ import annotations

import textwrap
from datetime import timedelta
from typing import Any

import pytest

from engine.authoring.loading import bundle_of
from engine.delivery.undecided import undecided
from engine.errors import NotFound

AUDIENCE = """
    kind: audience
    id: quiet
    title: quiet
    owner: us
    when: {contact.order_count: {gte: 1}}
    """
HEAD = (
    "kind: journey\nid: {0}\ntitle: {0}\nowner: us\npurpose: service\nsteps: [{{stop: done}}]\nenter: {1}\n"
)
WAYS = {
    "wake": "{audience: {entered: quiet}}",
    "noon": '{schedule: {cron: "0 12 * * *", timezone: contact, audience: quiet}}',
    "meet": "{event: contact_added}",
}


@pytest.fixture
def bundle(sqlite_desk: Any) -> Any:
    files = {f"{name}.yaml": HEAD.format(name, way) for name, way in WAYS.items()}
    return bundle_of({**sqlite_desk.files, **files, "quiet.yaml": textwrap.dedent(AUDIENCE)})


def told(sqlite_desk: Any, bundle: Any, journey: str) -> list[str]:
    sqlite_desk.contact("ann")
    with sqlite_desk.store.read() as session:
        return undecided(session, bundle, "ann", journey, sqlite_desk.clock.now() + timedelta(hours=1))


def test_an_audience_that_was_not_entered_shows_its_conditions(sqlite_desk: Any, bundle: Any) -> None:
    assert told(sqlite_desk, bundle, "wake") == [
        "wake has decided nothing about this contact yet",
        "  way in: enters the audience quiet  wake.yaml:7",
        "  - the contact is not in the audience quiet now",
        "      - contact.order_count  (was 0, wanted gte 1)  quiet.yaml:6",
        "      it would come out otherwise if contact.order_count had been 1 or more",
    ]


def test_a_schedule_is_told_with_the_audience_it_is_for(sqlite_desk: Any, bundle: Any) -> None:
    lines = told(sqlite_desk, bundle, "noon")
    assert lines[1] == ("  way in: at 0 12 * * * on each contact's own clock, who is in quiet  noon.yaml:7")
    assert "  - the contact is not in the audience quiet now" in lines


def test_a_single_event_is_told_by_its_name(sqlite_desk: Any, bundle: Any) -> None:
    assert told(sqlite_desk, bundle, "meet")[1:] == ["  way in: on contact_added"]


def test_nobody_is_nobody(sqlite_desk: Any, bundle: Any) -> None:
    with sqlite_desk.store.read() as session, pytest.raises(NotFound):
        undecided(session, bundle, "nobody", "meet", sqlite_desk.clock.now())
