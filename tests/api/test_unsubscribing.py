"""Unsubscribe links: looking changes nothing, one click withdraws."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.contacts.unsubscribe import Unsubscribe, sign, unsubscribe_url
from engine.store.tables import ConsentRow, ContactRow, EventRow, RunRow
from tests.api.conftest import SECRET, Site, workspace


async def contact_with_link(site: Site) -> str:
    granted = {"purpose": "marketing", "channel": "letter"}
    await site.post(
        "/v1/batch",
        {"batch": [{"type": "track", "event": "consent_granted", "userId": "u1", "properties": granted}]},
    )
    (contact,) = site.all(ContactRow)
    url = unsubscribe_url("http://wayline.test", SECRET, contact.id, "marketing", "letter")
    return url.removeprefix("http://wayline.test")


async def test_looking_at_the_link_asks_and_changes_nothing(site: Site) -> None:
    link = await contact_with_link(site)
    page = await site.client.get(link, headers={"Accept-Language": "zh-CN,zh;q=0.9"})
    assert page.status_code == 200
    assert "确认退订" in page.text
    assert page.headers["cache-control"] == "no-store"
    assert site.count(ConsentRow) == 1


async def test_one_click_withdraws_as_rfc_8058_has_it(site: Site) -> None:
    link = await contact_with_link(site)
    answer = await site.client.post(link, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    granted, withdrawn = site.all(ConsentRow)
    assert (withdrawn.decision, withdrawn.purpose, withdrawn.channel) == ("withdrawn", "marketing", "letter")
    assert (withdrawn.contact_id, withdrawn.mechanism) == (granted.contact_id, "one_click")


async def test_clicking_twice_does_no_harm(sqlite_site: Site) -> None:
    link = await contact_with_link(sqlite_site)
    answers = [await sqlite_site.client.post(link) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]


async def test_the_page_speaks_english_to_who_asks_for_it(sqlite_site: Site) -> None:
    link = await contact_with_link(sqlite_site)
    page = await sqlite_site.client.get(link, headers={"Accept-Language": "en-GB,en;q=0.9,zh;q=0.1"})
    assert '<html lang="en">' in page.text


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_forged_link_does_nothing(sqlite_site: Site, method: str) -> None:
    link = await contact_with_link(sqlite_site)
    forged = sign("another secret", Unsubscribe(sqlite_site.all(ContactRow)[0].id, "marketing", "letter"))
    for path in (f"/u/{forged}", link[:-1], "/u/x"):
        answer = await sqlite_site.client.request(method, path)
        assert answer.status_code == 404
    assert sqlite_site.count(ConsentRow) == 1


async def test_after_the_click_nothing_more_is_sent(site: Site) -> None:
    link = await contact_with_link(site)
    await site.client.post(link)
    added = {
        "type": "track",
        "event": "contact_added",
        "userId": "u1",
        "traits": {"app": "d", "nickname": "n"},
    }
    await site.post("/v1/batch", {"batch": [added]})
    await site.carried()
    assert site.sent() == []
    assert site.count(RunRow) == 1
    assert site.count(EventRow) == 3


async def test_the_page_names_what_stops_in_the_purposes_own_words(site: Site, tmp_path: Path) -> None:
    link = await contact_with_link(site)
    files = workspace(tmp_path)
    named = files["purposes.yaml"].replace("title: marketing,", 'title: "Offers & <news>",')
    await site.ask("POST", "/v1/bundles", json={"files": {**files, "purposes.yaml": named}})
    assert "Offers &amp; &lt;news&gt;" in (await site.client.get(link)).text


async def test_a_purpose_nobody_knows_any_more_can_still_be_withdrawn(sqlite_site: Site) -> None:
    link = sign(SECRET, Unsubscribe("somebody", "telegrams", "letter"))
    page = await sqlite_site.client.get(f"/u/{link}")
    assert (page.status_code, "这类消息" in page.text) == (200, True)


@pytest.mark.parametrize(
    ("channels", "withdrawn_on"),
    [
        pytest.param(("letter", "parcel"), ["letter", "parcel"], id="another channel to the same address"),
        pytest.param(("parcel",), ["*"], id="the channel has another name by now"),
    ],
)
async def test_one_click_leaves_no_way_open_to_the_address(
    sqlite_site: Site, tmp_path: Path, channels: tuple[str, ...], withdrawn_on: list[str]
) -> None:
    link = await contact_with_link(sqlite_site)
    everywhere = {"purpose": "marketing"}
    again = {"type": "track", "event": "consent_granted", "userId": "u1", "properties": everywhere}
    await sqlite_site.post("/v1/batch", {"batch": [again]})
    files = workspace(tmp_path)
    (letter,) = (line for line in files["channels.yaml"].splitlines() if "id: letter" in line)
    named = "\n".join(letter.replace("id: letter", f"id: {name}") for name in channels)
    files["channels.yaml"] = files["channels.yaml"].replace(letter, named)
    files["welcome.yaml"] = files["welcome.yaml"].replace("[letter]", "[parcel]")
    published = await sqlite_site.ask("POST", "/v1/bundles", json={"files": files})
    assert published.status_code == 201, published.text
    assert (await sqlite_site.client.post(link)).status_code == 200
    refused = [each for each in sqlite_site.all(ConsentRow) if each.decision == "withdrawn"]
    assert [each.channel for each in refused] == withdrawn_on
    report = (await sqlite_site.ask("GET", "/v1/contacts/user:u1/consents")).json()
    stated = [each["may_be_sent"] for each in report["state"] if each["purpose"] == "marketing"]
    assert stated == [False] * len(channels)
