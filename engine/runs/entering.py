"""What an event does to runs, in intake's own transaction: ends, wakes and starts them, and says why not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.clock import Clocks
from engine.contacts.profile import Profile, contact_facts
from engine.delivery.intents import drop_held, withdrawn_answer
from engine.delivery.recording import tell_run
from engine.journeys.event import Event, event_facts
from engine.journeys.interpreter import Decider, advance
from engine.journeys.localtime import zone_of
from engine.journeys.matching import (
    ANY_EVENT,
    ActiveRun,
    Doors,
    Ending,
    Entering,
    History,
    Listener,
    ListenerKind,
    Reaction,
    Refusal,
    Waking,
    lasting_listeners,
    react,
)
from engine.journeys.program import Program
from engine.journeys.run import Ended, journey_facts
from engine.rules.condition import tests_of
from engine.rules.explaining import explain
from engine.rules.facts import Facts
from engine.rules.truth import Truth
from engine.runs.ending import Endings
from engine.runs.keys import run_id_of, wished_by
from engine.runs.leasing import LEASE
from engine.runs.states import state_of
from engine.runs.telling import Notes
from engine.runs.waiting import listener_of, wait_rows
from engine.store.bulk import is_one_of
from engine.store.bundles import BundleShelf
from engine.store.tables import ControlRow, RunRow, WaitRow

_MOST_EVIDENCE = 5


@dataclass
class ContactRuns:
    """One contact's runs, kept current while the events of a batch go by."""

    active: dict[str, RunRow] = field(default_factory=dict)
    waits: dict[str, list[WaitRow]] = field(default_factory=dict)
    history: dict[str, History] = field(default_factory=dict)


@dataclass
class Active:
    """The runs of a batch's contacts, and what of the control row concerns them."""

    workspace: str
    paused: frozenset[str]
    contacts: dict[str, ContactRuns]
    endings: Endings

    @property
    def notes(self) -> Notes:
        return self.endings.notes

    def finish(self) -> None:
        """Write what the batch's reactions left to be written together."""
        self.endings.finish()
        self.notes.write(self.endings.session)


def prefetch_runs(
    session: Session, control: ControlRow, contact_ids: Sequence[str], *, clocks: Clocks
) -> Active:
    """Everything `Reacting` needs to know of these contacts, in three queries."""
    contacts = {contact_id: ContactRuns() for contact_id in contact_ids}
    is_active = case((col(RunRow.status) == "active", 1), else_=0)
    query = (
        select(
            col(RunRow.contact_id),
            col(RunRow.journey),
            func.count(),
            func.sum(is_active),
            func.max(col(RunRow.ended_at)),
        )
        .where(is_one_of(session, RunRow.contact_id, contact_ids))
        .group_by(col(RunRow.contact_id), col(RunRow.journey))
    )
    running = False
    for contact_id, journey, runs, active, last_ended_at in session.execute(query):
        contacts[contact_id].history[journey] = History(int(runs), int(active), last_ended_at)
        running = running or bool(active)
    if running:
        rows = select(RunRow).where(
            is_one_of(session, RunRow.contact_id, contact_ids), col(RunRow.status) == "active"
        )
        # Read again: intake may have held these rows since before the contacts were locked.
        rows = rows.order_by(col(RunRow.started_at), col(RunRow.journey), col(RunRow.entry_key))
        for row in session.scalars(rows.execution_options(populate_existing=True)):
            contacts[row.contact_id].active[row.id] = row
        waits = select(WaitRow).where(is_one_of(session, WaitRow.contact_id, contact_ids))
        waits = waits.order_by(col(WaitRow.id))
        for wait in session.scalars(waits.execution_options(populate_existing=True)):
            contacts[wait.contact_id].waits.setdefault(wait.run_id, []).append(wait)
    endings = Endings(session, Notes(), clocks.journey_now(), clocks.delivery_now())
    return Active(control.workspace, frozenset(control.paused_journeys), contacts, endings)


class _Pinned:
    """The matcher of a run's own bundle, loaded when the first rule is asked."""

    def __init__(self, session: Session, shelf: BundleShelf, bundle_hash: str) -> None:
        self._load: Callable[[], Decider] = lambda: shelf.matcher(shelf.get(session, bundle_hash))

    def matching(self, shard: str, facts: Facts, now: datetime) -> Sequence[str]:
        return self._load().matching(shard, facts, now)

    def holds(self, rule_id: str, facts: Facts, now: datetime) -> bool:
        return self._load().holds(rule_id, facts, now)


@dataclass
class Reacting:
    """One event's reaction, carried out on the rows. The contact is locked by the caller."""

    session: Session
    shelf: BundleShelf
    active: Active
    bundle: Bundle
    matcher: Decider
    programs: Sequence[Program]
    """Those that the event's type may start."""
    owner: str
    now: datetime
    real_now: datetime
    keeps_no_match: bool

    def react(self, event: Event, profile: Profile) -> list[str]:
        """The ids of the runs that started and are to be carried after the commit."""
        known = self.active.contacts[event.contact_id]
        facts = {**contact_facts(profile, self.bundle.workspace.attributes), **event_facts(event)}
        withdrawn = self._withdrawn(event)
        reaction = react(
            event,
            facts,
            self.now,
            [self._listening(row, known, event, withdrawn) for row in known.active.values()],
            self._doors(event, facts, known),
            withdrawn=withdrawn,
        )
        self._carry_out(reaction, event, profile, facts, known)
        if withdrawn is not None:
            self._drop_unsent(withdrawn, event.contact_id, known)
        return [self._enter(entry, event, known) for entry in reaction.entries]

    def _carry_out(
        self, reaction: Reaction, event: Event, profile: Profile, facts: Facts, known: ContactRuns
    ) -> None:
        for ending in reaction.endings:
            self._end(ending, event, profile, facts, known)
        for waking in reaction.wakings:
            self._wake(waking, event, known)
        for refusal in reaction.refusals:
            if refusal.reason != "entry.no_match" or self.keeps_no_match:
                because = self._because(refusal, facts)
                self.active.notes.refused(
                    refusal,
                    event.contact_id,
                    event.event_id,
                    self.bundle.hash,
                    self.now,
                    because,
                )

    def _withdrawn(self, event: Event) -> str | None:
        """The purpose whose consent the event takes back altogether; one channel is the gate's business."""
        kind = self.bundle.events.get(event.type)
        if kind is None or kind.effect != "consent_withdrawn":
            return None
        if event.properties.get("channel", ANY_EVENT) != ANY_EVENT:
            return None
        return str(event.properties.get("purpose", ANY_EVENT))

    def _listening(self, row: RunRow, known: ContactRuns, event: Event, withdrawn: str | None) -> ActiveRun:
        waits = known.waits.get(row.id, ())
        is_heard = any(wait.matched_event_id is not None for wait in waits)
        listeners: list[Listener] = []
        for wait in waits:
            if wait.event_type not in (event.type, ANY_EVENT):
                continue
            if not (is_heard and wait.kind == ListenerKind.STEP.value):
                listeners.append(listener_of(wait))
        # Only a withdrawal asks what a run is for, and only listeners ask its facts.
        purpose = self._program(row).purpose if withdrawn is not None else ""
        facts = journey_facts(state_of(row)) if listeners else {}
        pinned = _Pinned(self.session, self.shelf, row.bundle_hash)
        return ActiveRun(row.id, row.journey, purpose, listeners, facts, pinned)

    def _program(self, row: RunRow) -> Program:
        return self.shelf.get(self.session, row.bundle_hash).programs[row.journey]

    def _doors(self, event: Event, facts: Facts, known: ContactRuns) -> Doors:
        matched: Collection[str] = ()
        if any(program.entry.rule is not None for program in self.programs):
            matched = self.matcher.matching(f"entry:{event.type}", facts, self.now)

        def has_entered(journey: str, entry_key: str) -> bool:
            if known.history.get(journey, History()).runs == 0:
                return False
            run_id = run_id_of(self.active.workspace, journey, event.contact_id, entry_key)
            return run_id in known.active or self.session.get(RunRow, run_id) is not None

        return Doors(
            self.programs,
            matched,
            known.history,
            has_entered,
            self.bundle.workspace.late_after,
            self.active.paused,
        )

    def _end(self, ending: Ending, event: Event, profile: Profile, facts: Facts, known: ContactRuns) -> None:
        row = known.active.pop(ending.run_id)
        known.waits.pop(row.id, None)
        zone = zone_of(profile.timezone, self.bundle.workspace.timezone)
        done = advance(
            self._program(row),
            state_of(row),
            ending.cause,
            facts=facts,
            zone=zone,
            now=self.now,
            matcher=self.matcher,
        )
        for effect in done.effects:
            if isinstance(effect, Ended):
                self.active.endings.end(row, effect, event_id=event.event_id)
        before = known.history.get(row.journey, History(1, 1))
        known.history[row.journey] = History(before.runs, before.active - 1, self.now)

    def _wake(self, waking: Waking, event: Event, known: ContactRuns) -> None:
        row = known.active[waking.run_id]
        heard = next(
            wait
            for wait in known.waits[row.id]
            if wait.kind == waking.listener.kind.value and wait.event_type == waking.listener.event_type
        )
        heard.matched_event_id = event.event_id
        self.active.notes.tell_driver(
            "run.signal", row, self.real_now, reason="event", reference=event.event_id
        )

    def _drop_unsent(self, purpose: str, contact_id: str, known: ContactRuns) -> None:
        """Drop every unsent message of a purpose; runs of other purposes that wished one go on without it."""
        waiting = [row for row in known.active.values() if row.waiting == "outcome"]
        # Whoever settles a message locks its run first; so do we.
        ids = sorted(row.id for row in waiting)
        self.session.execute(select(col(RunRow.id)).where(col(RunRow.id).in_(ids)).with_for_update())
        dropped = drop_held(
            self.session,
            answer=withdrawn_answer(),
            now=self.real_now,
            journey_now=self.now,
            contact_ids=[contact_id],
            purpose=purpose,
        )
        for row in waiting if dropped else ():
            key = wished_by(state_of(row))
            if key in dropped:
                tell_run(self.session, row, key, self.real_now)

    def _enter(self, entry: Entering, event: Event, known: ContactRuns) -> str:
        program = entry.program
        row = RunRow(
            id=run_id_of(self.active.workspace, program.journey, event.contact_id, entry.entry_key),
            journey=program.journey,
            version=program.version,
            bundle_hash=self.bundle.hash,
            contact_id=event.contact_id,
            entry_key=entry.entry_key,
            entry_event_id=event.event_id,
            since_seq=event.seq,
            priority=program.priority,
            lease_owner=self.owner,
            lease_until=self.real_now + LEASE,
            started_at=self.now,
        )
        self.session.add(row)
        waits = wait_rows(row, lasting_listeners(program, self.now, event.seq))
        self.session.add_all(waits)
        self.active.notes.entered(row, event.event_id, self.now)
        known.active[row.id] = row
        known.waits[row.id] = waits
        before = known.history.get(program.journey, History())
        known.history[program.journey] = History(before.runs + 1, before.active + 1, before.last_ended_at)
        return row.id

    def _because(self, refusal: Refusal, facts: Facts) -> Mapping[str, Any]:
        """Which tests of the entry's condition were not true, for a refusal by it."""
        rule = refusal.evidence.get("rule")
        if refusal.reason != "entry.no_match" or rule is None:
            return {}
        personal = self.bundle.catalogue.personal
        failed = [
            str(single)
            for test in tests_of(self.bundle.condition(rule))
            if (single := explain(test, facts, self.now, personal=personal)).truth is not Truth.TRUE
        ]
        return {"because": failed[:_MOST_EVIDENCE]}
