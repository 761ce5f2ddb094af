"""Suppressed addresses and contacts stay so, under their first reason, until someone lifts it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from engine.contacts.identity import Wanted, resolve_batch
from engine.contacts.suppressing import (
    Suppression,
    allow_address,
    allow_contact,
    list_suppressions,
    suppress_address,
    suppress_contact,
)
from engine.errors import NotFound
from engine.store.database import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def ana(store: Store) -> str:
    with store.begin() as session:
        found = resolve_batch(session, [Wanted((("email", "ana@example.com"), ("app", "a1")))], NOW)
    return found.contact_ids[0]


def test_an_address_is_suppressed_alone_and_keeps_its_first_reason(store: Store, ana: str) -> None:
    with store.begin() as session:
        assert suppress_address(session, "email", "ana@example.com", "complaint")
        assert suppress_address(session, "email", "ana@example.com", "hard_bounce")
        assert not suppress_address(session, "email", "nobody@example.com", "hard_bounce")
    with store.begin() as session:
        assert list_suppressions(session) == [Suppression(ana, "email", "ana@example.com", "complaint")]
        allow_address(session, "email", "ana@example.com")
        assert list_suppressions(session) == []


def test_a_contact_is_suppressed_as_a_whole_and_keeps_its_first_reason(store: Store, ana: str) -> None:
    with store.begin() as session:
        suppress_contact(session, ana, "asked")
        suppress_contact(session, ana, "deleted")
        suppress_address(session, "app", "a1", "hard_bounce")
    with store.begin() as session:
        assert list_suppressions(session) == [
            Suppression(ana, None, None, "asked"),
            Suppression(ana, "app", "a1", "hard_bounce"),
        ]
        assert list_suppressions(session, limit=1) == [Suppression(ana, None, None, "asked")]
        allow_contact(session, ana)
        assert [item.platform for item in list_suppressions(session)] == ["app"]


def test_an_unknown_contact_cannot_be_suppressed(store: Store) -> None:
    with store.begin() as session, pytest.raises(NotFound, match="no contact c9"):
        suppress_contact(session, "c9", "asked")
