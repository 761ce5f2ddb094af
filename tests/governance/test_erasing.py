"""Erasing a contact leaves nothing behind that says who they were, on either database, and a proof of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import select, update
from sqlmodel import SQLModel, col

from engine.contacts.consent import verify_chain
from engine.contacts.suppressing import suppress_address
from engine.delivery.intents import plan
from engine.errors import CommandError, NotFound
from engine.gate.model import Intent
from engine.governance.erasing import Eraser, was_erased
from engine.governance.exporting import EXPORTED, export_contact
from engine.intake.accepting import Intake
from engine.intake.incoming import IncomingEvent
from engine.intake.merging import Merger
from engine.runs.service import Runs
from engine.store.bulk import table_of
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import (
    CallRow,
    ContactRow,
    DecisionRow,
    ErasureRow,
    IdentityRow,
    IntentRow,
    RunRow,
    SuppressionRow,
    TaskRow,
)
from tests.intake.conftest import NOW, NothingToDeliver
from tests.intake.conftest import shelf as shelf
from tests.intake.two_people import ALIAS, Ground
from tests.intake.two_people import make_ground as make_ground

SECRET = "a secret"
TELLING = (
    "zoe@example.com",
    "zoe.old@example.com",
    "+4722225555",
    "Zoologisk-gate",
    "Longyearbyen",
    "order-of-zoe",
    "a gift for Wilhelmine",
    "said that her knee hurts",
    "paper-77-of-zoe.pdf",
    "zoe-user",
    "zoe-before",
)


@pytest.fixture
def ground(store: Store, make_ground: Callable[[Store], Ground], shelf: BundleShelf) -> Iterator[Ground]:
    """On SQLite and on PostgreSQL."""
    found = make_ground(store)
    runs = Runs(store, shelf, NothingToDeliver(), found.clock)
    found.intake = Intake(store, shelf, runs, found.clock, secret=SECRET)
    found.merger = Merger(store, shelf, found.intake, found.clock)
    yield found


def live(ground: Ground) -> str:
    """A contact who has left traces wherever anything about contacts is kept; their id."""
    ground.say(
        "seen",
        "zoe-before",
        traits={"email": "zoe.old@example.com", "city": "Longyearbyen"},
        properties={"note": "a gift for Wilhelmine"},
    )
    ground.say(
        "paid",
        "zoe-user",
        traits={"email": "zoe@example.com", "phone": "+47 22 22 55 55", "city": "Zoologisk-gate"},
        properties={"order": "order-of-zoe"},
        messageId="order-of-zoe:1",
    )
    track = {"type": "track", "userId": "zoe-user"}
    consent = {"purpose": "offers", "proof": "paper-77-of-zoe.pdf"}
    ground.accept(
        {**track, "event": "consent_granted", "properties": consent, "messageId": "c"},
        {**track, "event": "unheard_of", "messageId": "d"},
        {**ALIAS, "userId": "zoe-user", "previousId": "zoe-before"},
    )
    contact = ground.id_of("user", "zoe-user")
    with ground.store.begin() as session:
        mine = col(RunRow.contact_id) == contact
        told: dict[str, Any] = {
            "run_id": session.scalars(select(col(RunRow.id)).where(mine)).first(),
            "journey": "each",
            "step_id": "s",
            "contact_id": contact,
            "created_at": NOW,
            "bundle_hash": "b",
        }
        gift = {"event": {"note": "a gift for Wilhelmine"}}
        intent = Intent(
            "k1", contact, "offers", 50, "text", ("mail",), "s", 1, NOW, bundle_hash="b", variables=gift
        )
        plan(session, intent, now=NOW)
        task: dict[str, Any] = {
            "id": "t",
            "queue": "q",
            "question": "?",
            "rank": 1,
            "due_at": NOW,
            "state": "decided",
        }
        session.add(TaskRow(**task, note="said that her knee hurts", **told))
        call: dict[str, Any] = {"key": "call", "purpose": "offers", "action": "a", "state": "ended"}
        moments: dict[str, Any] = dict.fromkeys(("deadline_at", "ready_at", "updated_at"), NOW)
        session.add(CallRow(**call, told={"city": "Zoologisk-gate"}, **moments, **told))
        session.execute(update(RunRow).where(mine).values(variables={"values": gift}))
        cases = {"cases": [{"found": "Zoologisk-gate", "wanted": "Oslo"}], "step": "s"}
        said: dict[str, Any] = {
            "at": NOW,
            "kind": "branch",
            "stage": "branch",
            "verdict": "allow",
            "reason": "run.branched",
        }
        session.add(DecisionRow(contact_id=contact, evidence=cases, **said))
        suppress_address(session, "email", "zoe.old@example.com", "hard_bounce")
    return contact


def everything(store: Store) -> dict[str, str]:
    """Each table with all that stands in it, as text."""
    with store.read() as session:
        return {
            table.name: "\n".join(
                orjson.dumps([each if isinstance(each, dict | list) else str(each) for each in row]).decode()
                for row in session.execute(select(table)).all()
            )
            for table in SQLModel.metadata.sorted_tables
        }


def test_nothing_that_says_who_they_were_is_left_in_any_table(ground: Ground) -> None:
    contact = live(ground)
    other = ground.say("paid", "ola", traits={"email": "ola@example.com", "city": "Oslo"})
    before = everything(ground.store)
    assert [text for text in TELLING if not any(text in rows for rows in before.values())] == []
    decisions = ground.count(DecisionRow)
    eraser = Eraser(ground.store, ground.clock, SECRET)
    erased = eraser.erase(contact, by="ana", reason="asked for it")
    after = everything(ground.store)
    assert [(name, text) for name, rows in after.items() for text in TELLING if text in rows] == []
    assert ground.count(DecisionRow) >= decisions, "what was decided stays"
    assert not [run for run in ground.all(RunRow) if run.contact_id == contact and run.ended_at is None]
    (message,) = ground.all(IntentRow)
    assert (message.outcome, message.reason) == ("blocked", "suppressed.erased")
    assert ground.contact(other).attributes == {"city": "Oslo"}
    assert ground.id_of("email", "ola@example.com") == other
    with ground.store.read() as session:
        assert verify_chain(session) == []
        assert was_erased(session, SECRET, "email", "zoe@example.com") == [contact]
    proof = ground.one(ErasureRow)
    assert (proof.contact_id, proof.by, proof.reason) == (contact, "ana", "asked for it")
    again = eraser.erase(contact, by="ben", reason="again")
    assert (again.is_repeat, again.at, again.by) == (True, erased.at, "ana")


def test_who_was_erased_is_nobody_and_comes_back_as_somebody_new(ground: Ground) -> None:
    contact = live(ground)
    gone = [row.id for row in ground.all(ContactRow) if row.merged_into == contact]
    eraser = Eraser(ground.store, ground.clock, SECRET)
    assert eraser.erase(gone[0], by="ana", reason="").contact_id == contact
    receipt = ground.intake.accept([IncomingEvent("late", "seen", contact_id=contact)], source="test")
    assert [refusal.code for refusal in receipt.refusals] == ["EV004"]
    ground.clock.moment += timedelta(hours=1)
    new = ground.say("seen", "zoe-user", traits={"email": "zoe.old@example.com"})
    assert new != contact
    assert ground.count(SuppressionRow) == 1
    (mail,) = [row for row in ground.all(IdentityRow) if row.platform == "email"]
    assert mail.suppressed == "hard_bounce", "an address that must not be written to is known again"
    with pytest.raises(CommandError, match="erased since"):
        ground.merger.unmerge(gone[0], by="ana", reason="")
    with pytest.raises(CommandError, match="erased"):
        ground.merger.merge(new, contact, by="ana", reason="")
    with pytest.raises(NotFound):
        eraser.erase("nobody", by="ana", reason="")


def test_an_export_holds_everything_there_is_about_a_contact(ground: Ground) -> None:
    contact = live(ground)
    with ground.store.read() as session:
        text = orjson.dumps(export_contact(session, contact)).decode()
    assert [each for each in TELLING if each not in text] == []


def test_every_table_about_contacts_is_exported() -> None:
    about = {
        table.name
        for table in SQLModel.metadata.sorted_tables
        if "contact_id" in table.columns or table.name in {"contact", "pattern_past", "contact_merge"}
    }
    assert about == {table_of(row).name for row, _ in EXPORTED.values()}
