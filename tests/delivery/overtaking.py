"""Providers whose receipts are heard before their answers, and what is heard of a message."""

from __future__ import annotations

from typing import Any

from engine.delivery.receipts import Became, Closing, Receipt, Said, receive
from engine.delivery.viewing import read_situation
from engine.gate.state import Moment
from engine.plugin.contracts import Accepted, Message, SendResult
from engine.plugin.recording import RecordingChannel
from engine.store.tables import (
    IdentityRow,
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


def closed(desk: Any) -> dict[str, str]:
    return {row.address: row.suppressed for row in desk.rows(IdentityRow) if row.suppressed is not None}
