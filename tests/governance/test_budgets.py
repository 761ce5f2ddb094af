"""Budgets are filled for the next slot when nobody spends, once a slot, whoever does it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from engine.errors import CommandError, NotFound
from engine.gate.budgets import OTHERS
from engine.gate.model import Outcome
from engine.governance.budgets import BudgetKeeper, budget_record, say_of_share
from engine.plugin.contracts import Rejected
from engine.plugin.recording import RecordingChannel
from engine.store.database import Store
from engine.store.tables import BudgetHaltRow, BudgetPeriodRow, BudgetPurseRow, BudgetWindowRow, EventRow
from tests.delivery.conftest import START, Desk

BUDGET = """
    kind: budgets
    id: budgets
    title: budgets
    owner: us
    budgets:
      - id: all
        unit: messages
        pays_for: {}
        limit: 6
        window: {calendar: day, timezone: workspace}
        every: 4h
        shares: [{id: keen, share: 50%, when: {contact.tags: {has: keen}}}]
        when_spent: skip
"""


@pytest.fixture
def desk(store: Store) -> Iterator[Desk]:
    made = Desk(store)
    made.publish(budgets=BUDGET)
    for name in ("ann", "bob", "eve"):
        made.contact(name)
    yield made
    made.shelf.close()


def record(desk: Desk) -> dict[str, Any]:
    with desk.store.read() as session:
        return budget_record(session, desk.shelf, desk.clock, "all")


async def test_what_is_not_allowed_yet_waits_for_its_slot_and_leaves_then(desk: Desk) -> None:
    # Three of six are for others than `keen`; at eleven in the morning three of six slots have begun.
    for number, name in enumerate(("ann", "bob", "eve")):
        desk.plan(f"k{number}", name)
    assert [await desk.deliver(f"k{number}") for number in range(3)] == [Outcome.SENT, None, None]
    assert desk.reasons("k1") == ["budget.ahead"]
    # The slots begin at midnight in Shanghai, which is eight hours ahead.
    assert desk.row("k1").wake_at == START.replace(hour=4)
    assert desk.row("k2").wake_at == START.replace(hour=12)
    assert (record(desk)["spent"], record(desk)["held"]) == (1, 2)
    desk.clock.advance(timedelta(hours=1))
    await desk.settle_down()
    assert desk.row("k1").outcome == "sent"
    assert desk.row("k2").outcome is None
    desk.clock.advance(timedelta(hours=8))
    await desk.settle_down()
    assert desk.row("k2").outcome == "sent"
    assert (record(desk)["spent"], record(desk)["held"]) == (3, 0)


async def test_a_message_that_is_refused_for_good_gives_back_what_it_took(desk: Desk) -> None:
    desk.mail = RecordingChannel("mail", results=[Rejected("no_such_address")])
    desk.process()
    desk.plan("k0")
    assert await desk.deliver("k0") is Outcome.FAILED
    assert record(desk)["spent"] == 0


async def test_a_slot_that_begins_is_filled_once_by_whoever_comes(desk: Desk) -> None:
    desk.plan("k0")
    await desk.deliver("k0")
    keeper = BudgetKeeper(desk.store, desk.shelf, desk.clock)
    assert await keeper.turn_due() == 0
    desk.clock.advance(timedelta(hours=1))
    assert await keeper.turn_due() == 1
    filled = [vars(row) for row in desk.rows(BudgetPurseRow)]
    assert await keeper.turn_due() == 0
    assert len(filled) == len(desk.rows(BudgetPurseRow))
    assert sum(row["allocated"] for row in filled) == 6
    # `keen` took nothing in half of the day, so part of its half is for the others now.
    shares = {share["share"]: share["allocated"] for share in record(desk)["shares"]}
    assert shares == {"keen": 2, "others": 4}


async def test_a_window_that_is_over_is_laid_aside_and_the_next_one_opened(desk: Desk) -> None:
    desk.plan("k0")
    await desk.deliver("k0")
    keeper = BudgetKeeper(desk.store, desk.shelf, desk.clock)
    desk.clock.advance(timedelta(days=1))
    assert await keeper.turn_due() == 1
    assert await keeper.turn_due() == 0
    windows = sorted(desk.rows(BudgetWindowRow), key=lambda row: row.starts_at)
    assert [row.next_at is None for row in windows] == [True, False]
    assert record(desk)["spent"] == 0


RETURNING = """
    kind: budgets
    id: budgets
    title: budgets
    owner: us
    budgets:
      - id: all
        unit: messages
        pays_for: {}
        limit: 1000
        window: {calendar: month, timezone: workspace}
        pace: free
        every: 1h
        when_spent: skip
        return: {event: paid, amount: amount, currency: EUR, within: 2h, period: 1h, periods: 3,
                 unstable_above: 12%, stable_below: 10%, least_spent: 1}
"""
PAID = """
    kind: events
    id: events
    title: events
    owner: us
    events: [{id: paid, title: paid, schema: {type: object, properties: {amount: {type: number}}}}]
"""


@pytest.fixture
def returning(store: Store) -> Iterator[Desk]:
    made = Desk(store)
    made.files["wayline.yaml"] += "currencies: {EUR: {decimals: 2}}\n"
    made.publish(budgets=RETURNING, events=PAID)
    made.contact("ann")
    yield made
    made.shelf.close()


class Shop:
    """A desk where every hour a message leaves, and what it brings in is known."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.keeper = BudgetKeeper(desk.store, desk.shelf, desk.clock)
        self.sent = 0

    async def hour(self, amount: float) -> Outcome | None:
        """One hour: a message, what it brings in ten minutes later, and at its end the keeper's look."""
        key = f"hour-{self.sent}"
        self.sent += 1
        self.desk.plan(key)
        outcome = await self.desk.deliver(key)
        now = self.desk.clock.now() + timedelta(minutes=10)
        with self.desk.store.begin() as session:
            session.add(
                EventRow(
                    event_id=key,
                    contact_id="ann",
                    type="paid",
                    occurred_at=now,
                    received_at=now,
                    source="shop",
                    properties={"amount": amount},
                )
            )
        self.desk.clock.advance(timedelta(hours=1))
        await self.keeper.turn_due()
        return outcome

    def say(self, *, halted: bool, share: str = OTHERS, name: str = "all") -> bool:
        desk = self.desk
        with desk.store.begin() as session:
            return say_of_share(
                session, desk.shelf, desk.clock, name, share, halted=halted, by="mia", reason="a sale"
            )

    def words(self) -> list[tuple[bool, str]]:
        return [(row.halted, row.by) for row in self.desk.rows(BudgetHaltRow)]


async def test_a_share_whose_return_is_unsteady_holds_its_messages_until_a_person_resumes_it(
    returning: Desk,
) -> None:
    shop = Shop(returning)
    # A period is ripe two hours after its end, so the third is at the end of the fifth hour.
    for amount in (10, 90, 10, 50):
        assert await shop.hour(amount) is Outcome.SENT
    assert "halted" not in {share["state"] for share in record(returning)["shares"]}
    await shop.hour(50)
    (share,) = record(returning)["shares"]
    assert (share["state"], share["halted_by"], share["periods"]) == ("halted", "rule", 3)
    assert share["volatility"] > 1
    assert share["return"] == pytest.approx(110 / 3, rel=1e-3)
    assert await shop.hour(50) is None
    held = returning.row("hour-5")
    assert held.reason == "budget.halted"
    # It is asked again whenever another period is ripe, and leaves when somebody resumes the share.
    assert held.wake_at == returning.clock.now()
    assert shop.say(halted=False)
    assert not shop.say(halted=False)
    await returning.settle_down()
    assert returning.row("hour-5").outcome == "sent"
    assert shop.words() == [(True, "rule"), (False, "mia")]
    # What was before says nothing any more.
    for amount in (90, 10):
        assert await shop.hour(amount) is Outcome.SENT
    assert shop.words() == [(True, "rule"), (False, "mia")]


async def test_it_goes_on_by_itself_when_later_periods_make_it_steady_enough(returning: Desk) -> None:
    shop = Shop(returning)
    for amount in (10, 90, 50, 50, 50):
        await shop.hour(amount)
    assert shop.words() == [(True, "rule")]
    # Held are messages from now on; what was sent before still ripens, and is steady.
    held = [await shop.hour(0) for _ in range(2)]
    assert held == [None, None]
    assert shop.words() == [(True, "rule"), (False, "rule")]
    await returning.settle_down()
    assert returning.row("hour-6").outcome == "sent"


async def test_an_order_counts_for_the_latest_message_before_it_and_not_for_ever(returning: Desk) -> None:
    shop = Shop(returning)
    await shop.hour(10)
    await shop.hour(20)
    returning.clock.advance(timedelta(hours=5))
    await shop.keeper.turn_due()
    assert [(row.spent, row.returned) for row in returning.rows(BudgetPeriodRow)] == [(1, 1000), (1, 2000)]


async def test_shares_that_are_not_there_and_budgets_without_a_return_are_not_halted(desk: Desk) -> None:
    shop = Shop(desk)
    with pytest.raises(NotFound, match="known are all"):
        shop.say(halted=True, name="al")
    with pytest.raises(CommandError, match="does not say what comes back"):
        shop.say(halted=True)


async def test_what_a_person_halts_a_person_resumes(returning: Desk) -> None:
    shop = Shop(returning)
    assert shop.say(halted=True)
    with pytest.raises(NotFound, match="it has others"):
        shop.say(halted=True, share="keen")
    assert await shop.hour(10) is None
    (share,) = record(returning)["shares"]
    assert (share["state"], share["halted_by"], share["return"]) == ("halted", "mia", None)
