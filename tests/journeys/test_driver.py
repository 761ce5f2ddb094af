"""What the durable side is told of a run."""

from __future__ import annotations

import pytest

from engine.journeys.driver import RunRef
from engine.journeys.matching import once_per_key


@pytest.mark.parametrize("entry_key", ["once", "n3"])
def test_a_workflow_is_found_by_journey_contact_and_entry(entry_key: str) -> None:
    assert RunRef("r", "welcome", "c1", entry_key, "v").workflow_id == f"welcome/c1/{entry_key}"


@pytest.mark.parametrize("value", ["ann@example.com", "张伟 🎂", "a/b%20c", "x" * 100_000])
def test_what_an_event_said_never_stands_in_a_workflow_id(value: str) -> None:
    ids = [RunRef("r", "welcome", contact, once_per_key(value), "v").workflow_id for contact in ("c1", "c2")]
    for found, contact in zip(ids, ("c1", "c2"), strict=True):
        assert found.startswith(f"welcome/{contact}/per:")
        assert value not in found
        assert found.isascii() and len(found) < 100
    assert ids[0].rpartition(":")[2] != ids[1].rpartition(":")[2]


def test_two_values_are_two_workflows() -> None:
    first, second = (RunRef("r", "welcome", "c1", once_per_key(value), "v") for value in ("a", "b"))
    assert first.workflow_id != second.workflow_id
    assert first.workflow_id == RunRef("r", "welcome", "c1", "per:a", "v").workflow_id
