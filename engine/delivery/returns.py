"""What orders bring in beside what budgets spend, as rows: periods judged, shares halted and let go on.

Whoever judges a budget, or halts a share of it by hand, holds its row in `budget_return`; the gate reads the
latest word on each share and holds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from engine.gate.budgets import Budget, Halt
from engine.gate.concerning import budgets_of
from engine.gate.model import Intent
from engine.gate.returns import (
    RULE,
    Course,
    Period,
    first_judged,
    judge_ripe,
    next_judged_at,
    revenue,
)
from engine.gate.state import GateRules
from engine.store.bulk import insert_new, insert_rows, table_of
from engine.store.prepared import Prepared
from engine.store.tables import (
    BudgetHaltRow,
    BudgetPeriodRow,
    BudgetPlaceRow,
    BudgetReturnRow,
    EventRow,
    IntentRow,
)

_STATE = table_of(BudgetReturnRow)
_PERIOD = table_of(BudgetPeriodRow)
_HALT = table_of(BudgetHaltRow)
_PLACE = table_of(BudgetPlaceRow)
_INTENT = table_of(IntentRow)
_EVENT = table_of(EventRow)

_OF_BUDGET = _STATE.c.budget_id == bindparam("of_budget")
_READ_STATE = select(_STATE.c.judged_until, _STATE.c.next_at).where(_OF_BUDGET)
_STATE_OF = Prepared(_READ_STATE)
_LOCK_STATE = Prepared(_READ_STATE.with_for_update())
_SAVE_STATE = Prepared(update(_STATE).where(_OF_BUDGET))
_LATEST = (
    select(func.max(_HALT.c.id)).where(_HALT.c.budget_id == bindparam("of_budget")).group_by(_HALT.c.share)
)
_WORDS = Prepared(
    select(_HALT.c.share, _HALT.c.at, _HALT.c.halted, _HALT.c.by, _HALT.c.volatility, _HALT.c.periods)
    .where(_HALT.c.id.in_(_LATEST.scalar_subquery()))
    .order_by(_HALT.c.share)
)
_LET_GO = Prepared(
    select(_HALT.c.share, func.max(_HALT.c.at).label("at"))
    .where(_HALT.c.budget_id == bindparam("of_budget"), ~_HALT.c.halted, _HALT.c.by != RULE)
    .group_by(_HALT.c.share)
)
_SPENT = Prepared(
    select(_PLACE.c.share, func.sum(_PLACE.c.amount).label("spent"))
    .where(
        _PLACE.c.budget_id == bindparam("of_budget"),
        _PLACE.c.state == "taken",
        _PLACE.c.at >= bindparam("starts"),
        _PLACE.c.at < bindparam("ends"),
    )
    .group_by(_PLACE.c.share)
)
# Whose message it was is said by the message: it goes along when two contacts become one.
_TOUCHES = (
    select(
        _INTENT.c.contact_id,
        _PLACE.c.share,
        _PLACE.c.at,
        func.lead(_PLACE.c.at)
        .over(partition_by=_INTENT.c.contact_id, order_by=(_PLACE.c.at, _PLACE.c.intent_key))
        .label("next_at"),
    )
    .select_from(_PLACE.join(_INTENT, _INTENT.c.key == _PLACE.c.intent_key))
    .where(
        _PLACE.c.budget_id == bindparam("of_budget"),
        _PLACE.c.state == "taken",
        _PLACE.c.at >= bindparam("starts"),
        _PLACE.c.at < bindparam("until"),
    )
    .subquery()
)
_ORDERS = Prepared(
    select(_TOUCHES.c.share, _TOUCHES.c.at, _EVENT.c.occurred_at, _EVENT.c.properties)
    .select_from(_TOUCHES.join(_EVENT, _EVENT.c.contact_id == _TOUCHES.c.contact_id))
    .where(
        _TOUCHES.c.at < bindparam("ends"),
        _EVENT.c.type == bindparam("of_type"),
        _EVENT.c.occurred_at > _TOUCHES.c.at,
        _EVENT.c.occurred_at < bindparam("until"),
        (_TOUCHES.c.next_at.is_(None)) | (_EVENT.c.occurred_at <= _TOUCHES.c.next_at),
    )
)


def read_halts(session: Session, intent: Intent, rules: GateRules) -> Mapping[str, Mapping[str, Halt]]:
    """By budget and share, what is halted of the budgets that may have to pay for the intent."""
    return {budget.id: halts for budget in budgets_of(intent, rules) if (halts := halts_of(session, budget))}


def halts_of(session: Session, budget: Budget) -> Mapping[str, Halt]:
    """By share, what is halted of a budget; nothing where it names no return."""
    if budget.returns is None:
        return {}
    return {
        row.share: Halt(row.at, row.by, row.volatility, row.periods)
        for row in _WORDS.rows(session, {"of_budget": budget.id})
        if row.halted
    }


def courses_of(session: Session, budget: Budget) -> dict[str, Course]:
    """What is known of each share, as far as periods of it were judged or somebody halted it."""
    assert budget.returns is not None, "only budgets with a return are judged"
    halts = halts_of(session, budget)
    let_go = {row.share: row.at for row in _LET_GO.rows(session, {"of_budget": budget.id})}
    found: dict[str, list[Period]] = {share: [] for share in {*halts, *let_go}}
    ranked = (
        select(
            _PERIOD,
            func.row_number()
            .over(partition_by=_PERIOD.c.share, order_by=_PERIOD.c.starts_at.desc())
            .label("place"),
        )
        .where(_PERIOD.c.budget_id == budget.id, _PERIOD.c.spent >= max(1, budget.returns.least))
        .subquery()
    )
    query = select(ranked).where(ranked.c.place <= budget.returns.periods).order_by(ranked.c.starts_at)
    for row in session.execute(query):
        period = Period(row.starts_at, row.ends_at, row.spent, row.returned)
        found.setdefault(row.share, []).append(period)
    return {share: Course(tuple(each), halts.get(share), let_go.get(share)) for share, each in found.items()}


def is_to_be_judged(session: Session, budget: Budget, now: datetime) -> bool:
    """Whether a period of the budget has become ripe since it was judged."""
    row = _STATE_OF.row(session, {"of_budget": budget.id}) if budget.returns is not None else None
    return budget.returns is not None and (row is None or row.next_at <= now)


def judge_periods(session: Session, budget: Budget, now: datetime) -> list[str]:
    """Judge every period that is ripe at journey time `now`, one after the other; the shares let go on."""
    since = _hold(session, budget, now)
    courses = courses_of(session, budget)
    was_halted = {share for share, course in courses.items() if course.halt is not None}
    since, turns = judge_ripe(
        budget, courses, since, now, lambda starts, ends: _closed(session, budget, starts, ends)
    )
    for turn in turns:
        _write(session, budget, turn.share, turn.said, halted=turn.halted)
    state = {"judged_until": since, "next_at": next_judged_at(budget, now)}
    _SAVE_STATE.run(session, {"of_budget": budget.id, **state})
    return sorted(share for share in was_halted if courses[share].halt is None)


def say_of_share(
    session: Session, budget: Budget, share: str, now: datetime, *, halted: bool, by: str, reason: str
) -> bool:
    """Halt a share by hand, or let it go on; whether that changes anything."""
    _hold(session, budget, now)
    if (share in halts_of(session, budget)) is halted:
        return False
    _write(session, budget, share, Halt(now, by), halted=halted, reason=reason)
    return True


def _hold(session: Session, budget: Budget, now: datetime) -> datetime:
    """Hold the budget's row; until when its periods were judged."""
    first = {"budget_id": budget.id, "judged_until": first_judged(budget, now), "next_at": now}
    insert_new(session, BudgetReturnRow, [first])
    row = _LOCK_STATE.row(session, {"of_budget": budget.id})
    assert row is not None, "it was inserted, or somebody else's is there"
    return row.judged_until  # type: ignore[no-any-return]


def _closed(session: Session, budget: Budget, starts: datetime, ends: datetime) -> dict[str, Period]:
    """What was spent in a ripe period and what came of it, by share, written down."""
    returns = budget.returns
    assert returns is not None, "only budgets with a return are judged"
    span = {"of_budget": budget.id, "starts": starts, "ends": ends}
    spent = {row.share: int(row.spent) for row in _SPENT.rows(session, span)}
    returned = dict.fromkeys(spent, 0)
    if spent:
        # The last moment at which something could still come of this period, and one more than that.
        until = {"until": ends + returns.within, "of_type": returns.event}
        for row in _ORDERS.rows(session, {**span, **until}):
            if row.occurred_at <= row.at + returns.within:
                returned[row.share] += revenue(returns, row.properties)
    periods = {share: Period(starts, ends, amount, returned[share]) for share, amount in spent.items()}
    rows = [
        {
            "budget_id": budget.id,
            "share": share,
            "starts_at": starts,
            "ends_at": ends,
            "spent": period.spent,
            "returned": period.returned,
        }
        for share, period in sorted(periods.items())
    ]
    insert_new(session, BudgetPeriodRow, rows)
    return periods


def _write(
    session: Session, budget: Budget, share: str, said: Halt, *, halted: bool, reason: str = ""
) -> None:
    row: dict[str, Any] = {
        "budget_id": budget.id,
        "share": share,
        "at": said.since,
        "halted": halted,
        "by": said.by,
        "reason": reason,
        "volatility": said.volatility,
        "periods": said.periods,
    }
    insert_rows(session, BudgetHaltRow, [row])
