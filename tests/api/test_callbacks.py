"""`/callbacks/{channel}`: believed when signed, each delivery once, whatever breaks on the way."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.clock import FixedClock
from engine.intake.callbacks import FORGETTING_EVERY, REMEMBERED
from engine.store.tables import CallbackRow, DeadLetterRow, EventRow, IntentRow, ReceiptRow
from plugins.channels.standard_webhooks import signature_headers
from tests.api.conftest import NOW, Site, opened, workspace

SECRET = "whsec_" + base64.b64encode(b"what the receiver and we agreed").decode()
AGAIN = timedelta(seconds=20)


@pytest.fixture
async def heard(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """A site whose channel `app` is a webhook, so that it can be told something."""
    monkeypatch.setenv("TEST_HOOK", SECRET)
    files = workspace(tmp_path / "letters")
    files["webhook.yaml"] = """\
kind: channels
id: webhooks
title: webhooks
owner: tests
channels:
  - id: push
    plugin: webhook
    identity: app
    settings: {url: "http://127.0.0.1:9/", secret: {env: TEST_HOOK}}
"""
    files["opt_outs.yaml"] = """\
kind: opt_outs
id: words
title: words
owner: tests
opt_outs:
  - {id: stop, words: [STOP], source: tests, as_of: "2026-01-01"}
"""
    async with opened(database_url, tmp_path, files) as found:
        # The channel verifies against its own clock, which in production is the machine's.
        bundle = found.services.callbacks._live()
        found.services.delivery.outlets.open(bundle, "push").clock = clock_of(found)  # type: ignore[union-attr]
        yield found


def clock_of(site: Site) -> FixedClock:
    clock = site.services.clock
    assert isinstance(clock, FixedClock)
    return clock


async def tell(
    site: Site, kind: str, *, identity: str = "d-1", secret: str = SECRET, **data: Any
) -> httpx.Response:
    at = clock_of(site).now()
    body = json.dumps({"type": kind, "timestamp": at.isoformat(), "data": data}, ensure_ascii=False).encode()
    headers = signature_headers(secret, identity, at, body)
    return await site.client.post("/callbacks/push", content=body, headers=headers)


async def sent(site: Site) -> str:
    """The key of a message that went out, by letter."""
    traits = {"nickname": "n", "app": "device"}
    await site.post("/v1/identify", {"userId": "u1", "traits": traits})
    granted = {"event": "consent_granted", "userId": "u1", "properties": {"purpose": "marketing"}}
    await site.post("/v1/track", granted)
    await site.post("/v1/track", {"event": "contact_added", "userId": "u1"})
    await site.carried()
    (row,) = site.all(IntentRow)
    key: str = row.key
    return key


async def test_a_receipt_moves_its_message_forward(heard: Site) -> None:
    key = await sent(heard)
    answer = await tell(heard, "message.receipt", intent=key, said="read")
    assert (answer.status_code, answer.content) == (200, b"")
    assert [row.state for row in heard.all(IntentRow)] == ["read"]


async def test_a_message_of_a_person_is_an_event_of_who_has_the_address(heard: Site) -> None:
    key = await sent(heard)
    said: dict[str, Any] = {
        "id": "m1",
        "sender": "device",
        "text": "多少钱？👩‍👩‍👧‍👦",
        "answers": key,
    }
    assert (await tell(heard, "message.inbound", **said)).status_code == 200
    (event,) = [row for row in heard.all(EventRow) if row.type == "message_received"]
    assert (event.properties["text"], event.properties["answers"]) == (said["text"], key)
    assert event.contact_id == heard.all(IntentRow)[0].contact_id
    assert (await tell(heard, "message.inbound", identity="d-2", **said)).status_code == 200
    assert len([row for row in heard.all(EventRow) if row.type == "message_received"]) == 1


async def test_a_word_of_opting_out_withdraws_consent_at_once(heard: Site) -> None:
    await sent(heard)
    assert (
        await tell(heard, "message.inbound", id="m1", sender="device", text="ＳＴＯＰ")
    ).status_code == 200
    assert {row.type for row in heard.all(EventRow)} >= {"message_received", "consent_withdrawn"}


async def test_who_tells_the_platform_to_stop_marketing_withdraws_it_on_that_channel_alone(
    heard: Site,
) -> None:
    await sent(heard)
    refused: dict[str, Any] = {"id": "p1", "contact": "device", "marketing": False, "said": "no offers"}
    assert (await tell(heard, "contact.preference", **refused)).status_code == 200
    assert (await tell(heard, "contact.preference", identity="d-2", **refused)).status_code == 200
    (withdrawn,) = [row for row in heard.all(EventRow) if row.type == "consent_withdrawn"]
    assert (withdrawn.properties["purpose"], withdrawn.properties["channel"]) == ("marketing", "push")
    assert withdrawn.properties["mechanism"] == "platform_preference"
    assert withdrawn.properties["proof"].endswith(": no offers")
    await heard.post("/v1/track", {"event": "contact_added", "userId": "u1", "messageId": "again"})
    await heard.carried()
    assert len(heard.sent()) == 1


async def test_who_resumes_on_the_platform_has_granted_nothing(heard: Site) -> None:
    await sent(heard)
    for name, marketing in (("p1", False), ("p2", True)):
        told: dict[str, Any] = {"id": name, "contact": "device", "marketing": marketing}
        assert (await tell(heard, "contact.preference", identity=name, **told)).status_code == 200
    kinds = [row.type for row in heard.all(EventRow)]
    assert kinds.count("marketing_resumed") == 1
    assert kinds.count("consent_granted") == 1, "the one from before"
    await heard.post("/v1/track", {"event": "contact_added", "userId": "u1", "messageId": "again"})
    await heard.carried()
    assert len(heard.sent()) == 1


async def test_an_event_of_the_platform_starts_journeys_at_once(heard: Site) -> None:
    traits = {"nickname": "n", "app": "device"}
    await heard.post("/v1/identify", {"userId": "u1", "traits": traits})
    granted = {"event": "consent_granted", "userId": "u1", "properties": {"purpose": "marketing"}}
    await heard.post("/v1/track", granted)
    answer = await tell(heard, "contact.event", id="e1", type="contact_added", contact="device")
    assert answer.status_code == 200
    await heard.carried()
    assert [letter["to"] for letter in heard.sent()] == ["device"]


async def test_an_event_of_no_known_type_is_a_dead_letter_and_the_platform_is_content(heard: Site) -> None:
    answer = await tell(heard, "contact.event", id="e1", type="unheard_of", contact="device")
    assert answer.status_code == 200
    assert heard.count(DeadLetterRow) == 1


async def test_a_delivery_that_comes_again_has_no_second_effect(heard: Site) -> None:
    key = await sent(heard)
    answers = await asyncio.gather(
        *(tell(heard, "message.receipt", intent=key, said="delivered") for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert (heard.count(ReceiptRow), heard.count(CallbackRow)) == (1, 1)
    clock_of(heard).advance(AGAIN)
    assert (await tell(heard, "message.receipt", intent=key, said="read")).status_code == 200
    assert heard.count(ReceiptRow) == 1, "the delivery is known by its id, whatever it says now"
    assert (await tell(heard, "message.receipt", identity="d-2", intent=key, said="read")).status_code == 200
    assert heard.count(ReceiptRow) == 2


async def test_a_bad_signature_is_a_401_problem_and_nothing_is_kept_or_logged_of_it(
    heard: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    key = await sent(heard)
    answer = await tell(
        heard, "message.inbound", secret="guessed", id="m", sender="ann@example.com", text="hi"
    )
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "callback_unsigned"
    stale = signature_headers(SECRET, "d-1", NOW - timedelta(hours=1), b"{}")
    answer = await heard.client.post("/callbacks/push", content=b"{}", headers=stale)
    assert (answer.status_code, answer.json()["code"]) == (401, "callback_stale")
    answer = await tell(heard, "message.receipt", intent=key, said="teleported")
    assert (answer.status_code, answer.json()["code"]) == (400, "callback_malformed")
    assert (heard.count(CallbackRow), heard.count(ReceiptRow)) == (0, 0)
    logged = "".join(capsys.readouterr())
    assert "ann@example.com" not in logged
    assert "teleported" not in logged


async def test_channels_that_are_not_there_or_hear_nothing_are_not_found(heard: Site) -> None:
    for method, path in (("POST", "letter"), ("POST", "nobody"), ("GET", "letter"), ("POST", "a/b")):
        assert (await heard.client.request(method, f"/callbacks/{path}")).status_code == 404, path
    assert (await heard.client.get("/callbacks/push")).status_code == 401
    assert (await heard.client.put("/callbacks/push")).status_code == 405


async def test_a_body_that_is_too_long_is_refused_before_it_is_read_whole(heard: Site) -> None:
    answer = await heard.client.post("/callbacks/push", content=b"x" * 200_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_channel_that_breaks_is_named_and_the_platform_comes_again(
    heard: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel: Any = heard.services.delivery.outlets.open(heard.services.callbacks._live(), "push")

    def broken(*_: object) -> object:
        raise ValueError("ann@example.com")

    monkeypatch.setattr(channel, "parse_callback", broken)
    answer = await tell(heard, "message.receipt", intent="k", said="read")
    assert (answer.status_code, answer.json()["code"]) == (500, "callback_failed")
    assert "ann@" not in answer.text
    monkeypatch.setattr(channel, "parse_callback", lambda *_: "nonsense")
    assert (await tell(heard, "message.receipt", intent="k", said="read")).status_code == 500


async def test_before_anything_is_published_there_is_nobody_to_tell(empty_site: Site) -> None:
    assert (await empty_site.client.post("/callbacks/push", content=b"{}")).status_code == 404


async def test_deliveries_are_forgotten_when_no_platform_repeats_them_any_more(heard: Site) -> None:
    await tell(heard, "invoice.paid")
    callbacks = heard.services.callbacks
    assert await callbacks.forget() == 0
    clock_of(heard).advance(REMEMBERED + FORGETTING_EVERY)
    assert await callbacks.forget() == 1
    assert heard.count(CallbackRow) == 0


async def test_metrics_count_callbacks_by_what_became_of_them(heard: Site) -> None:
    await tell(heard, "message.receipt", intent="nobody", said="read")
    await tell(heard, "message.receipt", secret="guessed", intent="nobody", said="read")
    text = (await heard.client.get("/metrics")).text
    assert 'wayline_callbacks_total{channel="push",result="taken"}' in text
    assert 'wayline_callbacks_total{channel="push",result="signature"}' in text
    assert 'wayline_told_total{became="unknown",channel="push",kind="receipt"}' in text
