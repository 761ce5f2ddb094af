"""Receipts that overtake the record of their message: kept, applied with it, each once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from engine.delivery.early import KEPT
from engine.delivery.receipts import Became, Said
from engine.gate.model import Outcome
from engine.intake.accepting import Intake
from engine.intake.callbacks import Callbacks
from engine.plugin.contracts import Accepted, Message, SendResult
from engine.plugin.recording import RecordingChannel
from engine.runs.service import Runs
from engine.store.tables import (
    EarlyReceiptRow,
    IntentRow,
    ReceiptRow,
    SuppressionRow,
)
from tests.delivery.conftest import Desk
from tests.delivery.overtaking import Overtaken, OvertakenByName, closed, hear


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
