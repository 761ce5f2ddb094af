"""Many rows at once mean the same as one by one, on both databases."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlmodel import SQLModel, col

from engine.store.bulk import insert_new, insert_rows, is_one_of, plan_for_now, update_rows
from engine.store.database import Store
from engine.store.tables import EventRow, OutboxRow, RunRow

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


def errand(number: int, **more: Any) -> dict[str, Any]:
    return {
        "kind": "run.signal",
        "key": f"r{number}",
        "payload": {"number": number},
        "created_at": NOW,
    } | more


def event(number: int) -> dict[str, Any]:
    return {
        "event_id": f"e{number}",
        "contact_id": "c",
        "type": "viewed",
        "occurred_at": NOW,
        "received_at": NOW,
        "source": "test",
        "properties": {},
    }


def rows(store: Store, table: type[SQLModel]) -> list[Any]:
    with store.read() as session:
        return list(session.scalars(select(table)))


def test_rows_are_numbered_in_the_order_given(store: Store) -> None:
    order = list(range(500))
    random.Random(1).shuffle(order)
    with store.begin() as session:
        insert_rows(session, OutboxRow, [errand(number) for number in order])
    stored = sorted(rows(store, OutboxRow), key=lambda row: int(row.id))
    assert [row.payload["number"] for row in stored] == order
    assert {row.attempts for row in stored} == {0}, "what the rows leave out has its default"


def test_a_column_may_be_called_position(store: Store) -> None:
    blank = RunRow(
        id="", journey="j", version="v", bundle_hash="b", contact_id="c", entry_key="k", started_at=NOW
    ).model_dump()
    with store.begin() as session:
        insert_rows(session, RunRow, [blank | {"id": f"r{n}", "position": f"s{n}"} for n in range(3)])
        insert_new(session, RunRow, [blank | {"id": "r3", "position": "s3"}])
        update_rows(session, RunRow, [{"id": "r0", "position": "moved"}])
    found = {row.id: row.position for row in rows(store, RunRow)}
    assert found == {"r0": "moved", "r1": "s1", "r2": "s2", "r3": "s3"}


def test_values_come_back_as_they_were_given(store: Store) -> None:
    payload = {
        "text": "名前 🎉 \"'\\ مرحبا",
        "whole": 2**62,
        "part": 0.1 + 0.2,
        "none": None,
        "nested": {"list": [1, "a", None, True]},
    }
    given = errand(1, payload=payload, error="it's \\ 错", next_at=NOW + timedelta(microseconds=1))
    with store.begin() as session:
        insert_rows(session, OutboxRow, [given])
    (stored,) = rows(store, OutboxRow)
    assert {name: getattr(stored, name) for name in given} == given


def test_of_rows_with_the_same_key_the_first_stays_and_only_new_ones_are_returned(store: Store) -> None:
    with store.begin() as session:
        assert len(insert_new(session, EventRow, [event(1)], returning=("event_id",))) == 1
    with store.begin() as session:
        again = [event(2), event(1) | {"source": "later"}, event(3), event(2)]
        stored = insert_new(session, EventRow, again, returning=("event_id", "seq"))
        assert [row.event_id for row in sorted(stored, key=lambda row: int(row.seq))] == ["e2", "e3"]
    assert {row.source for row in rows(store, EventRow)} == {"test"}


def test_each_row_is_brought_to_its_own_values(store: Store) -> None:
    with store.begin() as session:
        insert_rows(session, OutboxRow, [errand(number) for number in range(5)])
    ids = [row.id for row in rows(store, OutboxRow)]
    with store.begin() as session:
        update_rows(session, OutboxRow, [{"id": id_, "error": f"of {id_}", "attempts": 2} for id_ in ids[1:]])
    found = {row.id: (row.error, row.attempts, row.key) for row in rows(store, OutboxRow)}
    assert found[ids[0]] == (None, 0, "r0")
    assert found[ids[4]] == (f"of {ids[4]}", 2, "r4")


def test_nothing_at_all_is_no_statement(store: Store) -> None:
    with store.begin() as session:
        insert_rows(session, OutboxRow, [])
        update_rows(session, OutboxRow, [])
        assert insert_new(session, OutboxRow, []) == ()
    assert rows(store, OutboxRow) == []


def test_a_value_may_be_one_of_very_many(store: Store) -> None:
    with store.begin() as session:
        insert_rows(session, OutboxRow, [errand(number) for number in range(3)])
    with store.read() as session:
        wanted = ["r1", *(f"x'{number}" for number in range(100_000))]
        found = session.scalars(select(OutboxRow).where(is_one_of(session, OutboxRow.key, wanted)))
        assert [row.key for row in found] == ["r1"]
        none = select(col(OutboxRow.key)).where(is_one_of(session, OutboxRow.key, []))
        assert session.scalars(none).all() == []


def test_planning_for_now_ends_with_its_transaction(postgres_store: Store) -> None:
    setting = "SHOW plan_cache_mode"
    with postgres_store.begin() as session:
        plan_for_now(session)
        assert session.connection().exec_driver_sql(setting).scalar() == "force_custom_plan"
    with postgres_store.read() as session:
        assert session.connection().exec_driver_sql(setting).scalar() == "auto"
