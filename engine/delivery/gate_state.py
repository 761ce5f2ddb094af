"""The gate's memory in SQL: every call is one short transaction.

Rows are locked in one order everywhere: contact, control, breaker, run, intent.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Select, bindparam, insert, select
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
    due,
    intent_of,
    is_workable,
    move,
    release_places,
)
from engine.delivery.places import confirm_places, take_places
from engine.delivery.recording import lock_run, record_decision, tell_run
from engine.delivery.viewing import (
    kill_reason_of,
    published,
    read_breakers,
    read_places,
    read_view,
    standing_of,
    time_of,
)
from engine.errors import NotFound
from engine.gate.judging import confirm
from engine.gate.model import Answer, Intent, Outcome, Verdict
from engine.gate.stages import KILL_SCOPE, check_hand_over, lets_through
from engine.gate.state import Aftermath, Attempt, Claim, GateRules, LeaseLost, Moment, Passage
from engine.store.bundles import BundleShelf
from engine.store.control import read_control
from engine.store.database import Store, lock_contacts
from engine.store.tables import AttemptRow, BreakerRow, ControlRow, IntentRow

# Built once: putting a statement together costs as much as running it.
_LOCK_INTENT = (
    select(IntentRow)
    .where(col(IntentRow.key) == bindparam("key"))
    .with_for_update()
    .execution_options(populate_existing=True)
)
_SHARE_CONTROL = select(ControlRow).with_for_update(read=True).execution_options(populate_existing=True)
_INSERT_ATTEMPT = insert(AttemptRow)

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

    def claim(self, key: str, at: datetime) -> Claim | Outcome | None:
        with self._store.begin() as session:
            row = _locked(session, key)
            if row is None:
                return None
            if row.outcome is not None:
                return Outcome(row.outcome)
            control = read_control(session)
            if not is_workable(row, at, time_of(control).at(at)):
                return None
            self._take(row, at)
            return self._claimed(session, row, control, at)

    def outcome_of(self, key: str) -> Outcome | None:
        """How the intent ended; None while it has not, and for one that does not exist."""
        with self._store.read() as session:
            row = session.get(IntentRow, key)
            return Outcome(row.outcome) if row is not None and row.outcome is not None else None

    def claim_due(self, limit: int, at: datetime) -> list[tuple[str, str]]:
        """Up to `limit` intents that are due, most important first, as (key, lease) for `resume`."""
        with self._store.begin() as session:
            journey_now = time_of(read_control(session)).at(at)
            query = (
                select(IntentRow)
                .where(due(at, journey_now))
                .order_by(col(IntentRow.priority).desc(), col(IntentRow.created_at), col(IntentRow.key))
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            return [(row.key, self._take(row, at)) for row in session.scalars(query)]

    def has_due(self, at: datetime) -> bool:
        """Whether `claim_due` would find anything; reads only."""
        with self._store.read() as session:
            journey_now = time_of(read_control(session)).at(at)
            return (
                session.scalars(select(col(IntentRow.key)).where(due(at, journey_now)).limit(1)).first()
                is not None
            )

    def resume(self, key: str, lease: str, at: datetime) -> Claim:
        """The claim behind a lease that is already taken."""
        with self._store.read() as session:
            row = session.get(IntentRow, key)
            if row is None or row.lease_owner != lease:
                raise LeaseLost(key)
            return self._claimed(session, row, read_control(session), at)

    def renew(self, claim: Claim, at: datetime) -> Claim:
        with self._store.begin() as session:
            row = _owned(session, claim)
            row.lease_until = at + self._lease
            return self._claimed(session, row, read_control(session), at)

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
            rows = session.scalars(_left_lying(IntentState.HANDED_OVER, at, limit))
            return [(row.key, self._take(row, at)) for row in rows]

    def has_left_lying(self, at: datetime) -> bool:
        """Whether anything reserved or handed over is past its lease; reads only."""
        with self._store.read() as session:
            for state in (IntentState.RESERVED, IntentState.HANDED_OVER):
                if session.scalars(_left_lying(state, at, 1, lock=False)).first() is not None:
                    return True
            return False

    # On the way

    def reserve(self, claim: Claim, passage: Passage, now: Moment) -> Answer | Passage:
        with self._store.begin() as session:
            contact = lock_contacts(session, [claim.intent.contact_id]).get(claim.intent.contact_id)
            rules = claim.view.rules
            view = replace(
                claim.view,
                standing=standing_of(contact),
                consents=tuple(consent_records(session, claim.intent.contact_id)),
                places=read_places(session, claim.intent, rules, now),
            )
            answer = confirm(claim.intent, view, now, passage.channel)
            if answer.verdict is not Verdict.ALLOW:
                return answer
            taken = take_probes(session, claim, passage.channel, now)
            if isinstance(taken, Answer):
                return taken
            row = _owned(session, claim)
            lease_until = now.delivery + self._lease
            is_first = row.channel is None
            take_places(session, claim.intent, view, passage.channel, now, lease_until, is_first=is_first)
            move(row, IntentState.RESERVED)
            row.channel = passage.channel
            row.content_hash = passage.content_hash
            row.lease_until = lease_until
            row.updated_at = now.delivery
            return replace(passage, probes=taken)

    def hand_over(self, claim: Claim, passage: Passage, now: Moment) -> Answer | None:
        with self._store.begin() as session:
            contact = lock_contacts(session, [claim.intent.contact_id]).get(claim.intent.contact_id)
            control = _shared_control(session)
            row = _owned(session, claim)
            view = replace(
                claim.view,
                standing=standing_of(contact),
                kill_reason=kill_reason_of(control),
                breakers=read_breakers(session),
            )
            answer = check_hand_over(claim.intent, view, now, passage)
            if answer.verdict is not Verdict.ALLOW:
                return answer
            is_first = row.state != IntentState.HANDED_OVER
            move(row, IntentState.HANDED_OVER)
            row.attempts += 1
            row.lease_until = now.delivery + self._lease
            row.updated_at = now.delivery
            if is_first:
                row.handed_over_at = now.journey
                confirm_places(session, row.key, now.journey)
                if contact is not None:
                    contact.last_send_at = now.journey
            return None

    def settle(
        self, claim: Claim, attempt: Attempt | None, aftermath: Aftermath, now: Moment, *, carried: bool
    ) -> Outcome | None:
        with self._store.begin() as session:
            run = lock_run(session, None if carried or aftermath.outcome is None else claim.intent.run_id)
            row = _locked(session, claim.intent.key)
            if row is None or row.lease_owner != claim.lease:
                return _settle_late(session, row, attempt, aftermath, now, claim.view.rules)
            if attempt is not None:
                _record_attempt(session, row, attempt, now)
                if attempt.suppress_address is not None:
                    platform = claim.view.rules.platforms[attempt.channel]
                    suppress_address(session, platform, attempt.suppress_address, "hard_bounce")
                row.provider_id = attempt.provider_id or row.provider_id
            apply_aftermath(row, aftermath, claim.intent, now)
            row.updated_at = now.delivery
            if not aftermath.keeps_places:
                release_places(session, [row.key])
            if aftermath.answer is not None:
                _note(session, row, aftermath.answer, now, claim.view.rules)
            if aftermath.outcome is not None:
                tell_run(session, run, row.key, now.delivery)
            # An acceptance moves a breaker only while it probes or ramps.
            if attempt is not None and (attempt.result != "accepted" or claim.view.breakers):
                watch_after(session, self._shelf.live(session).breakers, attempt, now.delivery)
            return aftermath.outcome

    def conclude(
        self, claim: Claim, answer: Answer, now: Moment, *, passage: Passage | None, carried: bool
    ) -> Outcome | None:
        with self._store.begin() as session:
            is_over = answer.verdict is Verdict.HOLD and _scope_is_over(
                session, claim.intent, answer.hold_scope
            )
            if passage is not None:
                give_back_probes(session, passage.probes)
            run = lock_run(session, None if carried or answer.outcome is None else claim.intent.run_id)
            row = _owned(session, claim)
            release_places(session, [row.key])
            _note(session, row, answer, now, claim.view.rules)
            row.updated_at = now.delivery
            outcome = apply_answer(row, answer, claim)
            if is_over:
                row.wake_at = now.journey
            if outcome is not None:
                tell_run(session, run, row.key, now.delivery)
            return outcome

    # Inside

    def _take(self, row: IntentRow, at: datetime) -> str:
        """Lease the row to this caller alone; the lease's name."""
        row.lease_owner = f"{_PROCESS}-{secrets.token_hex(6)}"
        row.lease_until = at + self._lease
        return row.lease_owner

    def _claimed(self, session: Session, row: IntentRow, control: ControlRow, at: datetime) -> Claim:
        if control.live_bundle is None:
            raise NotFound("no bundle is published; run `wayline publish`")
        bundle = self._shelf.get(session, control.live_bundle)
        rules = gate_rules(bundle)
        intent = intent_of(row, rules)
        assert row.lease_owner is not None, "only leased rows are claimed"
        return Claim(
            intent=intent,
            view=read_view(session, intent, control, bundle, rules, at, was_tried=row.attempts > 0),
            lease=row.lease_owner,
            attempts=row.attempts,
            in_doubt_on=row.channel if row.state == IntentState.HANDED_OVER else None,
        )


def _locked(session: Session, key: str) -> IntentRow | None:
    return session.scalars(_LOCK_INTENT, {"key": key}).one_or_none()


def _owned(session: Session, claim: Claim) -> IntentRow:
    row = _locked(session, claim.intent.key)
    if row is None or row.lease_owner != claim.lease:
        raise LeaseLost(claim.intent.key)
    return row


def _shared_control(session: Session) -> ControlRow:
    """The control row, which nobody changes before this transaction ends: a kill comes before or after."""
    return session.scalars(_SHARE_CONTROL).one()


def _scope_is_over(session: Session, intent: Intent, scope: str | None) -> bool:
    """Whether what holds the intent has just ended; nobody can end it before this transaction does.

    Without this a hold could be written right after everything held in its scope was woken.
    """
    if scope is None:
        return False
    if scope == KILL_SCOPE:
        return _shared_control(session).killed_at is None
    query = (
        select(BreakerRow)
        .where(col(BreakerRow.scope) == scope.removeprefix("breaker:"))
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    )
    return all(lets_through(published(row), intent.key) for row in session.scalars(query))


def _left_lying(state: IntentState, at: datetime, limit: int, *, lock: bool = True) -> Select[IntentRow]:
    query = (
        select(IntentRow)
        .where(col(IntentRow.state) == state.value, col(IntentRow.lease_until) <= at)
        .order_by(col(IntentRow.key))
        .limit(limit)
    )
    return query.with_for_update(skip_locked=True) if lock else query


def _note(session: Session, row: IntentRow, answer: Answer, now: Moment, rules: GateRules) -> None:
    row.reason = answer.reason
    record_decision(session, row, answer, now.journey, rules.version)


def _record_attempt(session: Session, row: IntentRow, attempt: Attempt, now: Moment) -> None:
    values = {
        "intent_key": row.key,
        "channel": attempt.channel,
        "journey": row.journey,
        "content": row.content,
        "at": now.delivery,
        "result": attempt.result,
        "code": attempt.code,
        "probe": attempt.is_probe,
    }
    session.execute(_INSERT_ATTEMPT, [values])


def _settle_late(
    session: Session,
    row: IntentRow | None,
    attempt: Attempt | None,
    aftermath: Aftermath,
    now: Moment,
    rules: GateRules,
) -> Outcome | None:
    """What a caller still learns that lost its lease: an acceptance settles what was unknown."""
    if row is None or attempt is None:
        return None
    _record_attempt(session, row, attempt, now)
    if row.state == IntentState.UNKNOWN and aftermath.answer is not None and attempt.result == "accepted":
        move(row, IntentState.ACCEPTED)
        row.provider_id = attempt.provider_id
        row.outcome = Outcome.SENT.value
        _note(session, row, aftermath.answer, now, rules)
    return Outcome(row.outcome) if row.outcome is not None else None
