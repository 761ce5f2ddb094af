"""Ends and moves of runs that need a scene of their own to leave a decision."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.governance.publishing import publish
from engine.intake.incoming import IncomingEvent
from engine.journeys import interpreter
from engine.store.tables import DecisionRow

HOUR = timedelta(hours=1)


async def test_who_leaves_us_is_let_go_of(spine: Any) -> None:
    spine.publish(slow="enter: {event: added, reentry: never}\nsteps: [{wait: w, for: 1d}]\n")
    await spine.feed("added")
    await spine.feed("contact_deleted")
    assert spine.rows(DecisionRow)[-1].reason == "run.contact_deleted"


async def test_a_date_that_changes_moves_the_wait_and_says_so(spine: Any) -> None:
    files = spine.files(
        trial="enter: {event: added, reentry: never}\nsteps: [{wait: w, until: contact.ends_at}]\n"
    )
    files["wayline.yaml"] += "attributes: {ends_at: {type: instant}}\n"
    with spine.store.begin() as session:
        publish(session, files, by="test", now=spine.clock.now(), shelf=spine.shelf)
    now = spine.clock.now()
    for number, (event, hours) in enumerate((("added", 5), ("viewed", 9))):
        traits = {"ends_at": (now + hours * HOUR).isoformat()}
        came = IncomingEvent(f"t{number}", event, (("user", "ann"),), {}, traits, now)
        for run_id in spine.intake.accept([came], source="test").run_ids:
            await spine.runs.carry(run_id)
    (moved,) = spine.rows(DecisionRow, reason="run.retimed")
    assert (moved.evidence["was"][:19], moved.evidence["until"][:19]) == (
        (now + 5 * HOUR).isoformat()[:19],
        (now + 9 * HOUR).isoformat()[:19],
    )


async def test_a_journey_that_goes_round_without_waiting_ends(
    spine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No journey that passes the linter comes near the bound, so here it is nearer.
    monkeypatch.setattr(interpreter, "BUDGET", 4)
    spine.publish(
        round="""
        enter: {event: added, reentry: never}
        steps:
          - {repeat: r, while: {contact.tags: {lacks: enough}}, at_most: 100, steps: [{tag: t, add: [seen]}]}
        """
    )
    await spine.feed("added")
    assert spine.rows(DecisionRow)[-1].reason == "run.loop"
