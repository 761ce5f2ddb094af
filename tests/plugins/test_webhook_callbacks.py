"""What the webhook channel is told: believed only when signed over these very bytes, and lately."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.plugin import Callback, Happened, Inbound, Receipt, Refused
from engine.plugin.testing import FixedClock
from plugins.channels.standard_webhooks import TOLERANCE, refusal, signature_headers
from plugins.channels.webhook import WebhookChannel, WebhookSettings
from tests.plugins.conftest import NOW, WEBHOOK_SECRET

STAMP = NOW.isoformat()
EMOJI = "👩‍👩‍👧‍👦 收到啦 \u202bשלום\u202c"


def channel(**others: str) -> WebhookChannel:
    settings = {"url": "http://127.0.0.1:9/", "secret": WEBHOOK_SECRET, **others}
    return WebhookChannel(WebhookSettings.model_validate(settings), FixedClock(NOW))


def told(body: bytes, *, secret: str = WEBHOOK_SECRET, at: datetime = NOW) -> Callback | Refused:
    return channel().parse_callback(body, signature_headers(secret, "msg-1", at, body), {})


def body_of(kind: str, **data: Any) -> bytes:
    return json.dumps({"type": kind, "timestamp": STAMP, "data": data}, ensure_ascii=False).encode()


def test_a_receipt_an_inbound_message_and_an_event_are_read() -> None:
    assert told(body_of("message.receipt", intent="k1", said="bounced", code="no_such")) == Callback(
        (Receipt("bounced", NOW, "", "k1", "no_such"),), id="msg-1"
    )
    for what, closes in (("bounced", True), ("read", False)):
        gone = told(body_of("message.receipt", intent="k1", said=what, permanent=True))
        assert isinstance(gone, Callback)
        assert [each.permanent for each in gone.told if isinstance(each, Receipt)] == [closes]
    said = told(
        body_of(
            "message.inbound", id="m1", sender="u7", text=EMOJI, answers="k0", properties={"kind": "text"}
        )
    )
    assert said == Callback((Inbound("u7", EMOJI, NOW, "m1", "k0", {"kind": "text"}),), id="msg-1")
    earlier = (NOW - timedelta(hours=1)).isoformat()
    said = told(body_of("contact.event", id="e1", type="order_paid", contact="u7", at=earlier))
    assert said == Callback((Happened("order_paid", "u7", NOW - timedelta(hours=1), "e1"),), id="msg-1")


def test_what_is_not_ours_to_understand_is_taken_and_tells_nothing() -> None:
    assert told(body_of("invoice.paid", anything=1)) == Callback(id="msg-1")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"[" * 100_000,
        b'{"type": 1}',
        body_of("message.receipt", said="delivered"),
        body_of("message.receipt", intent="k", said="teleported"),
        body_of("message.inbound", id="m1", sender="", text="x"),
        body_of("message.inbound", id="m1", sender="u", text="x", at="2026-11-21T09:00:00"),
        b"\xff\xfe",
    ],
)
def test_what_is_signed_and_not_as_documented_is_malformed_and_quotes_nothing(body: bytes) -> None:
    said = told(body)
    assert isinstance(said, Refused)
    assert said.code == "malformed"
    assert "teleported" not in said.detail


def test_another_secret_another_body_or_another_time_is_refused() -> None:
    body = body_of("message.receipt", intent="k1", said="read")
    assert told(body, secret="another") == Refused("signature", "no v1 signature fits")
    headers = signature_headers(WEBHOOK_SECRET, "msg-1", NOW, body)
    for changed in (body + b" ", body.replace(b"k1", b"k2"), b""):
        assert isinstance(channel().parse_callback(changed, headers, {}), Refused)
    for name, value in (
        ("webhook-id", "msg-2"),
        ("webhook-timestamp", "1"),
        ("webhook-signature", "v1,AAAA"),
    ):
        assert isinstance(channel().parse_callback(body, {**headers, name: value}, {}), Refused), name
    assert isinstance(channel().parse_callback(body, {}, {}), Refused)


@pytest.mark.parametrize("away", [TOLERANCE + timedelta(seconds=1), -TOLERANCE - timedelta(seconds=1)])
def test_a_replay_after_five_minutes_is_stale_and_within_them_known_by_its_id(away: timedelta) -> None:
    body = body_of("message.receipt", intent="k1", said="read")
    said = told(body, at=NOW + away)
    assert isinstance(said, Refused)
    assert said.code == "stale"
    again = told(body, at=NOW + away / 2)
    assert isinstance(again, Callback)
    assert again.id == "msg-1"


def test_while_a_secret_is_changed_either_signature_is_enough() -> None:
    body = b"{}"
    headers = signature_headers(WEBHOOK_SECRET, "msg-1", NOW, body)
    old = signature_headers("old secret", "msg-1", NOW, body)["webhook-signature"]
    both = {**headers, "webhook-signature": f"{old} {headers['webhook-signature']}"}
    assert refusal(WEBHOOK_SECRET, both, body, NOW) is None
    assert refusal("old secret", both, body, NOW) is None
    assert refusal("third", both, body, NOW) is not None


def test_callbacks_may_have_a_secret_of_their_own() -> None:
    hearing = channel(callback_secret="ours to them is not theirs to us")
    body = body_of("message.receipt", intent="k1", said="read")
    ours = signature_headers(WEBHOOK_SECRET, "msg-1", NOW, body)
    theirs = signature_headers("ours to them is not theirs to us", "msg-1", NOW, body)
    assert isinstance(hearing.parse_callback(body, ours, {}), Refused)
    assert isinstance(hearing.parse_callback(body, theirs, {}), Callback)


@given(
    st.binary(max_size=200),
    st.dictionaries(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text()),
)
def test_whatever_strangers_send_is_refused_and_never_raises(body: bytes, headers: dict[str, str]) -> None:
    assert isinstance(channel().parse_callback(body, headers, {}), Refused)
