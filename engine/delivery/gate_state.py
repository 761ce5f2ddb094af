"""The gate's memory in SQL: every call is one short transaction.

Rows are locked in one order everywhere: contact, control, breaker, run, intent.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, bindparam, insert, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.contacts.profile import Profile
from engine.delivery import departing, ending
from engine.delivery.gate_rules import gate_rules
from engine.delivery.intents import (
    IntentState,
    bounded,
    due,
    intent_of,
    is_workable,
    move,
    plan_each,
    release_places,
)
from engine.delivery.pages import Taken
from engine.delivery.progress import outcome_in, read_whole, save_lease, save_leases
from engine.delivery.providers import Providers
from engine.delivery.viewing import Situation, read_situation, read_view, read_views
from engine.errors import NotFound
from engine.gate.model import Answer, Intent, Outcome
from engine.gate.state import Aftermath, Attempt, Claim, Departure, LeaseLost, Moment, Passage
from engine.store.bulk import table_of
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import AttemptRow, ContactRow, IntentRow

# Built once: putting a statement together costs as much as running it.
_INSERT_ATTEMPT = insert(table_of(AttemptRow))
_CONTACT = table_of(ContactRow)
_DATE_LAST_SEND = (
    update(_CONTACT).where(_CONTACT.c.id == bindparam("contact_id")).values(last_send_at=bindparam("moment"))
)

_PROCESS = secrets.token_hex(4)


class SqlGateState:
    """`GateState` over the store; `lease` has to outlast the slowest plugin call.

    `secret` keys the list of closed addresses that outlives contacts; without it there is none.
    """

    def __init__(
        self, store: Store, shelf: BundleShelf, *, lease: timedelta, secret: str | None = None
    ) -> None:
        self.store = store
        self.shelf = shelf
        self.lease = lease
        self.secret = secret
        self.providers = Providers(store)

    def bundle(self, bundle_hash: str) -> Bundle:
        """The bundle with this hash; NotFound when it was never published here."""
        with self.store.read() as session:
            return self.shelf.get(session, bundle_hash)

    # Taking intents up

    def plan_each(
        self, session: Session, wishes: Sequence[tuple[Intent, Profile]], at: datetime, situation: Situation
    ) -> list[Claim | None]:
        """Write wishes down in the caller's transaction, which holds their contacts, and claim them at once.

        In this order; None where a key is there already. The claims are worth something once the transaction
        is committed. No two of the contacts are the same, and `at` is delivery time.
        """
        leases = [_new_lease() for _ in wishes]
        planned = [(intent, lease) for (intent, _), lease in zip(wishes, leases, strict=True)]
        written = plan_each(session, planned, now=at)
        if not any(written):
            return [None for _ in wishes]
        bundle = self._live(session, situation)
        rules = gate_rules(bundle)
        asked = [
            (bounded(intent, rules), contact)
            for intent, (_, contact) in zip(written, wishes, strict=True)
            if intent is not None
        ]
        views = iter(read_views(session, self.shelf, asked, situation, bundle, rules, at, tried=()))
        return [
            None if intent is None else Claim(bounded(intent, rules), next(views), lease)
            for intent, lease in zip(written, leases, strict=True)
        ]

    def claim(self, key: str, at: datetime) -> Claim | Outcome | None:
        with self.store.begin() as session:
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
        with self.store.read() as session:
            row = read_whole(session, key, lock=False)
            return Outcome(row.outcome) if row is not None and row.outcome is not None else None

    def claim_due(self, limit: int, at: datetime) -> list[Taken]:
        """Up to `limit` intents that are due, most important first, leased to this caller."""
        with self.store.begin() as session:
            journey_now = read_situation(session).time.at(at)
            query = (
                select(col(IntentRow.key), col(IntentRow.contact_id))
                .where(due(at, journey_now))
                .order_by(col(IntentRow.value).desc(), col(IntentRow.created_at), col(IntentRow.key))
                .limit(limit)
                .with_for_update(skip_locked=True)
            )
            taken = [Taken(key, _new_lease(), whose) for key, whose in session.execute(query).all()]
            save_leases(session, [(each.key, each.lease) for each in taken], at + self.lease)
            return taken

    def has_due(self, at: datetime) -> bool:
        """Whether `claim_due` would find anything; reads only."""
        with self.store.read() as session:
            journey_now = read_situation(session).time.at(at)
            return (
                session.scalars(select(col(IntentRow.key)).where(due(at, journey_now)).limit(1)).first()
                is not None
            )

    def resume(self, key: str, lease: str, at: datetime) -> Claim:
        """The claim behind a lease that is already taken."""
        with self.store.read() as session:
            row = read_whole(session, key, lock=False)
            if row is None or row.lease_owner != lease:
                raise LeaseLost(key)
            return self._claimed(session, row, lease, read_situation(session), at)

    def renew(self, claim: Claim, at: datetime) -> Claim:
        key = claim.intent.key
        with self.store.begin() as session:
            row = read_whole(session, key, lock=True)
            if row is None or row.lease_owner != claim.lease:
                raise LeaseLost(key)
            save_lease(session, key, claim.lease, at + self.lease)
            return self._claimed(session, row, claim.lease, read_situation(session), at)

    def give_up_reservations(self, limit: int, at: datetime) -> int:
        """Plan again what was reserved by someone whose lease ran out; nothing was handed over. How many."""
        with self.store.begin() as session:
            rows = list(session.scalars(_left_lying(IntentState.RESERVED, at, limit)))
            for row in rows:
                move(row, IntentState.PLANNED)
                row.lease_owner = row.lease_until = None
                row.updated_at = at
            release_places(session, [row.key for row in rows])
            return len(rows)

    def claim_in_doubt(self, limit: int, at: datetime) -> list[tuple[str, str]]:
        """Hand-overs without a recorded result whose lease ran out, as (key, lease)."""
        with self.store.begin() as session:
            rows = list(session.scalars(_left_lying(IntentState.HANDED_OVER, at, limit)))
            return [(row.key, self._take(session, row.key, at)) for row in rows]

    def has_left_lying(self, at: datetime) -> bool:
        """Whether anything reserved or handed over is past its lease; reads only."""
        with self.store.read() as session:
            for state in (IntentState.RESERVED, IntentState.HANDED_OVER):
                if session.scalars(_left_lying(state, at, 1, lock=False)).first() is not None:
                    return True
            return False

    # On the way

    def has_leave(self, claim: Claim, channel: str, now: Moment) -> bool:
        return self.providers.has_leave(claim.view.rules.providers[channel], now)

    def admit(self, claim: Claim, channel: str, now: Moment) -> Answer | None:
        return self.providers.admit(claim.intent, claim.view.rules.providers[channel], channel, now)

    def note_answer(self, claim: Claim, attempt: Attempt, now: Moment) -> None:
        self.providers.note(claim.view.rules.providers[attempt.channel], attempt, now)

    def reserve(self, claim: Claim, passage: Passage, now: Moment) -> Answer | Passage:
        with self.store.begin() as session:
            return departing.reserve(session, self.shelf, claim, passage, now, self.lease)

    def hand_over(self, claim: Claim, passage: Passage, now: Moment) -> Answer | None:
        with self.store.begin() as session:
            return departing.hand_over(session, claim, passage, now, self.lease)

    def depart(self, claim: Claim, passage: Passage, now: Moment) -> Answer | Departure:
        with self.store.begin() as session:
            return departing.depart(session, self.shelf, claim, passage, now, self.lease)

    def settle(
        self, claim: Claim, attempt: Attempt | None, aftermath: Aftermath, now: Moment, *, carried: bool
    ) -> Outcome | None:
        with self.store.begin() as session:
            return outcome_in(
                ending.settle(
                    session,
                    self.shelf,
                    claim,
                    attempt,
                    aftermath,
                    now,
                    carried=carried,
                    secret=self.secret,
                )
            )

    def settle_together(self, many: Sequence[ending.Ended]) -> list[Outcome | None]:
        """`settle` of many plain ends in one transaction."""
        with self.store.begin() as session:
            ended = ending.settle_together(session, self.shelf, many, self.secret)
            return [outcome_in(each) for each in ended]

    def conclude(
        self, claim: Claim, answer: Answer, now: Moment, *, passage: Passage | None, carried: bool
    ) -> Outcome | None:
        with self.store.begin() as session:
            return outcome_in(ending.conclude(session, claim, answer, now, passage=passage, carried=carried))

    # Inside

    def _take(self, session: Session, key: str, at: datetime) -> str:
        """Lease the intent, whose row is locked, to this caller alone; the lease's name."""
        lease = _new_lease()
        save_lease(session, key, lease, at + self.lease)
        return lease

    def _claimed(self, session: Session, row: Any, lease: str, situation: Situation, at: datetime) -> Claim:
        """The claim of an intent whose whole row was read."""
        bundle = self._live(session, situation)
        rules = gate_rules(bundle)
        intent = intent_of(row, rules)
        return Claim(
            intent=intent,
            view=read_view(
                session, self.shelf, intent, situation, bundle, rules, at, was_tried=row.attempts > 0
            ),
            lease=lease,
            attempts=row.attempts,
            in_doubt_on=row.channel if row.state == IntentState.HANDED_OVER else None,
        )

    def _live(self, session: Session, situation: Situation) -> Bundle:
        if situation.live_bundle is None:
            raise NotFound("no bundle is published; run `wayline publish`")
        return self.shelf.get(session, situation.live_bundle)


def _new_lease() -> str:
    return f"{_PROCESS}-{secrets.token_hex(6)}"


def _left_lying(state: IntentState, at: datetime, limit: int, *, lock: bool = True) -> Select[IntentRow]:
    query = (
        select(IntentRow)
        .where(col(IntentRow.state) == state.value, col(IntentRow.lease_until) <= at)
        .order_by(col(IntentRow.key))
        .limit(limit)
    )
    return query.with_for_update(skip_locked=True) if lock else query
