"""Intake finds its rows by the contacts of its batch, however many other people there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import event

from engine.store.tables import RunRow

if TYPE_CHECKING:
    from tests.runs.conftest import Spine

BUSY = """
    enter: {event: [viewed, paid], reentry: always}
    leave: [{event: [viewed, paid]}]
    goal: {event: added}
    steps:
      - {wait: silence, for: 30d}
    """
ONCE = """
    purpose: marketing
    enter: {event: paid, reentry: {once_per: event.order_id}}
    steps:
      - {send: ad, content: text, channels: [email]}
    """
BY_OTHER_PEOPLES_ROWS = ("ix_run_lease", "ix_run_due", "SCAN run", "SCAN wait", "SCAN contact", "SCAN event")


async def test_intake_reads_no_rows_of_other_people(sqlite_spine: Spine) -> None:
    spine = sqlite_spine
    spine.publish(busy=BUSY, once=ONCE)
    spine.post.script["ad"] = "held"
    plans: dict[str, str] = {}

    def note_plan(_: Any, cursor: Any, statement: str, parameters: Any, __: Any, is_many: bool) -> None:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")):
            asking = cursor.connection.cursor()
            asking.execute(f"EXPLAIN QUERY PLAN {statement}", parameters[0] if is_many else parameters)
            plans[statement] = " / ".join(row[3] for row in asking.fetchall())

    event.listen(spine.store.engine, "after_cursor_execute", note_plan)
    await spine.feed("paid", order_id="o1")
    spine.accept("viewed")
    spine.accept("consent_withdrawn", purpose="marketing")
    assert {run.outcome for run in spine.rows(RunRow)} == {None, "left", "cancelled"}
    telling = {
        statement: plan
        for statement, plan in plans.items()
        if any(mark in plan for mark in BY_OTHER_PEOPLES_ROWS) and "WHERE" in statement
    }
    assert telling == {}
