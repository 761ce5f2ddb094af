"""Receipts and answers in any order, repeated and contradictory: only ever forward, each counted once."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from engine.delivery.intents import IntentState
from engine.delivery.receipts import Said, state_after
from engine.plugin.contracts import Accepted, Rejected, Retry, SendResult, Unknown
from engine.store.database import Store
from engine.store.tables import (
    CapPlaceRow,
    DecisionRow,
    EarlyReceiptRow,
    IntentRow,
    ReceiptRow,
)
from tests.delivery.conftest import Desk
from tests.delivery.overtaking import CAPS, Overtaken, OvertakenByName, hear

RANK = {"accepted": 1, "delivered": 2, "bounced": 3, "read": 4}


SAID = st.sampled_from(Said)


ANSWERS = (
    Accepted("p-1"),
    Unknown(),
    Rejected("550"),
    Retry(timedelta(seconds=5)),
)


@given(
    st.sampled_from(IntentState),
    st.lists(SAID, min_size=1, max_size=6).flatmap(
        lambda said: st.tuples(st.just(said), st.permutations(said))
    ),
)
def test_the_order_and_number_of_receipts_make_no_difference(
    state: IntentState, told: tuple[list[Said], list[Said]]
) -> None:
    ends = []
    for order in told:
        now = state
        for count in range(1, len(order) + 1):
            after = state_after(now, True, order[:count])
            assert RANK.get(after, 0) >= RANK.get(now, 0)
            now = after
        ends.append(now)
    assert ends[0] is ends[1]
    assert state_after(state, False, told[0]) is state


class Providers(RuleBasedStateMachine):
    """Messages, the answers of a provider that may lie, and receipts for them at any time."""

    store: Store
    desk: Desk

    @initialize()
    def _set_up(self) -> None:
        with self.store.begin() as session:
            for table in reversed(list(IntentRow.metadata.sorted_tables)):
                session.connection().execute(table.delete())
        self.desk = Desk(self.store)
        self.desk.publish(caps=CAPS)
        self.desk.contact()
        self.channel = Overtaken(self.desk)
        self.desk.mail = self.channel
        self.desk.process()
        self.numbers = itertools.count()
        self.keys: list[str] = []
        self.ranks: dict[str, int] = {}

    @rule(answer=st.sampled_from(ANSWERS), first=st.lists(SAID, max_size=2))
    def a_message_is_sent(self, answer: SendResult, first: list[Said]) -> None:
        key = f"k{next(self.numbers)}"
        self.keys.append(key)
        self.channel.answer, self.channel.first = answer, first
        self.desk.plan(key)
        asyncio.run(self.desk.deliver(key, carried=False))

    @rule(first=st.lists(SAID, min_size=1, max_size=3), later=st.lists(SAID, max_size=2))
    def a_message_is_overtaken_by_receipts_that_know_its_providers_id(
        self, first: list[Said], later: list[Said]
    ) -> None:
        key = f"k{next(self.numbers)}"
        self.keys.append(key)
        channel = OvertakenByName(self.desk)
        channel.first = first
        self.desk.mail = channel
        self.desk.process()
        self.desk.plan(key)
        asyncio.run(self.desk.deliver(key, carried=False))
        self.desk.mail = self.channel
        self.desk.process()
        if self.desk.row(key).state == "ended":
            return  # an earlier one had closed the address
        for said in later:
            hear(self.desk, "", said, provider_id=f"p-{key}", channel="email")
        heard = {each.said for each in self.desk.rows(ReceiptRow, intent_key=key)}
        assert heard == {each.value for each in (*first, *later)}
        assert self.desk.row(key).state == state_after(IntentState.ACCEPTED, True, [*first, *later])
        assert not self.desk.rows(EarlyReceiptRow)

    @rule(which=st.integers(0, 5), said=SAID)
    def a_receipt_is_heard(self, which: int, said: Said) -> None:
        if self.keys:
            hear(self.desk, self.keys[which % len(self.keys)], said)

    @rule(answer=st.sampled_from(ANSWERS))
    def time_passes_and_what_is_due_is_tried_again(self, answer: SendResult) -> None:
        self.channel.answer, self.channel.first = answer, []
        self.desk.clock.advance(timedelta(minutes=6))
        asyncio.run(self.desk.settle_down())

    @invariant()
    def states_only_go_forward(self) -> None:
        for row in self.desk.rows(IntentRow):
            rank = RANK.get(row.state, 0)
            assert rank >= self.ranks.get(row.key, 0)
            self.ranks[row.key] = rank

    @invariant()
    def whatever_was_proven_to_be_sent_counts_as_sent(self) -> None:
        places = {row.intent_key: row.state for row in self.desk.rows(CapPlaceRow)}
        for row in self.desk.rows(IntentRow):
            if row.state in RANK:
                assert row.outcome == "sent"
                assert places[row.key] == "confirmed"
                assert row.lease_owner is None
            elif row.state == "unknown":
                assert places[row.key] == "confirmed"
            else:
                assert row.outcome != "sent"

    @invariant()
    def each_is_counted_once_as_what_it_is(self) -> None:
        rows = self.desk.rows(IntentRow)
        assert len(rows) == len(self.keys)
        for row in rows:
            ends = [each.outcome for each in self.desk.rows(DecisionRow, intent_key=row.key) if each.outcome]
            assert (ends[-1] if ends else None) == row.outcome
            assert ends.count("sent") <= 1
            heard = [each.said for each in self.desk.rows(ReceiptRow, intent_key=row.key)]
            assert len(heard) == len(set(heard))

    def teardown(self) -> None:
        if hasattr(self, "desk"):
            self.desk.shelf.close()


def test_receipts_and_answers_in_any_order_only_move_forward_and_are_counted_once(store: Store) -> None:
    machine = type("Here", (Providers,), {"store": store})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=12, stateful_step_count=10, deadline=None)
    )


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_receipts_and_answers_in_any_order_at_length(store: Store) -> None:
    machine = type("Here", (Providers,), {"store": store})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=100, stateful_step_count=25, deadline=None)
    )
