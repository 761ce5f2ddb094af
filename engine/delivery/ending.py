"""The end of a passage inside a transaction: what an attempt made of the intent, or the no that stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.changing import frozen
from engine.contacts.suppressing import suppress_address
from engine.delivery.breakers import give_back_probes, watch_after
from engine.delivery.budgets import lining_up
from engine.delivery.by_hand import open_task
from engine.delivery.intents import (
    IntentState,
    apply_aftermath,
    apply_answer,
    move,
    release_places,
    waits_in_line,
)
from engine.delivery.measuring import count_attempt, count_decision
from engine.delivery.progress import (
    Progress,
    lock_progress,
    lock_progress_of,
    owned_progress,
    save_progress,
    save_progress_of,
)
from engine.delivery.receipts import hear_early
from engine.delivery.recording import (
    decision_of,
    lock_run,
    lock_runs,
    record_decision,
    tell_run,
    tell_runs,
)
from engine.delivery.reviews import read_reviews
from engine.delivery.viewing import published, read_situation
from engine.gate.model import Answer, Intent, Outcome, Verdict
from engine.gate.reviewing import review_hashes
from engine.gate.stages import KILL_SCOPE, is_of_plan, lets_through
from engine.gate.state import Aftermath, Attempt, Claim, Moment, Passage
from engine.store.bulk import insert_rows, table_of
from engine.store.bundles import BundleShelf
from engine.store.prepared import Prepared
from engine.store.tables import AttemptRow, BreakerRow, DecisionRow

# Built once: putting a statement together costs as much as running it.
_INSERT_ATTEMPT = Prepared(insert(table_of(AttemptRow)))


def settle(
    session: Session,
    shelf: BundleShelf,
    claim: Claim,
    attempt: Attempt | None,
    aftermath: Aftermath,
    now: Moment,
    *,
    carried: bool,
    secret: str | None = None,
) -> Progress | None:
    """`GateState.settle` in the caller's transaction; how far the intent has come then.

    `secret` keys the list of closed addresses that outlives contacts, for what receipts said before.
    """
    intent, rules = claim.intent, claim.view.rules
    run = lock_run(session, None if carried or aftermath.outcome is None else intent.run_id)
    progress = lock_progress(session, intent.key)
    if progress is None or progress.lease_owner != claim.lease:
        return _settle_late(session, shelf, claim, progress, attempt, aftermath, now, secret)
    if attempt is not None:
        _record_attempt(session, intent, attempt, now)
        open_task(session, claim, attempt, now)
        if attempt.suppress_address is not None:
            platform = rules.platforms[attempt.channel]
            suppress_address(session, platform, attempt.suppress_address, "hard_bounce")
        progress.provider_id = attempt.provider_id or progress.provider_id
    apply_aftermath(progress, aftermath, intent, now)
    if not aftermath.keeps_places:
        release_places(session, [intent.key])
    if aftermath.answer is not None:
        _note(session, claim, progress, aftermath.answer, now)
    _save(session, intent, progress, now)
    if aftermath.outcome is not None:
        tell_run(session, run, intent.key, now.delivery)
    if attempt is not None and attempt.provider_id is not None:
        hear_early(session, shelf, {intent.key: progress}, rules.platforms, secret, now)
    # An acceptance moves a breaker only while it probes or ramps.
    if attempt is not None and (attempt.result != "accepted" or claim.view.breakers):
        watch_after(session, shelf.live(session), intent, attempt, now.delivery)
    return progress


@frozen
class Ended:
    """An attempt, and what it makes of its intent."""

    claim: Claim
    attempt: Attempt
    aftermath: Aftermath
    now: Moment
    carried: bool

    @property
    def is_plain(self) -> bool:
        """Whether a provider took it and nobody else is touched: no breaker, address, place or person."""
        is_taken = self.aftermath.state == IntentState.ACCEPTED and self.attempt.result == "accepted"
        is_alone = self.attempt.task is None and not self.claim.view.breakers
        return is_taken and is_alone and self.aftermath.keeps_places

    @property
    def run_id(self) -> str | None:
        """The run that is to hear of it."""
        return None if self.carried else self.claim.intent.run_id


def settle_together(
    session: Session, shelf: BundleShelf, many: Sequence[Ended], secret: str | None = None
) -> list[Progress | None]:
    """`settle` for many that are plain, in the caller's transaction: the same rows in a few statements."""
    if not many:
        return []
    runs = lock_runs(session, [each.run_id for each in many if each.run_id is not None])
    found = lock_progress_of(session, [each.claim.intent.key for each in many])
    settled, attempts, decisions, told = {}, [], [], []
    ended: list[Progress | None] = []
    for each in many:
        claim, intent, now = each.claim, each.claim.intent, each.now
        progress = found.get(intent.key)
        if progress is None or progress.lease_owner != claim.lease:
            late = _settle_late(session, shelf, claim, progress, each.attempt, each.aftermath, now, secret)
            ended.append(late)
            continue
        attempts.append(_attempt_row(intent, each.attempt, now))
        count_attempt(each.attempt)
        progress.provider_id = each.attempt.provider_id or progress.provider_id
        apply_aftermath(progress, each.aftermath, intent, now)
        answer = each.aftermath.answer
        if answer is not None:
            progress.reason = answer.reason
            count_decision(answer)
            decisions.append(
                decision_of(_as_of_now(intent, progress), answer, now.journey, claim.view.rules.version)
            )
        progress.updated_at = now.delivery
        settled[intent.key] = progress
        if each.run_id is not None and each.run_id in runs:
            told.append((runs[each.run_id], intent.key))
        ended.append(progress)
    insert_rows(session, AttemptRow, attempts)
    insert_rows(session, DecisionRow, decisions)
    save_progress_of(session, settled)
    tell_runs(session, told, many[0].now.delivery)
    if settled:
        hear_early(session, shelf, settled, many[0].claim.view.rules.platforms, secret, many[0].now)
    return ended


def conclude(
    session: Session, claim: Claim, answer: Answer, now: Moment, *, passage: Passage | None, carried: bool
) -> Progress:
    """`GateState.conclude` in the caller's transaction; how far the intent has come then."""
    intent = claim.intent
    is_over = answer.verdict is Verdict.HOLD and _scope_is_over(session, claim, answer.hold_scope)
    if passage is not None:
        give_back_probes(session, passage.probes)
    run = lock_run(session, None if carried or answer.outcome is None else intent.run_id)
    progress = owned_progress(session, claim)
    waiting = None
    if answer.queue is not None and not waits_in_line(progress.reason):
        waiting = lining_up(claim.view.rules, answer.queue, intent.key, now.journey)
    if progress.channel is not None or waiting is not None:  # none without a channel has ever had a place
        release_places(session, [intent.key], waiting)
    _note(session, claim, progress, answer, now)
    outcome = apply_answer(progress, answer, claim, now)
    if is_over:
        progress.wake_at = now.journey
    _save(session, intent, progress, now)
    if outcome is not None:
        tell_run(session, run, intent.key, now.delivery)
    return progress


def _save(session: Session, intent: Intent, progress: Progress, now: Moment) -> None:
    progress.updated_at = now.delivery
    save_progress(session, intent.key, progress)


def _scope_is_over(session: Session, claim: Claim, scope: str | None) -> bool:
    """Whether what holds the intent has just ended; nobody can end it before this transaction does.

    Without this a hold could be written right after everything held in its scope was woken.
    """
    if scope is None:
        return False
    if scope == KILL_SCOPE:
        return read_situation(session, share=True).kill_reason is None
    if is_of_plan(scope):
        # A plan that is on or off is another bundle.
        return read_situation(session, share=True).live_bundle != claim.view.rules.version
    texts = review_hashes(scope)
    if texts:
        # Nobody decides over a text while this transaction shares the control row.
        if read_situation(session, share=True).live_bundle != claim.view.rules.version:
            return True
        said, known = read_reviews(session, claim.intent, claim.view.rules), claim.view.reviewed or {}
        if any(said.get(each) != known.get(each) for each in texts):
            return True
    scopes = [each.removeprefix("breaker:") for each in scope.split() if each.startswith("breaker:")]
    if not scopes:
        return False
    query = (
        select(BreakerRow)
        .where(col(BreakerRow.scope).in_(scopes))
        .order_by(col(BreakerRow.breaker_id), col(BreakerRow.scope))
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    )
    stopped = {
        row.scope for row in session.scalars(query) if not lets_through(published(row), claim.intent.key)
    }
    return any(each not in stopped for each in scopes)


def _note(session: Session, claim: Claim, progress: Progress, answer: Answer, now: Moment) -> None:
    progress.reason = answer.reason
    count_decision(answer)
    intent = _as_of_now(claim.intent, progress)
    record_decision(session, intent, answer, now.journey, claim.view.rules.version)


def _as_of_now(intent: Intent, progress: Progress) -> Intent:
    """The intent of whom its contact has become part of meanwhile."""
    if intent.contact_id == progress.contact_id:
        return intent
    return replace(intent, contact_id=progress.contact_id)


def _record_attempt(session: Session, intent: Intent, attempt: Attempt, now: Moment) -> None:
    _INSERT_ATTEMPT.run(session, _attempt_row(intent, attempt, now))
    count_attempt(attempt)


def _attempt_row(intent: Intent, attempt: Attempt, now: Moment) -> dict[str, Any]:
    return {
        "intent_key": intent.key,
        "channel": attempt.channel,
        "journey": intent.journey,
        "content": intent.content,
        "at": now.delivery,
        "result": attempt.result,
        "code": attempt.code,
        "probe": attempt.is_probe,
    }


def _settle_late(
    session: Session,
    shelf: BundleShelf,
    claim: Claim,
    progress: Progress | None,
    attempt: Attempt | None,
    aftermath: Aftermath,
    now: Moment,
    secret: str | None,
) -> Progress | None:
    """What a caller still learns that lost its lease: an acceptance settles what was unknown."""
    if progress is None or attempt is None:
        # Nothing came of it that anybody could go on from.
        return None
    _record_attempt(session, claim.intent, attempt, now)
    if (
        progress.state == IntentState.UNKNOWN
        and aftermath.answer is not None
        and attempt.result == "accepted"
    ):
        move(progress, IntentState.ACCEPTED)
        open_task(session, claim, attempt, now)
        progress.provider_id = attempt.provider_id
        progress.outcome = Outcome.SENT.value
        _note(session, claim, progress, aftermath.answer, now)
    elif progress.outcome == Outcome.SENT.value and progress.provider_id is None:
        # A receipt was quicker; the next may know the message by this id alone.
        progress.provider_id = attempt.provider_id
    else:
        return progress
    save_progress(session, claim.intent.key, progress)
    hear_early(session, shelf, {claim.intent.key: progress}, claim.view.rules.platforms, secret, now)
    return progress
