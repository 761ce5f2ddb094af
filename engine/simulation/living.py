"""What events and time do to one person's runs in memory; decisions are recorded, messages wished."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, cast

from engine.authoring.bundle import Bundle
from engine.changing import changed
from engine.contacts.computing import Computed, compute, spare_sweep
from engine.contacts.consent import ConsentEntry
from engine.contacts.counting import count_event
from engine.contacts.crossing import BY_EVENT, crossing_events, sweep_cause
from engine.contacts.deriving import Derivations
from engine.contacts.updating import apply_event
from engine.intake.consenting import consent_entries, pending_events
from engine.intake.opting_out import understood, withdrawals
from engine.journeys.event import CONTACT_MERGED, Event
from engine.journeys.interpreter import Decider
from engine.journeys.program import Program
from engine.rules.facts import Facts
from engine.rules.matcher import Matcher
from engine.simulation import merging
from engine.simulation.advancing import Advancing
from engine.simulation.calling import Calling
from engine.simulation.deciding import Decisions
from engine.simulation.in_flight import InFlightKeeper
from engine.simulation.people import Living, hear, known_kind, state
from engine.simulation.reacting import Reacting
from engine.simulation.records import Decided
from engine.simulation.sending import Sending
from engine.simulation.touched import Touched, together
from engine.simulation.witness import Witness


class Life:
    """One bundle's journeys over people in memory."""

    def __init__(
        self,
        bundle: Bundle,
        matcher: Decider,
        decisions: list[Decided],
        sending: Sending,
        calling: Calling,
        keeper: InFlightKeeper,
        witness: Witness | None = None,
    ) -> None:
        self._keeper = keeper
        self._sending = sending
        written = Decisions(decisions)
        self.runs = Advancing(written, sending, calling, keeper, self.happen)
        self._reacting = Reacting(written, sending, keeper, self.runs)
        self.put_in_force(bundle, matcher, witness)

    def put_in_force(self, bundle: Bundle, matcher: Decider, witness: Witness | None = None) -> None:
        """Let events meet this bundle from now on; runs on their way stay in the one that they entered."""
        self._bundle = bundle
        self._keeper.know(bundle, matcher)
        # What is computed of a contact asks nothing but what every decider can answer.
        self._matcher = cast(Matcher, matcher)
        # A journal wants to see everything asked; nobody else minds an answer that is known.
        self._deriving = Derivations(bundle, matcher) if isinstance(matcher, Matcher) else None
        self._witness = witness
        self.runs.put_in_force(bundle, witness)
        self._reacting.put_in_force(bundle, matcher)

    def remember(self, person: Living, event: Event) -> None:
        """Let an event have happened before the simulation: it counts, and starts and ends nothing."""
        profile = person.profile
        person.forget()
        profile.created_at = min(profile.created_at, event.received_at)
        kind = known_kind(event.type, self._bundle)
        event = understood(event, kind, self._bundle)
        count_event(profile, event, self._bundle, self._matcher)
        apply_event(profile, event, kind)
        hear(person, event, self._bundle)
        self._reacting.recognise(person, event)
        self._say(person, event)
        for withdrawal in withdrawals(event, kind, self._bundle):
            self.remember(person, self._next(person, withdrawal))

    def happen(
        self, person: Living, event: Event, traits: Mapping[str, Any] = MappingProxyType({})
    ) -> Touched:
        """Let an event happen: to the profile, the consents and the runs, in the order of intake."""
        if self._witness is not None:
            self._witness.happened(event, traits)
        self._sending.happened(event)
        profile = person.profile
        kind = known_kind(event.type, self._bundle)
        event = understood(event, kind, self._bundle)
        self._sending.told(person, event)
        if traits:
            state(person, traits, self._bundle, event.received_at)
        count_event(profile, event, self._bundle, self._matcher)
        apply_event(profile, event, kind)
        hear(person, event, self._bundle)
        person.forget()
        facts = person.facts(self._bundle, event.received_at)
        computed = self._computed(person, facts, event.received_at)
        person.sort_runs()
        said = self._say(person, event)
        touched = [self._reacting.react(person, event, computed.facts, [entry.record for entry in said])]
        for pending in pending_events(said, event):
            touched.append(self._tell(person, pending, computed.facts))
        touched += self._cross(person, computed, event.event_id, BY_EVENT, event.received_at)
        for withdrawal in withdrawals(event, kind, self._bundle):
            touched.append(self.happen(person, self._next(person, withdrawal)))
        return together(touched)

    def merge(self, survivor: Living, gone: Living, because: str, event_id: str, now: datetime) -> Touched:
        """Let two people turn out to be one; what that event touched."""
        self.runs.join(survivor, gone, now)
        merging.take_in(survivor, gone, self._bundle, self._matcher, self._reacting.recogniser, now)
        survivor.seq += 1
        event = Event(
            event_id=event_id,
            type=CONTACT_MERGED,
            contact_id=survivor.profile.id,
            occurred_at=now,
            received_at=now,
            source="wayline",
            properties={"contact": gone.profile.id, "because": because},
            seq=survivor.seq,
        )
        return self.happen(survivor, event)

    def keep_past(self) -> None:
        """Keep what people do from now on, for some of them may turn out to be one."""
        self._reacting.keeps_past = True

    def compute(self, person: Living, because: str, now: datetime) -> Touched | None:
        """Compute the profile anew although nothing has happened; audiences crossed are told to the runs.

        None when the profile is as it was.
        """
        cause = sweep_cause(person.profile)
        before = person.facts(self._bundle, now)
        computed = self._computed(person, before, now)
        if computed.facts is before:
            return None
        person.sort_runs()
        return together(self._cross(person, computed, cause, because, now))

    def sent(self, person: Living, now: datetime) -> None:
        """A message to the person has just left; unless that makes a difference they are not looked at."""
        if self._deriving is not None:
            facts = person.facts(self._bundle, now)
            outlook = spare_sweep(person.profile, facts, now, self._deriving)
            person.outlook = None if outlook is None else (self._deriving, outlook)

    def would_enter(self, person: Living, program: Program, event: Event) -> bool:
        """Whether the event would start a run of the program as things stand."""
        return self._reacting.would_enter(person, program, event)

    def _computed(self, person: Living, facts: Facts, now: datetime) -> Computed:
        """The person computed of these facts, which are those of `now`."""
        by, outlook = person.outlook or (None, None)
        computed = compute(
            person.profile,
            self._bundle,
            self._matcher,
            now,
            facts=facts,
            deriving=self._deriving,
            outlook=outlook if by is self._deriving else None,
        )
        person.outlook = None if self._deriving is None else (self._deriving, computed.outlook)
        if computed.facts is not facts:
            person.know(self._bundle, computed.facts)
        return computed

    def _cross(
        self, person: Living, computed: Computed, cause: str, because: str, now: datetime
    ) -> list[Touched]:
        if not computed.crossings:
            return []
        events = crossing_events(computed.crossings, person.profile.id, cause, because, now)
        return [self._tell(person, event, computed.facts) for event in events]

    def _next(self, person: Living, event: Event) -> Event:
        """The event, numbered as the person's next one."""
        person.seq += 1
        return changed(event, seq=person.seq)

    def _tell(self, person: Living, event: Event, contact: Facts) -> Touched:
        """Let an event happen that Wayline itself writes; it comes next after the person's latest one."""
        person.seq += 1
        if not person.profile.last_event_seq:
            person.forget()  # from its first event on, a contact without a count is no longer one at zero
        person.profile.last_event_seq = person.seq
        if self._witness is not None:
            self._witness.happened(event, {})
        event = changed(event, seq=person.seq)
        self._sending.told(person, event)
        return self._reacting.react(person, event, contact)

    def _say(self, person: Living, event: Event) -> list[ConsentEntry]:
        """Write down what the event says of consent; what was written."""
        kind = known_kind(event.type, self._bundle)
        said = consent_entries(event, kind, self._bundle, lambda: person.consents)
        person.consents += (entry.record for entry in said)
        return said
