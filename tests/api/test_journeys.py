"""Journeys over HTTP: entered by request with an answer that repeats, paused and resumed, listed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.contacts.consent import ConsentEntry, record_consent
from engine.store.tables import ContactRow, DeadLetterRow, EventRow, IdentityRow, RunRow, SwitchRow
from tests.api.conftest import NOW, Site, opened, workspace

GIFT = """\
kind: journey
id: gift
title: gift
owner: tests
purpose: service
enter:
  api: {parameters: {coupon: {type: text, required: true}, value: {type: number}}}
  when: {event.value: {gte: 10}}
  reentry: {once_per: event.coupon}
steps:
  - {send: hello, content: hello, channels: [letter]}
"""
GOOD = {"coupon": "c1", "value": 20}


@pytest.fixture
async def site(database_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    files = {**workspace(tmp_path / "letters"), "gift.yaml": GIFT}
    async with opened(database_url, tmp_path, files) as found:
        with found.services.store.begin() as session:
            session.add(ContactRow(id="ann", created_at=NOW, attributes={"nickname": "Ann"}))
            session.add(IdentityRow(platform="app", address="a1", contact_id="ann", added_at=NOW))
            session.flush()
            record_consent(session, ConsentEntry("ann", "marketing", "granted", NOW))
        yield found


async def enter(
    site: Site,
    parameters: Any = GOOD,
    *,
    key: str | None = "k1",
    contact: str = "app:a1",
    journey: str = "gift",
) -> httpx.Response:
    headers = {"Authorization": "Bearer operator-token-of-the-tests"}
    if key is not None:
        headers["Idempotency-Key"] = key
    body = {"contact": contact, "parameters": parameters}
    return await site.client.post(f"/v1/journeys/{journey}/enter", json=body, headers=headers)


async def test_a_request_is_answered_with_the_decision_and_carried(site: Site) -> None:
    answer = (await enter(site)).json()
    await site.carried()

    assert (answer["entered"], answer["reason"], answer["contact_id"]) == (True, "entry.entered", "ann")
    assert answer["run_id"] in {row.id for row in site.all(RunRow)}
    assert len(site.sent()) == 1


async def test_the_same_request_again_gives_the_same_answer_and_does_nothing(site: Site) -> None:
    first, again = (await enter(site)).json(), (await enter(site, contact="ann")).json()

    assert again == {**first, "repeated": True}
    assert site.count(RunRow) == 1 and site.count(EventRow) == 1


async def test_a_key_that_was_used_for_something_else_is_a_conflict(site: Site) -> None:
    await enter(site)
    answer = await enter(site, {"coupon": "c2", "value": 20})

    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_conflict")


async def test_a_journey_that_does_not_take_the_contact_in_says_why(site: Site) -> None:
    small = (await enter(site, {"coupon": "c1", "value": 5})).json()
    await enter(site, key="k2")
    twice = (await enter(site, key="k3")).json()

    assert (small["entered"], small["reason"], small["run_id"]) == (False, "entry.no_match", None)
    assert (twice["entered"], twice["reason"]) == (False, "entry.reentry")


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"value": 20}, "'coupon' is missing"),
        ({"coupon": 7}, "'coupon' must be text"),
        ({"coupon": "c1", "value": "secret"}, "'value' must be number"),
        ({"coupon": "c1", "value": True}, "'value' must be number"),
        ({"coupon": "c1", "colour": "red"}, "no parameter 'colour'"),
    ],
)
async def test_parameters_are_those_the_journey_declares(
    site: Site, parameters: dict[str, Any], told: str
) -> None:
    answer = await enter(site, parameters)

    assert answer.status_code == 422 and told in answer.json()["detail"]
    assert "secret" not in answer.text and site.count(EventRow) == 0


async def test_only_known_journeys_and_contacts_are_entered_and_only_by_operators(site: Site) -> None:
    assert (await enter(site, journey="nothing")).status_code == 404
    assert (await enter(site, contact="app:nobody")).status_code == 404
    assert (await enter(site, key=None)).status_code == 422
    by_event = await enter(site, {}, journey="welcome")
    assert by_event.status_code == 422 and "not entered by request" in by_event.json()["detail"]
    stranger = await site.client.post(
        "/v1/journeys/gift/enter", json={"contact": "ann"}, headers={"Idempotency-Key": "k"}
    )
    assert stranger.status_code == 401


async def test_senders_cannot_make_up_a_request_or_a_firing(site: Site) -> None:
    for event in ("journey_requested", "schedule_fired"):
        properties = {"journey": "gift", "fires_at": "now", "local_time": "now", **GOOD}
        answer = await site.post(
            "/v1/track", {"messageId": event, "userId": "u", "event": event, "properties": properties}
        )
        assert answer.json()["dead"] == 1
    assert site.count(RunRow) == 0


async def test_a_paused_journey_lets_nobody_in_until_it_is_resumed(site: Site) -> None:
    paused = await site.ask("POST", "/v1/journeys/gift/pause", json={"reason": "sold out"})
    assert paused.json() == {"journey": "gift", "paused": True, "changed": True}
    assert (await enter(site)).json()["reason"] == "entry.paused"
    listed = (await site.ask("GET", "/v1/journeys")).json()["journeys"]
    assert {each["journey"]: each["paused"] for each in listed} == {"gift": True, "welcome": False}
    await site.ask("POST", "/v1/journeys/gift/resume", json={})

    assert (await enter(site, key="k2")).json()["entered"]
    acts = [(row.action, row.by, row.reason) for row in site.all(SwitchRow)]
    assert acts == [("pause", "operator", "sold out"), ("resume", "operator", "")]
    assert (await site.ask("POST", "/v1/journeys/nothing/pause", json={})).status_code == 404


async def test_nobody_and_who_was_erased_are_not_found_and_leave_no_dead_letter(site: Site) -> None:
    with site.services.store.begin() as session:
        session.add(ContactRow(id="zoe", created_at=NOW, erased_at=NOW))
    for contact in ("zoe", "nobody", "user:nobody"):
        assert (await enter(site, contact=contact, key=contact)).status_code == 404
    assert site.count(DeadLetterRow) == site.count(EventRow) == 0


async def test_who_is_part_of_another_enters_as_that_one(site: Site) -> None:
    with site.services.store.begin() as session:
        session.add(ContactRow(id="old-ann", created_at=NOW, merged_into="ann"))
    answer = (await enter(site, contact="old-ann")).json()
    assert (answer["entered"], [row.contact_id for row in site.all(RunRow)]) == (True, ["ann"])
