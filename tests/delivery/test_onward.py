"""The end of a message moves its run in the same transaction, and never at the message's expense."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.delivery.ending import Ended
from engine.delivery.progress import Progress
from engine.errors import NotFound
from engine.gate.model import Outcome
from engine.governance.control import kill
from engine.store.tables import AttemptRow, IntentRow, OutboxRow

_ANY = datetime(2026, 5, 4, tzinfo=UTC)


class Carrier:
    """Whoever carries a run: notes what it sees of the message while it moves the run."""

    def __init__(self, error: Exception | None = None) -> None:
        self.seen: list[str] = []
        self._error = error

    async def settle(self, ended: Ended, alone: Callable[[], Awaitable[Outcome | None]]) -> Outcome | None:
        return await alone()

    def lock(self, session: Session) -> None:
        self.seen.append("locked")

    def go_on(self, session: Session, ended: Progress) -> None:
        row = session.scalars(select(IntentRow).where(col(IntentRow.key) == "k1")).one()
        assert vars(ended).items() <= row.model_dump().items(), "what it is told is what was written"
        outcome = row.outcome
        session.add(OutboxRow(kind="run.start", key=f"{outcome}", created_at=_ANY))
        session.flush()
        self.seen.append(f"moved after {outcome}")
        if self._error is not None:
            raise self._error

    def give_up(self, error: Exception) -> None:
        self.seen.append(f"gave up: {type(error).__name__}")


async def deliver(desk: Any, carrier: Carrier) -> Outcome | None:
    outcome: Outcome | None = await desk.delivery.deliver("k1", carried=True, onward=carrier)
    return outcome


async def test_the_run_is_moved_where_its_message_ends(desk: Any) -> None:
    desk.contact()
    desk.plan()
    carrier = Carrier()
    assert await deliver(desk, carrier) is Outcome.SENT
    assert carrier.seen == ["locked", "moved after sent"]
    assert [row.key for row in desk.rows(OutboxRow)] == ["sent"]


async def test_a_no_moves_the_run_as_well(desk: Any) -> None:
    desk.contact(consents=())
    desk.plan()
    carrier = Carrier()
    assert await deliver(desk, carrier) is Outcome.BLOCKED
    assert carrier.seen == ["locked", "moved after blocked"]


async def test_a_held_message_leaves_the_run_where_it_is(desk: Any) -> None:
    desk.contact()
    desk.plan()
    with desk.store.begin() as session:
        kill(session, by="ops", reason="stop", now=desk.clock.now())
    carrier = Carrier()
    assert await deliver(desk, carrier) is None
    assert carrier.seen == []


async def test_a_message_that_ended_before_moves_nothing(desk: Any) -> None:
    desk.contact()
    desk.plan()
    await desk.deliver()
    carrier = Carrier()
    assert await deliver(desk, carrier) is Outcome.SENT
    assert carrier.seen == []


@pytest.mark.parametrize("error", [NotFound("no bundle"), KeyError("step")], ids=["refused", "a defect"])
@pytest.mark.parametrize("outcome", [Outcome.SENT, Outcome.BLOCKED])
async def test_a_run_that_cannot_go_on_costs_nothing_of_what_was_said(
    desk: Any, error: Exception, outcome: Outcome
) -> None:
    desk.contact(consents=("marketing",) if outcome is Outcome.SENT else ())
    desk.plan()
    carrier = Carrier(error)
    assert await deliver(desk, carrier) is outcome
    assert carrier.seen == ["locked", f"moved after {outcome}", f"gave up: {type(error).__name__}"]
    assert desk.row().outcome == outcome
    assert len(desk.reasons()) == 1
    assert len(desk.rows(AttemptRow)) == (1 if outcome is Outcome.SENT else 0)
    assert desk.rows(OutboxRow) == []
    assert len(desk.mail.calls) == (1 if outcome is Outcome.SENT else 0)
