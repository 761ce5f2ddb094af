"""The gate's memory in SQL: every call is one short transaction.

Rows are locked in one order everywhere: contact, control, breaker, run, intent.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, insert, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.contacts.consent import consent_records
from engine.contacts.suppressing import suppress_address
from engine.delivery.breakers import give_back_probes, take_probes, watch_after
from engine.delivery.gate_rules import gate_rules
from engine.delivery.intents import (
    IntentState,
    apply_aftermath,
    apply_answer,
    bounded,
    due,
    intent_of,
    is_workable,
    move,
    plan,
    release_places,
)
from engine.delivery.measuring import count_attempt, count_decision
from engine.delivery.places import confirm_places, take_places
from engine.delivery.progress import Progress, lock_progress, read_whole, save_lease, save_progress
from engine.delivery.recording import lock_run, record_decision, tell_run
from engine.delivery.viewing import (
    Situation,
    lock_standing,
    published,
    read_places,
    read_situation,
    read_view,
)
from engine.errors import NotFound
from engine.gate.judging import confirm
from engine.gate.model import Answer, Intent, Outcome, Verdict
from engine.gate.stages import KILL_SCOPE, check_hand_over, lets_through
from engine.gate.state import Aftermath, Attempt, Claim, LeaseLost, Moment, Passage
from engine.store.bulk import table_of
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import AttemptRow, BreakerRow, ContactRow, IntentRow

# Built once: putting a statement together costs as much as running it.
_INSERT_ATTEMPT = insert(table_of(AttemptRow))
_CONTACT = table_of(ContactRow)
_DATE_LAST_SEND = (
    update(_CONTACT).where(_CONTACT.c.id == bindparam("contact_id")).values(last_send_at=bindparam("moment"))
)

_PROCESS = secrets.token_hex(4)


class SqlGateState:
    """`GateState` over the store; `lease` has to outlast the slowest plugin call."""

    def __init__(self, store: Store, shelf: BundleShelf, *, lease: timedelta) -> None:
        self._store = store
        self._shelf = shelf
        self._lease = lease

    def bundle(self, bundle_hash: str) -> Bundle:
        """The bundle with this hash; NotFound when it was never published here."""
        with self._store.read() as session:
            return self._shelf.get(session, bundle_hash)

    # Taking intents up

    def plan(self, session: Session, intent: Intent, contact: ContactRow, at: datetime) -> Claim | None:
        """Write the wish down in the caller's transaction, which holds the contact, and claim it at once.

        None when its key is there already. The claim is worth something once the transaction is committed.
        """
        lease = _new_lease()
        written = plan(session, intent, now=at, lease=lease)
        if written is None:
            return None
        situation = read_situation(session)
        bundle = self._live(session, situation)
        rules = gate_rules(bundle)
        written = bounded(written, rules)
        view = read_view(session, written, situation, bundle, rules, at, contact=contact, was_tried=False)
        return Claim(written, view, lease)

    def claim(self, key: str, at: datetime) -> Claim | Outcome | None:
        with self._store.begin() as session:
            row = read_whole(session, key, lock=True)
            if row is None:
                return None
            if row.outcome is not None:
                return Outcome(row.outcome)
            situation = read_situation(session)
            if not is_workable(row, at, situation.time.at(at)):
                return None
            lease = self._take(session, key, at)
            return self._claimed(session, row, lease, situation, at)

    def outcome_of(self, key: str) -> Outcome | None:
        """How the intent ended; None while it has not, and for one that does not exist."""
        with self._store.read() as session:
            row = read_whole(session, key, lock=False)
            return Outcome(row.outcome) if row is not None and row.outcome is not None else None

    def claim_due(self, limit: int, at: datetime) -> list[tuple[str, str]]:
        """Up to `limit` intents that are due, most important first, as (key, lease) for `resume`."""
        with self._store.begin() as session:
            journey_now = read_situation(session).time.at(at)
            query = (
                select(col(IntentRow.key))
                .where(due(at, journey_now))
                .order_by(col(IntentRow.priority).desc(), col(IntentRow.created_at), col(IntentRow.key))
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            return [(key, self._take(session, key, at)) for key in session.scalars(query).all()]

    def has_due(self, at: datetime) -> bool:
        """Whether `claim_due` would find anything; reads only."""
        with self._store.read() as session:
            journey_now = read_situation(session).time.at(at)
            return (
                session.scalars(select(col(IntentRow.key)).where(due(at, journey_now)).limit(1)).first()
                is not None
            )

    def resume(self, key: str, lease: str, at: datetime) -> Claim:
        """The claim behind a lease that is already taken."""
        with self._store.read() as session:
            row = read_whole(session, key, lock=False)
            if row is None or row.lease_owner != lease:
                raise LeaseLost(key)
            return self._claimed(session, row, lease, read_situation(session), at)

    def renew(self, claim: Claim, at: datetime) -> Claim:
        key = claim.intent.key
        with self._store.begin() as session:
            row = read_whole(session, key, lock=True)
            if row is None or row.lease_owner != claim.lease:
                raise LeaseLost(key)
            save_lease(session, key, claim.lease, at + self._lease)
            return self._claimed(session, row, claim.lease, read_situation(session), at)

    def give_up_reservations(self, limit: int, at: datetime) -> int:
        """Plan again what was reserved by someone whose lease ran out; nothing was handed over. How many."""
        with self._store.begin() as session:
            rows = list(session.scalars(_left_lying(IntentState.RESERVED, at, limit)))
            for row in rows:
                move(row, IntentState.PLANNED)
                row.lease_owner = row.lease_until = None
                row.updated_at = at
            release_places(session, [row.key for row in rows])
            return len(rows)

    def claim_in_doubt(self, limit: int, at: datetime) -> list[tuple[str, str]]:
        """Hand-overs without a recorded result whose lease ran out, as (key, lease)."""
        with self._store.begin() as session:
            rows = list(session.scalars(_left_lying(IntentState.HANDED_OVER, at, limit)))
            return [(row.key, self._take(session, row.key, at)) for row in rows]

    def has_left_lying(self, at: datetime) -> bool:
        """Whether anything reserved or handed over is past its lease; reads only."""
        with self._store.read() as session:
            for state in (IntentState.RESERVED, IntentState.HANDED_OVER):
                if session.scalars(_left_lying(state, at, 1, lock=False)).first() is not None:
                    return True
            return False

    # On the way

    def reserve(self, claim: Claim, passage: Passage, now: Moment) -> Answer | Passage:
        intent, rules = claim.intent, claim.view.rules
        with self._store.begin() as session:
            view = replace(
                claim.view,
                standing=lock_standing(session, intent.contact_id),
                consents=tuple(consent_records(session, intent.contact_id)),
                places=read_places(session, intent, rules, now),
            )
            answer = confirm(intent, view, now, passage.channel)
            if answer.verdict is not Verdict.ALLOW:
                return answer
            taken = take_probes(session, claim, passage.channel, now)
            if isinstance(taken, Answer):
                return taken
            progress = _owned(session, claim)
            lease_until = now.delivery + self._lease
            is_first = progress.channel is None
            take_places(session, intent, view, passage.channel, now, lease_until, is_first=is_first)
            move(progress, IntentState.RESERVED)
            progress.channel = passage.channel
            progress.content_hash = passage.content_hash
            progress.lease_until = lease_until
            _save(session, intent, progress, now)
            return replace(passage, probes=taken)

    def hand_over(self, claim: Claim, passage: Passage, now: Moment) -> Answer | None:
        intent = claim.intent
        with self._store.begin() as session:
            standing = lock_standing(session, intent.contact_id)
            situation = read_situation(session, share=True)
            progress = _owned(session, claim)
            view = replace(
                claim.view,
                standing=standing,
                kill_reason=situation.kill_reason,
                breakers=situation.breakers,
            )
            answer = check_hand_over(intent, view, now, passage)
            if answer.verdict is not Verdict.ALLOW:
                return answer
            is_first = progress.state != IntentState.HANDED_OVER
            move(progress, IntentState.HANDED_OVER)
            progress.attempts += 1
            progress.lease_until = now.delivery + self._lease
            if is_first:
                progress.handed_over_at = now.journey
                confirm_places(session, intent.key, now.journey)
                moment = {"contact_id": intent.contact_id, "moment": now.journey}
                session.execute(_DATE_LAST_SEND, moment)
            _save(session, intent, progress, now)
            return None

    def settle(
        self, claim: Claim, attempt: Attempt | None, aftermath: Aftermath, now: Moment, *, carried: bool
    ) -> Outcome | None:
        intent, rules = claim.intent, claim.view.rules
        with self._store.begin() as session:
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
                watch_after(session, self._shelf.live(session).breakers, attempt, now.delivery)
            return aftermath.outcome

    def conclude(
        self, claim: Claim, answer: Answer, now: Moment, *, passage: Passage | None, carried: bool
    ) -> Outcome | None:
        intent = claim.intent
        with self._store.begin() as session:
            is_over = answer.verdict is Verdict.HOLD and _scope_is_over(session, intent, answer.hold_scope)
            if passage is not None:
                give_back_probes(session, passage.probes)
            run = lock_run(session, None if carried or answer.outcome is None else intent.run_id)
            progress = _owned(session, claim)
            release_places(session, [intent.key])
            _note(session, claim, progress, answer, now)
            outcome = apply_answer(progress, answer, claim)
            if is_over:
                progress.wake_at = now.journey
            _save(session, intent, progress, now)
            if outcome is not None:
                tell_run(session, run, intent.key, now.delivery)
            return outcome

    # Inside

    def _take(self, session: Session, key: str, at: datetime) -> str:
        """Lease the intent, whose row is locked, to this caller alone; the lease's name."""
        lease = _new_lease()
        save_lease(session, key, lease, at + self._lease)
        return lease

    def _claimed(self, session: Session, row: Any, lease: str, situation: Situation, at: datetime) -> Claim:
        """The claim of an intent whose whole row was read."""
        bundle = self._live(session, situation)
        rules = gate_rules(bundle)
        intent = intent_of(row, rules)
        return Claim(
            intent=intent,
            view=read_view(session, intent, situation, bundle, rules, at, was_tried=row.attempts > 0),
            lease=lease,
            attempts=row.attempts,
            in_doubt_on=row.channel if row.state == IntentState.HANDED_OVER else None,
        )

    def _live(self, session: Session, situation: Situation) -> Bundle:
        if situation.live_bundle is None:
            raise NotFound("no bundle is published; run `wayline publish`")
        return self._shelf.get(session, situation.live_bundle)


def _new_lease() -> str:
    return f"{_PROCESS}-{secrets.token_hex(6)}"


def _owned(session: Session, claim: Claim) -> Progress:
    progress = lock_progress(session, claim.intent.key)
    if progress is None or progress.lease_owner != claim.lease:
        raise LeaseLost(claim.intent.key)
    return progress


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


def _left_lying(state: IntentState, at: datetime, limit: int, *, lock: bool = True) -> Select[IntentRow]:
    query = (
        select(IntentRow)
        .where(col(IntentRow.state) == state.value, col(IntentRow.lease_until) <= at)
        .order_by(col(IntentRow.key))
        .limit(limit)
    )
    return query.with_for_update(skip_locked=True) if lock else query


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
    session.execute(_INSERT_ATTEMPT, [values])
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
