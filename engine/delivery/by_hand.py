"""Messages that a person brings: their tasks, and what is said of them once somebody has, or has not.

The provider is a person, who accepts nothing: the intent is accepted and no more while the task is open.
What they answer is a receipt like that of any other provider.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from hashlib import sha256

from sqlalchemy import TextClause, select, text
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.clock import Clock
from engine.delivery.measuring import TASKS
from engine.delivery.receipts import Closing, Receipt, Said, receive
from engine.delivery.viewing import read_situation
from engine.gate.state import Attempt, Claim, Moment
from engine.journeys.run import TaskState
from engine.journeys.tasking import HIGHEST_PRIORITY
from engine.store.bulk import insert_new, is_one_of
from engine.store.bundles import BundleShelf
from engine.store.control import clocks_of, read_control
from engine.store.database import Store, lock_contacts
from engine.store.tables import IntentRow, TaskRow

AT_ONCE = 100
"""Tasks whose time is up that one round closes."""


def task_of(intent_key: str) -> str:
    """The id of the task to bring a message; the same however often its key is handed over."""
    return sha256(f"task|{intent_key}".encode()).hexdigest()[:32]


def open_task(session: Session, claim: Claim, attempt: Attempt, now: Moment) -> None:
    """Give a person what the attempt asks of one, if it does; once for each message."""
    intent, task = claim.intent, attempt.task
    if task is None:
        return
    due_at = now.journey + task.within
    if intent.deadline_at is not None:
        due_at = min(due_at, claim.view.time.at(intent.deadline_at))
    row = {
        "id": task_of(intent.key),
        "run_id": intent.run_id,
        "journey": intent.journey,
        "step_id": intent.step_id,
        "visit": intent.visit,
        "contact_id": intent.contact_id,
        "queue": task.queue,
        "question": task.question,
        "choices": [
            {"id": each.id, "title": each.title, "said": each.said, "permanent": each.permanent}
            for each in task.answers
        ],
        "rank": HIGHEST_PRIORITY - intent.priority,
        "state": TaskState.OPEN.value,
        "created_at": now.journey,
        "due_at": due_at,
        "note": "",
        "bundle_hash": intent.bundle_hash,
        "intent_key": intent.key,
        "message": {
            "channel": attempt.channel,
            "platform": claim.view.rules.platforms[attempt.channel],
            "to": task.to,
            "link": task.link,
            "text": task.text,
        },
    }
    if insert_new(session, TaskRow, [row], returning=("id",)):
        TASKS.labels(task.queue, "opened").inc()


def close_decided(
    session: Session, task: TaskRow, now: Moment, secret: str | None, shelf: BundleShelf | None
) -> None:
    """Have the message hear what was decided. The caller holds contact and task, and has written the choice.

    `secret` keys the list of closed addresses that outlives contacts; breakers of the bundle that `shelf` has
    in force count what was decided.
    """
    chosen = next(each for each in task.choices if each["id"] == task.choice)
    said = Said(chosen["said"])
    code = "" if said is Said.DELIVERED else str(task.choice)
    told = task.message or {}
    closing = Closing({told.get("channel", ""): told.get("platform", "")}, secret, f"task:{task.id}")
    _tell(session, task, said, code, now, closing, permanent=bool(chosen["permanent"]), shelf=shelf)


def withdraw_tasks(
    session: Session,
    contact_ids: Collection[str],
    why: str,
    now: Moment,
    stops: Callable[[str, Sequence[str]], bool] | None = None,
) -> int:
    """Take back messages that nobody has brought yet; how many. The caller has locked the contacts.

    `stops` says of a purpose and channels whether such a message is meant; `why` is the reason code.
    """
    query = (
        select(TaskRow, col(IntentRow.purpose), col(IntentRow.channel))
        .join(IntentRow, col(IntentRow.key) == col(TaskRow.intent_key))
        .where(
            is_one_of(session, TaskRow.contact_id, contact_ids), col(TaskRow.state) == TaskState.OPEN.value
        )
        .order_by(col(TaskRow.id))
    )
    taken = 0
    for task, purpose, channel in session.execute(query).all():
        if stops is None or stops(purpose, [channel] if channel is not None else []):
            _close(session, task, TaskState.WITHDRAWN, "withdrawn", now, why)
            taken += 1
    return taken


class ByHand:
    """Closes tasks whose time is up; a job of the dispatcher."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def expire_due(self) -> int:
        """Say of messages that nobody brought in time that they were not; how many."""
        due = await self._store.run(self._due)
        return sum([await self._store.run(self._expire, *each) for each in due])

    def _due(self) -> list[tuple[str, str]]:
        with self._store.read() as session:
            at = clocks_of(read_control(session), self._clock).journey_now()
            query = (
                select(col(TaskRow.id), col(TaskRow.contact_id))
                .where(_is_open(), col(TaskRow.due_at) <= at)
                .order_by(col(TaskRow.due_at))
                .limit(AT_ONCE)
            )
            return [(task_id, contact_id) for task_id, contact_id in session.execute(query)]

    def _expire(self, task_id: str, contact_id: str) -> bool:
        with self._store.begin() as session:
            lock_contacts(session, [contact_id])
            now = Moment.of(self._clock.now(), read_situation(session).time)
            task = session.get(TaskRow, task_id, with_for_update=True)
            if task is None or task.state != TaskState.OPEN or task.contact_id != contact_id:
                return False  # somebody answered meanwhile, or its contact became part of another one
            _close(session, task, TaskState.EXPIRED, "expired", now)
            return True


def _is_open() -> TextClause:
    # Spelt out, as in the index: a bound value might keep a planner from using that.
    return text("state = 'open' AND intent_key IS NOT NULL")


def _close(
    session: Session, task: TaskRow, state: TaskState, code: str, now: Moment, why: str | None = None
) -> None:
    task.state, task.closed_at, task.reason = state.value, now.journey, why
    TASKS.labels(task.queue, state.value).inc()
    _tell(session, task, Said.BOUNCED, code, now)


def _tell(
    session: Session,
    task: TaskRow,
    said: Said,
    code: str,
    now: Moment,
    closing: Closing | None = None,
    *,
    permanent: bool = False,
    shelf: BundleShelf | None = None,
) -> None:
    channel = (task.message or {}).get("channel")
    # Nobody needs it any more, and it says who they are.
    task.message = None
    session.flush()
    receipt = Receipt(said, now.delivery, task.intent_key, channel, code=code, permanent=permanent)
    # What was taken back came back from nobody: breakers do not count it.
    receive(session, receipt, now, closing, shelf=shelf)
