"""Decisions are found by what one knows of them, page by page, whatever is written meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from engine.errors import CommandError
from engine.governance import decisions
from engine.governance.decisions import Wanted, decision_of, list_decisions
from engine.store.bulk import insert_rows
from engine.store.database import Store
from engine.store.tables import DecisionRow

START = datetime(2026, 5, 4, 3, 0, tzinfo=UTC)
REASONS = ("cap.full", "cap.too_soon", "capital.other", "channel.own_word", "sent.accepted")

rows = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.integers(-3, 3).map(lambda hours: START + timedelta(hours=hours)),
            "contact_id": st.sampled_from(["ann", "bob"]),
            "journey": st.sampled_from(["welcome", "care", None]),
            "run_id": st.sampled_from(["r1", "r2", None]),
            "intent_key": st.sampled_from(["k1", None]),
            "channel": st.sampled_from(["email", None]),
            "verdict": st.sampled_from(["allow", "hold"]),
            "reason": st.sampled_from(REASONS),
            "outcome": st.sampled_from(["sent", None]),
        }
    ),
    max_size=25,
)
questions = st.builds(
    Wanted,
    contact_id=st.sampled_from(["ann", None]),
    journey=st.sampled_from(["welcome", None]),
    run_id=st.sampled_from(["r1", None]),
    intent_key=st.sampled_from(["k1", None]),
    reason=st.sampled_from([None, "cap.full", "cap", "channel"]),
    outcome=st.sampled_from(["sent", None]),
    verdict=st.sampled_from(["hold", None]),
    channel=st.sampled_from(["email", None]),
    since=st.sampled_from([START, None]),
    until=st.sampled_from([START + timedelta(hours=2), None]),
)


def write(store: Store, found: list[dict[str, Any]]) -> None:
    whole = [
        {"kind": "message", "stage": "caps", "evidence": {}, "schema_version": "decision.v1"}
        | {"would_pass_if": "", "bundle_hash": "", **row}
        for row in found
    ]
    with store.begin() as session:
        insert_rows(session, DecisionRow, whole)


@pytest.fixture
def few_looks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pages that look at few decisions, so that a small table shows what a large one does."""
    monkeypatch.setattr(decisions, "LOOKED_AT", 3)
    monkeypatch.setattr(decisions, "LEAST_SHARE", 2)
    yield


def matches(row: dict[str, Any], wanted: Wanted) -> bool:
    named = ("contact_id", "journey", "run_id", "intent_key", "outcome", "verdict", "channel")
    if any(getattr(wanted, name) not in (None, row[name]) for name in named):
        return False
    if wanted.reason is not None and wanted.reason not in (row["reason"], row["reason"].split(".")[0]):
        return False
    return (wanted.since is None or row["at"] >= wanted.since) and (
        wanted.until is None or row["at"] < wanted.until
    )


@pytest.mark.usefixtures("few_looks")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=rows, wanted=questions, later=rows, limit=st.integers(1, 4))
def test_pages_together_are_the_whole_list_in_order_and_stand_still_while_more_is_written(
    store: Store, found: list[dict[str, Any]], wanted: Wanted, later: list[dict[str, Any]], limit: int
) -> None:
    with store.begin() as session:
        session.connection().execute(delete(DecisionRow))
    write(store, found)
    told: list[Any] = []
    before, is_first = None, True
    for _ in range(200):
        with store.read() as session:
            page = list_decisions(session, wanted, before=before, limit=limit)
        told += page.rows
        if is_first:
            # What is decided after the first page was read has later moments, and shows on none after it.
            write(store, [{**row, "at": START + timedelta(hours=9)} for row in later])
            is_first = False
        if (before := page.next) is None:
            break
    assert before is None
    order = [(row.at, row.id) for row in told]
    assert order == sorted(set(order), reverse=True)
    assert sorted((row.at, row.reason, row.contact_id) for row in told) == sorted(
        (row["at"], row["reason"], row["contact_id"]) for row in found if matches(row, wanted)
    )


def test_a_family_that_does_not_exist_and_a_page_that_never_was_are_refused(sqlite_store: Store) -> None:
    with sqlite_store.read() as session:
        with pytest.raises(CommandError, match="there is no family of reasons 'caps'; known are entry, kill"):
            list_decisions(session, Wanted(reason="caps"))
        with pytest.raises(CommandError, match="'before' is not where"):
            list_decisions(session, Wanted(), before="17")
        with pytest.raises(CommandError, match="'before' is not where"):
            list_decisions(session, Wanted(), before="999999999999999999.1")


def test_an_address_that_stands_in_the_evidence_is_given_out_masked(sqlite_store: Store) -> None:
    row = {"at": START, "contact_id": "ann", "verdict": "skip", "reason": "entry.no_match"}
    tests = ["- event.text  (was call me: ann@example.com or 13812345678, wanted eq x)"]
    write(sqlite_store, [{**row, "evidence": {"rule": "r", "tests": tests}}])
    with sqlite_store.read() as session:
        (found,) = list_decisions(session, Wanted()).rows
        told = decision_of(found).as_data()
    assert told["evidence"]["tests"] == [
        "- event.text  (was call me: a***@example.com or 138****5678, wanted eq x)"
    ]
    assert (told["schema"], told["at"]) == ("decision.v1", "2026-05-04T03:00:00Z")
