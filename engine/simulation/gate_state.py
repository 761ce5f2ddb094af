"""The gate's memory in plain dictionaries, for virtual time: the same promises as the one in SQL."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from engine.clock import JourneyTime
from engine.delivery.intents import (
    FREED_BY_RULES,
    IntentState,
    apply_aftermath,
    apply_answer,
    is_workable,
    let_go,
    move,
)
from engine.delivery.providers import FAILED, held_back, share_in
from engine.delivery.rivals import rival_of
from engine.gate.arbitration import GRACE, Rival
from engine.gate.caps import applicable_caps, possible_caps
from engine.gate.consent import ConsentRecord
from engine.gate.judging import confirm
from engine.gate.model import Answer, Intent, Outcome, Verdict
from engine.gate.rates import Book, Refusal, ask, note
from engine.gate.stages import (
    KILL_SCOPE,
    Stage,
    breaker_scopes,
    check_hand_over,
    held_by,
    lets_through,
    share_of,
)
from engine.gate.state import (
    Aftermath,
    Attempt,
    Claim,
    Departure,
    GateRules,
    Identity,
    LeaseLost,
    Moment,
    Passage,
    Place,
    Probe,
    PublishedBreaker,
    Standing,
    View,
)
from engine.rules.facts import Facts
from engine.simulation.places import Places


@dataclass(frozen=True)
class Addressee:
    """A contact as the world knows them at this moment."""

    standing: Standing
    identities: tuple[Identity, ...] = ()
    """Latest added first."""
    consents: tuple[ConsentRecord, ...] = ()
    """In ledger order."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """By name, as templates see them."""
    known: Facts = field(default_factory=dict)
    """The `contact.` facts, where the rules ask for them."""
    coming: tuple[Rival, ...] = ()
    """To what their runs will come, where caps look ahead."""


@dataclass
class Wish:
    """One intent and what has become of it so far; fields as in `IntentRow`."""

    intent: Intent
    state: str = IntentState.PLANNED.value
    outcome: str | None = None
    reason: str | None = None
    channel: str | None = None
    wake_at: datetime | None = None
    retry_at: datetime | None = None
    deadline_at: datetime | None = None
    expires_at: datetime | None = None
    hold_scope: str | None = None
    lease_owner: str | None = None
    lease_until: datetime | None = None
    handed_over_at: datetime | None = None
    attempts: int = 0


@dataclass(frozen=True)
class Noted:
    """One decision: what was said of which intent, and when (journey time)."""

    key: str
    at: datetime
    answer: Answer


class MemoryGateState:
    """`GateState` for one thread. `look_up` says who a contact is whenever the gate looks."""

    def __init__(
        self,
        rules: GateRules,
        look_up: Callable[[str], Addressee | None],
        *,
        lease: timedelta = timedelta(minutes=1),
        time: JourneyTime | None = None,
    ) -> None:
        self.rules = rules
        self.wishes: dict[str, Wish] = {}
        self.decisions: list[Noted] = []
        self.attempts: list[tuple[str, Attempt]] = []
        self.kill_reason: str | None = None
        self.breakers: dict[tuple[str, str], PublishedBreaker] = {}
        """Put breakers in with `publish`."""
        self._look_up = look_up
        self._lease = lease
        self._time = time or JourneyTime()
        self._suppressed: dict[tuple[str, str], str] = {}
        self._refused: dict[str, dict[str, str]] = {}
        self._places = Places()
        self._open: dict[str, Wish] = {}
        self._books: dict[str, Book] = {}
        """Of accounts at providers."""
        self._numbers = count(1)

    # What a world does with it

    def plan(self, intent: Intent) -> None:
        """Write the wish down; nothing happens when its key is there already."""
        purpose = self.rules.purposes.get(intent.purpose)
        if intent.expires_at is None and purpose is not None:
            intent = replace(intent, expires_at=intent.created_at + purpose.max_hold)
        if intent.key not in self.wishes:
            wish = Wish(intent, deadline_at=intent.deadline_at, expires_at=intent.expires_at)
            self.wishes[intent.key] = self._open[intent.key] = wish

    def places_of(self, key: str) -> list[Place]:
        """The places in caps that an intent holds, leased or confirmed."""
        return list(self._places.of(self.wishes[key].intent.contact_id, key))

    def wake(self, scope: str) -> int:
        """Plan again what `scope` holds; how many."""
        return self._wake(scope, list(self._open))

    def wake_capped(self) -> int:
        """Plan again what caps and quiet hours hold, for others are in force; how many."""
        held = [wish for wish in self._open.values() if (wish.reason or "").startswith(FREED_BY_RULES)]
        return self._plan_again(held)

    def stop(self, reason: str) -> None:
        """Throw the kill switch."""
        self.kill_reason = reason

    def start_again(self) -> int:
        """Release the kill switch and wake what it held; how many."""
        self.kill_reason = None
        return self.wake(KILL_SCOPE)

    def publish(self, breaker: PublishedBreaker) -> None:
        """Put a breaker's state in force and wake what it lets pass."""
        self.breakers[breaker.breaker_id, breaker.scope] = breaker
        hold = f"breaker:{breaker.scope}"
        held = [key for key, wish in self._open.items() if _is_held_in(wish, hold)]
        if breaker.state == "closed":
            self._wake(hold, held)
        elif breaker.state == "half_open":
            passing = held[: breaker.probes_left]
            if breaker.ramp is not None:
                passing = [key for key in held if share_of(key) < breaker.ramp]
            self._wake(hold, passing)

    def due(self, at: datetime) -> list[str]:
        """The intents that can be claimed at this delivery time, most important first."""
        journey_now = self._time.at(at)
        found = [wish for wish in self._open.values() if is_workable(wish, at, journey_now)]
        found.sort(key=lambda wish: (-wish.intent.priority, wish.intent.created_at, wish.intent.key))
        return [wish.intent.key for wish in found]

    # GateState

    def claim(self, key: str, at: datetime) -> Claim | Outcome | None:
        wish = self.wishes.get(key)
        if wish is None:
            return None
        if wish.outcome is not None:
            return Outcome(wish.outcome)
        if not is_workable(wish, at, self._time.at(at)):
            return None
        wish.lease_owner = f"lease-{next(self._numbers)}"
        wish.lease_until = at + self._lease
        return self._claimed(wish, at)

    def renew(self, claim: Claim, at: datetime) -> Claim:
        wish = self._owned(claim)
        wish.lease_until = at + self._lease
        return self._claimed(wish, at)

    def has_leave(self, claim: Claim, channel: str, now: Moment) -> bool:
        return False

    def admit(self, claim: Claim, channel: str, now: Moment) -> Answer | None:
        provider = claim.view.rules.providers[channel]
        book = self._books.setdefault(provider.account, Book())
        answer = ask(provider, book, now.delivery, share=share_in(claim.intent))
        return held_back(answer, provider, channel) if isinstance(answer, Refusal) else None

    def note_answer(self, claim: Claim, attempt: Attempt, now: Moment) -> None:
        provider = claim.view.rules.providers[attempt.channel]
        book = self._books.setdefault(provider.account, Book())
        failed = attempt.result in FAILED
        if failed or not book.is_clean:
            note(provider, book, now.delivery, failed=failed, busy_for=attempt.busy_for)

    def reserve(self, claim: Claim, passage: Passage, now: Moment) -> Answer | Passage:
        wish = self._owned(claim)
        return self._reserve(wish, claim, passage, now, self._view(wish, now.delivery))

    def _reserve(
        self, wish: Wish, claim: Claim, passage: Passage, now: Moment, view: View
    ) -> Answer | Passage:
        answer = confirm(claim.intent, view, now, passage.channel)
        if answer.verdict is not Verdict.ALLOW:
            return answer
        probes = self._take_probes(claim, passage.channel, now)
        if isinstance(probes, Answer):
            return probes
        self._take_places(claim.intent, view, passage.channel, now)
        move(wish, IntentState.RESERVED)
        wish.channel = passage.channel
        wish.lease_until = now.delivery + self._lease
        return replace(passage, probes=probes) if probes else passage

    def hand_over(self, claim: Claim, passage: Passage, now: Moment) -> Answer | None:
        wish = self._owned(claim)
        return self._hand_over(wish, claim, passage, now, self._view(wish, now.delivery))

    def _hand_over(
        self, wish: Wish, claim: Claim, passage: Passage, now: Moment, view: View
    ) -> Answer | None:
        if self._places.have_lapsed(claim.intent.contact_id, claim.intent.key, now.delivery):
            # Its places ended with their lease, and may be others' by now.
            raise LeaseLost(claim.intent.key)
        answer = check_hand_over(claim.intent, view, now, passage)
        if answer.verdict is not Verdict.ALLOW:
            return answer
        is_first = wish.state != IntentState.HANDED_OVER
        move(wish, IntentState.HANDED_OVER)
        wish.attempts += 1
        wish.lease_until = now.delivery + self._lease
        if is_first:
            wish.handed_over_at = now.journey
            self._places.confirm(claim.intent.contact_id, claim.intent.key, now.journey)
        return None

    def depart(self, claim: Claim, passage: Passage, now: Moment) -> Answer | Departure:
        wish = self._owned(claim)
        view = self._view(wish, now.delivery)
        reserved = self._reserve(wish, claim, passage, now, view)
        if isinstance(reserved, Answer):
            return reserved
        # But for the places just taken, of which a hand-over asks nothing, and for a probe, all is as it was.
        if reserved.probes:
            view = self._view(wish, now.delivery)
        return Departure(reserved, self._hand_over(wish, claim, reserved, now, view))

    def settle(
        self, claim: Claim, attempt: Attempt | None, aftermath: Aftermath, now: Moment, *, carried: bool
    ) -> Outcome | None:
        key = claim.intent.key
        wish = self.wishes[key]
        if attempt is not None:
            self.attempts.append((key, attempt))
            if attempt.result == "rejected":
                self._refused.setdefault(key, {})[attempt.channel] = attempt.code
        if wish.lease_owner != claim.lease:
            return self._settle_late(wish, attempt, aftermath, now)
        if attempt is not None and attempt.suppress_address is not None:
            platform = self.rules.platforms[attempt.channel]
            self._suppressed.setdefault((platform, attempt.suppress_address), "hard_bounce")
        apply_aftermath(wish, aftermath, claim.intent, now)
        if not aftermath.keeps_places:
            self._release(claim.intent)
        if aftermath.answer is not None:
            self._note(wish, aftermath.answer, now)
        self._close_ended(wish)
        return aftermath.outcome

    def conclude(
        self, claim: Claim, answer: Answer, now: Moment, *, passage: Passage | None, carried: bool
    ) -> Outcome | None:
        wish = self._owned(claim)
        if passage is not None:
            for probe in passage.probes:
                self._change_probes(probe, +1)
        self._release(claim.intent)
        self._note(wish, answer, now)
        outcome = apply_answer(wish, answer, claim)
        self._close_ended(wish)
        return outcome

    def forget(self) -> None:
        """Let nothing have been wished, decided or sent; rules, kill switch and breakers stay."""
        self.wishes.clear()
        self._open.clear()
        self._places.clear()
        self._refused.clear()
        self._suppressed.clear()
        self._books.clear()
        self.decisions.clear()
        self.attempts.clear()

    # Inside

    def _owned(self, claim: Claim) -> Wish:
        wish = self.wishes[claim.intent.key]
        if wish.lease_owner != claim.lease:
            raise LeaseLost(claim.intent.key)
        return wish

    def _claimed(self, wish: Wish, at: datetime) -> Claim:
        assert wish.lease_owner is not None, "only leased wishes are claimed"
        intent = wish.intent
        if intent.expires_at != wish.expires_at:
            intent = replace(intent, expires_at=wish.expires_at)
        return Claim(intent, self._view(wish, at), wish.lease_owner, wish.attempts)

    def _view(self, wish: Wish, at: datetime) -> View:
        person = self._look_up(wish.intent.contact_id)
        purpose = self.rules.purposes.get(wish.intent.purpose)
        caps = possible_caps(self.rules.caps, wish.intent, purpose) if purpose is not None else ()
        return View(
            rules=self.rules,
            standing=person.standing if person is not None else None,
            kill_reason=self.kill_reason,
            breakers=tuple(each for each in self.breakers.values() if each.state != "closed"),
            identities=self._identities(person),
            consents=person.consents if person is not None else (),
            places=tuple(self._places.deciding(wish.intent.contact_id, caps, at)) if caps else (),
            refused_by=dict(self._refused.get(wish.intent.key, {})),
            contact=person.facts if person is not None else {},
            facts=person.known if person is not None else {},
            rivals=self._rivals(wish, person, at),
            time=self._time,
        )

    def _rivals(self, wish: Wish, person: Addressee | None, at: datetime) -> tuple[Rival, ...]:
        if self.rules.look_ahead is None or person is None:
            return ()
        now = self._time.at(at)
        until = now + self.rules.look_ahead
        own = wish.intent
        waiting = [
            rival_of(other.intent, due_at)
            for other in self._open.values()
            if other.intent.contact_id == own.contact_id
            and other.intent.key != own.key
            and (due_at := _asks_at(other)) is not None
        ]
        coming = [rival for rival in person.coming if rival.name != own.run_id]
        return tuple(rival for rival in (*waiting, *coming) if now - GRACE < rival.due_at <= until)

    def _identities(self, person: Addressee | None) -> tuple[Identity, ...]:
        known = person.identities if person is not None else ()
        if not self._suppressed:
            return tuple(known)
        return tuple(
            replace(each, suppressed=each.suppressed or self._suppressed.get((each.platform, each.address)))
            for each in known
        )

    def _take_places(self, intent: Intent, view: View, channel: str, now: Moment) -> None:
        standing = view.standing
        assert standing is not None, "stage 2 stops intents without a contact"
        purpose = view.rules.purposes[intent.purpose]
        caps = applicable_caps(view.rules.caps, intent, purpose, channel, standing.tags)
        places = [
            Place(
                cap.id,
                intent.key,
                now.journey,
                False,
                intent.purpose,
                channel,
                intent.journey,
                standing.tags,
                intent.content,
            )
            for cap in caps
        ]
        self._places.lease(intent.contact_id, intent.key, places, now.delivery + self._lease)

    def _release(self, intent: Intent) -> None:
        self._places.release(intent.contact_id, intent.key)

    def _close_ended(self, wish: Wish) -> None:
        if wish.outcome is not None:
            self._open.pop(wish.intent.key, None)

    def _take_probes(self, claim: Claim, channel: str, now: Moment) -> tuple[Probe, ...] | Answer:
        scopes = breaker_scopes(claim.intent, channel)
        taken = []
        for breaker in self.breakers.values():
            if breaker.scope not in scopes or breaker.state == "closed":
                continue
            if not lets_through(breaker, claim.intent.key):
                return held_by(breaker, Stage.BREAKER, claim.view, now, channel)
            if breaker.state == "half_open" and breaker.ramp is None:
                taken.append(Probe(breaker.breaker_id, breaker.scope, breaker.epoch))
        for probe in taken:
            self._change_probes(probe, -1)
        return tuple(taken)

    def _change_probes(self, probe: Probe, by: int) -> None:
        name = (probe.breaker_id, probe.scope)
        breaker = self.breakers[name]
        if breaker.epoch == probe.epoch:
            self.breakers[name] = replace(breaker, probes_left=breaker.probes_left + by)

    def _wake(self, scope: str, keys: Iterable[str]) -> int:
        wishes = (self.wishes[key] for key in keys)
        return self._plan_again(wish for wish in wishes if _is_held_in(wish, scope))

    def _plan_again(self, wishes: Iterable[Wish]) -> int:
        woken = 0
        for wish in wishes:
            if wish.state == IntentState.HELD:
                move(wish, IntentState.PLANNED)
                let_go(wish)
                woken += 1
        return woken

    def _note(self, wish: Wish, answer: Answer, now: Moment) -> None:
        wish.reason = answer.reason
        self.decisions.append(Noted(wish.intent.key, now.journey, answer))

    def _settle_late(
        self, wish: Wish, attempt: Attempt | None, aftermath: Aftermath, now: Moment
    ) -> Outcome | None:
        accepted = attempt is not None and attempt.result == "accepted"
        if wish.state == IntentState.UNKNOWN and accepted and aftermath.answer is not None:
            move(wish, IntentState.ACCEPTED)
            wish.outcome = Outcome.SENT.value
            self._note(wish, aftermath.answer, now)
        return Outcome(wish.outcome) if wish.outcome is not None else None


def _is_held_in(wish: Wish, scope: str) -> bool:
    return scope in (wish.hold_scope or "").split()


def _asks_at(wish: Wish) -> datetime | None:
    """When a message that waits in the gate asks for its places; None for one that is under way, or ended."""
    if wish.state == IntentState.PLANNED:
        return wish.intent.created_at
    return wish.wake_at if wish.state == IntentState.HELD else None
