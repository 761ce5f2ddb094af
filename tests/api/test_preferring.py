"""The preference page: what it shows is what stands, and every change is an entry of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.contacts.consent import consent_records, verify_chain
from engine.contacts.unsubscribe import Unsubscribe, sign
from engine.gate.consent import may_be_personal
from engine.store.tables import ConsentRow, ContactRow, DecisionRow
from tests.api.conftest import SECRET, Site, workspace

BOX = re.compile(r'<input type="checkbox" name="on" value="([^"]+)"( checked)?')
ADDED = {"type": "track", "event": "contact_added", "userId": "u1", "traits": {"app": "d", "nickname": "Ann"}}


async def page_of(site: Site, *granted: str) -> str:
    said = [
        {"type": "track", "event": "consent_granted", "userId": "u1", "properties": {"purpose": purpose}}
        for purpose in granted
    ]
    stated = {"type": "identify", "userId": "u1", "traits": {"app": "d"}}
    await site.post("/v1/batch", {"batch": [stated, *said]})
    (contact,) = site.all(ContactRow)
    return f"/u/{sign(SECRET, Unsubscribe(contact.id, 'marketing', 'letter'))}/preferences"


async def boxes(site: Site, link: str) -> dict[str, bool]:
    text = (await site.client.get(link)).text
    return {name: bool(checked) for name, checked in BOX.findall(text)}


async def save(site: Site, link: str, *on: str, shown: tuple[str, ...] = ()) -> None:
    every = shown or tuple(await boxes(site, link))
    answer = await site.client.post(link, data={"on": list(on), "shown": list(every), "save": "1"})
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("preferences?")


def decisions(site: Site) -> list[tuple[str, str, str]]:
    return [(row.decision, row.purpose, row.channel) for row in site.all(ConsentRow)]


async def test_the_page_shows_what_stands_and_names_nobody(site: Site) -> None:
    link = await page_of(site, "marketing")
    assert await boxes(site, link) == {
        "marketing|letter": True,
        "service|letter": True,  # transactional: on until it is refused by name
        "personalisation": True,
    }
    text = (await site.client.get(link)).text
    assert "u1" not in text
    assert site.count(ConsentRow) == 1


async def test_who_agreed_that_facts_leave_their_country_can_take_that_back_here(site: Site) -> None:
    link = await page_of(site, "marketing", "cross_border")
    assert (await boxes(site, link))["cross_border"] is True

    await save(site, link, "marketing|letter", "service|letter", "personalisation")
    assert decisions(site)[-1] == ("withdrawn", "cross_border", "*")
    assert "cross_border" not in await boxes(site, link)
    # Agreeing again takes more than a box: who agrees has to be told who receives what.
    await save(site, link, "marketing|letter", "service|letter", "personalisation", "cross_border")
    assert decisions(site)[-1] == ("withdrawn", "cross_border", "*")


async def test_only_what_changed_is_said_with_what_was_read_beside_it(site: Site) -> None:
    link = await page_of(site, "marketing")
    await save(site, link, "marketing|letter", "personalisation")
    assert decisions(site) == [("granted", "marketing", "*"), ("withdrawn", "service", "letter")]
    last = site.all(ConsentRow)[-1]
    assert (last.mechanism, last.source, last.notice_language) == ("preference_page", "preferences", "zh")
    assert last.notice_hash is not None
    assert await boxes(site, link) == {
        "marketing|letter": True,
        "service|letter": False,
        "personalisation": True,
    }


async def test_what_was_switched_off_can_be_switched_on_again(site: Site) -> None:
    link = await page_of(site, "marketing")
    for on in ([], ["marketing|letter"], []):
        await save(site, link, *on, shown=("marketing|letter",))
        assert (await boxes(site, link))["marketing|letter"] is bool(on)
    with site.services.store.read() as session:
        assert verify_chain(session) == []


async def test_stopping_all_marketing_is_one_click_and_no_trap(site: Site) -> None:
    link = await page_of(site, "marketing")
    answer = await site.client.post(link, data={"stop": "1", "on": ["marketing|letter"]})
    assert answer.status_code == 303
    assert decisions(site)[1:] == [("withdrawn", "marketing", "*")]
    assert (await boxes(site, link))["service|letter"] is True
    await save(site, link, "marketing|letter", shown=("marketing|letter",))
    assert (await boxes(site, link))["marketing|letter"] is True


async def test_a_refusal_of_everything_is_taken_back_by_an_act_of_its_own_that_agrees_to_nothing(
    site: Site,
) -> None:
    link = await page_of(site, "marketing")
    refusal = {"type": "track", "event": "consent_withdrawn", "userId": "u1", "properties": {"purpose": "*"}}
    await site.post("/v1/batch", {"batch": [refusal]})
    await save(site, link, "marketing|letter", shown=("marketing|letter",))
    assert (await boxes(site, link))["marketing|letter"] is False, "one choice does not lift it"
    assert 'name="lift"' in (await site.client.get(link)).text
    answer = await site.client.post(link, data={"lift": "1"})
    assert answer.status_code == 303
    assert 'name="lift"' not in (await site.client.get(link)).text
    assert (await boxes(site, link))["marketing|letter"] is False, "to lift it is not to agree"
    assert decisions(site)[-2:] == [("granted", "*", "*"), ("withdrawn", "marketing", "*")]
    await save(site, link, "marketing|letter", shown=("marketing|letter",))
    assert (await boxes(site, link))["marketing|letter"] is True
    count = site.count(ConsentRow)
    await site.client.post(link, data={"lift": "1"})
    assert site.count(ConsentRow) == count, "where nothing is refused there is nothing to be lifted"


async def test_a_form_that_is_none_changes_nothing(site: Site) -> None:
    link = await page_of(site, "marketing")
    for body in (b"", b"\xff\xfe", b"on=marketing|letter", b"a=1&" * 2_000):
        answer = await site.client.post(link, content=body)
        assert answer.status_code == 303
    await save(site, link, shown=("bills|letter", "marketing|pigeon"))
    assert site.count(ConsentRow) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_forged_link_shows_and_changes_nothing(sqlite_site: Site, method: str) -> None:
    await page_of(sqlite_site, "marketing")
    for token in (sign("another", Unsubscribe("c", "marketing", "letter")), "x"):
        answer = await sqlite_site.client.request(method, f"/u/{token}/preferences", data={"stop": "1"})
        assert answer.status_code == 404
    assert sqlite_site.count(ConsentRow) == 1


async def test_a_contact_that_is_gone_has_nothing_to_choose(sqlite_site: Site) -> None:
    token = sign(SECRET, Unsubscribe("nobody", "marketing", "letter"))
    assert (await sqlite_site.client.get(f"/u/{token}/preferences")).status_code == 404


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.1", "zh"),
        ("en;q=0.5,zh;q=0.4", "en"),
        ("zh;q=0.2,en-GB;q=0.8", "en"),
        ("fr,de;q=0.5", "en"),
        ("*", "zh"),
        ("zh;q=0,en;q=0.1", "en"),
        ("en;q=many", "zh"),
        ("", "zh"),
    ],
)
async def test_the_page_speaks_the_readers_language(sqlite_site: Site, asked: str, spoken: str) -> None:
    link = await page_of(sqlite_site)
    text = (await sqlite_site.client.get(link, headers={"Accept-Language": asked})).text
    assert f'<html lang="{spoken}">' in text
    other = "en" if spoken == "zh" else "zh"
    switched = (await sqlite_site.client.get(f"{link}?lang={other}", headers={"Accept-Language": asked})).text
    assert f'<html lang="{other}">' in switched


async def test_the_page_runs_no_script_and_is_in_nobodys_frame(sqlite_site: Site) -> None:
    link = await page_of(sqlite_site)
    answer = await sqlite_site.client.get(link)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert "<script" not in answer.text
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_who_refuses_personalisation_gets_the_plain_text_and_not_silence(
    site: Site, tmp_path: Path
) -> None:
    files = workspace(tmp_path / "letters")
    files["content.yaml"] += "    variants: [{personal: false, locales: {zh: {body: 您好}}}]\n"
    await site.ask("POST", "/v1/bundles", json={"files": files})
    link = await page_of(site, "marketing")
    await save(site, link, "marketing|letter", "service|letter")
    with site.services.store.read() as session:
        assert not may_be_personal(consent_records(session, site.all(ContactRow)[0].id), "letter")
    await site.post("/v1/batch", {"batch": [ADDED]})
    await site.carried()
    assert [letter["body"] for letter in site.sent()] == ["您好"]


async def test_without_a_plain_text_what_is_personal_is_not_sent_and_says_why(site: Site) -> None:
    link = await page_of(site, "marketing")
    await save(site, link, "marketing|letter", "service|letter")
    await site.post("/v1/batch", {"batch": [ADDED]})
    await site.carried()
    assert site.sent() == []
    (decision,) = [row for row in site.all(DecisionRow) if row.kind == "message"]
    assert (decision.reason, decision.evidence["content"]) == ("content.personal_only", "hello")
    assert "personal: false" in decision.would_pass_if


async def test_agreeing_to_personalisation_again_brings_the_personal_text_back(site: Site) -> None:
    link = await page_of(site, "marketing")
    await save(site, link, "marketing|letter", "service|letter")
    await save(site, link, "marketing|letter", "service|letter", "personalisation")
    await site.post("/v1/batch", {"batch": [ADDED]})
    await site.carried()
    assert [letter["body"] for letter in site.sent()] == ["Ann好"]
