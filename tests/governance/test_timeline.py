"""One list of all that happened to a contact: in order, page by page, in words that operators read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete
from sqlmodel import SQLModel

from engine.contacts.consent import ConsentEntry, record_consent
from engine.contacts.suppressing import Blocked, block
from engine.governance.publishing import publish
from engine.governance.timeline import contact_timeline
from engine.store.bundles import BundleShelf
from engine.store.control import ensure_control
from engine.store.database import Store
from engine.store.tables import ContactRow, DecisionRow, EventRow, IdentityRow

START = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)
SECRET = "s" * 32
MOMENTS = st.integers(0, 4).map(lambda hours: START + timedelta(hours=hours))


def decision(at: datetime, reason: str, outcome: str | None = None, **evidence: Any) -> DecisionRow:
    return DecisionRow(
        at=at,
        kind="message",
        contact_id="ann",
        stage="caps",
        verdict="allow" if outcome == "sent" else "hold",
        reason=reason,
        outcome=outcome,
        evidence=evidence,
    )


def event(at: datetime, number: int) -> EventRow:
    return EventRow(
        event_id=f"e{number}",
        contact_id="ann",
        type="order_paid",
        occurred_at=at,
        received_at=at,
        source="test",
        properties={"phone": "13812345678"},
    )


def write(store: Store, rows: list[SQLModel]) -> None:
    with store.begin() as session:
        for row in rows:
            session.add(row)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    events=st.lists(MOMENTS, max_size=5),
    decisions=st.lists(MOMENTS, max_size=6),
    consents=st.lists(MOMENTS, max_size=3).map(sorted),
    closed=st.lists(MOMENTS, max_size=2),
    size=st.integers(1, 5),
)
def test_pages_of_any_size_make_up_the_whole_and_fall_in_time(
    store: Store,
    events: list[datetime],
    decisions: list[datetime],
    consents: list[datetime],
    closed: list[datetime],
    size: int,
) -> None:
    store_is_empty(store)
    write(store, [event(at, number) for number, at in enumerate(sorted(events))])
    write(store, [decision(at, "cap.full") for at in decisions])
    with store.begin() as session:
        for at in consents:
            record_consent(session, ConsentEntry("ann", "marketing", "granted", at))
        for number, at in enumerate(closed):
            address = f"ann{number}@example.com"
            session.add(IdentityRow(platform="email", address=address, contact_id="ann", added_at=at))
            session.flush()
            block(session, SECRET, [Blocked("email", address, "complaint")], source="list", now=at)
    pages: list[Mapping[str, Any]] = []
    before = None
    with store.read() as session:
        whole = contact_timeline(session, "ann", secret=SECRET, limit=100)
        while True:
            page = contact_timeline(session, "ann", secret=SECRET, before=before, limit=size)
            pages += page.entries
            if (before := page.next) is None:
                break
    assert pages == whole.entries
    assert len(pages) == len(events) + len(decisions) + len(consents) + len(closed)
    moments = [each["at"] for each in pages]
    assert moments == sorted(moments, reverse=True)


def store_is_empty(store: Store) -> None:
    with store.begin() as session:
        for table in ("event", "decision", "consent", "chain", "identity", "suppression", "contact"):
            session.connection().execute(delete(SQLModel.metadata.tables[table]))
        session.add(ContactRow(id="ann", created_at=START))


def test_operators_read_titles_in_both_languages_and_no_address(
    sqlite_store: Store, shipped_files: Mapping[str, str]
) -> None:
    store_is_empty(sqlite_store)
    shelf = BundleShelf()
    with sqlite_store.begin() as session:
        ensure_control(session, START)
        publish(session, shipped_files, by="test", now=START)
        session.add(
            IdentityRow(platform="email", address="ann@example.com", contact_id="ann", added_at=START)
        )
        session.flush()
        block(session, SECRET, [Blocked("email", "ann@example.com", "hard_bounce")], source="mail", now=START)
        record_consent(session, ConsentEntry("ann", "*", "withdrawn", START + timedelta(hours=1)))
    write(sqlite_store, [event(START, 1), decision(START, "sent.accepted", "sent", note="ann@example.com")])
    with sqlite_store.read() as session:
        told = contact_timeline(session, "ann", shelf=shelf, secret=SECRET).entries
        unkeyed = contact_timeline(session, "ann").entries
    shelf.close()
    assert [(each["kind"], each["title"]["en"]) for each in told] == [
        ("consent", "consent withdrawn: everything"),
        ("suppression", "address closed: mail came back for good"),
        ("send", "the provider took the message"),
        ("event", "订单已支付"),
    ]
    assert [each["title"]["zh"] for each in told[:3]] == [
        "撤回同意: 全部",
        "地址已停用：邮件永久退回",
        "服务商已接受消息",
    ]
    assert "ann@example.com" not in str(told)
    assert "13812345678" not in str(told)
    # Without the key nobody can tell which hashes are theirs.
    assert [each["kind"] for each in unkeyed] == ["consent", "send", "event"]
