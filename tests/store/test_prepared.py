"""Prepared statements answer, fail and are heard as SQLAlchemy's own would be, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Integer, bindparam, delete, event, insert, literal_column, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError, InvalidRequestError

from engine.store.bulk import table_of
from engine.store.database import Store
from engine.store.prepared import Prepared
from engine.store.tables import ContactRow, DecisionRow, OutboxRow

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
CONTACT = table_of(ContactRow)
OUTBOX = table_of(OutboxRow)
WRITE = Prepared(insert(OUTBOX))
READ = select(OUTBOX).where(OUTBOX.c.key == bindparam("of_key")).order_by(OUTBOX.c.id)
READ_PREPARED = Prepared(READ)

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
NAMES = st.text("名ab", max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
MOMENTS = st.integers(0, 2**52).map(
    lambda microseconds: (
        datetime(1971, 1, 1, tzinfo=timezone(timedelta(hours=8))) + timedelta(microseconds=microseconds)
    )
)


def errand(**more: Any) -> dict[str, Any]:
    return {"kind": "run.start", "key": "k", "payload": {}, "created_at": NOW} | more


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payload=st.dictionaries(NAMES, JSON, max_size=3), at=MOMENTS)
def test_values_are_written_and_read_as_by_sqlalchemy(store: Store, payload: Any, at: datetime) -> None:
    with store.begin() as session:
        session.execute(delete(OUTBOX))
        values = errand(payload=payload, created_at=at)
        assert WRITE.run(session, values) == 1
        session.execute(insert(OUTBOX), [values])
        slowly = session.execute(READ, {"of_key": "k"}).all()
        quickly = READ_PREPARED.rows(session, {"of_key": "k"})
    assert [tuple(row) for row in quickly] == [tuple(row) for row in slowly]
    assert quickly[0]._asdict() == slowly[0]._asdict()
    first, second = (row._asdict() | {"id": 0} for row in quickly)
    assert first == second
    assert quickly[0].created_at == at


def test_one_row_or_none(store: Store) -> None:
    with store.begin() as session:
        assert READ_PREPARED.row(session, {"of_key": "k"}) is None
        WRITE.run(session, errand())
        assert READ_PREPARED.row(session, {"of_key": "k"}).kind == "run.start"  # type: ignore[union-attr]
        WRITE.run(session, errand())
        with pytest.raises(AssertionError):
            READ_PREPARED.row(session, {"of_key": "k"})


def test_what_is_left_out_has_its_default_and_what_is_given_does_not(store: Store) -> None:
    with store.begin() as session:
        WRITE.run(session, errand(key="a"))
        WRITE.run(session, errand(key="b", attempts=3))
        assert [READ_PREPARED.row(session, {"of_key": key}).attempts for key in "ab"] == [0, 3]  # type: ignore[union-attr]


def test_an_update_sets_what_is_named_and_tells_how_many_rows_it_met(store: Store) -> None:
    change = Prepared(update(OUTBOX).where(OUTBOX.c.key == bindparam("of_key")))
    with store.begin() as session:
        WRITE.run(session, errand())
        assert change.run(session, {"of_key": "k", "attempts": 2}) == 1
        assert change.run(session, {"of_key": "k", "kind": "run.signal"}) == 1
        assert change.run(session, {"of_key": "nobody", "kind": "run.cancel"}) == 0
        found = READ_PREPARED.row(session, {"of_key": "k"})
        assert found is not None
        assert (found.attempts, found.kind) == (2, "run.signal")


def test_errors_are_sqlalchemys_and_quote_no_values(store: Store) -> None:
    write = Prepared(insert(CONTACT))
    contact = ContactRow(id="somebody", created_at=NOW).model_dump()
    with pytest.raises(IntegrityError) as caught, store.begin() as session:
        write.run(session, contact)
        write.run(session, contact)
    assert "INSERT INTO contact" in str(caught.value)
    assert caught.value.params is None
    with store.begin() as session:
        assert session.get(ContactRow, "somebody") is None


def test_a_missing_value_is_an_error_and_not_nothing(store: Store) -> None:
    with pytest.raises(InvalidRequestError, match="of_key"), store.begin() as session:
        READ_PREPARED.rows(session, {})


def test_statements_whose_text_hangs_on_values_are_refused(store: Store) -> None:
    many = Prepared(select(OUTBOX).where(OUTBOX.c.key.in_(bindparam("keys", expanding=True))))
    with pytest.raises(AssertionError), store.begin() as session:
        many.rows(session, {"keys": ["k"]})


def test_whoever_listens_to_the_engine_hears_them(store: Store) -> None:
    heard: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *seen: heard.append(seen[2]))
    with store.begin() as session:
        WRITE.run(session, errand())
        assert READ_PREPARED.row(session, {"of_key": "k"}).key == "k"  # type: ignore[union-attr]
    assert [each.split()[0] for each in heard if not each.startswith("BEGIN")] == ["INSERT", "SELECT"]


def test_a_connection_that_is_lost_is_not_used_again(postgres_store: Store) -> None:
    ask = Prepared(select(literal_column("pg_backend_pid()").label("pid")))
    with (
        postgres_store.begin() as first,
        postgres_store.begin() as second,
        postgres_store.begin() as third,
    ):
        pids = {ask.rows(each, {})[0].pid for each in (first, second, third)}
    with postgres_store.begin() as other, postgres_store.begin() as killer:
        pids -= {ask.rows(killer, {})[0].pid}
        assert len(pids) == 2
        own = ask.rows(other, {})[0].pid
        for each in pids:
            killer.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": each})
        assert own in pids
        with pytest.raises(DBAPIError) as caught:
            ask.rows(other, {})
        assert caught.value.connection_invalidated
        other.rollback()
    # The one that rested has not rested long, but another was lost since.
    with postgres_store.begin() as first, postgres_store.begin() as second, postgres_store.begin() as third:
        assert pids.isdisjoint(ask.rows(each, {})[0].pid for each in (first, second, third))


def test_one_statement_serves_both_databases(sqlite_store: Store, postgres_store: Store) -> None:
    write = Prepared(insert(table_of(DecisionRow)))
    for store in (sqlite_store, postgres_store, sqlite_store):
        with store.begin() as session:
            decision = DecisionRow(
                at=NOW,
                kind="entry",
                stage="entry",
                contact_id="c",
                verdict="allow",
                reason="r",
                bundle_hash="b",
            )
            write.run(session, decision.model_dump(exclude={"id"}))
    with sqlite_store.read() as session:
        assert len(session.execute(select(table_of(DecisionRow).c.id)).all()) == 2


ONE = Prepared(
    select(OUTBOX.c.key, OUTBOX.c.kind, OUTBOX.c.created_at)
    .where(OUTBOX.c.key == bindparam("of_key"))
    .order_by(OUTBOX.c.created_at.desc())
    .limit(bindparam("most", type_=Integer))
)
MOVE = Prepared(
    update(OUTBOX)
    .where(OUTBOX.c.key == bindparam("of_key"))
    .values(attempts=OUTBOX.c.attempts + bindparam("more", type_=Integer))
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    written=st.lists(st.tuples(st.sampled_from("abc"), MOMENTS), max_size=8),
    asked=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 3)), max_size=5),
)
def test_many_are_answered_as_each_would_be(store: Store, written: Any, asked: Any) -> None:
    with store.begin() as session:
        session.execute(delete(OUTBOX))
        for key, at in written:
            WRITE.run(session, errand(key=key, created_at=at))
        values = [{"of_key": key, "most": most} for key, most in asked]
        together = ONE.rows_for(session, values)
        alone = [ONE.rows(session, each) for each in values]
    assert [[row._asdict() for row in rows] for rows in together] == [
        [row._asdict() for row in rows] for rows in alone
    ]


def kept(value: Any) -> Any:
    """The value as a database keeps it: neither takes U+0000 into its JSON. Names have none of it here."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd")
    if isinstance(value, list):
        return [kept(item) for item in value]
    return {name: kept(item) for name, item in value.items()} if isinstance(value, dict) else value


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payloads=st.lists(st.dictionaries(NAMES, JSON, max_size=3), max_size=4), at=MOMENTS)
@example(payloads=[{"a": "\x00"}], at=NOW)
def test_many_are_changed_as_each_would_be(store: Store, payloads: Any, at: datetime) -> None:
    with store.begin() as session:
        session.execute(delete(OUTBOX))
        for number in range(5):
            WRITE.run(session, errand(key=f"k{number}"))
        MOVE.run_for(
            session,
            [
                {"of_key": f"k{number}", "more": number + 1, "payload": payload, "next_at": at, "error": None}
                for number, payload in enumerate(payloads)
            ],
        )
        rows = session.execute(select(OUTBOX).order_by(OUTBOX.c.key)).all()
    for number, row in enumerate(rows):
        if number < len(payloads):
            assert (row.attempts, row.payload, row.next_at) == (number + 1, kept(payloads[number]), at)
        else:
            assert (row.attempts, row.payload, row.next_at) == (0, {}, None)


def test_a_parameter_without_a_type_is_refused_for_many(store: Store) -> None:
    untyped = Prepared(select(OUTBOX.c.key).limit(bindparam("most")))
    if store.dialect == "postgresql":
        with store.begin() as session, pytest.raises(AssertionError, match="types"):
            untyped.rows_for(session, [{"most": 1}, {"most": 2}])
