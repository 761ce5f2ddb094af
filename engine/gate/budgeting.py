"""Behind stage 7, and at 10: what budgets say of an intent on one channel; pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from engine.gate.arbitration import may_wait_until
from engine.gate.budgets import Book, Refusal, Spending, told
from engine.gate.concerning import costs_on
from engine.gate.model import Answer, Intent, Outcome, Queue, Verdict, WhenFull
from engine.gate.pacing import allowance
from engine.gate.returns import RULE, halt_told, next_judged_at
from engine.gate.sharing_out import current
from engine.gate.spending import refused, share_of
from engine.gate.stages import Stage, allowed
from engine.gate.state import Moment, View
from engine.gate.valuing import goes_first, worth_told

_STRICTEST = (WhenFull.SKIP, WhenFull.NEXT_CHANNEL, WhenFull.DEFER)


def spendings(intent: Intent, view: View, now: datetime, channel: str) -> list[Spending]:
    """What the intent takes out of which budgets on this channel, in order of their ids."""
    first = goes_first(view, now)
    return [
        Spending(budget, share_of(budget, intent, view.facts, now), cost, first)
        for budget, cost in costs_on(intent, view.rules, channel)
    ]


def check_budgets(
    intent: Intent, view: View, now: Moment, channel: str, *, stage: Stage = Stage.BUDGET
) -> Answer:
    """Whether every budget that pays for the intent allows it now; what it holds already is taken off."""
    if not view.rules.budgets:
        return allowed(stage, channel)
    refusals: list[Refusal] = []
    for spending in spendings(intent, view, now.journey, channel):
        book = current(spending.budget, view.books.get(spending.budget.id), now.journey)
        refusal = _halted(spending, book, view, now.journey)
        held = _held(spending, book, view)
        wanted = replace(spending, cost=spending.cost - held) if held else spending
        if refusal is None and wanted.cost > 0:
            refusal = refused(wanted, book, now.journey)
        if refusal is not None:
            refusals.append(refusal)
    if not refusals:
        return allowed(stage, channel)
    return refusal_answer(refusals, intent, view, now, channel, stage)


def refusal_answer(
    refusals: list[Refusal], intent: Intent, view: View, now: Moment, channel: str, stage: Stage
) -> Answer:
    """The answer of several budgets that refuse: the strictest wish, and of those the latest moment."""
    wish = min((refusal.wish for refusal in refusals), key=_STRICTEST.index)
    deciding = [refusal for refusal in refusals if refusal.wish is wish]
    # Nobody knows when a halt ends: who else defers is asked again then.
    deciding = [refusal for refusal in deciding if refusal.halt is not None] or deciding
    never = [refusal for refusal in deciding if refusal.until is None]
    binding = never[0] if never else max(deciding, key=lambda each: each.until or view.time.origin)
    until = binding.until
    reason = binding.reason
    verdict, outcome, hold_until, queue = Verdict.SKIP, None, None, None
    if wish is WhenFull.SKIP:
        outcome = Outcome.CAPPED
    elif wish is WhenFull.DEFER:
        deadline = view.time.at(intent.deadline_at) if intent.deadline_at is not None else None
        if binding.halt is not None:
            # Somebody may let it go on sooner; at the latest it is looked at when it expires.
            verdict, hold_until = Verdict.HOLD, until
        elif until is None:
            outcome = Outcome.CAPPED
        elif not may_wait_until(intent, until, deadline):
            reason, outcome = "budget.too_late", Outcome.CAPPED
        else:
            verdict, hold_until = Verdict.HOLD, until
            spending = binding.spending
            if not spending.goes_first:
                queue = Queue(spending.budget.id, spending.share, spending.cost)
    return Answer(
        verdict,
        stage,
        reason,
        channel=channel,
        evidence={**_evidence(binding, wish, refusals), **worth_told(intent, view, now.journey)},
        would_pass_if=_would_pass_if(binding),
        hold_until=hold_until,
        outcome=outcome,
        queue=queue,
    )


def _halted(spending: Spending, book: Book | None, view: View, now: datetime) -> Refusal | None:
    """Why nothing is spent of the share; it is asked again whenever more is known of its return."""
    budget = spending.budget
    halt = view.halts.get(budget.id, {}).get(spending.share)
    if halt is None or budget.returns is None:
        return None
    return Refusal("budget.halted", next_judged_at(budget, now), spending, book, halt)


def _held(spending: Spending, book: Book | None, view: View) -> int:
    """What the intent has of it already, if that is of the same share and window."""
    paid = view.paid.get(spending.budget.id)
    if paid is None or book is None or (paid.share, paid.starts) != (spending.share, book.starts):
        return 0
    return paid.amount


def _would_pass_if(refusal: Refusal) -> str:
    budget = refusal.spending.budget
    if refusal.halt is not None and budget.returns is not None:
        by_itself = (
            f"its return varied by no more than {float(budget.returns.stable_below):.1%}, or "
            if refusal.halt.by == RULE
            else ""
        )
        return f"{by_itself}somebody let {budget.id} go on: share {refusal.spending.share}"
    if refusal.until is None:
        return f"{budget.id} had more, or were open longer"
    return f"it is tried at {refusal.until.isoformat()}, or {budget.id} allows more"


def _evidence(refusal: Refusal, wish: WhenFull, refusals: list[Refusal]) -> dict[str, Any]:
    spending, book = refusal.spending, refusal.book
    budget = spending.budget
    found: dict[str, Any] = {
        "budget": budget.id,
        "cost": told(budget, spending.cost),
        "limit": told(budget, budget.limit),
        "wish": wish.value,
        "refused_by": sorted(each.spending.budget.id for each in refusals),
        "place": f"{budget.file}:{budget.line}" if budget.file else "",
    }
    if refusal.halt is not None and budget.returns is not None:
        found |= halt_told(budget.returns, refusal.halt)
    if refusal.until is not None:
        found["until"] = refusal.until.isoformat()
    if book is not None:
        purse = book.purses[spending.share]
        found |= {
            "spent": told(budget, book.committed),
            "window": [book.starts.isoformat(), book.ends.isoformat()],
        }
        if budget.shares or refusal.halt is not None:
            found |= {
                "share": spending.share,
                "share_of": told(budget, purse.allocated),
                "share_spent": told(budget, purse.committed),
            }
        found["allowed_now"] = told(budget, allowance(budget, book, spending.share))
    return found
