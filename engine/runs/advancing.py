"""One transaction that moves a run: from the rows to a cause, through the interpreter, and back to the rows.

Locks are taken in the order contact, run, intent. Nothing here calls the world, and repeating it after a
crash at any point finds either the old rows (and does the same again) or the new ones (and nothing to do).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from engine.calls.rows import is_resting, looked_at_again
from engine.clock import Clocks, FixedClock, JourneyTime
from engine.contacts.profile import Profile
from engine.delivery.intents import IntentState
from engine.delivery.progress import Progress
from engine.delivery.setting_out import Wish
from engine.delivery.viewing import Situation
from engine.gate.state import Claim
from engine.journeys.event import event_facts
from engine.journeys.lanes import lane_of
from engine.journeys.migrating import SAFE
from engine.journeys.run import (
    CallEnded,
    Cause,
    EventSeen,
    OutcomeKnown,
    RunState,
    SentOn,
    Started,
    TaskDecided,
    TimerDue,
    Waiting,
    WaitKind,
)
from engine.runs.keys import asked_by, called_by, wished_by
from engine.runs.leasing import LEASE
from engine.runs.locking import Locked, lock_run, save, save_each
from engine.runs.migrating import Migrating
from engine.runs.moving import EntryEvents, Move, Moved
from engine.runs.starting import Door, start_journeys
from engine.runs.states import LockedRun, state_of
from engine.runs.tasks import answer_to
from engine.runs.telling import Notes
from engine.runs.waiting import heard_event, read_event
from engine.store.bulk import table_of
from engine.store.bundles import BundleShelf
from engine.store.in_flight import orders_of
from engine.store.prepared import Prepared
from engine.store.tables import CallRow, IntentRow


@dataclass(frozen=True)
class Carried:
    """Where a run stands after it was carried as far as it goes now."""

    revision: int
    status: str
    """active | ended"""
    waiting: str
    """timer | event | outcome | task | call | ready | ended"""
    due_at: datetime | None = None
    """Journey time at which its wait ends by itself."""
    due_real: datetime | None = None
    """Delivery time at which to look at the run again if nobody has said anything about it before."""
    position: str | None = None
    outcome: str | None = None
    """How it ended: completed | goal | left | stopped | cancelled | failed"""
    intent_key: str | None = None
    """The message whose outcome it waits for."""
    call_key: str | None = None
    """The call for whose end it waits."""
    claim: Claim | None = None
    """That message, when it was wished just now and nobody but this caller may deliver it."""
    started: tuple[str, ...] = ()
    """Runs that it has let the contact into, to be carried after the commit; leased to this process."""


@dataclass(frozen=True)
class _Found:
    """A cause, and since when the run has been where the cause takes it."""

    cause: Cause
    since_seq: int
    after: datetime | None = None


@dataclass(frozen=True)
class Asked:
    """A run that is to be moved; its rows are locked, and the control row is shared."""

    locked: Locked
    durable: bool
    """Whether its workflow asks; for anybody else it is told when its run has moved."""
    message: tuple[str, Progress] | None = None
    """A key and how far that message has come, when the transaction knows it."""


@dataclass(frozen=True)
class _Step:
    """One run moved, and nothing written of its row yet."""

    contact: Profile
    row: LockedRun
    situation: Situation
    clocks: Clocks
    moved: Moved
    durable: bool


class Plans(Protocol):
    """Writes wishes down and claims them; `engine.delivery.service.Delivery` does it."""

    def plan_each(
        self, session: Session, wishes: Sequence[Wish], now: datetime, situation: Situation
    ) -> list[Claim | None]: ...


class Advancing:
    """Moves runs in its callers' transactions; shared by the threads of a process."""

    def __init__(self, shelf: BundleShelf, owner: str, delivery: Plans) -> None:
        self._shelf = shelf
        self._delivery = delivery
        self._owner = owner
        self._migrating = Migrating(shelf)
        self._events = EntryEvents()
        self.door: Door | None = None

    def advance(self, session: Session, run_id: str, real_now: datetime, *, durable: bool) -> Carried:
        """Move the run if anything has happened to it; where it stands now. UnknownRun if there is none.

        `durable` as in `Asked`.
        """
        locked = lock_run(session, run_id, share=True)
        return self.advance_each(session, [Asked(locked, durable)], real_now)[0]

    def advance_each(self, session: Session, asked: Sequence[Asked], real_now: datetime) -> list[Carried]:
        """`advance` for runs of different contacts, in this order; what is written of them, together."""
        notes = Notes()
        found = [self._move(session, each, real_now, notes) for each in asked]
        steps = [each for each in found if isinstance(each, _Step)]
        claims = self._plan(session, steps, real_now)
        self._store(session, steps, notes)
        notes.write(session)
        return [
            self._went(session, each, claims.get(each.row.id)) if isinstance(each, _Step) else each
            for each in found
        ]

    def goes_alone(self, session: Session, locked: Locked) -> bool:
        """Whether a run may hold what runs of other contacts want as well, as long as it is moved."""
        _, row, situation = locked
        if row.status != "active":
            return False
        program = self._shelf.get(session, row.bundle_hash).programs[row.journey]
        return row.journey in situation.in_flight or program.holds_what_others_want

    def _move(self, session: Session, asked: Asked, real_now: datetime, notes: Notes) -> _Step | Carried:
        contact, row, situation = asked.locked
        durable, message = asked.durable, asked.message
        clocks = Clocks(FixedClock(real_now), situation.time)
        if row.status != "active":
            return _standing(row, clocks)
        if durable and row.nudged_at is not None:
            save(session, row, nudged_at=None)
        state = state_of(row)
        found = self._find(session, row, state, clocks, message)
        if row.journey in situation.in_flight:
            order = orders_of(situation.in_flight)[row.journey]
            waits_safely = state.waiting is None or state.waiting.kind in SAFE
            known = found.cause if found is not None and not waits_safely else None
            migrated = self._migrating.migrate(session, contact, row, clocks, order, known, is_asked=durable)
            if row.status != "active":
                return _standing(row, clocks)
            if migrated is not None:
                state = state_of(row)
                if known is not None and migrated.cause is not None and found is not None:
                    found = replace(found, cause=migrated.cause)
                else:
                    found = self._find(session, row, state, clocks, message)
        if found is None:
            return _standing(row, clocks)
        move = Move(session, self._shelf, contact, row, clocks, self._events, notes)
        moved = move.make(state, found.cause, since_seq=found.since_seq, after=found.after)
        return _Step(contact, row, situation, clocks, moved, durable)

    def _plan(self, session: Session, steps: Sequence[_Step], real_now: datetime) -> dict[str, Claim]:
        """The messages that these wish, claimed for whoever commits this; by the runs' ids."""
        wishes = {step.row.id: step.moved.wish for step in steps if step.moved.wish is not None}
        if not wishes:
            return {}
        claims = self._delivery.plan_each(session, list(wishes.values()), real_now, steps[0].situation)
        return {run_id: claim for run_id, claim in zip(wishes, claims, strict=True) if claim is not None}

    def _went(self, session: Session, step: _Step, claim: Claim | None) -> Carried:
        """Where a run stands whose row is written, once the journeys that it starts were asked for."""
        row, clocks, moved = step.row, step.clocks, step.moved
        started: Sequence[str] = ()
        if moved.starts:
            assert self.door is not None, "whoever carries runs has an intake"
            started = start_journeys(
                session, self._shelf, self.door, step.contact, moved.state, moved.starts, clocks
            )
            # Those events may have ended or woken this very run.
            _, row, _ = lock_run(session, row.id)
        return replace(_standing(row, clocks), claim=claim, started=tuple(started))

    def park(self, session: Session, run_id: str, real_now: datetime) -> Carried | None:
        """Let a run wait for what did not end at once; None when its outcome has come meanwhile.

        A held message or a call that is tried again may take days: a workflow carries the run from here on.
        What another process works on right now ends soon: the run stays with the processes, under a fresh
        lease. Whoever ends it tells the run; should they die at just that moment, its workflow looks again
        by itself.
        """
        _, row, situation = lock_run(session, run_id)
        clocks = Clocks(FixedClock(real_now), situation.time)
        found = _standing(row, clocks)
        if found.call_key is not None:
            return self._park_call(session, row, found.call_key, clocks)
        if found.intent_key is None:
            return found
        intent = _MESSAGE.row(session, {"key": found.intent_key})
        if intent is not None and intent.outcome is not None:
            return None
        is_held = intent is not None and intent.state == IntentState.HELD
        ends_at = intent.expires_at if intent is not None and is_held else None
        ends_real = max(real_now, _real(clocks.time, ends_at)) if ends_at is not None else real_now
        return self._leave(session, row, clocks, ends_real, for_long=is_held)

    def _park_call(self, session: Session, row: LockedRun, key: str, clocks: Clocks) -> Carried | None:
        real_now = clocks.delivery_now()
        call = session.get(CallRow, key)
        if call is not None and call.outcome is not None:
            return None
        rests = call is not None and is_resting(call, real_now)
        looked_at = looked_at_again(call) if call is not None and rests else real_now
        return self._leave(session, row, clocks, max(real_now, looked_at), for_long=rests)

    def _leave(
        self, session: Session, row: LockedRun, clocks: Clocks, ends_real: datetime, *, for_long: bool
    ) -> Carried:
        """Hand the run over to a workflow, or to whoever ends soon what it waits for; where it stands then.

        `ends_real` is the delivery time at which what it waits for ends by itself.
        """
        real_now, due_real = clocks.delivery_now(), ends_real + LEASE
        if for_long and not row.durable:
            save(session, row, durable=True, lease_owner=None, lease_until=None)
            notes = Notes()
            self._start(session, row, replace(_standing(row, clocks), due_real=due_real), real_now, notes)
            notes.write(session)
        elif not row.durable:
            save(session, row, lease_owner=self._owner, lease_until=real_now + LEASE)
        return replace(_standing(row, clocks), due_real=due_real)

    def _find(
        self,
        session: Session,
        row: LockedRun,
        state: RunState,
        clocks: Clocks,
        message: tuple[str, Progress] | None,
    ) -> _Found | None:
        """What has happened to the run, told by rows alone."""
        waiting = state.waiting
        if waiting is None:
            return _Found(Started() if state.position is None else SentOn(), row.since_seq)
        if waiting.kind is WaitKind.OUTCOME:
            key = wished_by(state)
            is_known = message is not None and message[0] == key
            intent = message[1] if message is not None and is_known else _MESSAGE.row(session, {"key": key})
            return _outcome(row, intent, waiting, clocks)
        if waiting.kind is WaitKind.CALL:
            return _end_of_call(session, row, state, waiting, clocks)
        if waiting.kind is WaitKind.EVENT and (event_id := heard_event(session, row.id)) is not None:
            event = read_event(session, event_id)
            if event is None:
                return _Found(EventSeen(event_id), row.since_seq)
            return _Found(EventSeen(event_id, event_facts(event)), event.seq)
        if waiting.kind is WaitKind.TASK and (told := answer_to(session, asked_by(state) or "")) is not None:
            choice, decided_at = told
            return _Found(TaskDecided(waiting.step, choice), row.since_seq, decided_at)
        if waiting.due_at is not None and waiting.due_at <= clocks.journey_now():
            # What came while the run slept was not waited for; what came after it should have woken was.
            return _Found(TimerDue(), row.since_seq, waiting.due_at)
        return None

    def _store(self, session: Session, steps: Sequence[_Step], notes: Notes) -> None:
        """Write down where the runs stand, and let the durable side know what it must."""
        was_durable = {step.row.id for step in steps if step.row.durable}
        save_each(session, [(step.row, self._values(step)) for step in steps])
        for step in steps:
            row, real_now = step.row, step.clocks.delivery_now()
            if row.durable and row.id not in was_durable:
                self._start(session, row, _standing(row, step.clocks), real_now, notes)
            elif row.id in was_durable and not step.durable:
                notes.tell_driver("run.signal", row, real_now, reason="moved")

    def _values(self, step: _Step) -> Mapping[str, Any]:
        waiting = step.moved.state.waiting
        if waiting is not None and waiting.kind not in (WaitKind.OUTCOME, WaitKind.CALL):
            return {**step.moved.values, "durable": True, "lease_owner": None, "lease_until": None}
        if step.moved.state.is_active and not step.row.durable:
            until = step.clocks.delivery_now() + LEASE
            return {**step.moved.values, "lease_owner": self._owner, "lease_until": until}
        return step.moved.values

    def _start(
        self, session: Session, row: LockedRun, standing: Carried, real_now: datetime, notes: Notes
    ) -> None:
        """Have a workflow wait from where the run stands, on the lane that its journey calls for."""
        due = standing.due_real
        notes.tell_driver(
            "run.start",
            row,
            real_now,
            priority=row.priority,
            lane=lane_of(self._shelf.get(session, row.bundle_hash).programs[row.journey]),
            bundle=row.bundle_hash,
            revision=standing.revision,
            waiting=standing.waiting,
            step=standing.position,
            due_at=due.isoformat() if due is not None else None,
        )


def _outcome(row: LockedRun, intent: Any | None, waiting: Waiting, clocks: Clocks) -> _Found | None:
    if intent is None or intent.outcome is None:
        return None
    # An answer to a message counts from the moment it left, not from the moment we heard that it did.
    known_at = intent.handed_over_at or clocks.time.at(intent.updated_at)
    return _Found(OutcomeKnown(waiting.step, intent.outcome), row.since_seq, known_at)


def _end_of_call(
    session: Session, row: LockedRun, state: RunState, waiting: Waiting, clocks: Clocks
) -> _Found | None:
    call = session.get(CallRow, called_by(state))
    if call is None or call.outcome is None:
        return None
    # What the action brought about may have come back as an event before we heard that it was done.
    known_at = call.handed_over_at or clocks.time.at(call.updated_at)
    return _Found(CallEnded(waiting.step, call.outcome, call.results), row.since_seq, known_at)


# Built once: making this anew would take longer than running it.
_INTENTS = table_of(IntentRow)
_MESSAGE = Prepared(
    select(
        _INTENTS.c.state,
        _INTENTS.c.outcome,
        _INTENTS.c.handed_over_at,
        _INTENTS.c.updated_at,
        _INTENTS.c.expires_at,
    ).where(_INTENTS.c.key == bindparam("key"))
)


def _real(time: JourneyTime, moment: datetime) -> datetime:
    """The first real moment at which journey time has reached `moment`.

    A microsecond short would be a wake-up in vain; the next one may be days of journey time later.
    """
    real = time.real(moment)
    return real if time.at(real) >= moment else real + timedelta(microseconds=1)


def _standing(row: LockedRun, clocks: Clocks) -> Carried:
    state = state_of(row)
    return Carried(
        revision=row.revision,
        status=row.status,
        waiting=row.waiting,
        due_at=row.due_at,
        due_real=_real(clocks.time, row.due_at) if row.due_at is not None else None,
        position=row.position,
        outcome=row.outcome,
        intent_key=wished_by(state),
        call_key=called_by(state),
    )
