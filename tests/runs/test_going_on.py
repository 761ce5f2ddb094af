"""Runs that go on at about the same moment: moved together, as each of them would be alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from engine.contacts.consent import ConsentEntry, record_consent
from engine.governance.control import kill
from engine.intake.incoming import IncomingEvent
from engine.runs.advancing import Advancing
from engine.store.database import Store
from engine.store.tables import (
    AttemptRow,
    CapPlaceRow,
    ContactRow,
    DecisionRow,
    IdentityRow,
    IntentRow,
    RunRow,
)
from tests.governance.test_plans import NOW, Works, head

STEPS = ("one", "two", "three")
PEOPLE = tuple(f"person-{number}" for number in range(7))


def three(journey: str, purpose: str = "service") -> str:
    steps = "".join(f"  - {{send: {step}, content: text, channels: [email]}}\n" for step in STEPS)
    more = f"purpose: {purpose}\nenter: {{event: viewed, reentry: always}}\nsteps:\n{steps}"
    return head("journey", journey, more)


class Town(Works):
    """Several people, all with an address, and a journey of three messages."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.publish(receipt=three("receipt"))
        with store.begin() as session:
            for name in PEOPLE:
                session.add(ContactRow(id=name, created_at=NOW))
                session.flush()
                session.add(
                    IdentityRow(platform="email", address=f"{name}@a.org", contact_id=name, added_at=NOW)
                )
                session.flush()
                record_consent(session, ConsentEntry(name, "marketing", "granted", NOW))

    def enter(self, *people: str, kind: str = "viewed") -> list[str]:
        events = [
            IncomingEvent(f"{kind}-{name}", kind, contact_id=name, occurred_at=self.clock.now())
            for name in people
        ]
        return list(self.intake.accept(events, source="test").run_ids)

    def told(self, name: str) -> list[dict[str, Any]]:
        """All that is written of a person, without what is theirs alone."""
        keys = {row.key for row in self.rows(IntentRow) if row.contact_id == name}
        rows: list[Any] = [row for row in self.rows(ContactRow) if row.id == name]
        for table in (RunRow, IntentRow, CapPlaceRow, DecisionRow):
            rows += [row for row in self.rows(table) if row.contact_id == name]
        rows += [row for row in self.rows(AttemptRow) if row.intent_key in keys]
        own = {"id", "key", "intent_key", "contact_id", "run_id", "lease_owner", "provider_id", "entry_key"}
        own |= {"entry_event_id", "last_event_seq", "since_seq", "evidence"}
        told = [{k: v for k, v in row.model_dump().items() if k not in own} for row in rows]
        return sorted(told, key=repr)


@pytest.fixture
def town(store: Store) -> Iterator[Town]:
    made = Town(store)
    yield made
    made.shelf.close()


async def test_what_is_written_of_each_is_what_is_written_of_one_alone(town: Town) -> None:
    first, *others = PEOPLE
    # What a process does for the first time it does by itself.
    for run_id in town.enter("ann"):
        await town.runs.carry(run_id)
    for run_id in town.enter(first):
        await town.runs.carry(run_id)
    await asyncio.gather(*map(town.runs.carry, town.enter(*others)))
    alone = town.told(first)
    assert [row["outcome"] for row in alone if "revision" in row] == ["completed"]
    for name in others:
        assert town.told(name) == alone
    assert len(town.channel.sent) == 3 * (len(PEOPLE) + 1)


async def test_many_share_transactions(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    for run_id in town.enter("ann"):
        await town.runs.carry(run_id)
    moved: list[int] = []
    advance_each = Advancing.advance_each

    def noting(self: Advancing, session: Any, asked: Any, real_now: Any) -> Any:
        moved.append(len(asked))
        return advance_each(self, session, asked, real_now)

    monkeypatch.setattr(Advancing, "advance_each", noting)
    await asyncio.gather(*map(town.runs.carry, town.enter(*PEOPLE)))
    assert sum(moved) == 4 * len(PEOPLE)
    assert len(moved) < sum(moved)
    assert max(moved) > 1


async def test_a_second_run_of_a_contact_sees_what_became_of_the_first(town: Town) -> None:
    town.publish(receipt=three("receipt", "marketing"), again=three("again", "marketing"))
    for run_id in town.enter("ann"):
        await town.runs.carry(run_id)
    runs = town.enter(*PEOPLE[:3])
    assert len(runs) == 6
    await asyncio.gather(*map(town.runs.carry, runs))
    # The ruleset allows one a week.
    told = [(row.contact_id, row.state) for row in town.rows(IntentRow) if row.contact_id != "ann"]
    sent = [name for name, state in told if state == "accepted"]
    assert sorted(sent) == sorted(PEOPLE[:3])
    assert sorted(name for name, state in told if state == "held") == sorted([*PEOPLE[:3], *PEOPLE[:3]])


async def test_who_cannot_go_on_keeps_nobody(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    for run_id in town.enter("ann"):
        await town.runs.carry(run_id)
    plan_each = town.delivery.plan_each
    unlucky = PEOPLE[3]

    def fails(session: Any, wishes: Any, now: Any, situation: Any) -> Any:
        if any(each.intent.contact_id == unlucky and each.intent.step_id == "two" for each in wishes):
            raise LookupError("a defect")
        return plan_each(session, wishes, now, situation)

    monkeypatch.setattr(town.delivery, "plan_each", fails)
    runs = town.enter(*PEOPLE)
    found = await asyncio.gather(*map(town.runs.carry, runs), return_exceptions=True)
    failed = [each for each in found if isinstance(each, BaseException)]
    assert [str(each) for each in failed] == ["a defect"]
    sent = [row.contact_id for row in town.rows(IntentRow) if row.outcome == "sent"]
    assert [sent.count(name) for name in PEOPLE] == [1 if name == unlucky else 3 for name in PEOPLE]
    monkeypatch.undo()
    await asyncio.gather(*map(town.runs.carry, runs))
    sent = [row.contact_id for row in town.rows(IntentRow) if row.outcome == "sent"]
    assert [sent.count(name) for name in PEOPLE] == [3] * len(PEOPLE)
    assert len(town.channel.sent) == 3 * (len(PEOPLE) + 1)


async def test_a_kill_stops_all_that_have_not_left(town: Town) -> None:
    for run_id in town.enter("ann"):
        await town.runs.carry(run_id)
    runs = town.enter(*PEOPLE)
    with town.store.begin() as session:
        kill(session, by="ops", reason="stop", now=town.clock.now())
    await asyncio.gather(*map(town.runs.carry, runs))
    held = [row.state for row in town.rows(IntentRow) if row.contact_id != "ann"]
    assert held == ["held"] * len(PEOPLE)
    assert len(town.channel.sent) == 3


async def test_one_run_carried_twice_at_once_goes_once(town: Town) -> None:
    runs = town.enter(*PEOPLE) * 2
    await asyncio.gather(*map(town.runs.carry, runs))
    sent = [row.contact_id for row in town.rows(IntentRow) if row.outcome == "sent"]
    assert [sent.count(name) for name in PEOPLE] == [3] * len(PEOPLE)
    assert len({call.key for call in town.channel.calls}) == len(town.channel.calls) == 3 * len(PEOPLE)
