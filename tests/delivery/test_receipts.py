"""Receipts of what was sent: what they settle, and which addresses they close."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.delivery.receipts import Became, Receipt, Said, receive
from engine.delivery.viewing import read_situation
from engine.gate.state import Moment
from engine.plugin.contracts import Accepted, Rejected, Retry, Unknown
from engine.plugin.recording import RecordingChannel
from engine.store.tables import (
    IdentityRow,
    ReceiptRow,
    SuppressionRow,
)
from tests.delivery.overtaking import CAPS, Overtaken, closed, hear


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
