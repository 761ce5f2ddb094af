"""Messages in virtual time: each passes the production gate over memory, and a silent channel takes it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType

from engine.authoring.bundle import Bundle
from engine.clock import FixedClock
from engine.contacts.computing import count_send
from engine.contacts.hearing import HeardOn
from engine.contacts.profile import countries_of_numbers
from engine.delivery.content import ContentPipeline
from engine.delivery.gate_rules import gate_rules
from engine.delivery.intents import in_order_of_wishes, withdrawn_answer
from engine.delivery.limits import Limits
from engine.delivery.passing import Means, at_once, pass_gate
from engine.delivery.rivals import rivals_of_run
from engine.gate.arbitration import Rival
from engine.gate.consent import TakenBack
from engine.gate.model import Answer, Intent, Outcome
from engine.gate.stages import plan_scope
from engine.gate.state import Claim, Identity, PublishedBreaker, Standing
from engine.journeys.event import MESSAGE_BOUNCED, MESSAGE_COMPLAINED, Event
from engine.journeys.interpreter import next_send_at
from engine.plugin.registry import Registry
from engine.risk.machine import Status
from engine.rules.facts import Facts
from engine.simulation.gate_state import MemoryGateState
from engine.simulation.outlets import EveryText, SilentOutlets, ask_at_once, send_at_once
from engine.simulation.people import Living
from engine.simulation.records import Decided, Sent
from engine.simulation.risking import Risking
from engine.simulation.sight import Addressee
from engine.simulation.wishes import Wish

_CLOSES = {MESSAGE_BOUNCED: "hard_bounce", MESSAGE_COMPLAINED: "complaint"}
_NOWHERE = "https://simulation.invalid"
_NEVER_HEARD: HeardOn = MappingProxyType({})


class Sending:
    """The gate of a simulation."""

    def __init__(
        self,
        bundle: Bundle,
        start: datetime,
        decisions: list[Decided],
        sends: list[Sent],
        registry: Registry | None,
        *,
        watches: bool,
    ) -> None:
        """With `watches` breakers open and close by what happens; without it only by hand."""
        self._bundle = bundle
        self._bundles = {bundle.hash: bundle}
        self._decisions = decisions
        self._sends = sends
        self._rules = gate_rules(bundle)
        self._shows_facts = registry is not None
        self._people: dict[str, Living] = {}
        self._unsent: dict[str, dict[str, Wish]] = {}
        """Contact -> key -> what waits in the gate."""
        self._state = MemoryGateState(self._rules, self._look_up, stands_still=True)
        self._clock = FixedClock(start)
        self._risking = Risking(bundle, self._published, self._set_breaker, self._let_pass)
        self._watches = watches
        self._has_woken = False
        self._outlets = SilentOutlets(registry)
        limits = Limits()
        content: ContentPipeline = EveryText({}, {}, _NOWHERE, "", limits, self._clock)
        if registry is not None:
            content = ContentPipeline(registry.generators, registry.checks, _NOWHERE, "", limits, self._clock)
        self._means = Means(
            state=self._state,
            content=content,
            outlets=self._outlets,
            bundle_of=self._bundle_of,
            clock=self._clock,
            limits=limits,
            do=at_once,
            wait_for=at_once,
            preflight=ask_at_once,
            send=send_at_once,
        )

    def forget(self) -> None:
        """Let nobody be known and nothing have been wished."""
        self._people.clear()
        self._unsent.clear()
        self._state.forget()
        self._risking.forget()
        self._outlets.channel.refused = {}

    def know_refusals(self, refused: Mapping[str, str]) -> None:
        """Refuse the messages of these keys, each with its code, until everything is forgotten."""
        self._outlets.channel.refused = refused

    def plan(self, person: Living, intent: Intent) -> None:
        """Write the wish of a run down."""
        self._people[intent.contact_id] = person
        self._state.plan(intent)
        self._unsent.setdefault(intent.contact_id, {})[intent.key] = self._state.wishes[intent.key]

    def happened(self, event: Event) -> None:
        """Hear of what a person did, for budgets may spend for that."""
        self._state.happened(event)

    def told(self, person: Living, event: Event) -> None:
        """Hear of anything that happened: breakers may count it, and what came back closes its address."""
        if (reason := _CLOSES.get(event.type)) is not None:
            platform = str(event.properties.get("platform"))
            if platform in person.identities:
                self._state.close_address(platform, person.identities[platform], reason)
        if self._watches:
            self._risking.happened(event)

    def next_look(self) -> datetime | None:
        """When time alone may change a breaker next."""
        return self._risking.next_look()

    def look(self, now: datetime) -> None:
        """Look at the breakers whose moment has come; what they let pass is `ready` then."""
        self._risking.look(now)

    def say_of_share(self, budget: str, share: str, now: datetime, by: str, *, halted: bool) -> None:
        """Halt a share of a budget by hand, or let it go on, which lets go what was held for it."""
        self._state.say_of_share(budget, share, now, by, halted=halted)

    def move(self, gone: str, survivor: Living) -> None:
        """Let what one person is to get be for another, for the two are one."""
        contact_id = survivor.profile.id
        self._state.move(gone, contact_id)
        self._risking.move(gone, contact_id)
        self._unsent.setdefault(contact_id, {}).update(self._unsent.pop(gone, {}))
        self._people.pop(gone, None)
        self._people[contact_id] = survivor

    async def deliver(self, person: Living, key: str, now: datetime) -> Outcome | None:
        """Bring the message through the gate as far as it goes now; None when it is held."""
        self._clock.moment = now
        claim = self._state.claim(key, now)
        if not isinstance(claim, Claim):
            return claim
        outcome = await pass_gate(claim, self._means, carried=True)
        self._collect()
        self._tell_breakers(now)
        if outcome is not None:
            wish = self._unsent[person.profile.id].pop(key)
            if outcome is Outcome.SENT:
                self._sent(person, wish, now)
        return outcome

    def put_in_force(self, bundle: Bundle, now: datetime) -> None:
        """Judge messages by this bundle from now on, and look again at those that the former may have held.

        That is what plans held that are off, and what caps and quiet hours hold unless those are the same.
        """
        over = set(self._bundle.plans_on) - set(bundle.plans_on)
        has_plans, before = self._bundle.plans_on or bundle.plans_on, self._rules
        self._bundle = self._bundles[bundle.hash] = bundle
        self._rules = self._state.rules = gate_rules(bundle)
        self._risking.put_in_force(bundle, now)
        for plan in sorted(over):
            self._state.wake(plan_scope(plan))
        if has_plans or not self._rules.judges_as(before):
            self._state.wake_capped()

    def force_breaker(self, breaker: str, scope: str, status: Status) -> None:
        """Put a breaker's state in force by hand."""
        self._risking.force(breaker, scope, status)

    @property
    def breakers(self) -> Mapping[tuple[str, str], PublishedBreaker]:
        """What was put in force, by breaker and scope."""
        return self._state.breakers

    def take_woken(self) -> bool:
        """Whether a breaker has let go of messages since this was last asked."""
        has_woken, self._has_woken = self._has_woken, False
        return has_woken

    def _set_breaker(self, breaker: str, scope: str, status: Status) -> None:
        """Put a breaker's state in force, one epoch later; what it lets pass is let go of."""
        before = self._state.breakers.get((breaker, scope))
        woken = self._state.publish(
            PublishedBreaker(
                breaker_id=breaker,
                scope=scope,
                state=status.state.value,
                level=status.level,
                probes_left=status.probes_left,
                ramp=status.ramp,
                epoch=before.epoch + 1 if before is not None else 1,
            )
        )
        self._has_woken |= woken > 0

    def ready(self, now: datetime) -> list[Intent]:
        """The messages that can be delivered now, the most important first."""
        self._clock.moment = now
        return [self._state.wishes[key].intent for key in self._state.due(now)]

    def held(self, contact_id: str, key: str) -> Intent | None:
        """The message while it waits in the gate; None when it came to its end."""
        wish = self._unsent.get(contact_id, {}).get(key)
        return None if wish is None else wish.intent

    def wakes_at(self, key: str) -> datetime | None:
        """When a held message is looked at again by itself."""
        wish = self._state.wishes[key]
        moments = (wish.wake_at, wish.retry_at, wish.deadline_at)
        return min((moment for moment in moments if moment is not None), default=None)

    def value_of(self, key: str) -> float:
        """What a message that waits is worth beside others."""
        return self._state.wishes[key].value

    def drop_of_runs(self, contact_id: str, run_ids: Collection[str], answer: Answer, now: datetime) -> None:
        """Drop what runs that have ended wished and that has not left; `answer` says why."""
        for intent in self._waiting(contact_id):
            if intent.run_id in run_ids:
                self._drop(contact_id, intent.key, answer, now)

    def drop_stopped(self, contact_id: str, taken: TakenBack, now: datetime) -> dict[str, Outcome]:
        """Drop what has not left and a refusal stops; key -> outcome."""
        answer = withdrawn_answer()
        return {
            intent.key: self._drop(contact_id, intent.key, answer, now)
            for intent in self._waiting(contact_id)
            if taken.stops(intent.purpose, intent.channels)
        }

    def _waiting(self, contact_id: str) -> list[Intent]:
        """What waits in the gate for somebody, in the order in which production drops it."""
        waiting = self._unsent.get(contact_id, {}).values()
        return sorted((wish.intent for wish in waiting), key=in_order_of_wishes)

    def _drop(self, contact_id: str, key: str, answer: Answer, now: datetime) -> Outcome:
        # Between two moments nothing is on its way, so what has not left holds no place in any cap.
        del self._unsent[contact_id][key]
        outcome = self._state.end(key, answer, now)
        self._collect()
        return outcome

    def _tell_breakers(self, now: datetime) -> None:
        """Have breakers count the calls of providers that have just been made."""
        if self._watches:
            for key, attempt in self._state.attempts:
                self._risking.attempted(self._state.wishes[key].intent, attempt, now)
        self._state.attempts.clear()

    def _let_pass(self, breaker: str, scope: str) -> None:
        self._has_woken |= self._state.let_pass(breaker, scope) > 0

    def _published(self, breaker: str, scope: str) -> PublishedBreaker | None:
        return self._state.breakers.get((breaker, scope))

    def _collect(self) -> None:
        """Move the gate's new decisions to the simulation's own list."""
        for noted in self._state.decisions:
            intent = self._state.wishes[noted.key].intent
            answer = noted.answer
            self._decisions.append(
                Decided(
                    at=noted.at,
                    kind="message",
                    contact_id=intent.contact_id,
                    journey=intent.journey,
                    stage=answer.stage,
                    verdict=answer.verdict.value,
                    reason=answer.reason,
                    step=intent.step_id,
                    channel=answer.channel,
                    evidence=answer.evidence,
                    hold_until=answer.hold_until,
                    would_pass_if=answer.would_pass_if,
                )
            )
        self._state.decisions.clear()

    def _sent(self, person: Living, wish: Wish, now: datetime) -> None:
        purpose = self._rules.purposes.get(wish.intent.purpose)
        count_send(person.profile, self._bundle, purpose, self._rules.silence, now)
        person.note_own_doings()
        channel = wish.channel or ""
        message = self._outlets.channel.taken.pop(wish.intent.key)
        self._sends.append(
            Sent(
                at=now,
                contact_id=person.profile.id,
                journey=wish.intent.journey or "",
                step=wish.intent.step_id,
                content=wish.intent.content,
                channel=channel,
                address=person.identities.get(self._rules.platforms.get(channel, ""), ""),
                subject=message.subject,
                body=message.body,
                call_to_action=message.call_to_action,
            )
        )

    async def _bundle_of(self, bundle_hash: str) -> Bundle:
        return self._bundles[bundle_hash]

    def _coming(self, person: Living) -> Iterator[Rival]:
        for run_id, run in person.active.items():
            due_at = next_send_at(run.program, run.state)
            if due_at is not None:
                yield from rivals_of_run(run_id, run.program, run.state.position, due_at)

    def _look_up(self, contact_id: str) -> Addressee:
        person = self._people[contact_id]
        profile = person.profile
        known: Facts = {}
        if self._shows_facts or self._rules.asks_facts:
            known = person.facts(self._bundle, self._clock.now())
        facts = {
            name.removeprefix("contact."): sorted(value) if isinstance(value, frozenset) else value
            for name, value in (known.items() if self._shows_facts else ())
        }
        return Addressee(
            standing=Standing(
                timezone=profile.timezone,
                timezone_source=profile.timezone_source,
                timezone_candidates=profile.timezone_candidates,
                countries=countries_of_numbers(profile.numbers) if profile.numbers else (),
                attributes=profile.attributes,
                tags=frozenset(profile.tags | profile.derived_tags),
                suppressed=profile.suppressed,
                is_erased=profile.erased_at is not None,
                is_merged=profile.merged_into is not None,
                silent_since=profile.silent_since,
            ),
            identities=tuple(
                Identity(platform, address, heard=person.heard.get((platform, address), _NEVER_HEARD))
                for platform, address in person.identities.items()
            ),
            consents=tuple(person.consents),
            facts=facts,
            known=known,
            coming=tuple(self._coming(person)) if self._rules.look_ahead is not None else (),
        )
