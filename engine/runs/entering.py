"""What events do to runs, in intake's own transaction: end, wake and start them, and say why not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.clock import Clocks, FixedClock
from engine.contacts.consent import consent_records
from engine.gate.consent import ConsentRecord, TakenBack, take_back
from engine.journeys.calendar import working_facts
from engine.journeys.event import ABOUT_MERGES, Event, event_facts
from engine.journeys.interpreter import Decider, advance, next_send_at
from engine.journeys.keeping import kept_of
from engine.journeys.localtime import zone_of
from engine.journeys.matching import (
    ANY_EVENT,
    ActiveRun,
    Doors,
    Ending,
    Entering,
    History,
    ListenerKind,
    Refusal,
    Waking,
    addressed,
    lasting_listeners,
    once_per_key,
    react,
)
from engine.journeys.program import Program
from engine.journeys.retiming import retimed
from engine.journeys.run import Ended, WaitKind, journey_facts
from engine.journeys.starting import chain_of, starter_of
from engine.rules.facts import Facts, FactValue
from engine.runs.ending import Endings
from engine.runs.keys import run_id_of
from engine.runs.known import Asked, ContactRuns, KnownRun, KnownWait, read_entered, read_known
from engine.runs.leasing import LEASE
from engine.runs.locking import lock_run
from engine.runs.migrating import Migrating
from engine.runs.states import first_variables, state_of
from engine.runs.telling import Notes, reasoned
from engine.runs.waiting import wait_row
from engine.store.bulk import insert_rows, update_rows
from engine.store.bundles import BundleShelf
from engine.store.in_flight import draining, orders_of
from engine.store.tables import ControlRow, RunRow, WaitRow


@dataclass(frozen=True)
class Ground:
    """What the reactions of one batch of events stand on, all read in its transaction."""

    session: Session
    shelf: BundleShelf
    control: ControlRow
    bundle: Bundle
    """In force."""
    programs: Mapping[str, Sequence[Program]]
    """Its journeys by the event types that may start them."""
    now: datetime
    """Journey time."""
    real_now: datetime


class Reacting:
    """The reactions to one batch of events; the contacts are locked by the caller.

    `owner` gets the leases of runs that start. Call `finish` at the end: most of what the reactions bring
    about is written there, in a few statements.
    """

    def __init__(self, ground: Ground, events: Sequence[Event], *, owner: str, keeps_no_match: bool) -> None:
        self._ground = ground
        self._matcher = ground.shelf.matcher(ground.bundle)
        self._owner = owner
        self._keeps_no_match = keeps_no_match
        self._draining = draining(ground.control)
        self._paused = frozenset({*ground.control.paused_journeys, *ground.bundle.paused_journeys})
        self._notes = Notes()
        self._endings = Endings(ground.session, self._notes, ground.now, ground.real_now)
        self._contacts = self._read_known(sorted({event.contact_id for event in events}))
        self._entered = self._look_for_entries(events)
        self._new_runs: list[dict[str, Any]] = []
        self._new_waits: list[dict[str, Any]] = []
        self._heard: list[dict[str, Any]] = []
        self._retimed: dict[str, dict[str, Any]] = {}
        self._said: dict[str, list[ConsentRecord]] = {}

    def react(
        self, event: Event, contact: Facts, timezone: str | None, said: Sequence[ConsentRecord] = ()
    ) -> list[str]:
        """The ids of the runs that the event started, to be carried after the commit.

        `contact` are the contact's facts after the event, `timezone` is theirs; `said` is what the event adds
        to the ledger of consents, which the caller writes. Runs that wait are ended or woken through their
        workflows, and told when the moment that they wait for has moved.
        """
        ground, known = self._ground, self._contacts[event.contact_id]
        programs = addressed(ground.programs.get(event.type, ()), event)
        facts = {**contact, **event_facts(event)}
        for program in (each for each in programs if each.entry.calendars):
            facts |= working_facts(program.entry.calendars, ground.now, self._zone(timezone))
        taken = self._taken_back(event, said)
        withdrawn = frozenset[str]().union(*(each.ends_runs_of for each in taken))
        reaction = react(
            event,
            facts,
            ground.now,
            [self._listening(run, event, withdrawn, timezone) for run in known.active.values()],
            self._doors(programs, event, facts, known),
            withdrawn=withdrawn,
            is_deletion=self._effect_of(event) == "deleted",
        )
        for ending in reaction.endings:
            self._end(ending, event, timezone, facts, known)
        for waking in reaction.wakings:
            self._wake(waking, event, known)
        self._retime(event, facts, timezone, known)
        for refusal in reaction.refusals:
            self._refuse(refusal, event, facts)
        for each in taken:
            self._endings.withdraw(event.contact_id, each)
        return [self._enter(entry, event, facts, known) for entry in reaction.entries]

    def finish(self) -> None:
        """Write what the batch's reactions left to be written together."""
        session = self._ground.session
        insert_rows(session, RunRow, self._new_runs)
        insert_rows(session, WaitRow, self._new_waits)
        update_rows(session, WaitRow, self._heard)
        # Before the ends: a run that a later event of the batch has ended waits for nothing.
        update_rows(session, RunRow, list(self._retimed.values()))
        self._endings.finish()

    def _read_known(self, contact_ids: Sequence[str]) -> dict[str, ContactRuns]:
        """The contacts' runs, those first taken over whose journey has another version now.

        So what happens to somebody after a publish happens to them in the new version, however long it takes
        until everybody has been taken over.
        """
        ground = self._ground
        known = read_known(ground.session, contact_ids)
        if not ground.control.in_flight:
            return known
        orders = orders_of(ground.control.in_flight)
        late = [
            run.id
            for contact in known.values()
            for run in contact.active.values()
            if run.journey in orders and run.bundle_hash in orders[run.journey].left
        ]
        migrating = Migrating(ground.shelf)
        for run_id in late:
            contact, row, situation = lock_run(ground.session, run_id)
            clocks = Clocks(FixedClock(ground.real_now), situation.time)
            migrating.migrate(ground.session, contact, row, clocks, orders[row.journey])
        return read_known(ground.session, contact_ids) if late else known

    def _effect_of(self, event: Event) -> str | None:
        kind = self._ground.bundle.events.get(event.type)
        return kind.effect if kind is not None else None

    def _taken_back(self, event: Event, said: Sequence[ConsentRecord]) -> list[TakenBack]:
        """What the refusals among the new entries stop at once; after a merge, all there are."""
        is_merge = event.type in ABOUT_MERGES
        if not said and not is_merge:
            return []
        ground, before = self._ground, self._said.setdefault(event.contact_id, [])
        before += said
        if not is_merge and not any(record.is_refusal for record in said):
            return []
        known = [*consent_records(ground.session, event.contact_id), *before]
        refusals = [record for record in (known if is_merge else said) if record.is_refusal]
        found = [take_back(each, known, ground.bundle.purposes, ground.now) for each in refusals]
        return [each for each in found if each is not None]

    def _zone(self, timezone: str | None) -> ZoneInfo:
        return zone_of(timezone, self._ground.bundle.workspace.timezone)

    def _listening(
        self, run: KnownRun, event: Event, withdrawn: Collection[str], timezone: str | None
    ) -> ActiveRun:
        is_heard = any(wait.is_heard for wait in run.waits)
        listeners = [
            wait.listener
            for wait in run.waits
            if wait.listener.event_type in (event.type, ANY_EVENT)
            and not (is_heard and wait.listener.kind is ListenerKind.STEP)
        ]
        # Only a withdrawal asks what a run is for, and only listeners ask its facts.
        purpose = self._program(run).purpose if withdrawn else ""
        facts = self._of_run(run, timezone) if listeners else {}
        return ActiveRun(run.id, run.journey, purpose, listeners, facts, self._pinned(run))

    def _of_run(self, run: KnownRun, timezone: str | None) -> dict[str, FactValue | None]:
        """What is known of a run beside its contact: its `journey.` facts, and its calendars."""
        facts = journey_facts(state_of(run))
        if calendars := self._program(run).calendars:
            facts |= working_facts(calendars, self._ground.now, self._zone(timezone))
        return facts

    def _pinned(self, run: KnownRun) -> Decider:
        if run.bundle_hash == self._ground.bundle.hash:
            return self._matcher
        return _Pinned(self._ground.session, self._ground.shelf, run.bundle_hash)

    def _program(self, run: KnownRun) -> Program:
        return self._ground.shelf.get(self._ground.session, run.bundle_hash).programs[run.journey]

    def _doors(self, programs: Sequence[Program], event: Event, facts: Facts, known: ContactRuns) -> Doors:
        ground = self._ground
        matched: Collection[str] = ()
        if any(program.entry.rule_on(event.type) is not None for program in programs):
            matched = self._matcher.matching(f"entry:{event.type}", facts, ground.now)

        def has_entered(journey: str, entry_key: str) -> bool:
            if known.history.get(journey, History()).runs == 0:
                return False
            asked = (event.contact_id, journey, entry_key)
            if asked not in self._entered:
                self._entered[asked] = asked in read_entered(ground.session, [asked])
            return self._entered[asked]

        late_after = ground.bundle.workspace.late_after
        return Doors(programs, matched, known.history, has_entered, late_after, self._paused, self._draining)

    def _look_for_entries(self, events: Sequence[Event]) -> dict[Asked, bool]:
        """Whether the runs that these events may ask for, once per property of theirs, are there already."""
        asked: set[Asked] = set()
        for event in events:
            for program in self._ground.programs.get(event.type, ()):
                per = program.entry.reentry.per
                if per is not None and (value := event_facts(event).get(per)) is not None:
                    asked.add((event.contact_id, program.journey, once_per_key(value)))
        found = read_entered(self._ground.session, asked)
        return {each: each in found for each in asked}

    def _run_id(self, journey: str, contact_id: str, entry_key: str) -> str:
        return run_id_of(self._ground.control.workspace, journey, contact_id, entry_key)

    def _end(
        self, ending: Ending, event: Event, timezone: str | None, facts: Facts, known: ContactRuns
    ) -> None:
        ground = self._ground
        run = known.active.pop(ending.run_id)
        done = advance(
            self._program(run),
            state_of(run),
            ending.cause,
            facts=facts,
            zone=self._zone(timezone),
            now=ground.now,
            matcher=self._matcher,
        )
        for effect in done.effects:
            if isinstance(effect, Ended):
                asked = {**facts, **self._of_run(run, timezone)}
                because = self._because(ending.rule, run.bundle_hash, asked)
                self._endings.end(run, effect, event_id=event.event_id, **because)
        before = known.history.get(run.journey, History(1, 1))
        known.history[run.journey] = replace(before, active=before.active - 1, last_ended_at=ground.now)

    def _wake(self, waking: Waking, event: Event, known: ContactRuns) -> None:
        run = known.active[waking.run_id]
        wait = next(wait for wait in run.waits if wait.listener is waking.listener)
        wait.is_heard = True
        self._heard.append({"id": wait.id, "matched_event_id": event.event_id})
        self._notes.tell_driver(
            "run.signal", run, self._ground.real_now, reason="event", reference=event.event_id
        )

    def _retime(self, event: Event, facts: Facts, timezone: str | None, known: ContactRuns) -> None:
        """Move the ends of waits that hang on what the event has changed."""
        ground = self._ground
        for run in known.active.values():
            if run.waiting != WaitKind.TIMER:
                continue
            bundle = ground.shelf.get(ground.session, run.bundle_hash)
            program = bundle.programs[run.journey]
            zone = zone_of(timezone, bundle.workspace.timezone)
            moved = retimed(program, state_of(run), facts=facts, zone=zone, now=ground.now)
            if moved is None or moved.waiting is None:
                continue
            was, run.due_at = run.due_at, moved.waiting.due_at
            self._notes.nudge(run, ground.real_now, reason="moved")
            self._retimed[run.id] = {
                "id": run.id,
                "due_at": run.due_at,
                "next_send_at": next_send_at(program, moved),
                "nudged_at": run.nudged_at,
            }
            self._notes.retimed(run, was, event.event_id, ground.now)

    def _refuse(self, refusal: Refusal, event: Event, facts: Facts) -> None:
        starter = starter_of(event)
        if refusal.reason == "entry.no_match" and not self._keeps_no_match and starter is None:
            return
        bundle_hash = self._ground.bundle.hash
        rule = refusal.evidence.get("rule") if refusal.reason == "entry.no_match" else None
        because = self._because(rule, bundle_hash, facts)
        because |= {"started_by": starter} if starter is not None else {}
        self._notes.refused(refusal, event.contact_id, event.event_id, bundle_hash, self._ground.now, because)

    def _enter(self, entry: Entering, event: Event, facts: Facts, known: ContactRuns) -> str:
        ground, program = self._ground, entry.program
        run = KnownRun(
            id=self._run_id(program.journey, event.contact_id, entry.entry_key),
            journey=program.journey,
            version=program.version,
            bundle_hash=ground.bundle.hash,
            contact_id=event.contact_id,
            entry_key=entry.entry_key,
            variables=first_variables(chain_of(event), kept_of(facts, program.keeps.entry)),
        )
        self._new_runs.append(
            {
                "id": run.id,
                "journey": run.journey,
                "version": run.version,
                "bundle_hash": run.bundle_hash,
                "contact_id": run.contact_id,
                "entry_key": run.entry_key,
                "entry_event_id": event.event_id,
                "variables": run.variables,
                "since_seq": event.seq,
                "priority": program.priority,
                "lease_owner": self._owner,
                "lease_until": ground.real_now + LEASE,
                "started_at": ground.now,
            }
        )
        for listener in lasting_listeners(program, ground.now, event.seq):
            run.waits.append(KnownWait(None, listener))
            self._new_waits.append(wait_row(run, listener))
        because = self._because(program.entry.rule_on(event.type), run.bundle_hash, facts)
        if (starter := starter_of(event)) is not None:
            because["started_by"] = starter
        self._notes.entered(run, event.event_id, ground.now, because)
        known.active[run.id] = run
        self._entered[run.contact_id, run.journey, run.entry_key] = True
        before = known.history.get(program.journey, History())
        known.history[program.journey] = replace(
            before,
            runs=before.runs + 1,
            active=before.active + 1,
            last_number=max(before.runs, before.last_number) + 1,
        )
        return run.id

    def _because(self, rule: str | None, bundle_hash: str, facts: Facts) -> dict[str, Any]:
        """The rule that decided and what its tests said, kept so that the decision can be explained later."""
        if rule is None:
            return {}
        bundle = self._ground.shelf.get(self._ground.session, bundle_hash)
        return reasoned(bundle, rule, facts, self._ground.now)


class _Pinned:
    """The matcher of a run's own bundle, loaded when the first rule is asked."""

    def __init__(self, session: Session, shelf: BundleShelf, bundle_hash: str) -> None:
        self._load: Callable[[], Decider] = lambda: shelf.matcher(shelf.get(session, bundle_hash))

    def matching(self, shard: str, facts: Facts, now: datetime) -> Sequence[str]:
        return self._load().matching(shard, facts, now)

    def holds(self, rule_id: str, facts: Facts, now: datetime) -> bool:
        return self._load().holds(rule_id, facts, now)
