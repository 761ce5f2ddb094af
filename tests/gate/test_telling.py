"""Whether somebody outside may be told of a contact: where they may live, and what they agreed to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from engine.gate.consent import ConsentRecord, may_cross
from engine.gate.hours import Residence
from engine.gate.state import Standing
from engine.gate.telling import Ground, may_be_told, telling


@pytest.mark.parametrize(
    ("residents", "lives", "numbers", "otherwise", "allowed"),
    [
        (["CN"], "CN", (), None, True),
        (["US"], "US-FL", (), None, True),
        (["US-FL"], "US", (), None, False),
        (["CN"], "DE", (), "CN", False),
        (["CN"], "nonsense", (), "CN", False),
        (["CN"], None, ("CN", "DE"), None, False),
        (["CN", "DE"], None, ("CN", "DE"), None, True),
        (["CN"], None, (), "CN", True),
        (["CN"], None, (), None, False),
        ([], "CN", (), "CN", False),
    ],
)
def test_who_is_not_known_to_live_in_a_named_country_is_protected(
    residents: list[str], lives: str | None, numbers: tuple[str, ...], otherwise: str | None, allowed: bool
) -> None:
    standing = Standing(attributes={"country": lives}, countries=numbers)
    assert may_be_told(residents, standing, Residence("country", otherwise)) is allowed


def test_of_somebody_who_does_not_exist_nothing_is_told() -> None:
    assert not may_be_told(["CN"], None, Residence(None, "CN"))


AT = datetime(2026, 5, 4, tzinfo=UTC)


def said(purpose: str, decision: str, days_ago: int, valid_for: int | None = None) -> ConsentRecord:
    moment = AT - timedelta(days=days_ago)
    until = None if valid_for is None else moment + timedelta(days=valid_for)
    return ConsentRecord(purpose, "*", decision, moment, until)


@pytest.mark.parametrize(
    ("records", "allowed"),
    [
        ([], False),
        ([said("cross_border", "granted", 3)], True),
        ([said("*", "granted", 3)], False),
        ([said("marketing", "granted", 3)], False),
        ([said("cross_border", "pending", 3)], False),
        ([said("cross_border", "granted", 3, valid_for=2)], False),
        ([said("cross_border", "granted", 3), said("cross_border", "withdrawn", 2)], False),
        ([said("cross_border", "granted", 3), said("*", "withdrawn", 2)], False),
        # Who takes back that they refused everything has their agreements again.
        (
            [
                said("cross_border", "granted", 3),
                said("*", "withdrawn", 2),
                said("*", "granted", 1),
            ],
            True,
        ),
    ],
)
def test_only_an_agreement_to_the_transfer_by_itself_counts(
    records: list[ConsentRecord], allowed: bool
) -> None:
    assert may_cross(records, "email", AT) is allowed


@pytest.mark.parametrize(
    ("lives", "numbers", "located", "grounds", "consents", "because"),
    [
        ("CN", (), "CN", [], [], ""),
        ("US-FL", (), "US", [], [], ""),
        ("CN", (), "US", [], [], "cross_border"),
        ("CN", (), None, [], [], "cross_border"),
        ("CN", (), "US", [], [said("cross_border", "granted", 3)], ""),
        ("CN", (), "US", [Ground(("CN",), "a contract")], [], ""),
        # Who may live in two countries is protected as in the stricter one.
        (None, ("CN", "US"), "US", [], [], "cross_border"),
        (None, ("CN", "US"), "US", [Ground(("US",), "a contract")], [], "cross_border"),
        ("DE", (), "DE", [], [said("cross_border", "granted", 3)], "residence"),
    ],
)
def test_facts_stay_in_their_country_without_a_consent_or_a_ground(
    lives: str | None,
    numbers: tuple[str, ...],
    located: str | None,
    grounds: list[Ground],
    consents: list[ConsentRecord],
    because: str,
) -> None:
    standing = Standing(attributes={"country": lives}, countries=numbers)
    residence = Residence("country", None)
    told = telling(["CN", "US"], located, grounds, standing, residence, consents, "email", AT)
    assert told.because == because
