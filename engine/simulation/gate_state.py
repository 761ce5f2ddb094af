"""The gate's memory in plain dictionaries, for virtual time: the same promises as the one in SQL."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

from engine.clock import JourneyTime
from engine.delivery.intents import (
    IntentState,
    apply_aftermath,
    apply_answer,
    is_workable,
    move,
    waits_in_line,
)
from engine.delivery.providers import FAILED, held_back, share_in
from engine.gate.budgeting import refusal_answer, spendings
from engine.gate.budgets import Halt
from engine.gate.concerning import budgets_of
from engine.gate.judging import confirm, confirm_again
from engine.gate.model import Answer, Intent, Outcome, Verdict
from engine.gate.rates import Book, Refusal, ask, note
from engine.gate.reviewing import SCOPE, Reviews
from engine.gate.stages import KILL_SCOPE, Stage, check_hand_over
from engine.gate.state import (
    Aftermath,
    Attempt,
    Claim,
    Departure,
    GateRules,
    LeaseLost,
    Moment,
    Passage,
    Place,
    PublishedBreaker,
    View,
)
from engine.journeys.event import Event
from engine.simulation.places import places_for
from engine.simulation.probing import let_pass
from engine.simulation.sight import Addressee, Sight
from engine.simulation.wishes import Noted, Wish, plan_again


class MemoryGateState:
    """`GateState` for one thread. `look_up` says who a contact is whenever the gate looks."""

    def __init__(
        self,
        rules: GateRules,
        look_up: Callable[[str], Addressee | None],
        *,
        lease: timedelta = timedelta(minutes=1),
        time: JourneyTime | None = None,
        stands_still: bool = False,
    ) -> None:
        """With `stands_still` nothing else happens, and no time goes by, between a claim and its departure.

        What has let a message pass by then is true still, and is not asked again.
        """
        self.decisions: list[Noted] = []
        self.attempts: list[tuple[str, Attempt]] = []
        self._sight = Sight(rules, look_up, time or JourneyTime())
        self._wishes = self._sight.wishes
        self._breakers = self._sight.breakers
        self._places = self._sight.places
        self._budgets = self._sight.budgets
        self._lease = lease
        self._time = self._sight.time
        self._stands_still = stands_still
        self._books: defaultdict[str, Book] = defaultdict(Book)
        """Of accounts at providers."""
        self._numbers = count(1)

    @property
    def rules(self) -> GateRules:
        """What it judges by."""
        return self._sight.rules

    @rules.setter
    def rules(self, rules: GateRules) -> None:
        self._sight.rules = rules

    # What a world does with it

    @property
    def wishes(self) -> Mapping[str, Wish]:
        """All that was wished, by key."""
        return self._wishes.by_key

    @property
    def breakers(self) -> Mapping[tuple[str, str], PublishedBreaker]:
        """What was published, by breaker and scope."""
        return self._breakers.published

    def plan(self, intent: Intent) -> None:
        """Write the wish down; nothing happens when its key is there already."""
        self._wishes.plan(intent, self.rules)

    def move(self, gone: str, survivor: str) -> None:
        """Let what one contact wishes and holds be another's, for the two are one."""
        self._wishes.move(gone, survivor)
        self._places.move(gone, survivor)
        self._budgets.returned.move(gone, survivor)

    def happened(self, event: Event) -> None:
        """Hear of an event, which may be what a budget spends for."""
        if event.type in self._returns:
            self._budgets.returned.happened(event.contact_id, event.type, event.occurred_at, event.properties)

    def say_of_share(self, budget: str, share: str, now: datetime, by: str, *, halted: bool) -> None:
        """Halt a share of a budget by hand, or let it go on, which wakes what was held for it."""
        found = next(each for each in self.rules.budgets if each.id == budget)
        self._budgets.returned.say(found, share, now, by, halted=halted)
        if not halted:
            plan_again(self._wishes.held_for("budget.halted"))

    def places_of(self, key: str) -> list[Place]:
        """The places in caps that an intent holds, leased or confirmed."""
        return list(self._places.of(self.wishes[key].intent.contact_id, key))

    def wake(self, scope: str) -> int:
        """Plan again what `scope` holds; how many."""
        return plan_again(self._wishes.held_in(scope))

    def wake_capped(self) -> int:
        """Plan again what caps and quiet hours hold, for others are in force; how many."""
        return plan_again(self._wishes.freed_by_rules())

    def end(self, key: str, answer: Answer, at: datetime) -> Outcome:
        """End a message that waits in the gate, at journey time `at`; how it ended."""
        wish = self.wishes[key]
        move(wish, IntentState.ENDED)
        outcome = answer.outcome or Outcome.BLOCKED
        wish.outcome = outcome.value
        self.decisions.append(Noted(key, at, answer))
        self._wishes.close(wish)
        return outcome

    def stop(self, reason: str) -> None:
        """Throw the kill switch."""
        self._sight.kill_reason = reason

    def start_again(self) -> int:
        """Release the kill switch and wake what it held; how many."""
        self._sight.kill_reason = None
        return self.wake(KILL_SCOPE)

    def review(self, texts: Reviews) -> None:
        """Let this be what people have said of texts, by hash, and wake what waited for another word.

        Without it every text counts as approved.
        """
        before = self._sight.reviewed or {}
        self._sight.reviewed = dict(texts)
        for name in {*before, *texts}:
            if before.get(name) != texts.get(name):
                self.wake(f"{SCOPE}{name}")

    def publish(self, breaker: PublishedBreaker) -> int:
        """Put a breaker's state in force and wake what it lets pass; how many."""
        self._breakers.publish(breaker)
        return plan_again(let_pass(breaker, self._wishes.held_in(f"breaker:{breaker.scope}")))

    def close_address(self, platform: str, address: str, reason: str) -> None:
        """Let no message go to an address any more, for something came back from it."""
        self._sight.close(platform, address, reason)

    def let_pass(self, breaker: str, scope: str) -> int:
        """Wake what a breaker lets pass in its present state, as when it was published; how many."""
        published = self._breakers.published.get((breaker, scope))
        if published is None:
            return 0
        return plan_again(let_pass(published, self._wishes.held_in(f"breaker:{scope}")))

    def due(self, at: datetime) -> list[str]:
        """The intents that can be claimed at this delivery time, most important first."""
        return self._wishes.due(at, self._time.at(at))

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
        book = self._books[provider.account]
        answer = ask(provider, book, now.delivery, share=share_in(claim.intent))
        return held_back(answer, provider, channel) if isinstance(answer, Refusal) else None

    def note_answer(self, claim: Claim, attempt: Attempt, now: Moment) -> None:
        provider = claim.view.rules.providers[attempt.channel]
        book = self._books[provider.account]
        failed = attempt.result in FAILED
        if failed or not book.is_clean:
            note(provider, book, now.delivery, failed=failed, busy_for=attempt.busy_for)

    def reserve(self, claim: Claim, passage: Passage, now: Moment) -> Answer | Passage:
        wish = self._owned(claim)
        return self._reserve(wish, claim, passage, now, self._sight.view(wish, now.delivery))

    def _reserve(
        self, wish: Wish, claim: Claim, passage: Passage, now: Moment, view: View
    ) -> Answer | Passage:
        answer = confirm(claim.intent, view, now, passage.channel, within=passage.within)
        if answer.verdict is not Verdict.ALLOW:
            return answer
        probes = self._breakers.take_probes(claim, passage.channel, now)
        if isinstance(probes, Answer):
            return probes
        refused = self._take_spendings(wish, claim.intent, view, passage.channel, now)
        if refused is not None:
            self._breakers.give_back(probes)
            return refused
        self._take_places(claim.intent, view, passage, now)
        move(wish, IntentState.RESERVED)
        wish.channel = passage.channel
        wish.lease_until = now.delivery + self._lease
        return replace(passage, probes=probes) if probes else passage

    def hand_over(self, claim: Claim, passage: Passage, now: Moment) -> Answer | None:
        wish = self._owned(claim)
        view = self._sight.view(wish, now.delivery)
        if claim.in_doubt_on is not None:
            answer = confirm_again(claim.intent, view, now, passage.channel)
            if answer.verdict is not Verdict.ALLOW:
                return answer
        return self._hand_over(wish, claim, passage, now, view)

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
        if self._stands_still and not claim.view.breakers:
            refused = self._take_spendings(wish, claim.intent, claim.view, passage.channel, now)
            if refused is not None:
                return refused
            self._leave_at_once(wish, claim, passage, now)
            return Departure(passage)
        view = self._sight.view(wish, now.delivery)
        reserved = self._reserve(wish, claim, passage, now, view)
        if isinstance(reserved, Answer):
            return reserved
        # But for the places just taken, of which a hand-over asks nothing, and for a probe, all is as it was.
        if reserved.probes:
            view = self._sight.view(wish, now.delivery)
        return Departure(reserved, self._hand_over(wish, claim, reserved, now, view))

    def _leave_at_once(self, wish: Wish, claim: Claim, passage: Passage, now: Moment) -> None:
        """Take the places and hand over a message that was judged this moment; no probe lets it pass."""
        move(wish, IntentState.RESERVED)
        wish.channel = passage.channel
        move(wish, IntentState.HANDED_OVER)
        wish.attempts += 1
        wish.lease_until = now.delivery + self._lease
        wish.handed_over_at = now.journey
        intent = claim.intent
        places = places_for(intent, claim.view, passage, now, is_confirmed=True)
        self._places.take(intent.contact_id, intent.key, places)

    def settle(
        self, claim: Claim, attempt: Attempt | None, aftermath: Aftermath, now: Moment, *, carried: bool
    ) -> Outcome | None:
        key = claim.intent.key
        wish = self.wishes[key]
        if attempt is not None:
            self.attempts.append((key, attempt))
            if attempt.result == "rejected":
                self._sight.note_refusal(key, attempt.channel, attempt.code)
        if wish.lease_owner != claim.lease:
            return self._settle_late(wish, attempt, aftermath, now)
        if attempt is not None and attempt.suppress_address is not None:
            self._sight.suppress(attempt.channel, attempt.suppress_address)
        apply_aftermath(wish, aftermath, claim.intent, now)
        if not aftermath.keeps_places:
            self._release(claim.intent)
        if aftermath.answer is not None:
            self._note(wish, aftermath.answer, now)
        self._wishes.close(wish)
        return aftermath.outcome

    def conclude(
        self, claim: Claim, answer: Answer, now: Moment, *, passage: Passage | None, carried: bool
    ) -> Outcome | None:
        wish = self._owned(claim)
        if passage is not None:
            self._breakers.give_back(passage.probes)
        self._release(claim.intent)
        self._wait_in_line(wish, answer, now)
        self._note(wish, answer, now)
        outcome = apply_answer(wish, answer, claim, now)
        self._wishes.close(wish)
        return outcome

    def forget(self) -> None:
        """Let nothing have been wished, decided or sent; rules, kill switch and breakers stay."""
        self._sight.forget()
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
        return Claim(intent, self._sight.view(wish, at), wish.lease_owner, wish.attempts)

    def halts(self, at: datetime) -> Mapping[str, Mapping[str, Halt]]:
        """By budget and share, what is halted at this delivery time."""
        return self._sight.halts(at)

    @property
    def _returns(self) -> frozenset[str]:
        """The types of events that are returns."""
        return self.rules.worked_out(
            "returns",
            lambda: frozenset(
                budget.returns.event for budget in self.rules.budgets if budget.returns is not None
            ),
        )

    def _take_places(self, intent: Intent, view: View, passage: Passage, now: Moment) -> None:
        places = places_for(intent, view, passage, now, is_confirmed=False)
        self._places.lease(intent.contact_id, intent.key, places, now.delivery + self._lease)

    def _take_spendings(
        self, wish: Wish, intent: Intent, view: View, channel: str, now: Moment
    ) -> Answer | None:
        if not budgets_of(intent, self.rules):
            return None
        wanted = spendings(intent, view, now.journey, channel)
        refusals = self._budgets.take(intent, wanted, now.journey, waited=waits_in_line(wish.reason))
        return refusal_answer(refusals, intent, view, now, channel, Stage.RESERVE) if refusals else None

    def _wait_in_line(self, wish: Wish, answer: Answer, now: Moment) -> None:
        queue = answer.queue
        if queue is not None and not waits_in_line(wish.reason):
            budget = next(each for each in self.rules.budgets if each.id == queue.budget)
            self._budgets.wait_in_line(budget, queue, now.journey)

    def _release(self, intent: Intent) -> None:
        self._places.release(intent.contact_id, intent.key)
        if self.rules.budgets:
            self._budgets.release(intent.key)

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
