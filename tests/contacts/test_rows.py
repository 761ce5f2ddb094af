"""Between rows and profiles nothing is lost, and nothing is written that did not change."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event

from engine.contacts.profile import Profile
from engine.contacts.rows import profile_of, write_profile
from engine.store.database import Store, lock_contacts
from engine.store.tables import ContactRow

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

FULL = Profile(
    id="c1",
    created_at=NOW,
    timezone="Asia/Shanghai",
    timezone_source="stated",
    locale="zh",
    attributes={"city": "上海", "likes": ["tea"]},
    tags={"vip", "employee"},
    derived_tags={"silent"},
    stage="new",
    last_active_at=NOW,
    first_order_at=NOW - timedelta(days=9),
    last_order_at=NOW - timedelta(days=1),
    order_count=3,
    total_spent=99.5,
    last_send_at=NOW,
    last_event_seq=2**40,
    suppressed="deleted",
    erased_at=NOW,
    merged_into="c2",
)


def test_a_profile_is_what_its_row_is() -> None:
    assert {field.name for field in fields(Profile)} == set(ContactRow.model_fields)


def test_every_field_survives_the_database(store: Store) -> None:
    with store.begin() as session:
        session.add(ContactRow(id="c1", created_at=NOW))
    with store.begin() as session:
        write_profile(lock_contacts(session, ["c1"])["c1"], replace(FULL))
    with store.read() as session:
        row = session.get_one(ContactRow, "c1")
        assert row.tags == ["employee", "vip"]
        assert profile_of(row) == FULL


def test_a_profile_that_did_not_change_costs_no_statement(sqlite_store: Store) -> None:
    with sqlite_store.begin() as session:
        session.add(ContactRow(id="c1", created_at=NOW, tags=["a", "b"], attributes={"x": 1}))
    updates: list[str] = []
    event.listen(sqlite_store.engine, "before_cursor_execute", lambda *seen: updates.append(seen[2]))
    with sqlite_store.begin() as session:
        row = session.get_one(ContactRow, "c1")
        profile = profile_of(row)
        profile.attributes["y"] = 2
        profile.tags.add("c")
        assert (row.attributes, row.tags) == ({"x": 1}, ["a", "b"])
        write_profile(row, profile_of(row))
    assert not [text for text in updates if text.startswith("UPDATE")]


def test_a_profile_cannot_be_written_to_another_contact() -> None:
    with pytest.raises(ValueError, match="another contact"):
        write_profile(ContactRow(id="c2", created_at=NOW), FULL)
