"""Between rows and profiles nothing is lost."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta

from engine.contacts.profile import Profile
from engine.contacts.rows import lock_profiles, profile_of, write_profiles
from engine.store.database import Store
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
        write_profiles(session, [FULL])
    with store.begin() as session:
        assert session.get_one(ContactRow, "c1").tags == ["employee", "vip"]
        assert lock_profiles(session, ["c1", "nobody"]) == {"c1": FULL}


def test_a_profile_is_a_copy(store: Store) -> None:
    with store.begin() as session:
        session.add(ContactRow(id="c1", created_at=NOW, tags=["a", "b"], attributes={"x": 1}))
    with store.begin() as session:
        row = session.get_one(ContactRow, "c1")
        profile = profile_of(row)
        profile.attributes["y"] = 2
        profile.tags.add("c")
        assert (row.attributes, row.tags) == ({"x": 1}, ["a", "b"])


def test_nobody_is_locked_and_nothing_is_written_without_a_statement(store: Store) -> None:
    with store.begin() as session:
        assert lock_profiles(session, []) == {}
        write_profiles(session, [])
