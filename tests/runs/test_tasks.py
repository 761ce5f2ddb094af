"""Tasks in the store: given, decided, expired, withdrawn; of two people who decide at once one wins."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event

from engine.delivery import explaining, rendering
from engine.governance.records import contact_record, run_record
from engine.governance.tasks import list_tasks, task_record
from engine.journeys.run import TaskState
from engine.runs.cancelling import cancel
from engine.runs.deciding import Decision, TaskClosedError, UnknownChoiceError, decide
from engine.store.tables import DecisionRow, OutboxRow, TaskRow

DAY = timedelta(days=1)
CARE = """
    priority: 70
    enter: {event: added, reentry: always}
    leave: [{event: gone}]
    goal: {event: paid}
    steps:
      - ask: call
        queue: support
        question: Please call.
        choices:
          - {id: solved, title: Solved, steps: [{send: thanks, content: text, channels: [email]}]}
          - {id: open, title: Not yet}
        deadline: 24h
        otherwise: [{send: sorry, content: text, channels: [email]}]
      - branch: how
        cases:
          - {when: {journey.answers.call: expired}, steps: [{stop: too_late}]}
    """


@pytest.fixture
def spine_with_care(spine: Any) -> Any:
    spine.publish(care=CARE)
    return spine


@pytest.fixture
def sqlite_care(sqlite_spine: Any) -> Any:
    sqlite_spine.publish(care=CARE)
    return sqlite_spine


def task(spine: Any) -> TaskRow:
    (row,) = spine.rows(TaskRow)
    assert isinstance(row, TaskRow)
    return row


def answer(spine: Any, choice: str, *, by: str = "ana", key: str | None = None, note: str = "") -> Decision:
    with spine.store.begin() as session:
        return decide(session, task(spine).id, choice, by=by, now=spine.clock.now(), key=key, note=note)


async def test_a_run_that_asks_writes_its_task_and_sleeps(spine_with_care: Any) -> None:
    spine = spine_with_care
    (carried,) = await spine.feed("added")
    assert (carried.waiting, carried.position) == ("task", "call")
    row = task(spine)
    assert (row.queue, row.state, row.rank, row.visit) == ("support", "open", 30, 1)
    assert row.choices == [{"id": "solved", "title": "Solved"}, {"id": "open", "title": "Not yet"}]
    assert row.due_at == spine.clock.now() + DAY == carried.due_at
    assert spine.run().durable
    assert spine.errands() == ["run.start"]
    assert spine.reasons("task") == ["task.opened"]


async def test_a_decision_wakes_the_run_and_leads_its_way(spine_with_care: Any) -> None:
    spine = spine_with_care
    await spine.feed("added")
    spine.clock.advance(timedelta(hours=2))
    decision = answer(spine, "solved", note="called at noon")
    assert (decision.choice, decision.title, decision.is_repeat) == ("solved", "Solved", False)
    nudge = spine.rows(OutboxRow)[-1]
    assert (nudge.kind, nudge.payload["reason"], nudge.payload["reference"]) == (
        "run.signal",
        "task",
        task(spine).id,
    )
    await spine.carry_all()
    assert spine.post.delivered == ["thanks"]
    run = spine.run()
    assert (run.outcome, run.variables["answers"]) == ("completed", {"call": "solved"})
    assert spine.reasons("task") == ["task.opened", "task.decided"]
    (told,) = spine.rows(DecisionRow, reason="task.decided")
    assert told.evidence == {"step": "call", "choice": "solved", "title": "Solved", "by": "ana"}
    assert task(spine).note == "called at noon"


async def test_nobody_answers_and_the_run_goes_the_other_way(spine_with_care: Any) -> None:
    spine = spine_with_care
    await spine.feed("added")
    spine.clock.advance(DAY)
    await spine.carry_all()
    assert spine.post.delivered == ["sorry"]
    assert spine.run().outcome == "stopped"
    assert task(spine).state == "expired"
    (told,) = spine.rows(DecisionRow, reason="task.expired")
    assert told.would_pass_if.startswith("somebody had answered before 2026-05-05")


@pytest.mark.parametrize(("event", "reason"), [("gone", "run.left"), ("paid", "run.goal")])
async def test_a_run_that_ends_withdraws_its_task(spine_with_care: Any, event: str, reason: str) -> None:
    spine = spine_with_care
    await spine.feed("added")
    await spine.feed(event)
    row = task(spine)
    assert (row.state, row.reason, row.closed_at) == ("withdrawn", reason, spine.clock.now())
    assert spine.reasons("task") == ["task.opened", "task.withdrawn"]
    with pytest.raises(TaskClosedError, match=f"its run ended \\({reason}\\)") as caught:
        answer(spine, "solved")
    assert caught.value.code == "withdrawn"


async def test_a_cancelled_run_withdraws_its_task(sqlite_care: Any) -> None:
    spine = sqlite_care
    await spine.feed("added")
    with spine.store.begin() as session:
        assert cancel(session, spine.run().id, by="ana", now=spine.clock.now())
    assert (task(spine).state, task(spine).reason) == ("withdrawn", "run.cancelled")


async def test_a_decision_that_came_first_stands_when_the_run_ends_before_it_was_told(
    sqlite_care: Any,
) -> None:
    spine = sqlite_care
    await spine.feed("added")
    answer(spine, "solved")
    await spine.feed("gone")
    assert task(spine).state == "decided"
    assert spine.reasons("task") == ["task.opened", "task.decided"]


async def test_the_deadline_holds_before_the_run_has_noticed_it(sqlite_care: Any) -> None:
    spine = sqlite_care
    await spine.feed("added")
    spine.clock.advance(DAY - timedelta(microseconds=1))
    with spine.store.read() as session:
        assert len(list_tasks(session, spine.shelf, spine.clock.now()).tasks) == 1
    spine.clock.advance(timedelta(microseconds=1))
    with pytest.raises(
        TaskClosedError, match="deadline of this task has passed, at 2026-05-05 03:00Z"
    ) as caught:
        answer(spine, "solved")
    assert caught.value.code == "expired"
    with spine.store.read() as session:
        assert list_tasks(session, spine.shelf, spine.clock.now()).tasks == []
        shown = task_record(session, spine.shelf, task(spine).id, spine.clock.now())
    assert shown["state"] == "expired"


async def test_a_decision_just_in_time_counts_however_late_the_run_hears_of_it(sqlite_care: Any) -> None:
    spine = sqlite_care
    await spine.feed("added")
    spine.clock.advance(DAY - timedelta(seconds=1))
    answer(spine, "solved")
    spine.clock.advance(DAY)
    await spine.carry_all()
    assert spine.post.delivered == ["thanks"]


async def test_the_second_to_decide_is_told_who_was_first(sqlite_care: Any) -> None:
    spine = sqlite_care
    await spine.feed("added")
    answer(spine, "solved", by="ana")
    with pytest.raises(TaskClosedError, match="ana decided this task before: 'solved'") as caught:
        answer(spine, "open", by="ben")
    assert (caught.value.code, caught.value.told["decided_by"]) == ("decided", "ana")
    assert spine.reasons("task") == ["task.opened", "task.decided"]


async def test_of_many_who_decide_at_once_exactly_one_wins(spine_with_care: Any) -> None:
    spine = spine_with_care
    await spine.feed("added")
    won: list[str] = []
    lost: list[str] = []

    def one(name: str) -> None:
        try:
            won.append(answer(spine, "solved", by=name).decided_by)
        except TaskClosedError as error:
            lost.append(error.told["decided_by"])

    threads = [threading.Thread(target=one, args=(f"person {number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert lost == won * 5
    assert spine.errands().count("run.signal") == 1


async def test_the_same_key_again_changes_nothing_also_once_the_run_has_gone_on(sqlite_care: Any) -> None:
    spine = sqlite_care
    await spine.feed("added")
    first = answer(spine, "solved", key="form 1")
    await spine.carry_all()
    again = answer(spine, "solved", key="form 1")
    assert again.is_repeat
    assert (again.decided_at, again.decided_by) == (first.decided_at, first.decided_by)
    with pytest.raises(TaskClosedError, match="this key has decided the task before, for 'solved'"):
        answer(spine, "open", key="form 1")
    assert spine.reasons("task") == ["task.opened", "task.decided"]


async def test_an_answer_that_the_task_does_not_have_names_the_nearest(sqlite_care: Any) -> None:
    await sqlite_care.feed("added")
    with pytest.raises(UnknownChoiceError, match="did you mean 'solved'"):
        answer(sqlite_care, "solvd")
    assert task(sqlite_care).state == "open"


async def test_deadlines_are_journey_time(sqlite_spine: Any) -> None:
    sqlite_spine.publish(care=CARE)
    sqlite_spine.speed_up(24)
    await sqlite_spine.feed("added")
    sqlite_spine.clock.advance(timedelta(minutes=61))
    with pytest.raises(TaskClosedError, match="deadline"):
        answer(sqlite_spine, "solved")


async def test_open_tasks_are_listed_by_priority_and_deadline_page_by_page(spine: Any) -> None:
    ask = CARE.replace("priority: 70", "priority: {priority}").replace("event: added", "event: {event}")
    quick = ask.replace("deadline: 24h", "deadline: 1h")
    spine.publish(
        high=ask.replace("{priority}", "90").replace("{event}", "added"),
        low=ask.replace("{priority}", "10").replace("{event}", "viewed"),
        soon=quick.replace("{priority}", "90").replace("{event}", "viewed"),
    )
    for who in ("ann", "bob", "eve"):
        await spine.feed("added", who=who)
        await spine.feed("viewed", who=who)
    listed, after = [], None
    with spine.store.read() as session:
        while True:
            page = list_tasks(session, spine.shelf, spine.clock.now(), after=after, limit=2)
            listed += page.tasks
            after = page.next
            if after is None:
                break
        assert [each["journey"] for each in listed] == ["soon"] * 3 + ["high"] * 3 + ["low"] * 3
        assert len({each["id"] for each in listed}) == 9
        only = list_tasks(
            session,
            spine.shelf,
            spine.clock.now(),
            journey="low",
            queue="support",
            contact_id=listed[0]["contact_id"],
        )
        assert [each["journey"] for each in only.tasks] == ["low"]
        assert list_tasks(session, spine.shelf, spine.clock.now(), queue="legal").tasks == []


async def test_closed_tasks_are_listed_the_latest_first(sqlite_care: Any) -> None:
    spine = sqlite_care
    for who in ("ann", "bob", "eve"):
        await spine.feed("added", who=who)
    for row in spine.rows(TaskRow):
        spine.clock.advance(timedelta(minutes=1))
        with spine.store.begin() as session:
            decide(session, row.id, "open", by="ana", now=spine.clock.now())
    with spine.store.read() as session:
        first = list_tasks(session, spine.shelf, spine.clock.now(), state=TaskState.DECIDED, limit=2)
        rest = list_tasks(
            session, spine.shelf, spine.clock.now(), state=TaskState.DECIDED, limit=2, after=first.next
        )
    closed = [each["closed_at"] for each in (*first.tasks, *rest.tasks)]
    assert closed == sorted(closed, reverse=True)
    assert len(closed) == 3
    assert rest.next is None


async def test_a_task_is_shown_with_what_its_person_needs(sqlite_care: Any) -> None:
    spine = sqlite_care
    await spine.feed("added")
    answer(spine, "solved", note="they were glad")
    with spine.store.read() as session:
        shown = task_record(session, spine.shelf, task(spine).id, spine.clock.now())
        contact = contact_record(session, task(spine).contact_id)
        run = run_record(session, spine.run().id)
    assert shown["queue_title"] == "Support"
    assert shown["entered_by"]["type"] == "added"
    assert shown["note"] == "they were glad"
    assert [each["reason"] for each in shown["decisions"]] == ["task.decided", "task.opened", "entry.entered"]
    assert contact["tasks"] == run["tasks"]
    assert run["tasks"][0]["choice"] == "solved"
    assert "note" not in run["tasks"][0]


async def test_explain_tells_of_tasks(sqlite_care: Any) -> None:
    spine = sqlite_care
    await spine.feed("added")
    answer(spine, "solved", by="ana")
    await spine.carry_all()
    with spine.store.read() as session:
        told = rendering.render_decisions(
            explaining.explain_contact(session, spine.shelf, task(spine).contact_id)
        )
        story = rendering.render(explaining.explain_intent(session, spine.shelf, spine.intent("thanks").key))
    assert "allow: task.decided" in told
    assert "by: ana" in told
    assert "  + task call was answered solved (Solved) by ana" in story


async def test_a_list_reads_an_index_and_sorts_nothing(sqlite_care: Any) -> None:
    spine = sqlite_care
    await spine.feed("added")
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and "LIMIT" in statement and "FROM task" in statement:
            asked.append((statement, values))

    event.listen(spine.store.engine, "before_cursor_execute", note)
    with spine.store.read() as session:
        for wanted in (
            {},
            {"queue": "support"},
            {"queue": "support", "after": task(spine).id},
            {"state": TaskState.DECIDED},
        ):
            list_tasks(session, spine.shelf, spine.clock.now(), **wanted)
        event.remove(spine.store.engine, "before_cursor_execute", note)
        plans = [
            " ".join(
                str(row[-1])
                for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
            )
            for sql, values in asked
        ]
    assert len(plans) == 4
    assert all("USING INDEX ix_task_" in plan and "TEMP B-TREE" not in plan for plan in plans), plans
