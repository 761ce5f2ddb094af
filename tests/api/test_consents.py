"""Consents over HTTP: as they stand, as they stood, and what an operator writes down."""

from __future__ import annotations

from datetime import timedelta

from engine.clock import FixedClock
from engine.store.tables import ConsentRow
from tests.api.conftest import NOW, Site

MARKETING = {"decision": "granted", "purpose": "marketing"}


async def known(site: Site) -> None:
    await site.post("/v1/identify", {"userId": "u1", "traits": {"app": "d"}})


async def test_what_an_operator_writes_down_is_recorded_with_everything_said(site: Site) -> None:
    await known(site)
    said = {
        **MARKETING,
        "channel": "letter",
        "legal_basis": "contract",
        "notice": "Offers by post?",
        "language": "en",
        "version": "0",
        "mechanism": "telephone",
        "jurisdiction": "DE",
        "valid_until": "2027-01-01T00:00:00+01:00",
        "proof": "recording 7",
    }
    answer = await site.ask("POST", "/v1/contacts/user:u1/consents", json=said)
    assert answer.status_code == 201
    (state,) = [each for each in answer.json()["state"] if each["purpose"] == "marketing"]
    assert (state["state"], state["may_be_sent"], state["version"]) == ("granted", True, "0")
    (row,) = site.all(ConsentRow)
    assert (row.legal_basis, row.mechanism, row.jurisdiction) == ("contract", "telephone", "DE")
    assert (row.notice_language, row.purpose_version, row.proof) == ("en", "0", "recording 7")
    assert row.valid_until is not None
    assert row.valid_until.isoformat() == "2026-12-31T23:00:00+00:00"
    assert (row.source, row.actor, row.received_at) == ("api:operator", "operator", NOW)


async def test_the_past_can_be_asked_for(site: Site) -> None:
    await known(site)
    clock = site.services.clock
    assert isinstance(clock, FixedClock)
    await site.ask("POST", "/v1/contacts/user:u1/consents", json=MARKETING)
    clock.moment = NOW + timedelta(hours=2)
    await site.ask("POST", "/v1/contacts/user:u1/consents", json={**MARKETING, "decision": "withdrawn"})
    states = []
    for at in (NOW - timedelta(seconds=1), NOW, NOW + timedelta(hours=1), NOW + timedelta(hours=2)):
        answer = await site.ask("GET", "/v1/contacts/user:u1/consents", params={"at": at.isoformat()})
        states.append(answer.json()["state"][0]["state"])
    assert states == ["unknown", "granted", "granted", "withdrawn"]
    assert (await site.ask("GET", "/v1/contacts/user:u1/consents")).json()["state"][0]["state"] == "withdrawn"


async def test_what_cannot_be_is_refused_as_a_problem(site: Site) -> None:
    await known(site)
    path = "/v1/contacts/user:u1/consents"
    for said, status in (
        ({"decision": "granted", "purpose": "markting"}, 409),
        ({"decision": "granted", "purpose": "*"}, 409),
        ({"decision": "perhaps", "purpose": "marketing"}, 422),
        ({**MARKETING, "valid_until": "2027-01-01T00:00:00"}, 422),
        ({**MARKETING, "colour": "red"}, 422),
    ):
        answer = await site.ask("POST", path, json=said)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert (await site.ask("POST", "/v1/contacts/user:x/consents", json=MARKETING)).status_code == 404
    assert (await site.ask("GET", path, params={"at": "2026-01-01T00:00:00"})).status_code == 422
    assert site.count(ConsentRow) == 0


async def test_only_operators_are_answered(sqlite_site: Site) -> None:
    await known(sqlite_site)
    for method in ("GET", "POST"):
        answer = await sqlite_site.client.request(method, "/v1/contacts/user:u1/consents", json=MARKETING)
        assert answer.status_code == 401
