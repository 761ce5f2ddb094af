"""Messages that people bring: a task each, never taken for delivered, and what became of it a receipt."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engine.delivery.by_hand import ByHand, withdraw_tasks
from engine.gate.by_hand import Task, TaskAnswer
from engine.gate.model import Outcome
from engine.gate.state import Moment
from engine.governance.erasing import Eraser
from engine.governance.tasks import list_tasks, task_record
from engine.intake.accepting import Intake
from engine.intake.incoming import IncomingEvent
from engine.journeys.run import TaskState
from engine.plugin.answers import fault_of_result
from engine.plugin.contracts import Accepted
from engine.runs.deciding import Decision, TaskClosedError, UnknownChoiceError, decide
from engine.runs.service import Runs
from engine.runs.tasks import close_task
from engine.store.tables import IdentityRow, ReceiptRow, RunRow, TaskRow
from plugins.channels import manual

CHANNELS = """
    kind: channels
    id: channels
    title: channels
    owner: us
    channels:
      - {id: email, plugin: mail, identity: email, settings: {}}
      - id: notes
        plugin: manual
        identity: app
        settings: {queue: social, within: 6h, profile: "https://notes.example/{address}"}
    """


@pytest.fixture
def by_hand(desk: Any) -> Any:
    desk.push = manual
    desk.process()
    desk.publish(channels=CHANNELS)
    desk.contact()
    return desk


async def wished(desk: Any, **values: Any) -> TaskRow:
    desk.plan(channels=("notes",), **values)
    assert await desk.deliver() is Outcome.SENT
    return task(desk)


def task(desk: Any) -> TaskRow:
    (found,) = desk.rows(TaskRow)
    assert isinstance(found, TaskRow)
    return found


def answer(desk: Any, choice: str, **values: Any) -> Decision:
    with desk.store.begin() as session:
        return decide(session, task(desk).id, choice, by="ana", now=desk.clock.now(), **values)


def receipts(desk: Any) -> list[tuple[str, str]]:
    return [(row.said, row.code) for row in desk.rows(ReceiptRow)]


async def test_a_message_becomes_a_task_and_is_not_delivered_by_that(by_hand: Any) -> None:
    desk = by_hand
    row = await wished(desk, priority=70)
    assert (row.state, row.queue, row.rank, row.run_id, row.journey) == ("open", "social", 30, None, None)
    assert row.due_at == desk.journey_now() + timedelta(hours=6)
    assert desk.row().state == "accepted"
    assert receipts(desk) == []
    with desk.store.read() as session:
        record = task_record(session, desk.shelf, row.id, desk.clock.now())
        (listed,) = list_tasks(session, desk.shelf, desk.clock.now()).tasks
    assert record["message"] == {
        "channel": "notes",
        "to": "device-ann",
        "link": "https://notes.example/device-ann",
        "text": "Hello\n\nGood morning you",
    }
    assert record["contact"]["identities"]["app"] == "de***"
    assert "device-ann" not in repr(listed) and "Good morning" not in repr(listed)
    assert [each["id"] for each in listed["choices"]] == [
        "done",
        "no_such_account",
        "not_allowed",
        "not_possible",
    ]


async def test_who_says_that_it_is_done_delivers_it(by_hand: Any) -> None:
    desk = by_hand
    await wished(desk)
    desk.clock.advance(timedelta(hours=1))
    decision = answer(desk, "done", key="k", note="said hello")
    assert (decision.choice, decision.run_id, decision.is_repeat) == ("done", None, False)
    assert (desk.row().state, desk.row().outcome, receipts(desk)) == (
        "delivered",
        "sent",
        [("delivered", "")],
    )
    row = task(desk)
    assert (row.state, row.decided_by, row.note, row.message) == ("decided", "ana", "said hello", None)
    assert answer(desk, "done", key="k").is_repeat
    with pytest.raises(TaskClosedError, match="ana decided this task before: 'done'"):
        answer(desk, "not_possible")
    assert receipts(desk) == [("delivered", "")]


async def test_what_is_not_possible_bounces_with_its_code(by_hand: Any) -> None:
    desk = by_hand
    await wished(desk)
    with pytest.raises(UnknownChoiceError):
        answer(desk, "don")
    answer(desk, "not_allowed")
    assert (desk.row().state, receipts(desk)) == ("bounced", [("bounced", "not_allowed")])
    assert {row.suppressed for row in desk.rows(IdentityRow, platform="app")} == {None}


async def test_an_account_that_does_not_exist_is_not_written_to_again(by_hand: Any) -> None:
    desk = by_hand
    await wished(desk)
    answer(desk, "no_such_account", secret="s" * 32)
    (identity,) = desk.rows(IdentityRow, platform="app")
    assert identity.suppressed == "hard_bounce"
    desk.plan("k2", channels=("notes",))
    assert await desk.deliver("k2") is Outcome.BLOCKED
    assert len(desk.rows(TaskRow)) == 1


@pytest.mark.parametrize("scale", [1.0, 60.0])
async def test_what_nobody_did_in_time_expires_on_the_journeys_clock(by_hand: Any, scale: float) -> None:
    desk = by_hand
    desk.speed_up(scale)
    await wished(desk)
    job = ByHand(desk.store, desk.clock)
    desk.clock.advance(timedelta(hours=6) / scale - timedelta(seconds=1))
    assert await job.expire_due() == 0
    desk.clock.advance(timedelta(seconds=1))
    with pytest.raises(TaskClosedError, match="its message counts as not delivered"):
        answer(desk, "done")
    assert [await job.expire_due(), await job.expire_due()] == [1, 0]
    assert (task(desk).state, task(desk).message) == ("expired", None)
    assert (desk.row().state, receipts(desk)) == ("bounced", [("bounced", "expired")])


async def test_a_message_with_a_deadline_is_to_be_brought_before_it(by_hand: Any) -> None:
    desk = by_hand
    row = await wished(desk, deadline_at=desk.clock.now() + timedelta(minutes=20))
    assert row.due_at == desk.journey_now() + timedelta(minutes=20)


async def test_a_crash_before_the_record_makes_one_task_in_the_end(by_hand: Any) -> None:
    desk = by_hand
    desk.plan(channels=("notes",))
    state = desk.delivery._state
    settle = state.settle

    def crash(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    state.settle = crash
    with pytest.raises(KeyboardInterrupt):
        await desk.deliver()
    state.settle = settle
    assert (desk.rows(TaskRow), desk.row().state) == ([], "handed_over")
    desk.clock.advance(timedelta(minutes=1))
    await desk.settle_down()
    assert (task(desk).state, desk.row().state, desk.row().attempts) == ("open", "accepted", 2)


async def test_who_withdraws_is_not_written_to_by_hand_either(by_hand: Any) -> None:
    desk = by_hand
    await wished(desk)
    now = Moment(desk.journey_now(), desk.clock.now())
    with desk.store.begin() as session:
        assert withdraw_tasks(session, ["ann"], "consent.withdrawn", now, lambda *_: False) == 0
        assert withdraw_tasks(
            session, ["ann"], "consent.withdrawn", now, lambda *of: of == ("marketing", ["notes"])
        )
    row = task(desk)
    assert (row.state, row.reason, row.message) == ("withdrawn", "consent.withdrawn", None)
    assert receipts(desk) == [("bounced", "withdrawn")]
    with pytest.raises(TaskClosedError, match="its message is not to be sent any more"):
        answer(desk, "done")


async def test_a_run_that_ends_or_waits_no_more_leaves_its_message_to_be_brought(by_hand: Any) -> None:
    desk = by_hand
    desk.run_row("r1", durable=True)
    row = await wished(desk, run_id="r1", journey="welcome")
    assert (row.run_id, row.journey) == ("r1", "welcome")
    run: Any = desk.rows(RunRow)[0]
    with desk.store.begin() as session:
        assert not close_task(session, run, TaskState.WITHDRAWN, desk.journey_now(), "run.left")
    assert task(desk).state == "open"
    assert answer(desk, "done").run_id == "r1"
    assert desk.row().state == "delivered"


async def test_a_withdrawal_that_is_sent_in_takes_the_task_back(by_hand: Any) -> None:
    desk = by_hand
    await wished(desk)
    runs = Runs(desk.store, desk.shelf, desk.delivery, desk.clock)
    intake = Intake(desk.store, desk.shelf, runs, desk.clock)
    for number, purpose in enumerate(("service", "marketing")):
        assert task(desk).state == "open"
        said = {"purpose": purpose}
        event = IncomingEvent(f"c{number}", "consent_withdrawn", properties=said, contact_id="ann")
        assert intake.accept([event], source="test").accepted == 1
    assert (task(desk).state, task(desk).reason) == ("withdrawn", "consent.withdrawn")


async def test_an_erased_contact_leaves_no_task_to_do_and_no_text(by_hand: Any) -> None:
    desk = by_hand
    await wished(desk)
    Eraser(desk.store, desk.clock, "s" * 32).erase("ann", by="us", reason="asked")
    row = task(desk)
    assert (row.state, row.reason, row.message) == ("withdrawn", "suppressed.erased", None)


async def test_of_many_who_answer_at_once_one_is_heard(by_hand: Any) -> None:
    desk = by_hand
    await wished(desk)
    heard: list[str] = []

    def say(choice: str) -> None:
        with suppress(TaskClosedError):
            heard.append(answer(desk, choice).choice)

    saying = [threading.Thread(target=say, args=(choice,)) for choice in ("done", "not_possible") * 3]
    for thread in saying:
        thread.start()
    for thread in saying:
        thread.join()
    (choice,) = heard
    assert receipts(desk) == [("delivered", "") if choice == "done" else ("bounced", "not_possible")]


TASK = Task(
    "q",
    "do it",
    "them",
    "text",
    timedelta(1),
    (TaskAnswer("a", "A", "delivered"), TaskAnswer("b", "B", "bounced")),
)


@pytest.mark.parametrize(
    "wrong",
    [
        {"queue": ""},
        {"to": "x" * 3000},
        {"within": timedelta(0)},
        {"text": None},
        {"answers": ()},
        {"answers": (TaskAnswer("a", "A", "delivered"), TaskAnswer("a", "B", "bounced"))},
        {"answers": (TaskAnswer("a", "A", "delivered"), TaskAnswer("B b", "B", "bounced"))},
        {"answers": (TaskAnswer("a", "A", "delivered"), TaskAnswer("b", "B", "read"))},  # type: ignore[arg-type]
        {"answers": (TaskAnswer("a", "A", "delivered"), "b")},
    ],
)
def test_a_task_that_nobody_could_work_on_is_nonsense(wrong: dict[str, Any]) -> None:
    assert fault_of_result(Accepted(task=TASK)) == ""
    assert "task" in fault_of_result(Accepted(task=replace(TASK, **wrong)))
    assert "not a Task" in fault_of_result(Accepted(task="do it"))  # type: ignore[arg-type]
