"""What one advance does to the rows beside the run's own: messages, tags, waits, the decision of its end."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from engine.calls import rows as calls
from engine.clock import Clocks
from engine.contacts.computing import change_tags
from engine.contacts.profile import Profile, contact_facts
from engine.contacts.recounting import with_counts
from engine.delivery.setting_out import Wish
from engine.gate.model import Intent
from engine.journeys.calendar import working_facts
from engine.journeys.event import Event, event_facts
from engine.journeys.interpreter import Advanced, advance, next_send_at
from engine.journeys.localtime import zone_of
from engine.journeys.matching import step_listeners
from engine.journeys.run import (
    Branched,
    CallWish,
    Cause,
    Effect,
    Ended,
    EventSeen,
    Exposed,
    Repeated,
    RunState,
    SendIntent,
    StartWish,
    TagChange,
    TaskClosed,
    TaskOpened,
    WaitKind,
    journey_facts,
    texts_see,
)
from engine.journeys.tasking import closed_note, opened_note
from engine.runs.ending import ended_values
from engine.runs.exposures import SqlAssignments, write_exposures
from engine.runs.keys import intent_key_of
from engine.runs.states import LockedRun, variables_of
from engine.runs.tasks import close_task, open_task
from engine.runs.telling import Notes, reasoned
from engine.runs.waiting import forget_waits, look_back, wait_row
from engine.store.bulk import insert_rows, table_of
from engine.store.bundles import BundleShelf
from engine.store.prepared import Prepared
from engine.store.tables import ContactRow, EventRow, WaitRow

_KEPT_EVENTS = 4096

_CONTACT = table_of(ContactRow)
_SET_TAGS = Prepared(
    update(_CONTACT)
    .where(_CONTACT.c.id == bindparam("contact_id"))
    .values(tags=bindparam("all_tags"), profile_due_at=bindparam("due_at"))
)
_EVENT = table_of(EventRow)
_ENTRY_EVENT = Prepared(
    select(_EVENT.c.properties, _EVENT.c.type, _EVENT.c.occurred_at).where(
        _EVENT.c.event_id == bindparam("of_event")
    )
)


@dataclass(frozen=True)
class Moved:
    """Where the run stands now, and what of its row changes."""

    state: RunState
    values: Mapping[str, Any]
    wish: Wish | None = None
    """The message it wishes, still to be written down."""
    starts: tuple[StartWish, ...] = ()
    """Journeys that it wants to start, once its own row is written."""


class Move:
    """One run's advance inside a transaction that holds its contact and its row."""

    def __init__(
        self,
        session: Session,
        shelf: BundleShelf,
        contact: Profile,
        row: LockedRun,
        clocks: Clocks,
        events: EntryEvents,
        notes: Notes,
    ) -> None:
        """Its decisions and errands go into `notes`, which the caller writes."""
        self._session = session
        self._notes = notes
        self._contact = contact
        self._row = row
        self._real_now = clocks.delivery_now()
        self._now = clocks.journey_now()
        self._events = events
        self._bundle = shelf.get(session, row.bundle_hash)
        self._matcher = shelf.matcher(self._bundle)
        self._program = self._bundle.programs[row.journey]
        self._zone = zone_of(contact.timezone, self._bundle.workspace.timezone)

    def make(self, state: RunState, cause: Cause, *, since_seq: int, after: datetime | None) -> Moved:
        """Advance from the cause, through waits whose event is there already, and do what that brings about.

        Waits that begin now look back over events after `since_seq` that came later than `after`.
        """
        was_listening = state.waiting is not None and state.waiting.kind is WaitKind.EVENT
        effects: list[Effect] = []
        while True:
            done = self._advance(state, cause)
            state = done.run
            effects += done.effects
            self._tag(done.effects)
            event = self._already_here(state, since_seq, after)
            if event is None:
                break
            cause, since_seq, after = EventSeen(event.event_id, event_facts(event)), event.seq, None
        return self._carry_out(state, effects, was_listening=was_listening)

    def _advance(self, state: RunState, cause: Cause) -> Advanced:
        return advance(
            self._program,
            state,
            cause,
            facts=self._facts(),
            zone=self._zone,
            now=self._now,
            matcher=self._matcher,
            assignments=SqlAssignments(self._session),
        )

    def _tag(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, TagChange):
                contact = self._contact
                change_tags(contact, effect.add, effect.remove, self._now)
                values = {"all_tags": sorted(contact.tags), "due_at": contact.profile_due_at}
                _SET_TAGS.run(self._session, {"contact_id": contact.id, **values})

    def _already_here(self, state: RunState, since_seq: int, after: datetime | None) -> Event | None:
        """The event that a wait which has just begun is for, when it came before the wait was written."""
        listeners = step_listeners(self._program, state, since_seq)
        if not listeners or since_seq >= self._contact.last_event_seq:
            return None
        return look_back(
            self._session,
            self._contact.id,
            listeners,
            since_seq,
            after=after,
            facts={
                **self._facts(),
                **journey_facts(state),
                **working_facts(self._program.calendars, self._now, self._zone),
            },
            now=self._now,
            matcher=self._matcher,
        )

    def _facts(self) -> dict[str, Any]:
        # A run that is pinned to an older bundle counts as that bundle says.
        contact = with_counts(self._session, self._contact, self._bundle, self._matcher, self._now)
        return contact_facts(contact, self._bundle, self._now)

    def _carry_out(self, state: RunState, effects: list[Effect], *, was_listening: bool) -> Moved:
        values: dict[str, Any] = {
            "position": state.position,
            "waiting": state.waiting.kind.value if state.waiting is not None else "ended",
            "variables": variables_of(state),
            "since_seq": self._contact.last_event_seq,
            "due_at": state.waiting.due_at if state.waiting is not None else None,
            "waiting_since": state.waiting.began_at if state.waiting is not None else None,
            "next_send_at": next_send_at(self._program, state),
        }
        has_lasting = bool(self._program.leaves or self._program.goal)
        if was_listening or (has_lasting and not state.is_active):
            forget_waits(self._session, [self._row.id], step_only=state.is_active)
        wish = None
        # What it starts may end this very run in the same transaction, and its message with it.
        starts = tuple(effect for effect in effects if isinstance(effect, StartWish))
        notes = self._notes
        exposures = [each for each in effects if isinstance(each, Exposed)]
        write_exposures(self._session, self._row, exposures, self._now)
        for effect in effects:
            match effect:
                case SendIntent():
                    wish = Wish(self._intent(state, effect), self._contact, departs=not starts)
                case TaskOpened():
                    open_task(self._session, self._row, effect, self._now)
                    notes.task(self._row, opened_note(effect), self._now)
                case TaskClosed():
                    close_task(self._session, self._row, effect.state, self._now)
                    notes.task(self._row, closed_note(effect, self._row.due_at, ""), self._now)
                case StartWish():
                    pass  # asked for when the run stands where it goes on
                case CallWish():
                    self._wish_call(state, effect)
                case TagChange():
                    pass  # done as soon as it was known, for the conditions of the steps behind it
                case Branched():
                    notes.branched(self._row, effect, self._cases(effect), self._now)
                case Repeated():
                    notes.repeated(self._row, effect, self._cases(effect), self._now)
                case Exposed():
                    notes.exposed(self._row, effect, self._now)
                case Ended():
                    values |= ended_values(effect, self._now)
                    notes.ended(self._row, effect, self._now)
        listeners = step_listeners(self._program, state, self._contact.last_event_seq)
        insert_rows(self._session, WaitRow, [wait_row(self._row, each) for each in listeners])
        return Moved(state, values, wish, starts)

    def _cases(self, passed: Branched | Repeated) -> list[dict[str, Any]]:
        return [reasoned(self._bundle, rule, passed.seen, self._now) for rule in passed.asked]

    def _wish_call(self, state: RunState, wish: CallWish) -> None:
        row = self._row
        key = intent_key_of(row.id, wish.step, wish.visit)
        calls.plan(
            self._session,
            calls.Wisher(key, row.id, row.journey, row.contact_id, row.bundle_hash),
            wish,
            self._variables(state),
            journey_now=self._now,
            now=self._real_now,
        )

    def _variables(self, state: RunState) -> dict[str, Any]:
        """What texts and actions see of what started the run, and of the run."""
        event = self._events.of(self._session, self._row.entry_event_id)
        return {"event": event, "journey": texts_see(state)}

    def _intent(self, state: RunState, wish: SendIntent) -> Intent:
        row = self._row
        return Intent(
            key=intent_key_of(row.id, wish.step, wish.visit),
            contact_id=row.contact_id,
            purpose=wish.purpose,
            priority=row.priority,
            content=wish.content,
            channels=wish.channels,
            step_id=wish.step,
            visit=wish.visit,
            created_at=self._now,
            run_id=row.id,
            journey=row.journey,
            deadline_at=self._real_now + wish.deadline if wish.deadline is not None else None,
            expires_at=self._now + self._bundle.purposes[wish.purpose].max_hold,
            bundle_hash=row.bundle_hash,
            variables=self._variables(state),
        )


class EntryEvents:
    """What templates see of the events that started runs; events never change, so they are kept."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Mapping[str, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, session: Session, event_id: str | None) -> Mapping[str, Any]:
        """The event's properties, type and moment; nothing for a run that no event started."""
        if event_id is None:
            return {}
        with self._lock:
            if (known := self._known.get(event_id)) is not None:
                self._known.move_to_end(event_id)
                return known
        row = _ENTRY_EVENT.row(session, {"of_event": event_id})
        if row is None:
            return {}
        found = {**row.properties, "type": row.type, "occurred_at": row.occurred_at.isoformat()}
        with self._lock:
            self._known[event_id] = found
            if len(self._known) > _KEPT_EVENTS:
                self._known.popitem(last=False)
        return found
