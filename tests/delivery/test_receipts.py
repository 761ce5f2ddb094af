"""Receipts in any order, repeated, contradictory, before the answer and long after it: only ever forward."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from engine.delivery.early import KEPT
from engine.delivery.intents import IntentState
from engine.delivery.receipts import Became, Closing, Receipt, Said, receive, state_after
from engine.delivery.viewing import read_situation
from engine.gate.model import Outcome
from engine.gate.state import Moment
from engine.intake.accepting import Intake
from engine.intake.callbacks import Callbacks
from engine.plugin.contracts import Accepted, Message, Rejected, Retry, SendResult, Unknown
from engine.plugin.recording import RecordingChannel
from engine.runs.service import Runs
from engine.store.database import Store
from engine.store.tables import (
    CapPlaceRow,
    DecisionRow,
    EarlyReceiptRow,
    IdentityRow,
    IntentRow,
    ReceiptRow,
    SuppressionRow,
)
from tests.delivery.conftest import Desk

CAPS = """
    kind: caps
    id: pressure
    title: pressure
    owner: us
    caps: [{id: many, counts: {purpose: marketing}, limit: 100, window: {rolling: 24h}, when_full: skip}]
    """
CLOSING = Closing({"email": "email", "app": "app"}, "secret", "test")
RANK = {"accepted": 1, "delivered": 2, "bounced": 3, "read": 4}
SAID = st.sampled_from(Said)
ANSWERS = (
    Accepted("p-1"),
    Unknown(),
    Rejected("550"),
    Retry(timedelta(seconds=5)),
)


class Overtaken(RecordingChannel):
    """A provider whose receipts are heard before its answer is."""

    def __init__(self, desk: Desk) -> None:
        super().__init__("mail")
        self.desk = desk
        self.answer: SendResult = Accepted()
        self.first: list[Said] = []

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        for said in self.first:
            hear(self.desk, idempotency_key, said)
        return self.answer


class OvertakenByName(Overtaken):
    """Its receipts name messages by its own ids alone, which nobody knows before its answer."""

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        name = f"p-{idempotency_key}"
        for said in self.first:
            assert hear(self.desk, "", said, provider_id=name, channel="email") is Became.KEPT
        return Accepted(name)


def hear(desk: Desk, key: str, said: Said, **named: Any) -> Became:
    names = named or {"intent": key}
    with desk.store.begin() as session:
        now = Moment.of(desk.clock.now(), read_situation(session).time)
        return receive(session, Receipt(said, desk.clock.now(), **names), now, CLOSING, shelf=desk.shelf)


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


async def test_what_nobody_knew_is_settled_by_a_late_receipt(desk: Any) -> None:
    desk.contact()
    desk.mail = RecordingChannel("mail", results=[Unknown()])
    desk.process()
    desk.plan()
    await desk.deliver()
    assert (desk.row().state, desk.row().outcome) == ("unknown", "unknown")
    assert hear(desk, "k1", Said.READ) is Became.SETTLED
    assert hear(desk, "k1", Said.DELIVERED) is Became.NOTED
    assert hear(desk, "k1", Said.READ) is Became.REPEATED
    assert (desk.row().state, desk.row().outcome) == ("read", "sent")
    assert desk.reasons() == ["unknown.no_answer", "sent.receipt"]


async def test_an_answer_after_the_time_out_finds_what_its_receipt_had_settled(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.contact()
    channel = Overtaken(desk)
    channel.first, channel.answer = [Said.DELIVERED], Rejected("550")
    desk.mail = channel
    desk.process()
    desk.plan()
    assert await desk.deliver() == "sent"
    # What the provider answered after all is kept as a call; the receipt had proven the opposite.
    assert (desk.row().state, desk.results(), desk.reasons()) == ("delivered", ["rejected"], ["sent.receipt"])


async def test_a_message_that_was_to_be_tried_again_is_not_when_a_receipt_proves_it_sent(desk: Any) -> None:
    desk.publish(caps=CAPS)
    desk.contact()
    desk.mail = RecordingChannel("mail", results=[Retry(timedelta(seconds=5))])
    desk.process()
    desk.plan()
    assert await desk.deliver() is None
    assert (desk.row().state, desk.places()) == ("held", ["released"])
    assert hear(desk, "k1", Said.DELIVERED) is Became.SETTLED
    assert desk.places() == ["confirmed"]
    desk.clock.advance(timedelta(hours=1))
    await desk.settle_down()
    assert desk.results() == ["retry"]


async def test_a_receipt_for_nobodys_message_or_one_never_sent_changes_nothing(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.contact(consents=())
    desk.plan()
    await desk.deliver()
    assert hear(desk, "k1", Said.READ) is Became.NOTED
    assert (desk.row().state, desk.row().outcome) == ("ended", "blocked")
    assert hear(desk, "nobody", Said.READ) is Became.UNKNOWN
    assert hear(desk, "", Said.READ, provider_id="nothing") is Became.KEPT, "its message may become known"


async def test_what_a_provider_writes_beside_a_receipt_is_kept_without_addresses(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.contact()
    desk.plan()
    await desk.deliver()
    with desk.store.begin() as session:
        now = Moment.of(desk.clock.now(), read_situation(session).time)
        receipt = Receipt(Said.BOUNCED, now.delivery, "k1", code="550 <ann@example.com> unknown")
        receive(session, receipt, now, shelf=desk.shelf)
    assert desk.rows(ReceiptRow)[0].code == "550 <a***@example.com> unknown"


async def test_the_providers_own_id_names_a_message_unless_two_have_it(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.contact()
    desk.mail = RecordingChannel("mail", results=[Accepted("p-1"), Accepted("p-1")])
    desk.process()
    desk.plan("k1")
    await desk.deliver("k1")
    assert hear(desk, "", Said.DELIVERED, provider_id="p-1", channel="email") is Became.FORWARD
    desk.plan("k2")
    await desk.deliver("k2")
    assert hear(desk, "", Said.READ, provider_id="p-1") is Became.UNKNOWN
    assert desk.row("k1").state == "delivered"


def closed(desk: Any) -> dict[str, str]:
    return {row.address: row.suppressed for row in desk.rows(IdentityRow) if row.suppressed is not None}


@pytest.mark.parametrize(
    ("said", "permanent", "reason"),
    [
        (Said.BOUNCED, True, "hard_bounce"),
        (Said.COMPLAINED, False, "complaint"),
        (Said.BOUNCED, False, None),
        (Said.DELIVERED, True, None),
    ],
)
async def test_what_came_back_for_good_closes_the_address_it_went_to(
    sqlite_desk: Any, said: Said, permanent: bool, reason: str | None
) -> None:
    desk = sqlite_desk
    desk.contact()
    desk.plan()
    await desk.deliver()
    hear(desk, "k1", said, intent="k1", permanent=permanent)
    assert closed(desk) == ({"ann@example.com": reason} if reason else {})
    untold = [row.address for row in desk.rows(IdentityRow) if not row.is_told]
    assert untold == list(closed(desk)), "its journeys are to hear of it"
    assert len(desk.rows(SuppressionRow)) == len(closed(desk)), "and it outlives the contact"


async def test_a_bounce_that_turns_out_to_be_for_good_closes_it_late(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.contact()
    desk.plan()
    await desk.deliver()
    assert hear(desk, "k1", Said.BOUNCED) is Became.FORWARD
    assert hear(desk, "k1", Said.BOUNCED, intent="k1", permanent=True) is Became.REPEATED
    assert closed(desk) == {"ann@example.com": "hard_bounce"}


async def test_an_address_that_came_after_the_message_stays_open(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.contact()
    desk.plan()
    await desk.deliver()
    desk.clock.advance(timedelta(hours=1))
    with desk.store.begin() as session:
        later = IdentityRow(
            platform="email", address="new@example.com", contact_id="ann", added_at=desk.clock.now()
        )
        session.add(later)
    hear(desk, "k1", Said.COMPLAINED)
    assert closed(desk) == {"ann@example.com": "complaint"}
    assert desk.row().state == "delivered", "who complains of it has it"


@pytest.mark.parametrize(
    "order", [(Said.BOUNCED, Said.COMPLAINED), (Said.COMPLAINED, Said.BOUNCED)], ids=["after", "before"]
)
async def test_a_complaint_about_a_message_that_was_kept_back_is_of_an_earlier_one(
    sqlite_desk: Any, order: tuple[Said, Said]
) -> None:
    desk = sqlite_desk
    desk.contact()
    desk.plan()
    await desk.deliver()
    for said in order:
        hear(desk, "k1", said)
    assert desk.row().state == "bounced"
    assert closed(desk) == {"ann@example.com": "complaint"}


async def test_what_never_left_closes_nothing(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.contact()
    desk.plan()
    assert hear(desk, "k1", Said.BOUNCED, intent="k1", permanent=True) is Became.NOTED
    assert closed(desk) == {}


async def test_receipts_that_overtake_the_answer_are_applied_with_it_in_any_order_and_once(desk: Any) -> None:
    desk.contact()
    channel = OvertakenByName(desk)
    channel.first = [Said.READ, Said.DELIVERED, Said.READ]
    desk.mail = channel
    desk.process()
    desk.plan()
    assert await desk.deliver() is Outcome.SENT
    assert (desk.row().state, desk.row().provider_id) == ("read", "p-k1")
    assert sorted(row.said for row in desk.rows(ReceiptRow)) == ["delivered", "read"]
    assert desk.rows(EarlyReceiptRow) == []
    assert desk.reasons() == ["sent.accepted"]
    again = {"provider_id": "p-k1", "channel": "email"}
    assert hear(desk, "", Said.DELIVERED, **again) is Became.REPEATED


async def test_one_overtaken_by_a_receipt_with_its_key_is_known_by_its_providers_id_as_well(
    sqlite_desk: Any,
) -> None:
    desk = sqlite_desk
    desk.contact()
    channel = Overtaken(desk)
    channel.first, channel.answer = [Said.ACCEPTED], Accepted("p-1")
    desk.mail = channel
    desk.process()
    desk.plan()
    named = {"provider_id": "p-1", "channel": "email"}
    assert hear(desk, "", Said.DELIVERED, **named) is Became.KEPT
    await desk.deliver()
    assert (desk.row().state, desk.row().provider_id) == ("delivered", "p-1")
    assert hear(desk, "", Said.READ, **named) is Became.FORWARD


async def test_a_page_of_messages_is_overtaken_too(desk: Any) -> None:
    channel = OvertakenByName(desk)
    channel.first = [Said.DELIVERED]
    desk.mail = channel
    desk.process()
    for number in range(5):
        desk.contact(f"c{number}")
        desk.plan(f"k{number}", f"c{number}")
    desk.clock.advance(timedelta(hours=1))
    await desk.settle_down()
    assert {row.state for row in desk.rows(IntentRow)} == {"delivered"}
    assert desk.rows(EarlyReceiptRow) == []


async def test_what_bounced_for_good_before_it_was_known_closes_its_address(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    desk.contact()
    named = {"provider_id": "p-k1", "channel": "email"}
    assert hear(desk, "", Said.BOUNCED, **named) is Became.KEPT
    assert hear(desk, "", Said.BOUNCED, permanent=True, **named) is Became.KEPT
    assert hear(desk, "", Said.DELIVERED, provider_id="p-k1", channel="app") is Became.KEPT
    assert hear(desk, "", Said.READ, provider_id="p-k2", channel="email") is Became.KEPT
    desk.mail = OvertakenByName(desk)
    desk.process()
    desk.plan()
    await desk.deliver()
    assert desk.row().state == "bounced"
    assert closed(desk) == {"ann@example.com": "hard_bounce"}
    assert len(desk.rows(SuppressionRow)) == 1
    others = {(row.channel, row.provider_id) for row in desk.rows(EarlyReceiptRow)}
    assert others == {("app", "p-k1"), ("email", "p-k2")}, "of another channel, of another message"


def callbacks_of(desk: Any) -> Callbacks:
    runs = Runs(desk.store, desk.shelf, desk.delivery, desk.clock)
    intake = Intake(desk.store, desk.shelf, runs, desk.clock)
    return Callbacks(desk.store, desk.shelf, desk.delivery.outlets, intake, desk.clock, secret="secret")


async def test_what_nobody_comes_to_know_is_let_go_of_after_days(sqlite_desk: Any) -> None:
    desk = sqlite_desk
    callbacks = callbacks_of(desk)
    assert hear(desk, "", Said.DELIVERED, provider_id="nobodys") is Became.KEPT
    desk.clock.advance(KEPT)
    assert await callbacks.forget() == 0
    desk.clock.advance(timedelta(minutes=2))
    assert await callbacks.forget() == 1
    assert desk.rows(EarlyReceiptRow) == []


class Racing(RecordingChannel):
    """A provider that tells of each message from another thread, just when it answers."""

    def __init__(self, desk: Desk) -> None:
        super().__init__("mail")
        self.desk = desk
        self.telling: list[asyncio.Task[Became]] = []

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        name = f"p-{idempotency_key}"
        for said in (Said.READ, Said.DELIVERED, Said.DELIVERED):
            told = asyncio.to_thread(
                hear, self.desk, "", said, provider_id=name, channel="email", permanent=False
            )
            self.telling.append(asyncio.create_task(told))
        return Accepted(name)


async def test_however_receipts_and_answers_race_none_is_lost(desk: Any) -> None:
    channel = Racing(desk)
    desk.mail = channel
    desk.process()
    keys = [f"k{number}" for number in range(24)]
    for number, key in enumerate(keys):
        desk.contact(f"c{number}")
        desk.plan(key, f"c{number}")
    await asyncio.gather(*(desk.deliver(key) for key in keys))
    await asyncio.gather(*channel.telling)
    # What slipped in beside the record of its message is found by the next round.
    await callbacks_of(desk).forget()
    assert desk.rows(EarlyReceiptRow) == []
    assert {row.state for row in desk.rows(IntentRow)} == {"read"}
    assert len(desk.rows(ReceiptRow)) == 2 * len(keys)
