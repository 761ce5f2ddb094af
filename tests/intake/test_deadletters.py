"""Dead letters are shown and can be driven through intake again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from engine.errors import NotFound
from engine.governance.publishing import publish
from engine.intake.deadletters import list_dead_letters, retry, show_dead_letter
from engine.intake.incoming import Unusable
from engine.store.tables import ContactRow, DeadLetterRow, EventRow
from tests.intake.conftest import NOW, Bench

RENTAL = {
    "type": "track",
    "event": "rental_begun",
    "userId": "u1",
    "messageId": "r1",
    "properties": {"car": "a"},
}


def publish_with_rentals(bench: Bench, shipped: dict[str, str]) -> None:
    extra = (
        "kind: events\nid: rentals\ntitle: rentals\nowner: data\nevents:\n"
        "  - {id: rental_begun, title: rental, schema: {type: object}}\n"
    )
    with bench.store.begin() as session:
        publish(session, {**shipped, "rentals.yaml": extra}, by="test", now=NOW)


def test_a_dead_letter_is_resolved_once_its_reason_is_gone(
    bench: Bench, shipped_files: dict[str, str]
) -> None:
    bench.accept(RENTAL, {"type": "dance"})
    publish_with_rentals(bench, shipped_files)
    bench.clock.advance(timedelta(hours=1))
    retried = retry(bench.store, bench.intake, bench.clock)
    assert len(retried.resolved) == 1
    assert [letter.code for letter in retried.still_dead] == ["EV002"]
    assert bench.one(EventRow).event_id == "r1"
    with bench.store.read() as session:
        (open_one,) = list_dead_letters(session)
        assert (open_one.code, open_one.retried_at) == ("EV002", NOW + timedelta(hours=1))
        assert len(list_dead_letters(session, with_resolved=True)) == 2


def test_retrying_again_changes_nothing(bench: Bench, shipped_files: dict[str, str]) -> None:
    bench.accept(RENTAL)
    publish_with_rentals(bench, shipped_files)
    first = retry(bench.store, bench.intake, bench.clock)
    second = retry(bench.store, bench.intake, bench.clock, list(first.resolved))
    assert (second.resolved, second.still_dead) == ((), ())
    assert (bench.count(EventRow), bench.count(ContactRow)) == (1, 1)


def test_a_dead_letter_whose_event_came_in_meanwhile_is_resolved(
    bench: Bench, shipped_files: dict[str, str]
) -> None:
    bench.accept(RENTAL)
    publish_with_rentals(bench, shipped_files)
    bench.accept(RENTAL)
    assert len(retry(bench.store, bench.intake, bench.clock).resolved) == 1
    assert bench.count(EventRow) == 1


def test_what_could_not_be_stored_as_sent_stays_dead_for_the_same_reason(bench: Bench) -> None:
    bench.accept({**RENTAL, "properties": {"car": "a\x00"}})
    (still,) = retry(bench.store, bench.intake, bench.clock).still_dead
    assert still.code == "EV009"


def test_a_line_that_could_not_be_read_keeps_its_reason(sqlite_bench: Bench) -> None:
    sqlite_bench.intake.accept([Unusable("EV011", "a.jsonl:7: the line is not JSON", '{"type"')], source="f")
    (still,) = retry(sqlite_bench.store, sqlite_bench.intake, sqlite_bench.clock).still_dead
    assert (still.code, still.message) == ("EV011", "a.jsonl:7: the line is not JSON")


def test_only_the_named_ones_are_retried(bench: Bench) -> None:
    bench.accept({"type": "dance"}, {"type": "sing"})
    first, second = bench.all(DeadLetterRow)
    retry(bench.store, bench.intake, bench.clock, [second.id])
    with bench.store.read() as session:
        assert show_dead_letter(session, first.id).retried_at is None
        assert show_dead_letter(session, second.id).retried_at is not None


def test_an_unknown_dead_letter_is_not_found(bench: Bench) -> None:
    with bench.store.read() as session, pytest.raises(NotFound):
        show_dead_letter(session, 99)


def test_whatever_stands_in_a_batch_can_be_shown_afterwards(bench: Bench) -> None:
    bench.accept(1, 2.5, True, None, "text", [3])
    with bench.store.read() as session:
        shown = list_dead_letters(session)
    assert [letter.raw for letter in reversed(shown)] == [1, 2.5, True, None, "text", [3]]
