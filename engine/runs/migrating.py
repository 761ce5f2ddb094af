"""A run taken over to another version of its journey: its row, what it listens for, the decision.

Nothing here advances a run: where it has to go on at once, its row says so and its driver is told. Whoever
calls holds the contact and the run; doing it again finds a run that is there already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.clock import Clocks
from engine.contacts.profile import Profile, contact_facts
from engine.contacts.recounting import with_counts
from engine.journeys.calendar import working_facts
from engine.journeys.event import event_facts
from engine.journeys.interpreter import next_send_at
from engine.journeys.keeping import kept_of
from engine.journeys.localtime import zone_of
from engine.journeys.matching import lasting_listeners, step_listeners
from engine.journeys.migrating import Destination, How, destination, is_ready, is_same_wait, move
from engine.journeys.program import InFlight, Program, Step, WaitFor
from engine.journeys.run import (
    Cause,
    Ended,
    EventSeen,
    RunOutcome,
    RunState,
    TaskClosed,
    TaskState,
    Waiting,
    WaitKind,
    journey_facts,
)
from engine.journeys.tasking import closed_note
from engine.rules.condition import without_places
from engine.rules.facts import FactValue
from engine.runs.ending import Endings, ended_values
from engine.runs.locking import save
from engine.runs.states import LockedRun, state_of, variables_of
from engine.runs.tasks import close_task
from engine.runs.telling import Notes, Stand, taken_over
from engine.runs.waiting import forget_waits, heard_event, look_back, read_event, wait_row
from engine.store.bulk import insert_rows
from engine.store.bundles import BundleShelf
from engine.store.in_flight import Order, bundle_for
from engine.store.tables import WaitRow


@dataclass(frozen=True)
class Migrated:
    """What became of a run."""

    where: Destination
    cause: Cause | None = None
    """What takes it on from there; None: look at its row."""


class Migrating:
    """Takes runs over as orders say; shared by the threads of a process."""

    def __init__(self, shelf: BundleShelf) -> None:
        self._shelf = shelf

    def migrate(
        self,
        session: Session,
        contact: Profile,
        row: LockedRun,
        clocks: Clocks,
        order: Order,
        cause: Cause | None = None,
        *,
        is_asked: bool = False,
    ) -> Migrated | None:
        """Take the run over, or end it; None when it is not (or no more) to be moved, or not yet.

        `cause` is what is known to have come to its wait. `is_asked` says that the run's driver is looking at
        it right now, and need not be told.
        """
        if row.status != "active" or row.bundle_hash not in order.left or not order.is_moving:
            return None
        state = state_of(row)
        if order.policy is InFlight.END:
            ended = Ended(RunOutcome.CANCELLED, "run.retired", row.position or "")
            return self._end(session, row, ended, Destination(How.ENDS, because="policy"), order, clocks)
        old = self._shelf.get(session, row.bundle_hash)
        new = self._shelf.get(session, bundle_for(session, order, old.plans_on))
        if row.journey not in new.programs:
            return None
        where = destination(old.programs[row.journey], new.programs[row.journey], row.position)
        if not is_ready(state, cause, new.programs[row.journey], where):
            return None  # who came there after the publish had looked goes over from their next step
        if where.how is How.ENDS:
            ended = Ended(RunOutcome.STOPPED, "run.retired", row.position or "")
            return self._end(session, row, ended, where, order, clocks)
        move_ = _Taking(session, self._shelf, contact, row, clocks, old, new, where)
        return Migrated(where, move_.take(state, cause, is_asked=is_asked))

    def _end(
        self,
        session: Session,
        row: LockedRun,
        ended: Ended,
        where: Destination,
        order: Order,
        clocks: Clocks,
    ) -> Migrated:
        now = clocks.journey_now()
        endings = Endings(session, Notes(), now, clocks.delivery_now())
        endings.end(row, ended, policy=order.policy.value, because=where.because, to_bundle=order.bundle)
        endings.finish()
        vars(row).update(
            (name, value) for name, value in ended_values(ended, now).items() if name in vars(row)
        )
        row.revision += 1
        return Migrated(where)


class _Taking:
    """One run on its way from one bundle to another."""

    def __init__(
        self,
        session: Session,
        shelf: BundleShelf,
        contact: Profile,
        row: LockedRun,
        clocks: Clocks,
        old: Bundle,
        new: Bundle,
        where: Destination,
    ) -> None:
        self._session = session
        self._contact = contact
        self._row = row
        self._clocks = clocks
        self._now = clocks.journey_now()
        self._old, self._new = old, new
        self._before: Program = old.programs[row.journey]
        self._after: Program = new.programs[row.journey]
        self._matcher = shelf.matcher(new)
        self._zone = zone_of(contact.timezone, new.workspace.timezone)
        self._where = where
        counted = with_counts(session, contact, new, self._matcher, self._now)
        self._facts = contact_facts(counted, new, self._now)

    def take(self, state: RunState, cause: Cause | None, *, is_asked: bool) -> Cause | None:
        """Write the run down where it goes; what takes it on from there, if anything has come."""
        row = self._row
        if cause is None and state.waiting is not None and state.waiting.kind is WaitKind.EVENT:
            event_id = heard_event(self._session, row.id)
            cause = EventSeen(event_id) if event_id is not None else None
        moved = move(
            state,
            cause,
            self._before,
            self._after,
            self._where,
            facts=self._facts,
            zone=self._zone,
            now=self._now,
        )
        moved = replace(moved, run=replace(moved.run, entry=self._kept_of_entry(moved.run)))
        if state.waiting is not None and state.waiting.kind is WaitKind.TASK and moved.run.waiting is None:
            self._withdraw(state.waiting)
        heard = cause.event_id if isinstance(cause, EventSeen) else self._came_before(state, moved.run)
        due_at = moved.run.waiting.due_at if moved.run.waiting is not None else None
        if heard is None and self._has_come_true(state, moved.run):
            due_at = self._now  # a wait for a condition looks at it when its time is up
        was = _stand(row)
        save(self._session, row, **self._values(moved.run, due_at))
        self._listen(moved.run, heard)
        self._write(was)
        goes_on = moved.cause is not None or heard is not None
        if row.durable and not is_asked and (goes_on or _is_sooner(due_at, was.due_at)):
            notes = Notes()
            notes.tell_driver("run.signal", row, self._clocks.delivery_now(), reason="moved")
            notes.write(self._session)
        return moved.cause

    def _kept_of_entry(self, run: RunState) -> Mapping[str, FactValue]:
        """What the new version asks of the event that let the contact in."""
        names, event_id = self._after.keeps.entry, self._row.entry_event_id
        if names == self._before.keeps.entry or event_id is None:
            return run.entry
        event = read_event(self._session, event_id) if names else None
        return kept_of(event_facts(event), names) if event is not None else {}

    def _withdraw(self, waiting: Waiting) -> None:
        """Nobody needs to answer any more, unless somebody has."""
        if not close_task(self._session, self._row, TaskState.WITHDRAWN, self._now, "run.moved"):
            return
        visit = state_of(self._row).visits.get(waiting.step, 1)
        notes = Notes()
        closed = TaskClosed(waiting.step, visit, TaskState.WITHDRAWN)
        notes.task(self._row, closed_note(closed, waiting.due_at, "run.moved"), self._now)
        notes.write(self._session)

    def _values(self, run: RunState, due_at: datetime | None) -> dict[str, Any]:
        waiting = run.waiting
        values: dict[str, Any] = {
            "version": self._after.version,
            "bundle_hash": self._new.hash,
            "priority": self._after.priority,
            "position": run.position,
            "waiting": waiting.kind.value if waiting is not None else "ready",
            "waiting_since": waiting.began_at if waiting is not None else None,
            "variables": variables_of(run),
            "due_at": due_at,
            "next_send_at": next_send_at(self._after, run),
        }
        if self._where.how is How.GOES_ON:
            values["since_seq"] = self._contact.last_event_seq
        return values

    def _listen(self, run: RunState, heard: str | None) -> None:
        """What the run listens for from now on, in the new version's words."""
        since = self._contact.last_event_seq
        forget_waits(self._session, [self._row.id], step_only=False)
        rows = [
            {**wait_row(self._row, each), "matched_event_id": None}
            for each in lasting_listeners(self._after, self._row.started_at, since)
        ]
        at_step = [
            {**wait_row(self._row, each), "matched_event_id": None}
            for each in step_listeners(self._after, run, since)
        ]
        if heard is not None and at_step:
            at_step = [{**at_step[0], "matched_event_id": heard}]
        insert_rows(self._session, WaitRow, [*rows, *at_step])

    def _came_before(self, before: RunState, run: RunState) -> str | None:
        """The event since the wait began that the wait is for as it is now."""
        if not self._waits_for_something_else(before, run):
            return None
        listeners = step_listeners(self._after, run, self._row.since_seq)
        if not listeners or not any(each.event_type != "*" for each in listeners):
            return None
        found = look_back(
            self._session,
            self._contact.id,
            listeners,
            self._row.since_seq,
            after=None,
            facts={
                **self._facts,
                **journey_facts(run),
                **working_facts(self._after.calendars, self._now, self._zone),
            },
            now=self._now,
            matcher=self._matcher,
            up_to_seq=self._contact.last_event_seq,
        )
        return found.event_id if found is not None else None

    def _has_come_true(self, before: RunState, run: RunState) -> bool:
        """Whether the condition that is waited for now, and was not before, is true already."""
        step = self._after.steps.get(run.position or "")
        if not isinstance(step, WaitFor) or step.events or step.rule is None:
            return False
        if not self._waits_for_something_else(before, run):
            return False
        return self._matcher.holds(step.rule, {**self._facts, **journey_facts(run)}, self._now)

    def _waits_for_something_else(self, before: RunState, run: RunState) -> bool:
        if run.waiting is None or before.position is None or run.position is None:
            return False
        old, new = self._before.steps[before.position], self._after.steps[run.position]
        return asks_anew(old, self._old, new, self._new)

    def _write(self, was: Stand) -> None:
        notes = Notes()
        notes.moved(self._row, taken_over(self._where, was, _stand(self._row)), self._now)
        notes.write(self._session)


def _stand(row: LockedRun) -> Stand:
    return Stand(row.version, row.bundle_hash, row.position, row.due_at)


def asks_anew(old: Step, old_bundle: Bundle, new: Step, new_bundle: Bundle) -> bool:
    """Whether a `wait_for` of the new version listens for other things than the old one does."""
    if not isinstance(old, WaitFor) or not isinstance(new, WaitFor):
        return False
    return not is_same_wait(old, new) or not _is_same_rule(old_bundle, old.rule, new_bundle, new.rule)


def _is_same_rule(old: Bundle, rule: str | None, new: Bundle, other: str | None) -> bool:
    if rule is None or other is None:
        return rule is other
    return without_places(old.condition(rule)) == without_places(new.condition(other))


def _is_sooner(due_at: datetime | None, was_due: datetime | None) -> bool:
    return due_at is not None and (was_due is None or due_at < was_due)
