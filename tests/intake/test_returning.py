"""Bounces and complaints are events of their contacts, once, however often they are found out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.contacts.suppressing import Blocked, block, suppress_address, suppress_returning
from engine.intake.returning import Returns
from engine.runs.service import Runs
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from engine.store.tables import EventRow, IdentityRow
from tests.intake.conftest import NOW, NothingToDeliver
from tests.intake.two_people import Ground
from tests.intake.two_people import make_ground as make_ground

ADDRESS = ("email", "a@example.com")


@pytest.fixture
def ground(store: Store, make_ground: Callable[[Store], Ground]) -> Ground:
    return make_ground(store)


@pytest.fixture
def returns(ground: Ground, shelf: BundleShelf) -> Returns:
    return Returns(ground.store, ground.intake, Runs(ground.store, shelf, NothingToDeliver(), ground.clock))


def came_back(ground: Ground) -> list[tuple[str, str]]:
    return [(row.type, row.contact_id) for row in ground.all(EventRow) if row.type.startswith("message_")]


def test_what_came_back_is_told_once(ground: Ground, returns: Returns) -> None:
    contact = ground.say("told", "u1", traits={"email": ADDRESS[1]})
    assert returns.tell_page(10) == (0, ())
    for _ in range(2):
        with ground.store.begin() as session:
            suppress_address(session, *ADDRESS, "hard_bounce")
            suppress_address(session, *ADDRESS, "complaint")
        returns.tell_page(10)
    assert came_back(ground) == [("message_bounced", contact)], "the first reason is the one"
    assert not any(ADDRESS[1] in row.event_id for row in ground.all(EventRow))


def test_a_crash_between_telling_and_writing_it_down_tells_nothing_twice(
    ground: Ground, returns: Returns
) -> None:
    contact = ground.say("told", "u1", traits={"email": ADDRESS[1]})
    with ground.store.begin() as session:
        block(session, "secret", [Blocked(*ADDRESS, "complaint")], source="mail", now=NOW)
    returns.tell_page(10)
    with ground.store.begin() as session:
        row = session.get(IdentityRow, ADDRESS)
        assert row is not None
        row.is_told = False
    assert returns.tell_page(10)[0] == 1
    assert came_back(ground) == [("message_complained", contact)]


def test_an_operators_word_and_an_old_bounce_are_nothing_new(ground: Ground, returns: Returns) -> None:
    ground.say("told", "u1", traits={"email": ADDRESS[1], "phone": "+47 22 22 55 55"})
    with ground.store.begin() as session:
        suppress_address(session, *ADDRESS, "operator")
        block(session, "secret", [Blocked("phone", "+4799999999", "hard_bounce")], source="mail", now=NOW)
    ground.say("told", "u2", traits={"phone": "+47 99 99 99 99"})
    with ground.store.begin() as session:
        assert suppress_returning(session, "secret", {("phone", "+4799999999")}) == 1
    assert returns.tell_page(10) == (0, ())
    assert came_back(ground) == []
