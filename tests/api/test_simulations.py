"""Simulations over HTTP: what would happen is told, nothing is sent, and too much is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from engine.store.tables import ContactRow, DecisionRow, EventRow, IntentRow
from tests.api.conftest import NOW, Site, opened, workspace

GREET = """\
kind: journey
id: greet
title: greet
owner: tests
purpose: service
enter: {event: contact_added, reentry: never}
steps:
  - {send: first, content: hello, channels: [letter]}
  - {wait: night, days: 1, at: "10:00"}
  - {tag: mark, add: [greeted]}
"""
ADDED = {"after": "2h", "event": "contact_added"}
ANN = {"identities": {"app": "a1"}, "timezone": "Europe/Berlin", "attributes": {"nickname": "Ann"}}
START = "2026-03-01T09:00:00+01:00"


@pytest.fixture
async def site(database_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    files = {**workspace(tmp_path / "letters"), "greet.yaml": GREET}
    async with opened(database_url, tmp_path, files) as found:
        with found.services.store.begin() as session:
            session.add(ContactRow(id="ann", created_at=NOW))
        yield found


async def ask(site: Site, **wanted: Any) -> httpx.Response:
    return await site.client.post(
        "/v1/simulations", json=wanted, headers={"Authorization": "Bearer operator-token-of-the-tests"}
    )


async def test_a_made_up_contact_is_followed_and_nothing_is_kept(site: Site) -> None:
    answer = await ask(site, contact=ANN, events=[ADDED], start=START, days=5, journeys=["greet"])
    assert answer.status_code == 200, answer.text
    (story,) = answer.json()["stories"]
    assert [each["step"] for each in story["sends"]] == ["first"]
    assert story["sends"][0]["local"] == "2026-03-01 11:00"
    ends = [each for each in story["timeline"] if each["kind"] == "run"]
    assert [(each["reason"], each["local"]) for each in ends] == [("run.completed", "2026-03-02 10:00")]
    with site.services.store.read() as session:
        for table in (EventRow, DecisionRow, IntentRow):
            assert session.scalar(select(func.count()).select_from(table)) == 0


async def test_real_contacts_are_sampled(site: Site) -> None:
    answer = await ask(site, sample=5, days=2)
    assert [each["contact"] for each in answer.json()["stories"]] == ["ann"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"journeys": ["gone"]}, "there is no journey 'gone' in force"),
        ({"events": [{"after": "2d", "event": "gone"}]}, "there is no event 'gone' to send"),
        ({"events": [{"after": "soon", "event": "contact_added"}]}, "is not a duration"),
        ({"events": [ADDED], "sample": 2}, "leave out the rest"),
        ({"contact": {"timezone": "Mars/Olympus"}}, "is no IANA time zone"),
        ({"contact": {"consents": ["marketin"]}}, "no purpose 'marketin': did you mean 'marketing'?"),
        ({"contact": {"attributes": {"nickname": 3}}}, "attributes.nickname: not a text"),
        ({"contact": {"attributes": {"shoe_size": 3}}}, "no attribute 'shoe_size': known are nickname"),
        ({"days": 5000}, "days"),
        ({"start": "9999-12-31T00:00:00Z"}, "start lies in the years 1900 to 2199"),
        ({"start": "0001-01-01T00:00:00+14:00"}, "start lies in the years 1900 to 2199"),
        ({"sample": 5000}, "sample"),
    ],
)
async def test_what_cannot_be_simulated_is_refused(site: Site, wanted: dict[str, Any], said: str) -> None:
    answer = await ask(site, **wanted)
    assert answer.status_code == 422
    assert said in answer.text


async def test_only_operators_may_ask(site: Site) -> None:
    answer = await site.client.post("/v1/simulations", json={})
    assert answer.status_code == 401
