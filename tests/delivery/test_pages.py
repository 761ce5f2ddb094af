"""Messages that are due, set out by the page: as if each had been delivered by itself."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from engine.delivery.intents import withdrawn_answer
from engine.delivery.pages import Taken, in_rounds
from engine.delivery.waking import drop_held
from engine.gate.model import Outcome
from engine.plugin import Accepted, SendResult
from engine.plugin.contracts import Message
from engine.plugin.recording import RecordingChannel
from engine.plugin.registry import load_registry
from engine.store.database import lock_contacts
from engine.store.tables import BudgetPlaceRow, BudgetPurseRow, ContactRow, IntentRow, OutboxRow, RunRow
from plugins.checks import lexicon
from plugins.generators import template
from tests.delivery.test_setting_out import CAP, PAID, SCARCE, told, warmed

CONTACTS = 6


class Slow(RecordingChannel):
    """Takes no message before it is told to; says when four are waiting."""

    def __init__(self) -> None:
        super().__init__("mail")
        self.go = asyncio.Event()
        self.is_full = asyncio.Event()
        self.waiting = 0

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        self.waiting += 1
        if self.waiting == 4:
            self.is_full.set()
        await self.go.wait()
        return Accepted("id")


async def populated(desk: Any, names: list[str], *, refusing: tuple[str, ...] = ("eve",)) -> None:
    """Two marketing messages for each, the second of which a cap stops; some have not agreed."""
    desk.publish(caps=CAP)
    for name in names:
        desk.contact(name, consents=() if name in refusing else ("marketing",))
    await warmed(desk)
    for name in names:
        for number in range(2):
            desk.plan(f"{name}-{number}", name)
    desk.clock.advance(timedelta(seconds=31))


async def test_a_page_leaves_behind_what_single_deliveries_do(desk: Any) -> None:
    singly, paged = [f"a{n}" for n in range(CONTACTS)], [f"b{n}" for n in range(CONTACTS)]
    await populated(desk, singly + paged, refusing=("a0", "b0"))
    for name in singly:
        for number in range(2):
            await desk.deliver(f"{name}-{number}", carried=False)
    await desk.settle_down()
    for one, other in zip(singly, paged, strict=True):
        assert _left(desk, one) == _left(desk, other)
    assert len(desk.mail.sent) == 2 * (CONTACTS - 1)
    assert {row.outcome for row in desk.rows(IntentRow)} == {"sent", "capped", "blocked"}


async def test_the_second_message_of_a_contact_sees_what_became_of_the_first(desk: Any) -> None:
    await populated(desk, ["ann", "bob", "eve"])
    await desk.delivery.deliver_due(100)
    outcomes = {row.key: row.outcome for row in desk.rows(IntentRow)}
    assert outcomes["ann-0"] == outcomes["bob-0"] == "sent"
    assert outcomes["ann-1"] == outcomes["bob-1"] == "capped"


async def test_one_that_cannot_be_read_keeps_no_other_back(desk: Any) -> None:
    await populated(desk, ["ann", "bob", "eve"])
    with desk.store.begin() as session:
        contact = session.get(ContactRow, "bob")
        contact.numbers = {"phone": 5}
        contact.timezone = None
    with pytest.raises(Exception):  # noqa: B017 - as delivering bob's message alone does
        await desk.delivery.deliver_due(100)
    outcomes = {row.key: row.outcome for row in desk.rows(IntentRow)}
    assert (outcomes["ann-0"], outcomes["bob-0"], outcomes["eve-0"]) == ("sent", None, "blocked")


async def test_what_was_dropped_between_the_claim_and_the_page_is_left_alone(desk: Any) -> None:
    await populated(desk, ["ann", "bob", "eve"])
    now = desk.clock.now()
    taken = desk.delivery._state.claim_due(100, now)
    with desk.store.begin() as session:
        lock_contacts(session, ["ann"])
        drop_held(
            session, answer=withdrawn_answer(), now=now, journey_now=desk.journey_now(), contact_ids=["ann"]
        )
    first, *_ = in_rounds(taken)
    claims = desk.delivery._pages.set_out(first, now)
    assert {claim.intent.key for claim in claims} == {"bob-0"}
    assert desk.row("ann-0").reason == "consent.withdrawn"
    assert desk.row("bob-0").state == "handed_over"
    assert desk.row("eve-0").outcome == "blocked"


async def test_runs_that_wait_hear_what_became_of_their_messages(desk: Any) -> None:
    names = ["ann", "bob", "eve"]
    for name in names:
        desk.run_row(f"run-{name}", durable=name == "bob")
    desk.publish(caps=CAP)
    for name in names:
        desk.contact(name, consents=() if name == "eve" else ("marketing",))
        desk.plan(name, name, run_id=f"run-{name}", journey="welcome")
    await warmed(desk)
    desk.clock.advance(timedelta(seconds=31))
    await desk.delivery.deliver_due(100)
    runs = {row.id: row.lease_until for row in desk.rows(RunRow)}
    assert runs["run-ann"] == runs["run-eve"] == desk.clock.now()
    (signal,) = desk.rows(OutboxRow, kind="run.signal")
    assert (signal.key, signal.payload["reference"]) == ("run-bob", "bob")
    assert {row.key: row.outcome for row in desk.rows(IntentRow)} == {
        "ann": Outcome.SENT,
        "bob": Outcome.SENT,
        "eve": Outcome.BLOCKED,
    }


async def test_no_more_are_handed_over_than_are_given_to_providers_at_once(desk: Any) -> None:
    desk.mail = slow = Slow()
    await populated(desk, ["eve", *(f"c{number}" for number in range(8))])
    registry = load_registry(entry_points=False, extra=[slow, desk.push, template, lexicon])
    desk.over(registry, at_once=4)
    await warmed(desk)
    delivering = asyncio.create_task(desk.delivery.deliver_due(100))
    async with asyncio.timeout(20):
        await slow.is_full.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    assert sum(row.state == "handed_over" for row in desk.rows(IntentRow)) == 4
    slow.go.set()
    await delivering
    assert sum(row.outcome == "sent" for row in desk.rows(IntentRow)) == 8


@given(whose=st.lists(st.sampled_from("abcd"), max_size=12))
def test_rounds_keep_the_order_and_hold_each_contact_once(whose: list[str]) -> None:
    taken = [Taken(str(number), "lease", contact) for number, contact in enumerate(whose)]
    rounds = in_rounds(taken)
    for each in rounds:
        assert len({one.contact_id for one in each}) == len(each)
        assert each == sorted(each, key=lambda one: int(one.key))
    for contact in set(whose):
        own = [one for one in taken if one.contact_id == contact]
        assert [one for each in rounds for one in each if one.contact_id == contact] == own
    assert sorted(one for each in rounds for one in each) == sorted(taken)


def _left(desk: Any, contact_id: str) -> list[Any]:
    """What `told` tells, in any order and without the provider's numbers."""
    rows = [{**row, "provider_id": None} for row in told(desk, contact_id)]
    return sorted(rows, key=lambda row: sorted(f"{name}: {value}" for name, value in row.items()))


@pytest.mark.parametrize(("budgets", "sent", "statements"), [(PAID, 12, 2), (SCARCE, 4, None)])
async def test_a_page_takes_what_it_costs_out_of_each_budget_at_once_where_there_is_plenty(
    desk: Any, budgets: str, sent: int, statements: int | None
) -> None:
    desk.publish(budgets=budgets)
    for number in range(12):
        desk.plan(f"k{number}", desk.contact(f"c{number}"))
    await warmed(desk)
    # The first of a slot fills what all others take from.
    assert await desk.deliver("k0") is Outcome.SENT
    desk.clock.advance(timedelta(seconds=31))
    taking: list[str] = []
    note = lambda *seen: taking.append(seen[2])  # noqa: E731 - the same one is taken off again
    event.listen(desk.store.engine, "before_cursor_execute", note)
    try:
        await desk.settle_down()
    finally:
        event.remove(desk.store.engine, "before_cursor_execute", note)
    outcomes = [row.outcome for row in desk.rows(IntentRow)]
    assert (outcomes.count("sent"), outcomes.count("capped")) == (sent, 12 - sent)
    of_all = [row for row in desk.rows(BudgetPlaceRow, budget_id="all") if row.state == "taken"]
    assert len(of_all) == sent == sum(row.committed for row in desk.rows(BudgetPurseRow, budget_id="all"))
    if statements is not None:
        assert sum(each.startswith("UPDATE budget_purse") for each in taking) == statements
