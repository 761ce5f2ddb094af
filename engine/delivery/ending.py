"""The end of a passage inside a transaction: what an attempt made of the intent, or the no that stands."""

from __future__ import annotations

from sqlalchemy import insert, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.contacts.suppressing import suppress_address
from engine.delivery.breakers import give_back_probes, watch_after
from engine.delivery.intents import IntentState, apply_aftermath, apply_answer, move, release_places
from engine.delivery.measuring import count_attempt, count_decision
from engine.delivery.progress import Progress, lock_progress, owned_progress, save_progress
from engine.delivery.recording import lock_run, record_decision, tell_run
from engine.delivery.viewing import published, read_situation
from engine.gate.model import Answer, Intent, Outcome, Verdict
from engine.gate.stages import KILL_SCOPE, lets_through
from engine.gate.state import Aftermath, Attempt, Claim, Moment, Passage
from engine.store.bulk import table_of
from engine.store.bundles import BundleShelf
from engine.store.prepared import Prepared
from engine.store.tables import AttemptRow, BreakerRow

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
) -> Outcome | None:
    """`GateState.settle` in the caller's transaction."""
    intent, rules = claim.intent, claim.view.rules
    run = lock_run(session, None if carried or aftermath.outcome is None else intent.run_id)
    progress = lock_progress(session, intent.key)
    if progress is None or progress.lease_owner != claim.lease:
        return _settle_late(session, claim, progress, attempt, aftermath, now)
    if attempt is not None:
        _record_attempt(session, intent, attempt, now)
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
    # An acceptance moves a breaker only while it probes or ramps.
    if attempt is not None and (attempt.result != "accepted" or claim.view.breakers):
        watch_after(session, shelf.live(session).breakers, attempt, now.delivery)
    return aftermath.outcome


def conclude(
    session: Session, claim: Claim, answer: Answer, now: Moment, *, passage: Passage | None, carried: bool
) -> Outcome | None:
    """`GateState.conclude` in the caller's transaction."""
    intent = claim.intent
    is_over = answer.verdict is Verdict.HOLD and _scope_is_over(session, intent, answer.hold_scope)
    if passage is not None:
        give_back_probes(session, passage.probes)
    run = lock_run(session, None if carried or answer.outcome is None else intent.run_id)
    progress = owned_progress(session, claim)
    if progress.channel is not None:  # no message without a channel has ever had a place
        release_places(session, [intent.key])
    _note(session, claim, progress, answer, now)
    outcome = apply_answer(progress, answer, claim)
    if is_over:
        progress.wake_at = now.journey
    _save(session, intent, progress, now)
    if outcome is not None:
        tell_run(session, run, intent.key, now.delivery)
    return outcome


def _save(session: Session, intent: Intent, progress: Progress, now: Moment) -> None:
    progress.updated_at = now.delivery
    save_progress(session, intent.key, progress)


def _scope_is_over(session: Session, intent: Intent, scope: str | None) -> bool:
    """Whether what holds the intent has just ended; nobody can end it before this transaction does.

    Without this a hold could be written right after everything held in its scope was woken.
    """
    if scope is None:
        return False
    if scope == KILL_SCOPE:
        return read_situation(session, share=True).kill_reason is None
    scopes = [each.removeprefix("breaker:") for each in scope.split()]
    query = (
        select(BreakerRow)
        .where(col(BreakerRow.scope).in_(scopes))
        .order_by(col(BreakerRow.breaker_id), col(BreakerRow.scope))
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    )
    stopped = {row.scope for row in session.scalars(query) if not lets_through(published(row), intent.key)}
    return any(each not in stopped for each in scopes)


def _note(session: Session, claim: Claim, progress: Progress, answer: Answer, now: Moment) -> None:
    progress.reason = answer.reason
    count_decision(answer)
    record_decision(session, claim.intent, answer, now.journey, claim.view.rules.version)


def _record_attempt(session: Session, intent: Intent, attempt: Attempt, now: Moment) -> None:
    values = {
        "intent_key": intent.key,
        "channel": attempt.channel,
        "journey": intent.journey,
        "content": intent.content,
        "at": now.delivery,
        "result": attempt.result,
        "code": attempt.code,
        "probe": attempt.is_probe,
    }
    _INSERT_ATTEMPT.run(session, values)
    count_attempt(attempt)


def _settle_late(
    session: Session,
    claim: Claim,
    progress: Progress | None,
    attempt: Attempt | None,
    aftermath: Aftermath,
    now: Moment,
) -> Outcome | None:
    """What a caller still learns that lost its lease: an acceptance settles what was unknown."""
    if progress is None or attempt is None:
        return None
    _record_attempt(session, claim.intent, attempt, now)
    if (
        progress.state == IntentState.UNKNOWN
        and aftermath.answer is not None
        and attempt.result == "accepted"
    ):
        move(progress, IntentState.ACCEPTED)
        progress.provider_id = attempt.provider_id
        progress.outcome = Outcome.SENT.value
        _note(session, claim, progress, aftermath.answer, now)
        save_progress(session, claim.intent.key, progress)
    return Outcome(progress.outcome) if progress.outcome is not None else None
