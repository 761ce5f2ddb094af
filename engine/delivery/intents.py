"""Intent rows: planning them, their states and leases, and the places they give back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from sqlalchemy import ColumnElement, and_, bindparam, or_, update
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.changing import changed
from engine.delivery.budgets import LiningUp, release_spendings
from engine.gate.model import Answer, Intent, Outcome, Verdict
from engine.gate.stages import Stage
from engine.gate.state import Aftermath, Claim, GateRules, Moment
from engine.gate.valuing import message_value
from engine.store.bulk import insert_new, table_of
from engine.store.tables import CapPlaceRow, IntentRow

PLANNED_FOR = timedelta(seconds=30)
"""Delivery time whoever planned an intent has to deliver it before anybody else does."""


_PLACE = table_of(CapPlaceRow)
_RELEASE = (
    update(_PLACE)
    .where(_PLACE.c.intent_key.in_(bindparam("keys", expanding=True)), _PLACE.c.state != "released")
    .values(state="released", lease_until=None)
)


FREED_BY_RULES = ("cap.", "budget.", "quiet.", "review.")
"""Families of reasons that other rules may do away with."""


_IN_LINE = ("budget.ahead", "budget.share_spent", "budget.spent")


def waits_in_line(reason: str | None) -> bool:
    """Whether what held an intent last was a budget, in whose line it is counted."""
    return reason in _IN_LINE


class IntentState(StrEnum):
    PLANNED = "planned"
    HELD = "held"
    RESERVED = "reserved"
    HANDED_OVER = "handed_over"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    ENDED = "ended"
    """It was never handed over, or what was handed over was not taken."""
    DELIVERED = "delivered"
    """A receipt says so, as with the two below; `engine.delivery.receipts` says which outweighs which."""
    BOUNCED = "bounced"
    READ = "read"


_S = IntentState
NEXT: Mapping[IntentState, frozenset[IntentState]] = {
    _S.PLANNED: frozenset({_S.HELD, _S.RESERVED, _S.REJECTED, _S.ENDED}),
    _S.HELD: frozenset({_S.PLANNED, _S.HELD, _S.RESERVED, _S.REJECTED, _S.ENDED}),
    # Back to planned when a lease ran out: nothing was handed over, which the missing `handed_over` proves.
    _S.RESERVED: frozenset({_S.PLANNED, _S.HELD, _S.HANDED_OVER, _S.REJECTED, _S.ENDED}),
    # Back to planned or held only on the provider's own word that nothing was sent.
    _S.HANDED_OVER: frozenset(
        {_S.HANDED_OVER, _S.PLANNED, _S.HELD, _S.ACCEPTED, _S.REJECTED, _S.UNKNOWN, _S.ENDED}
    ),
    # A late answer of the provider may still settle it.
    _S.UNKNOWN: frozenset({_S.ACCEPTED}),
    _S.ACCEPTED: frozenset(),
    _S.REJECTED: frozenset(),
    _S.ENDED: frozenset(),
    _S.DELIVERED: frozenset(),
    _S.BOUNCED: frozenset(),
    _S.READ: frozenset(),
}
"""States move forward only; what looks like a step back is a proof that nothing was sent.

Receipts have an order of their own, which begins wherever a message was handed over.
"""


_FOLLOWS: Mapping[str, Mapping[str, str]] = {
    state.value: {each: each.value for each in after} for state, after in NEXT.items()
}
"""The same with their names, as records keep them: looked up with every step of every message."""


def may_follow(state: str, new: str) -> bool:
    """Whether an intent in `state` may become `new`."""
    return IntentState(new) in NEXT[IntentState(state)]


class IntentRecord(Protocol):
    """What is kept of an intent, whether in a row or in memory; fields as in `IntentRow`."""

    state: str
    outcome: str | None
    value: float
    """What it is worth beside others; of a held one as it was when it was looked at last."""
    wake_at: datetime | None
    retry_at: datetime | None
    deadline_at: datetime | None
    expires_at: datetime | None
    hold_scope: str | None
    lease_owner: str | None
    lease_until: datetime | None


def move(row: IntentRecord, state: IntentState) -> None:
    """Bring the row to a state; ValueError for one that may not follow."""
    name = _FOLLOWS[row.state].get(state)
    if name is None:
        raise ValueError(f"an intent that is {row.state} does not become {state.value}")
    row.state = name


def plan(session: Session, intent: Intent, *, now: datetime, lease: str | None = None) -> Intent | None:
    """Write the wish down: the intent as the store has it, None when its key is there already.

    `now` is delivery time. Whoever plans it should deliver it: for half a minute nobody else takes it up by
    itself, and with a `lease` nobody else at all.
    """
    return plan_each(session, [(intent, lease)], now=now)[0]


def plan_each(
    session: Session, wishes: Sequence[tuple[Intent, str | None]], *, now: datetime
) -> list[Intent | None]:
    """`plan` of many at once, each with its lease, in this order."""
    rows = [_row(intent, lease, now) for intent, lease in wishes]
    # By key: of two transactions that plan the same, one waits for the other and not both.
    rows.sort(key=_key_of)
    written = dict(insert_new(session, IntentRow, rows, returning=("key", "variables")))
    # As every later reader sees them: values that are not JSON become what JSON makes of them.
    return [
        changed(intent, variables=written[intent.key]) if intent.key in written else None
        for intent, _ in wishes
    ]


def _key_of(row: Mapping[str, Any]) -> str:
    return str(row["key"])


def _row(intent: Intent, lease: str | None, now: datetime) -> dict[str, Any]:
    return {
        "key": intent.key,
        "run_id": intent.run_id,
        "journey": intent.journey,
        "step_id": intent.step_id,
        "visit": intent.visit,
        "contact_id": intent.contact_id,
        "purpose": intent.purpose,
        "priority": intent.priority,
        "value": float(intent.priority),
        "content": intent.content,
        "channels": list(intent.channels),
        "bundle_hash": intent.bundle_hash,
        "variables": dict(intent.variables),
        "state": IntentState.PLANNED.value,
        "created_at": intent.created_at,
        "deadline_at": intent.deadline_at,
        "expires_at": intent.expires_at,
        "attempts": 0,
        "lease_owner": lease,
        "lease_until": now + PLANNED_FOR,
        "updated_at": now,
    }


def intent_of(row: Any, rules: GateRules) -> Intent:
    """The intent of an `IntentRow`, or of a result with its columns, as the gate sees it."""
    intent = Intent(
        key=row.key,
        contact_id=row.contact_id,
        purpose=row.purpose,
        priority=row.priority,
        content=row.content,
        channels=tuple(row.channels),
        step_id=row.step_id,
        visit=row.visit,
        created_at=row.created_at,
        run_id=row.run_id,
        journey=row.journey,
        deadline_at=row.deadline_at,
        expires_at=row.expires_at,
        bundle_hash=row.bundle_hash,
        variables=row.variables,
    )
    return bounded(intent, rules)


def bounded(intent: Intent, rules: GateRules) -> Intent:
    """The intent with an expiry: without one of its own, its purpose's longest hold counts."""
    purpose = rules.purposes.get(intent.purpose)
    if intent.expires_at is not None or purpose is None:
        return intent
    return replace(intent, expires_at=intent.created_at + purpose.max_hold)


def is_workable(row: IntentRecord, at: datetime, journey_now: datetime) -> bool:
    """Whether a caller that names the intent may work on it now: nobody else does, and a hold is over."""
    if row.lease_owner is not None and row.lease_until is not None and row.lease_until > at:
        return False
    if row.state == IntentState.PLANNED:
        return True
    return row.state == IntentState.HELD and (
        (row.wake_at is not None and row.wake_at <= journey_now)
        or (row.retry_at is not None and row.retry_at <= at)
        or (row.deadline_at is not None and row.deadline_at <= at)
    )


def hold(row: IntentRecord, answer: Answer, intent: Intent) -> None:
    """Hold the record until the answer's moments; at the latest it is looked at when it expires."""
    move(row, IntentState.HELD)
    ends = [moment for moment in (intent.expires_at, answer.worth_until) if moment is not None]
    row.expires_at = min(ends, default=None)
    moments = [moment for moment in (answer.hold_until, row.expires_at) if moment is not None]
    row.wake_at = min(moments, default=None)
    row.retry_at = answer.retry_at
    row.hold_scope = answer.hold_scope


def let_go(row: IntentRecord) -> None:
    """Forget what held the record and who worked on it."""
    row.hold_scope = row.wake_at = row.retry_at = None
    row.lease_owner = row.lease_until = None


def apply_answer(row: IntentRecord, answer: Answer, claim: Claim, now: Moment) -> Outcome | None:
    """Bring the record to what a no of the gate makes of it: held, or ended with the outcome returned."""
    let_go(row)
    if answer.verdict is Verdict.HOLD:
        hold(row, answer, claim.intent)
        row.value = message_value(claim.intent, claim.view, now.journey)
        return None
    refused = answer.outcome is Outcome.FAILED and bool(claim.view.refused_by)
    move(row, IntentState.REJECTED if refused else IntentState.ENDED)
    outcome = answer.outcome or Outcome.BLOCKED
    row.outcome = outcome.value
    return outcome


def apply_aftermath(row: IntentRecord, aftermath: Aftermath, intent: Intent, now: Moment) -> None:
    """Bring the record to what an attempt made of it. Whoever goes on with it keeps the lease."""
    state = IntentState(aftermath.state)
    if state is IntentState.HANDED_OVER:
        move(row, state)
        row.lease_until = now.delivery + (aftermath.repeat_after or timedelta(0))
    elif state is IntentState.PLANNED:
        move(row, state)
    else:
        let_go(row)
        if state is IntentState.HELD:
            assert aftermath.answer is not None, "a hold is a decision"
            hold(row, aftermath.answer, intent)
        else:
            move(row, state)
    if aftermath.outcome is not None:
        row.outcome = aftermath.outcome.value


def due(at: datetime, journey_now: datetime) -> ColumnElement[bool]:
    """The condition for intents that anybody may take up now: woken, due, or planned and left lying."""
    unleased = or_(col(IntentRow.lease_until).is_(None), col(IntentRow.lease_until) <= at)
    held_over = or_(
        col(IntentRow.wake_at) <= journey_now,
        col(IntentRow.retry_at) <= at,
        col(IntentRow.deadline_at) <= at,
    )
    return and_(
        unleased,
        or_(
            col(IntentRow.state) == IntentState.PLANNED.value,
            and_(col(IntentRow.state) == IntentState.HELD.value, held_over),
        ),
    )


def in_order_of_wishes(wish: IntentRow | Intent) -> tuple[datetime, str, str, int, str]:
    """Sorts wishes by when and where they were made; only what that leaves open goes by key, a hash."""
    return (wish.created_at, wish.journey or "", wish.step_id, wish.visit, wish.key)


def release_places(session: Session, keys: Iterable[str], waiting: LiningUp | None = None) -> None:
    """Give back every place in caps that these intents hold, and what they took out of budgets.

    One of them may line up for what a budget has not allowed yet.
    """
    wanted = sorted(keys)
    if wanted:
        session.execute(_RELEASE, {"keys": wanted})
        release_spendings(session, wanted, waiting)


def withdrawn_answer() -> Answer:
    """The decision for intents that a withdrawal of consent drops."""
    return Answer(
        Verdict.BLOCK,
        Stage.CONSENT,
        "consent.withdrawn",
        would_pass_if="the contact had not withdrawn consent",
        outcome=Outcome.BLOCKED,
    )


def run_ended_answer() -> Answer:
    """The decision for intents whose run ended before they left."""
    return Answer(
        Verdict.SKIP,
        Stage.STANDING,
        "run.ended",
        would_pass_if="the run were still active",
        outcome=Outcome.BLOCKED,
    )
