"""The control row, the kill switch, and the keys."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from engine.clock import FixedClock
from engine.errors import CommandError, NotFound
from engine.governance.control import kill, unkill
from engine.governance.keys import (
    ensure_keys,
    generate_key,
    hash_key,
    replace_operator_token,
    replace_write_key,
    verify_key,
    verify_operator_token,
    verify_write_key,
)
from engine.store.control import change_control, clocks_of, ensure_control, read_control
from engine.store.database import Store
from engine.store.tables import ControlRow

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAST = datetime(1997, 1, 1, tzinfo=UTC)


def test_journey_time_starts_once_and_never_jumps(store: Store) -> None:
    with store.begin() as session:
        ensure_control(session, NOW, scale=86_400.0, journey_origin=PAST)
    with store.begin() as session:
        control = ensure_control(session, NOW + timedelta(days=1), scale=1.0, journey_origin=NOW)
        clock = FixedClock(NOW)
        clocks = clocks_of(control, clock)
        assert clocks.journey_now() == PAST
        clock.advance(timedelta(seconds=2))
        assert clocks.journey_now() == PAST + timedelta(days=2)
        assert clocks.delivery_now() == NOW + timedelta(seconds=2)


def test_journey_time_is_real_time_unless_told_otherwise(store: Store) -> None:
    with store.begin() as session:
        clocks = clocks_of(ensure_control(session, NOW), FixedClock(NOW + timedelta(hours=3)))
    assert clocks.journey_now() == NOW + timedelta(hours=3)


def test_processes_that_start_together_set_up_one_row(store: Store) -> None:
    scales: list[float] = []
    start = threading.Barrier(4)

    def work(scale: float) -> None:
        start.wait()
        with store.begin() as session:
            scales.append(ensure_control(session, NOW, scale=scale).time_scale)

    threads = [threading.Thread(target=work, args=[number + 1.0]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(scales)) == 1
    with store.read() as session:
        assert session.scalar(select(func.count()).select_from(ControlRow)) == 1


def test_a_workspace_that_was_never_set_up_says_how(store: Store) -> None:
    with store.read() as session, pytest.raises(NotFound, match="wayline publish"):
        read_control(session)


def test_the_epoch_counts_changes_and_only_changes(store: Store) -> None:
    with store.begin() as session:
        ensure_control(session, NOW)
        assert change_control(session, paused_journeys=["welcome"]).epoch == 1
        assert change_control(session, paused_journeys=["welcome"]).epoch == 1
        assert change_control(session, paused_journeys=[]).epoch == 2


def test_a_change_by_another_process_is_seen_by_a_session_that_read_before(postgres_store: Store) -> None:
    with postgres_store.begin() as session:
        ensure_control(session, NOW)
    with postgres_store.begin() as sending:
        assert read_control(sending).killed_at is None
        with postgres_store.begin() as session:
            kill(session, by="ana", reason="wrong prices", now=NOW)
        assert read_control(sending).killed_at == NOW


def test_the_kill_switch_remembers_who_was_first_and_who_released_it(store: Store) -> None:
    with store.begin() as session:
        ensure_control(session, NOW)
        assert kill(session, by="ana", reason="wrong prices", now=NOW)
        assert not kill(session, by="ben", reason="me too", now=NOW + timedelta(minutes=1))
        control = read_control(session)
        assert (control.killed_at, control.killed_by, control.kill_reason) == (NOW, "ana", "wrong prices")
        assert control.epoch == 1
    with store.begin() as session:
        later = NOW + timedelta(hours=1)
        assert unkill(session, by="cem", now=later)
        assert not unkill(session, by="dan", now=later)
        control = read_control(session)
        assert (control.killed_at, control.killed_by, control.kill_reason) == (None, None, None)
        assert (control.released_at, control.released_by, control.epoch) == (later, "cem", 2)


def test_keys_are_made_once_shown_once_and_stored_as_hashes(store: Store) -> None:
    with store.begin() as session:
        ensure_control(session, NOW)
        keys = ensure_keys(session)
    assert keys.write_key is not None
    assert keys.operator_token is not None
    with store.begin() as session:
        again = ensure_keys(session)
        assert (again.write_key, again.operator_token) == (None, None)
        assert verify_write_key(session, keys.write_key)
        assert verify_operator_token(session, keys.operator_token)
        assert not verify_write_key(session, keys.operator_token)
        assert not verify_operator_token(session, "")
        control = read_control(session)
        assert control.write_key_hash == hash_key(keys.write_key)
        assert keys.write_key not in str(control.model_dump())


def test_a_key_from_the_settings_takes_the_place_of_the_stored_one(store: Store) -> None:
    with store.begin() as session:
        ensure_control(session, NOW)
        old = ensure_keys(session)
        given = ensure_keys(session, write_key="0123456789abcdef")
        assert (given.write_key, given.operator_token) == ("0123456789abcdef", None)
        assert verify_write_key(session, "0123456789abcdef")
        assert not verify_write_key(session, str(old.write_key))
        with pytest.raises(CommandError, match="operator key in the settings is shorter than 16"):
            ensure_keys(session, operator_token="secret")


def test_a_replaced_key_stops_working(store: Store) -> None:
    with store.begin() as session:
        ensure_control(session, NOW)
        old = ensure_keys(session)
        write, operator = replace_write_key(session), replace_operator_token(session)
        assert verify_write_key(session, write)
        assert verify_operator_token(session, operator)
        assert not verify_write_key(session, str(old.write_key))
        assert not verify_operator_token(session, str(old.operator_token))


def test_no_key_opens_a_workspace_without_keys() -> None:
    assert not verify_key("", None)
    assert not verify_key("anything", None)
    assert not verify_key("名前", hash_key("other"))


def test_two_keys_are_never_alike() -> None:
    keys = {generate_key("write") for _ in range(100)}
    assert len(keys) == 100
    assert all(key.startswith("wl_write_") and len(key) >= 52 for key in keys)
