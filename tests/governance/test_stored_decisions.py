"""Decisions that earlier versions wrote are read, given out and explained for ever.

The files in `tests/cases/decisions` are rows as they were written then. None is ever changed or deleted; a
form of evidence that is new adds a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from engine.delivery.explaining import explain_intent, tell
from engine.delivery.rendering import render, render_decisions
from engine.governance.decisions import Wanted, decision_of, list_decisions
from engine.store.bundles import BundleShelf
from engine.store.database import Store, upgrade
from engine.store.tables import BundleRow, DecisionRow, IntentRow

ROOT = Path(__file__).parents[2]
STORED = ROOT / "tests" / "cases" / "decisions"
FILES = sorted(STORED.glob("*.json"))
SCHEMA = json.loads((ROOT / "schemas" / "decision.v1.json").read_text("utf-8"))
NEVER_LOST = ("at", "kind", "contact_id", "stage", "verdict", "reason", "evidence", "bundle_hash")


def stored(file: Path) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(file.read_text("utf-8"))
    for name in ("at", "hold_until"):
        if row[name] is not None:
            row[name] = datetime.fromisoformat(row[name]).replace(tzinfo=UTC)
    return row


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, BundleShelf]]:
    """A database with the bundles that some of them were decided under."""
    url = f"sqlite:///{tmp_path_factory.mktemp('stored') / 'wayline.db'}"
    upgrade(url)
    shelf = BundleShelf()
    with closing(Store(url)) as store:
        with store.begin() as session:
            for number, file in enumerate(sorted((STORED / "bundles").glob("*.json")), start=1):
                bundle = json.loads(file.read_text("utf-8"))
                at = datetime(2026, 5, 4, tzinfo=UTC)
                session.add(BundleRow(number=number, published_at=at, published_by="test", **bundle))
        yield store, shelf
    shelf.close()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_stored_decision_is_given_out_and_explained(archive: tuple[Store, BundleShelf], file: Path) -> None:
    store, shelf = archive
    row = stored(file)
    key = row["intent_key"] or f"after-{file.stem}"
    with store.begin() as session:
        decided = DecisionRow(**row)
        session.add(decided)
        session.flush()
        # A message that the run came to afterwards: its story tells what the run had behind it.
        session.add(_message(key, row))
        session.flush()
        (found,) = [
            each
            for each in list_decisions(session, Wanted(reason=row["reason"])).rows
            if each.id == decided.id
        ]
        record = decision_of(found).as_data()
        told = tell(session, shelf, [found])
        story = render(explain_intent(session, shelf, key))
        session.rollback()
    Draft202012Validator(SCHEMA).validate(record)
    assert {name: record[name] for name in NEVER_LOST if name != "at"} == {
        name: row[name] for name in NEVER_LOST if name != "at"
    }
    assert datetime.fromisoformat(record["at"]) == row["at"]
    assert record["would_pass_if"] == row["would_pass_if"]
    text = render_decisions(told)
    assert row["reason"] in text
    assert told[0].sentence
    assert story
    if _bundle_of(row) is not None and (row["evidence"].get("cases") or row["evidence"].get("tests")):
        assert told[0].reasons, "the conditions are told by the bundle that decided"
        assert ".yaml:" in text


def _message(key: str, row: dict[str, Any]) -> IntentRow:
    later = row["at"] + timedelta(seconds=1)
    return IntentRow(
        key=key,
        run_id=row["run_id"],
        journey=row["journey"],
        step_id="step",
        contact_id=row["contact_id"],
        purpose="marketing",
        content="hello",
        bundle_hash=row["bundle_hash"],
        created_at=later,
        updated_at=later,
    )


def _bundle_of(row: dict[str, Any]) -> Path | None:
    found = STORED / "bundles" / f"{row['bundle_hash'][:12]}.json"
    return found if found.exists() else None


def test_a_decision_whose_rules_can_be_read_no_longer_still_says_what_was_found(sqlite_store: Store) -> None:
    row = stored(STORED / "entry.no_match.1.json")
    at = datetime(2026, 5, 4, tzinfo=UTC)
    with sqlite_store.begin() as session:
        files = {"wayline.yaml": "kind: a_kind_of_long_ago\n"}
        session.add(
            BundleRow(number=1, hash=row["bundle_hash"], files=files, published_at=at, published_by="test")
        )
        decided = DecisionRow(**row)
        session.add(decided)
        session.flush()
        text = render_decisions(tell(session, BundleShelf(), [decided]))
    assert "event.amount  (was 5, wanted gte 100)" in text
