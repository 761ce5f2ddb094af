"""What a transaction holds of a run and of what holds for all runs, on a database that locks rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from engine.governance.control import kill
from engine.runs.locking import lock_run
from engine.store.tables import ControlRow, RunRow

if TYPE_CHECKING:
    from tests.runs.conftest import Spine

HELLO = """
    enter: {event: added, reentry: never}
    steps: [{send: one, content: text, channels: [email]}]
    """


@pytest.mark.parametrize("share", [False, True])
async def test_who_shares_the_control_row_keeps_others_from_changing_it(spine: Spine, share: bool) -> None:
    if spine.store.dialect == "sqlite":
        return  # one transaction writes at a time
    spine.publish(hello=HELLO)
    spine.accept("added")
    run = spine.run()
    with spine.store.begin() as session:
        _, row, situation = lock_run(session, run.id, share=share)
        assert (row.id, situation.kill_reason) == (run.id, None)
        assert _is_locked(spine) is share
    assert not _is_locked(spine)


async def test_two_who_share_it_do_not_wait_for_each_other(spine: Spine) -> None:
    if spine.store.dialect == "sqlite":
        return
    spine.publish(hello=HELLO)
    spine.accept("added", who="ann")
    spine.accept("added", who="bob")
    first, second = spine.rows(RunRow)
    with spine.store.begin() as one, spine.store.begin() as other:
        lock_run(one, first.id, share=True)
        lock_run(other, second.id, share=True)


async def test_a_kill_before_it_is_seen(spine: Spine) -> None:
    spine.publish(hello=HELLO)
    spine.accept("added")
    with spine.store.begin() as session:
        kill(session, by="ops", reason="stop", now=spine.clock.now())
    run = spine.run()
    with spine.store.begin() as session:
        _, _, situation = lock_run(session, run.id, share=True)
    assert situation.kill_reason == "stop"


def _is_locked(spine: Spine) -> bool:
    try:
        with spine.store.begin() as session:
            session.scalars(select(ControlRow).with_for_update(nowait=True)).one()
    except OperationalError:
        return True
    return False
