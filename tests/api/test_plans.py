"""Plans over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.store.tables import IntentRow, SwitchRow
from tests.api.conftest import NOW, Site
from tests.api.test_operating import welcome


async def plan(site: Site) -> dict[str, Any]:
    (found,) = (await site.ask("GET", "/v1/plans")).json()["plans"]
    return dict(found)


async def test_a_plan_is_put_in_force_holds_what_it_pauses_and_is_taken_out_again(site: Site) -> None:
    assert (await plan(site))["state"] == "off"
    on = await site.ask("POST", "/v1/plans/crisis/on", json={"until": "2d", "reason": "recall"})
    ends = (NOW + timedelta(days=2)).isoformat().replace("+00:00", "Z")
    assert (on.status_code, on.json()) == (
        200,
        {"plan": "crisis", "state": "on", "until": ends, "changed": True},
    )
    assert {"state": "on", "until": ends, "reason": "recall"}.items() <= (await plan(site)).items()
    await welcome(site)
    await site.carried()
    assert not site.sent()
    off = await site.ask("POST", "/v1/plans/crisis/off", json={"reason": "over"})
    assert off.json() == {"plan": "crisis", "state": "off", "until": None, "changed": True}
    assert all(row.state in {"planned", "held"} for row in site.all(IntentRow))
    said = [(row.action, row.reason, row.by) for row in site.all(SwitchRow)]
    assert [(action, reason) for action, reason, _ in said] == [("on", "recall"), ("off", "over")]
    assert all(by for _, _, by in said)


async def test_asking_again_changes_nothing(sqlite_site: Site) -> None:
    body = {"until": "2026-03-03T04:00:00Z"}
    first = await sqlite_site.ask("POST", "/v1/plans/crisis/on", json=body)
    again = await sqlite_site.ask("POST", "/v1/plans/crisis/on", json=body)
    assert again.json() == first.json() | {"changed": False}
    assert (await sqlite_site.ask("POST", "/v1/plans/crisis/off", json={})).json()["changed"]
    assert not (await sqlite_site.ask("POST", "/v1/plans/crisis/off", json={})).json()["changed"]


@pytest.mark.parametrize("until", ["tomorrow", "30d", "2026-01-01T00:00:00Z", "2026-03-03T04:00:00"])
async def test_an_end_that_cannot_be_is_refused(sqlite_site: Site, until: str) -> None:
    refused = await sqlite_site.ask("POST", "/v1/plans/crisis/on", json={"until": until})
    assert refused.status_code in {409, 422}
    assert refused.headers["content-type"] == "application/problem+json"
    assert (await plan(sqlite_site))["state"] == "off"


@pytest.mark.parametrize("act", ["on", "off"])
async def test_a_plan_that_nobody_wrote_is_not_found(sqlite_site: Site, act: str) -> None:
    refused = await sqlite_site.ask("POST", f"/v1/plans/nothing/{act}", json={})
    assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
    assert "crisis" in refused.json()["detail"]
