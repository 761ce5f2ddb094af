"""What doctor learns of runs: which a workflow should carry, which still have one, what was left behind."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from engine.journeys.driver import RunRef
from engine.runs.examining import carried_runs, count_left_behind, pinned_bundles
from engine.runs.leasing import LEASE
from engine.store.tables import RunRow

if TYPE_CHECKING:
    from tests.runs.conftest import Spine

NAP = """
    enter: {event: added, reentry: never}
    leave: [{event: gone}]
    steps:
      - {wait: night, for: 30d}
    """
HELLO = """
    enter: {event: added, reentry: never}
    steps:
      - {send: hello, content: text, channels: [email]}
    """


async def test_sleeping_runs_are_to_be_carried_and_ended_ones_only_when_something_carries_them(
    spine: Spine,
) -> None:
    spine.publish(nap=NAP)
    await spine.feed("added", who="ann")
    await spine.feed("added", who="bob")
    await spine.feed("gone", who="bob")
    asleep, ended = (spine.run(status=status) for status in ("active", "ended"))
    with spine.store.read() as session:
        assert carried_runs(session, []) == {ref_of(asleep): True}
        assert carried_runs(session, [ended.id, asleep.id, "no-such-run"]) == {
            ref_of(asleep): True,
            ref_of(ended): False,
        }


async def test_bundles_are_pinned_while_somebody_is_on_their_way_in_them(spine: Spine) -> None:
    spine.publish(nap=NAP)
    await spine.feed("added")
    spine.publish(nap=NAP, hello=HELLO)
    pinned = spine.run().bundle_hash
    with spine.store.read() as session:
        assert pinned_bundles(session) == [pinned] != [spine.shelf.live(session).hash]
    await spine.feed("gone")
    with spine.store.read() as session:
        assert pinned_bundles(session) == []


async def test_runs_and_messages_past_their_leases_were_left_behind(spine: Spine) -> None:
    spine.publish(hello=HELLO)
    spine.post.script["hello"] = "busy"
    await spine.feed("added")
    with spine.store.read() as session:
        assert count_left_behind(session, spine.clock.now()) == 0
        spine.clock.advance(LEASE)
        assert count_left_behind(session, spine.clock.now()) == 2


async def test_a_run_that_sleeps_was_not_left_behind(spine: Spine) -> None:
    spine.publish(nap=NAP)
    await spine.feed("added")
    spine.clock.advance(timedelta(days=1))
    with spine.store.read() as session:
        assert count_left_behind(session, spine.clock.now()) == 0


def ref_of(run: RunRow) -> RunRef:
    return RunRef(run.id, run.journey, run.contact_id, run.entry_key, run.version)
