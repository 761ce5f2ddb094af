"""A wish that is claimed in the transaction that plans it, as the process that carries a run does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from engine.contacts.rows import lock_profiles
from engine.delivery.intents import PLANNED_FOR, withdrawn_answer
from engine.delivery.setting_out import Wish
from engine.delivery.viewing import read_situation
from engine.delivery.waking import drop_held
from engine.gate.model import Outcome
from engine.gate.state import Claim
from engine.store.database import lock_contacts
from engine.store.tables import IntentRow


def plan_and_claim(desk: Any, key: str = "k1", **values: Any) -> Claim | None:
    """What the process that carries ann's run does when its step sends."""
    with desk.store.begin() as session:
        wish = Wish(desk.intent(key, "ann", **values), lock_profiles(session, ["ann"])["ann"], departs=False)
        situation = read_situation(session)
        claims: list[Claim | None] = desk.delivery.plan_each(session, [wish], desk.clock.now(), situation)
    return claims[0]


async def test_a_wish_claimed_when_it_was_planned_is_sent_like_any_other(desk: Any) -> None:
    desk.contact()
    claim = plan_and_claim(desk)
    assert await desk.delivery.deliver("k1", carried=True, claim=claim) is Outcome.SENT
    assert desk.reasons() == ["sent.accepted"]
    assert desk.row().lease_owner is None


async def test_a_claim_sees_what_any_later_claim_would_see(desk: Any) -> None:
    desk.contact(locale="zh")
    event = {"at": datetime(2026, 5, 4, tzinfo=UTC), "sizes": (1, 2)}
    early = plan_and_claim(desk, variables={"event": event}, expires_at=None)
    assert early is not None
    desk.clock.advance(PLANNED_FOR)
    desk.process()
    late = desk.delivery._state.claim("k1", desk.clock.now())
    assert (early.intent, early.view) == (late.intent, late.view)


async def test_nobody_else_delivers_a_claimed_wish_until_its_process_must_be_dead(desk: Any) -> None:
    desk.contact()
    plan_and_claim(desk)
    desk.process()
    assert await desk.deliver() is None
    assert await desk.delivery.deliver_due(10) == 0
    desk.clock.advance(PLANNED_FOR - timedelta(seconds=1))
    assert await desk.deliver() is None
    desk.clock.advance(timedelta(seconds=1))
    assert await desk.deliver() is Outcome.SENT


async def test_whoever_comes_back_too_late_with_its_claim_sends_nothing(desk: Any) -> None:
    desk.contact()
    claim = plan_and_claim(desk)
    desk.clock.advance(PLANNED_FOR)
    assert await desk.deliver() is Outcome.SENT
    assert await desk.delivery.deliver("k1", carried=True, claim=claim) is Outcome.SENT
    assert len(desk.mail.sent) == 1


async def test_a_wish_that_is_there_already_is_not_claimed_a_second_time(desk: Any) -> None:
    desk.contact()
    assert plan_and_claim(desk) is not None
    assert plan_and_claim(desk) is None
    assert len(desk.rows(IntentRow)) == 1


async def test_a_withdrawal_between_plan_and_delivery_stops_a_claimed_wish(desk: Any) -> None:
    desk.contact()
    claim = plan_and_claim(desk)
    with desk.store.begin() as session:
        lock_contacts(session, ["ann"])
        now = desk.clock.now()
        drop_held(
            session,
            answer=withdrawn_answer(),
            now=now,
            journey_now=now,
            contact_ids=["ann"],
            stops=lambda purpose, _: purpose == "marketing",
        )
    assert await desk.delivery.deliver("k1", carried=True, claim=claim) is Outcome.BLOCKED
    assert desk.mail.sent == []
    assert desk.reasons() == ["consent.withdrawn"]
