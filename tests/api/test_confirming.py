"""Double opt-in: a pending consent is none, the link in the message makes one of it, and only in time."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import pytest

from engine.clock import FixedClock
from engine.contacts.unsubscribe import Confirmation, Unsubscribe, sign, sign_confirmation
from engine.store.tables import ConsentRow, ContactRow, DecisionRow
from tests.api.conftest import NOW, SECRET, Site, opened, workspace

HELD = {"type": "track", "event": "contact_added", "userId": "u1", "traits": {"app": "d", "nickname": "Ann"}}


def files(folder: Path) -> dict[str, str]:
    found = workspace(folder / "letters")
    found["purposes.yaml"] = found["purposes.yaml"].replace(
        "kind: marketing, max_hold: 3d}",
        "kind: marketing, max_hold: 3d, consent: {valid_for: 365d, double_opt_in: {within: 2d}}}",
    )
    found["confirm.yaml"] = dedent(
        """
        kind: journey
        id: confirm
        title: confirm
        owner: tests
        purpose: service
        enter: {event: consent_pending, reentry: always}
        steps:
          - {send: ask, content: confirm, channels: [letter]}
        """
    )
    found["content.yaml"] += (
        "  - id: confirm\n    locales:\n"
        '      zh: {body: "请确认：{{ links.confirm }}"}\n      en: {body: "Confirm: {{ links.confirm }}"}\n'
    )
    return found


@pytest.fixture
async def asking(database_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with opened(database_url, tmp_path, files(tmp_path)) as site:
        yield site


async def sign_up(site: Site) -> None:
    stated = {"type": "identify", "userId": "u1", "traits": {"app": "d", "nickname": "Ann"}}
    granted = {
        "type": "track",
        "event": "consent_granted",
        "userId": "u1",
        "properties": {"purpose": "marketing", "channel": "letter", "notice": "Offers?", "language": "en"},
    }
    assert (await site.post("/v1/batch", {"batch": [stated, granted]})).status_code == 200
    await site.carried()


def link_of(site: Site) -> str:
    found = re.search(r"http://[^ ]*?(/confirm/\S+)", site.sent()[-1]["body"])
    assert found is not None
    return found[1]


async def try_to_send(site: Site) -> list[str]:
    await site.post("/v1/batch", {"batch": [HELD]})
    await site.carried()
    return [row.reason for row in site.all(DecisionRow) if row.journey == "welcome" and row.kind == "message"]


async def test_what_is_pending_is_no_consent(asking: Site) -> None:
    await sign_up(asking)
    (pending,) = asking.all(ConsentRow)
    assert (pending.decision, pending.valid_until) == ("pending", NOW + timedelta(days=2))
    assert await try_to_send(asking) == ["consent.pending"]


async def test_the_message_with_the_link_is_transactional_and_passes_the_gate(asking: Site) -> None:
    await sign_up(asking)
    (letter,) = asking.sent()
    assert (letter["purpose"], letter["unsubscribe_url"]) == ("service", None)
    sent = [row for row in asking.all(DecisionRow) if row.journey == "confirm" and row.kind == "message"]
    assert [row.reason for row in sent] == ["sent.accepted"]


async def test_looking_at_the_link_confirms_nothing_and_one_click_does(asking: Site) -> None:
    await sign_up(asking)
    link = link_of(asking)
    page = await asking.client.get(link, headers={"Accept-Language": "en"})
    assert (page.status_code, "marketing" in page.text) == (200, True)
    assert len(asking.all(ConsentRow)) == 1
    answer = await asking.client.post(link)
    assert answer.status_code == 200
    pending, granted = asking.all(ConsentRow)
    assert (granted.decision, granted.mechanism, granted.channel) == ("granted", "double_opt_in", "letter")
    assert granted.valid_until == NOW + timedelta(days=365)
    assert granted.purpose_version == pending.purpose_version
    assert await try_to_send(asking) == ["sent.accepted"]


async def test_confirming_twice_makes_one_consent(asking: Site) -> None:
    await sign_up(asking)
    link = link_of(asking)
    answers = [(await asking.client.post(link)).status_code for _ in range(2)]
    assert answers == [200, 410]
    assert len(asking.all(ConsentRow)) == 2


async def test_after_its_time_the_link_confirms_nothing(asking: Site) -> None:
    await sign_up(asking)
    link = link_of(asking)
    clock = asking.services.clock
    assert isinstance(clock, FixedClock)
    clock.moment = NOW + timedelta(days=2)
    assert (await asking.client.get(link)).status_code == 410
    assert (await asking.client.post(link)).status_code == 410
    assert len(asking.all(ConsentRow)) == 1


async def test_whoever_said_no_meanwhile_is_not_asked_again(asking: Site) -> None:
    await sign_up(asking)
    link = link_of(asking)
    (contact,) = asking.all(ContactRow)
    await asking.client.post(f"/u/{sign(SECRET, Unsubscribe(contact.id, 'marketing', 'letter'))}")
    assert (await asking.client.post(link)).status_code == 410
    assert [row.decision for row in asking.all(ConsentRow)] == ["pending", "withdrawn"]


async def test_an_old_link_does_not_confirm_what_was_asked_for_after_it(asking: Site) -> None:
    await sign_up(asking)
    (contact,) = asking.all(ContactRow)
    old = sign_confirmation(SECRET, Confirmation(contact.id, "letter", NOW - timedelta(seconds=1)))
    assert (await asking.client.post(f"/confirm/{old}")).status_code == 410


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_no_other_token_confirms(asking: Site, method: str) -> None:
    await sign_up(asking)
    (contact,) = asking.all(ContactRow)
    mine = Confirmation(contact.id, "letter", NOW)
    for token in (
        sign_confirmation("another secret", mine),
        sign(SECRET, Unsubscribe(contact.id, "letter", "1772337600000000")),
        sign_confirmation(SECRET, Confirmation("nobody", "letter", NOW)),
        "x.y",
    ):
        assert (await asking.client.request(method, f"/confirm/{token}")).status_code == 404
    assert len(asking.all(ConsentRow)) == 1


async def test_nobody_can_send_a_confirmation_in(asking: Site) -> None:
    await sign_up(asking)
    forged = {
        "type": "track",
        "event": "consent_confirmed",
        "userId": "u1",
        "properties": {"purpose": "marketing", "channel": "letter"},
    }
    answer = await asking.post("/v1/batch", {"batch": [forged]})
    assert answer.json()["dead"] == 1
    assert len(asking.all(ConsentRow)) == 1
