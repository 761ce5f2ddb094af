"""Who is found to be one person by what they are known by, and by whom."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import col

from engine.contacts.merging import MergeRefusedError
from engine.errors import NotFound
from engine.store.tables import (
    ContactRow,
    DeadLetterRow,
    IdentityRow,
    MergeRow,
)
from tests.intake.conftest import NOW
from tests.intake.two_people import Ground
from tests.intake.two_people import ground as ground
from tests.intake.two_people import make_ground as make_ground
from tests.intake.two_people import sqlite_ground as sqlite_ground


def test_an_identify_joins_by_an_identity_that_one_person_has_alone(ground: Ground) -> None:
    first = ground.say("told", "u1", traits={"email": "a@example.com"})
    ground.say("told", "u2", traits={"phone": "+47 22 22 55 55"})
    ground.accept({"type": "identify", "userId": "u2", "traits": {"email": "a@example.com"}})
    assert ground.id_of("user", "u2") == first
    record = ground.one(MergeRow)
    assert (record.because, record.reason) == ("identity", "email")


def test_nobody_is_joined_by_what_several_people_use_or_by_an_undeclared_identity(ground: Ground) -> None:
    ground.say("told", "u1", traits={"email": "a@example.com", "phone": "+47 22 22 55 55"})
    ground.say("told", "u2")
    with ground.store.begin() as session:
        session.execute(
            update(IdentityRow).where(col(IdentityRow.platform) == "email").values(is_shared=True)
        )
    ground.accept(
        {"type": "identify", "userId": "u2", "traits": {"email": "a@example.com", "phone": "+47 22 22 55 55"}}
    )
    ground.accept({"type": "track", "event": "told", "userId": "u2", "traits": {"email": "a@example.com"}})
    assert ground.count(MergeRow) == 0


def test_a_device_joins_who_has_no_user_id_and_nobody_else(ground: Ground) -> None:
    ground.accept({"type": "track", "event": "seen", "anonymousId": "d1"})
    ground.clock.moment += timedelta(minutes=1)
    user = ground.say("told", "u1")
    ground.accept({"type": "identify", "userId": "u1", "anonymousId": "d1"})
    assert ground.count(MergeRow) == 1
    other = ground.say("told", "u2")
    ground.accept({"type": "identify", "userId": "u2", "anonymousId": "d1"})
    assert ground.count(MergeRow) == 1
    assert ground.id_of("user", "u1") != other == ground.id_of("user", "u2")
    assert ground.contact(user).merged_into == ground.id_of("user", "u1")


def test_more_than_the_workspace_allows_are_not_one_person_unless_an_operator_says_so(ground: Ground) -> None:
    ids = [ground.say("told", f"u{n}") for n in range(4)]
    for number in (1, 2):
        ground.accept(
            {"type": "alias", "userId": "u0", "previousId": f"u{number}", "messageId": f"a{number}"}
        )
    refused = ground.accept({"type": "alias", "userId": "u0", "previousId": "u3", "messageId": "a3"})
    assert [refusal.code for refusal in refused.refusals] == ["EV010"]
    assert "more than 3 contacts" in ground.one(DeadLetterRow).message
    assert ground.merger.merge(ids[3], ids[1], by="ana", reason="same person").gone is not None
    assert len({ground.id_of("user", f"u{n}") for n in range(4)}) == 1


def test_an_operator_merges_once_and_hears_of_faults(sqlite_ground: Ground) -> None:
    ground = sqlite_ground
    one, other = ground.say("told", "a"), ground.say("told", "b")
    first = ground.merger.merge(one, other, by="ana", reason="called us")
    assert ground.merger.merge(other, one, by="ana", reason="again").gone is None
    assert ground.one(MergeRow).by == "ana"
    with pytest.raises(NotFound):
        ground.merger.merge(one, "nobody", by="ana", reason="")
    third = ground.say("told", "c")
    with ground.store.begin() as session:
        session.execute(update(ContactRow).where(col(ContactRow.id) == third).values(erased_at=NOW))
    with pytest.raises(MergeRefusedError, match="erased"):
        ground.merger.merge(first.survivor, third, by="ana", reason="")
