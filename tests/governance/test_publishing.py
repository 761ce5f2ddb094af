"""Publishing puts clean files in force everywhere; a roll-back is the next entry of the history."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from engine.errors import NotFound, RulesetError
from engine.governance.publishing import list_bundles, publish, rollback
from engine.store.bundles import BundleShelf
from engine.store.control import read_control
from engine.store.database import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def changed(files: Mapping[str, str], title: str) -> dict[str, str]:
    return {**files, "wayline.yaml": files["wayline.yaml"].replace("title: Small", f"title: {title}")}


def test_the_first_publish_sets_the_workspace_up_and_is_in_force(
    store: Store, small_files: Mapping[str, str]
) -> None:
    with store.begin() as session:
        published = publish(session, small_files, by="ana", now=NOW)
    with store.read() as session:
        control = read_control(session)
        [row] = list_bundles(session)
    assert published.number == 1
    assert control.live_bundle == published.hash == row.hash
    assert control.epoch == 1
    assert (row.files, row.published_by, row.published_at) == (dict(small_files), "ana", NOW)


def test_publishing_what_is_in_force_already_changes_nothing(
    store: Store, small_files: Mapping[str, str]
) -> None:
    with store.begin() as session:
        first = publish(session, small_files, by="ana", now=NOW)
    with store.begin() as session:
        assert publish(session, dict(sorted(small_files.items(), reverse=True)), by="ben", now=NOW) == first
        assert read_control(session).epoch == 1
        assert len(list_bundles(session)) == 1


def test_files_with_a_mistake_change_nothing(store: Store, small_files: Mapping[str, str]) -> None:
    with store.begin() as session:
        first = publish(session, small_files, by="ana", now=NOW)
    broken = {**small_files, "events.yaml": "kind: nonsense\n"}
    with pytest.raises(RulesetError) as caught, store.begin() as session:
        publish(session, broken, by="ben", now=NOW)
    assert caught.value.problems
    with store.read() as session:
        assert read_control(session).live_bundle == first.hash
        assert len(list_bundles(session)) == 1


def test_going_back_is_written_down_with_who_did_it(store: Store, small_files: Mapping[str, str]) -> None:
    with store.begin() as session:
        first = publish(session, small_files, by="ana", now=NOW)
        second = publish(session, changed(small_files, "Changed"), by="ben", now=NOW)
    with store.begin() as session:
        back = rollback(session, first.number, by="cem", now=NOW)
    assert (second.number, back.number, back.hash) == (2, 3, first.hash)
    with store.read() as session:
        assert read_control(session).live_bundle == first.hash
        assert read_control(session).epoch == 3
        assert [(row.number, row.published_by) for row in list_bundles(session, limit=2)] == [
            (3, "cem"),
            (2, "ben"),
        ]


def test_going_back_to_what_never_was_is_not_found(store: Store, small_files: Mapping[str, str]) -> None:
    with store.begin() as session:
        publish(session, small_files, by="ana", now=NOW)
    with pytest.raises(NotFound, match="number 7"), store.begin() as session:
        rollback(session, 7, by="ana", now=NOW)


def test_two_who_publish_at_once_take_turns(store: Store, small_files: Mapping[str, str]) -> None:
    with store.begin() as session:
        publish(session, small_files, by="ana", now=NOW)
    numbers: list[int] = []

    def work(name: str) -> None:
        with store.begin() as session:
            numbers.append(publish(session, changed(small_files, name), by=name, now=NOW).number)

    threads = [threading.Thread(target=work, args=[f"T{number}"]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == [2, 3, 4, 5]
    with store.read() as session:
        assert read_control(session).live_bundle == list_bundles(session)[0].hash


def test_every_process_finds_the_bundle_in_force_at_its_next_transaction(
    store: Store, small_files: Mapping[str, str]
) -> None:
    shelf = BundleShelf()
    with store.read() as session, pytest.raises(NotFound, match="never set up"):
        shelf.live(session)
    with store.begin() as session:
        first = publish(session, small_files, by="ana", now=NOW)
        assert shelf.live(session).hash == first.hash
    with store.begin() as session:
        second = publish(session, changed(small_files, "Changed"), by="ana", now=NOW)
    with store.read() as session:
        assert shelf.live(session).workspace.title == "Changed"
        assert shelf.get(session, first.hash).workspace.title == "Small"
        assert shelf.get(session, second.hash) is shelf.live(session)
        with pytest.raises(NotFound, match="never published"):
            shelf.get(session, "0" * 64)
    shelf.close()


def test_a_shelf_keeps_few_bundles_and_still_finds_the_others(
    sqlite_store: Store, small_files: Mapping[str, str]
) -> None:
    shelf = BundleShelf()
    with sqlite_store.begin() as session:
        all_ = [publish(session, changed(small_files, f"T{n}"), by="ana", now=NOW) for n in range(18)]
        first = shelf.matcher(shelf.get(session, all_[0].hash))
        for each in all_:
            bundle = shelf.get(session, each.hash)
            assert shelf.matcher(bundle) is shelf.matcher(bundle)
        assert shelf.matcher(shelf.get(session, all_[0].hash)) is not first
        facts = {"contact.total_spent": 100.0}
        assert first.matching("tags", facts, NOW) == ("tag:big_spender",)
    shelf.close()


def test_the_shipped_workspace_can_be_published(store: Store, shipped_files: Mapping[str, str]) -> None:
    shelf = BundleShelf()
    with store.begin() as session:
        published = publish(session, shipped_files, by="ana", now=NOW)
        assert shelf.live(session).hash == published.hash
        assert {"welcome", "repurchase", "dormant_wakeup"} <= set(shelf.live(session).programs)
