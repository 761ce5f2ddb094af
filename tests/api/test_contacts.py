"""Contacts over HTTP: merged, parted, handed out whole, erased."""

from __future__ import annotations

from datetime import timedelta

from engine.clock import FixedClock
from tests.api.conftest import Site


async def known(site: Site, user: str) -> str:
    clock = site.services.clock
    assert isinstance(clock, FixedClock)
    clock.moment += timedelta(seconds=1)
    await site.post("/v1/identify", {"userId": user, "traits": {"app": f"device-of-{user}"}})
    found = await site.ask("GET", f"/v1/contacts/user:{user}")
    return str(found.json()["id"])


async def test_two_are_merged_and_parted_again(sqlite_site: Site) -> None:
    site = sqlite_site
    first, second = await known(site, "u1"), await known(site, "u2")
    told = {"other": "user:u1", "reason": "called us"}
    answer = await site.ask("POST", "/v1/contacts/user:u2/merge", json=told)
    assert (answer.status_code, answer.json()["survivor"], answer.json()["gone"]) == (200, first, second)
    again = await site.ask("POST", "/v1/contacts/user:u2/merge", json=told)
    assert (again.json()["survivor"], again.json()["gone"]) == (first, None)
    shown = (await site.ask("GET", f"/v1/contacts/{first}")).json()
    assert [(merge["gone"], merge["reason"]) for merge in shown["merges"]] == [(second, "called us")]
    parted = await site.ask("POST", f"/v1/contacts/{second}/unmerge", json={"reason": "sisters"})
    assert (parted.status_code, parted.json()["returned"]) == (200, second)
    refused = await site.ask("POST", f"/v1/contacts/{second}/unmerge", json={})
    assert 400 <= refused.status_code < 500
    assert (await site.ask("POST", "/v1/contacts/nobody/merge", json=told)).status_code == 404


async def test_everything_is_handed_out_and_then_erased(sqlite_site: Site) -> None:
    site = sqlite_site
    contact = await known(site, "u1")
    exported = (await site.ask("GET", "/v1/contacts/user:u1/export")).json()
    assert {row["address"] for row in exported["identities"]} == {"u1", "device-of-u1"}
    erased = await site.ask("DELETE", "/v1/contacts/user:u1", params={"reason": "asked for it"})
    assert (erased.status_code, erased.json()["contact_id"]) == (200, contact)
    again = await site.ask("DELETE", f"/v1/contacts/{contact}")
    assert again.json() == erased.json()
    assert (await site.ask("GET", "/v1/contacts/user:u1")).status_code == 404
    left = (await site.ask("GET", f"/v1/contacts/{contact}/export")).json()
    assert (left["identities"], left["erasures"][0]["reason"]) == ([], "asked for it")
