"""What a publish says becomes of people on their way: who finishes, goes over or ends; on both databases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pytest

from engine.authoring.loading import bundle_of
from engine.delivery import explaining, rendering
from engine.errors import RulesetError
from engine.governance.difference import difference
from engine.governance.in_flight import SETTLED
from engine.governance.plans import switch_off, switch_on
from engine.governance.publishing import Published, publish
from engine.governance.records import run_record
from engine.journeys.program import InFlight
from engine.store.tables import ControlRow, DecisionRow, InFlightRow, OutboxRow, RunRow
from tests.runs.test_migrating import PLAN
from tests.runs.trips import DAY, LISTENS, MIGRATE, SLEEPS

if TYPE_CHECKING:
    from tests.runs.conftest import Spine


async def test_without_a_policy_everybody_finishes_on_their_own_version(spine: Spine) -> None:
    first = spine.publish(trip=SLEEPS)
    await spine.feed("added")
    second = spine.publish(trip=SLEEPS.replace("send: two", "send: three"))
    await spine.feed("added", who="bob")
    await spine.take_over()
    assert {run.bundle_hash for run in spine.rows(RunRow)} == {first.hash, second.hash}
    spine.clock.advance(3 * DAY)
    await spine.carry_all()
    assert sorted(spine.post.delivered) == ["one", "one", "three", "two"]
    assert spine.rows(InFlightRow) == []


async def test_nobody_is_stranded_the_publish_is_refused_with_the_way_out(spine: Spine) -> None:
    first = spine.publish(trip=SLEEPS)
    await spine.feed("added")
    await spine.feed("added", who="bob")
    gone = SLEEPS.replace("- {wait: night, for: 3d}", "- {wait: dusk, for: 3d}")
    with pytest.raises(RulesetError) as refused:
        spine.publish_with(MIGRATE, trip=gone)
    (problem,) = refused.value.problems
    assert (problem.code, problem.path, problem.place.file) == ("RS128", "trip.night", "trip.yaml")
    assert "2 people on bundle 1 at 'night' would be stranded" in problem.message
    assert "was: {night: two}" in problem.hint
    assert "--policy trip=pin" in problem.hint
    with spine.store.read() as session:
        control = session.get(ControlRow, 1)
        assert control is not None
        assert (control.live_bundle, control.in_flight) == (first.hash, {})
    spine.publish_with({"trip": InFlight.PIN}, trip=gone)
    assert {run.bundle_hash for run in spine.rows(RunRow)} == {first.hash}


async def test_drain_lets_nobody_in_until_the_last_has_finished(spine: Spine) -> None:
    spine.publish(trip=SLEEPS)
    await spine.feed("added")
    spine.publish_with({"trip": InFlight.DRAIN}, trip=SLEEPS.replace("send: two", "send: other"))
    await spine.take_over()
    await spine.feed("added", who="bob")
    assert spine.reasons("entry") == ["entry.entered", "entry.draining"]
    spine.clock.advance(3 * DAY)
    await spine.carry_all()
    assert spine.post.delivered == ["one", "two"]
    await spine.take_over()
    await spine.feed("added", who="bob")
    assert spine.reasons("entry") == ["entry.entered", "entry.draining", "entry.entered"]
    assert [row.finished_because for row in spine.rows(InFlightRow)] == ["done"]


async def test_runs_of_a_journey_that_is_gone_finish_or_end_as_told(spine: Spine) -> None:
    first = spine.publish(trip=SLEEPS, other=LISTENS)
    await spine.feed("added")
    with pytest.raises(RulesetError, match="1 problem"):
        spine.publish_with(MIGRATE, other=LISTENS)
    published = spine.publish(other=LISTENS)
    (outlook,) = [each for each in published.people if each.journey == "trip"]
    assert (outlook.policy, outlook.people, outlook.is_there) == (InFlight.PIN, 1, False)
    assert spine.run(journey="trip").bundle_hash == first.hash
    spine.publish_with({"trip": InFlight.END}, other=LISTENS)
    await spine.take_over()
    run = spine.run(journey="trip")
    assert (run.outcome, run.status) == ("cancelled", "ended")
    assert spine.rows(DecisionRow, reason="run.retired")[0].evidence["policy"] == "end"


async def test_an_order_is_over_when_nobody_is_left_and_nobody_can_come_any_more(spine: Spine) -> None:
    spine.publish(trip=SLEEPS)
    await spine.feed("added")
    spine.publish_with(MIGRATE, trip=SLEEPS.replace("3d", "2d"))
    await spine.take_over()
    assert [row.finished_at for row in spine.rows(InFlightRow)] == [None]
    spine.clock.advance(SETTLED)
    await spine.take_over()
    (row,) = spine.rows(InFlightRow)
    assert (row.finished_because, row.moved, row.ended) == ("done", 1, 0)
    with spine.store.read() as session:
        control = session.get(ControlRow, 1)
        assert control is not None
        assert control.in_flight == {}
    assert spine.rows(OutboxRow)[-1].kind == "run.signal"


async def test_who_entered_under_a_plan_goes_over_with_it_and_switching_moves_nobody(spine: Spine) -> None:
    def put(body: str, policies: Mapping[str, InFlight]) -> Published:
        files = {**spine.files(trip=body), "busy.yaml": PLAN.lstrip()}
        with spine.store.begin() as session:
            return publish(
                session, files, by="test", now=spine.clock.now(), policies=policies, shelf=spine.shelf
            )

    put(SLEEPS, {})
    await spine.feed("added", who="ann")
    with spine.store.begin() as session:
        switch_on(session, spine.shelf, "busy", until=None, by="ana", reason="", now=spine.clock.now())
    await spine.feed("added", who="bob")
    assert {row.revision for row in spine.rows(RunRow)} == {spine.rows(RunRow)[0].revision}
    new = put(SLEEPS.replace("3d", "2d"), MIGRATE)
    await spine.take_over()
    (control,) = spine.rows(ControlRow)
    by_priority = {row.priority: row.bundle_hash for row in spine.rows(RunRow)}
    assert by_priority == {50: new.hash, 90: control.live_bundle}
    assert control.live_bundle != new.hash
    with spine.store.begin() as session:
        switch_off(session, spine.shelf, "busy", by="ana", reason="", now=spine.clock.now())
    await spine.take_over()
    assert {row.priority: row.bundle_hash for row in spine.rows(RunRow)} == by_priority
    spine.clock.advance(2 * DAY)
    await spine.carry_all()
    assert {row.outcome for row in spine.rows(RunRow)} == {"completed"}


async def test_a_moved_run_tells_where_it_came_from(spine: Spine) -> None:
    spine.publish(trip=SLEEPS)
    await spine.feed("added")
    spine.publish_with(MIGRATE, trip=SLEEPS.replace("3d", "2d"))
    await spine.take_over()
    with spine.store.read() as session:
        found = explaining.explain_contact(session, spine.shelf, spine.run().contact_id)
    told = rendering.render_decisions([each for each in found if each.reason == "run.moved"])
    assert "allow: run.moved" in told
    assert "from_step: night" in told
    assert "how: stays" in told


async def test_one_publish_may_say_something_else_for_every_journey(spine: Spine) -> None:
    spine.publish(trip=SLEEPS, other=SLEEPS, third=LISTENS)
    await spine.feed("added")
    spine.publish(other=SLEEPS, third=LISTENS)
    policies = {"trip": InFlight.PIN, "other": InFlight.MIGRATE, "third": InFlight.END}
    published = spine.publish_with(policies, other=SLEEPS.replace("3d", "2d"), third=LISTENS)
    assert {each.journey: each.policy for each in published.people} == policies
    await spine.take_over()
    rows = {row.journey: row for row in spine.rows(RunRow)}
    assert {name: row.status for name, row in rows.items()} == {
        "trip": "active",
        "other": "active",
        "third": "ended",
    }
    assert rows["other"].bundle_hash == published.hash != rows["trip"].bundle_hash


async def test_messages_that_nobody_could_send_any_more_are_foretold_for_those_who_finish(
    spine: Spine,
) -> None:
    steps = """
        enter: {event: added, reentry: always}
        steps:
          - {wait: night, for: 1d}
          - {send: one, content: text, channels: [email], purpose: marketing}
          - {send: two, content: text, channels: [email]}
        """
    spine.publish(trip=steps)
    await spine.feed("added")
    files = spine.files(trip=steps.replace(", purpose: marketing", ""))
    kept = [line for line in files["purposes.yaml"].splitlines(True) if "id: marketing" not in line]
    files["purposes.yaml"] = "".join(kept)
    wanted = bundle_of(files)
    with spine.store.read() as session:
        found = difference(session, spine.shelf, wanted, {})
        run = run_record(session, spine.run().id)
    (journey,) = found.journeys
    assert journey.people is not None
    assert [(fate.step, fate.silenced) for fate in journey.people.fates] == [("night", ("one",))]
    assert run["clock"] == {"timezone": None, "timezone_source": "default", "timezone_candidates": []}
