"""Web Push against a push service that verifies signatures, and browsers that decrypt what arrives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.plugin import Accepted, Clock, Message, Rejected, Retry, SystemClock, Unknown
from engine.plugin.testing import FixedClock, check_channel
from plugins.channels.web_push import channel as web_push
from plugins.channels.web_push.channel import WebPushChannel, WebPushSettings
from plugins.channels.web_push.encryption import OVERHEAD, encrypted
from plugins.channels.web_push.subscription import (
    HOSTS,
    Allowed,
    NotUsable,
    hosts_in,
    subscription_in,
)
from tests.plugins.conftest import NOW
from tests.plugins.platform_server import Reply, serving
from tests.plugins.push_service import Browser, PushService, b64, point, unb64
from tests.ports import free_port

OURS = derive_private_key(1234567890123456789, SECP256R1())
OTHERS = derive_private_key(987654321, SECP256R1())
HELLO = Message(
    "", "到货啦 👩‍👩‍👧‍👦", subject="您好", call_to_action="https://shop.example", content="hi", locale="zh"
)
VECTOR = json.loads((Path(__file__).parent / "vectors" / "rfc8291.json").read_text(encoding="utf-8"))
PUBLIC = Allowed(hosts_in(HOSTS))


def raw(key: EllipticCurvePrivateKey) -> str:
    return b64(key.private_numbers().private_value.to_bytes(32))


def loaded(text: str) -> EllipticCurvePrivateKey:
    return derive_private_key(int.from_bytes(unb64(text)), SECP256R1())


@pytest.fixture
def service() -> PushService:
    return PushService(subscribed_with=b64(point(OURS)))


@pytest.fixture
def hello(service: PushService) -> Iterator[Message]:
    """A message to the browser `b1`."""
    with serving(service.answer) as service.url:
        yield replace(HELLO, to=service.subscribe())


def settings(**others: Any) -> dict[str, Any]:
    common = {"private_key": raw(OURS), "contact": "mailto:push@shop.example"}
    return {**common, "hosts": "127.0.0.1", "anywhere": True, **others}


def channel(clock: Clock | None = None, **others: Any) -> WebPushChannel:
    return WebPushChannel(WebPushSettings.model_validate(settings(**others)), clock or FixedClock(NOW))


def test_it_encrypts_as_the_example_of_the_standard() -> None:
    receiver, sender = loaded(VECTOR["receiver_private"]), loaded(VECTOR["sender_private"])
    assert b64(point(receiver)) == VECTOR["receiver_public"]
    assert b64(point(sender)) == VECTOR["sender_public"]
    auth, salt = unb64(VECTOR["auth"]), unb64(VECTOR["salt"])
    body = encrypted(VECTOR["plain"].encode(), receiver.public_key(), auth, salt=salt, sender=sender)
    assert b64(body) == VECTOR["body"]
    assert Browser(receiver, auth).read(body).decode() == VECTOR["plain"], "the test's own browser is right"


@given(st.binary(max_size=4096 - OVERHEAD))
def test_whatever_fits_is_read_again_by_its_browser_and_is_as_long_as_said(plain: bytes) -> None:
    browser = Browser(OTHERS, b"sixteen bytes ok")
    body = encrypted(plain, OTHERS.public_key(), browser.auth)
    assert len(body) == len(plain) + OVERHEAD <= 4096
    assert browser.read(body) == plain


def test_it_passes_the_contract_tests(service: PushService, hello: Message) -> None:
    service.clock = SystemClock()
    check_channel(WebPushChannel(), message=hello, settings=settings())
    assert len({each.headers["authorization"] for each in service.requests}) == 1, "one signature for all"


async def test_a_browser_reads_the_text_the_link_and_the_key(service: PushService, hello: Message) -> None:
    sending = channel()
    assert await sending.send(hello, "key-1") == Accepted()
    (shown,) = service.browsers["/wpush/v2/b1"].shown
    assert shown == {
        "title": "您好",
        "body": "到货啦 👩‍👩‍👧‍👦",
        "link": "https://shop.example",
        "content": "hi",
        "locale": "zh",
        "key": "key-1",
    }
    (request,) = service.requests
    assert (request.headers["ttl"], request.headers["urgency"]) == ("86400", "normal")
    assert b"shop.example" not in request.body
    await sending.close()


async def test_a_closed_browser_is_shown_a_repeated_message_once(
    service: PushService, hello: Message
) -> None:
    service.closed.add("/wpush/v2/b1")
    sending = channel(ttl="2h", urgency="low")
    for key in ("key-1", "key-1", "key-2"):
        await sending.send(hello, key)
    service.open()
    assert [each["key"] for each in service.browsers["/wpush/v2/b1"].shown] == ["key-1", "key-2"]
    assert {(each.headers["ttl"], each.headers["urgency"]) for each in service.requests} == {("7200", "low")}
    await sending.close()


@pytest.mark.parametrize(("rule", "left"), [("content", ["k2", "k3"]), ("never", ["k1", "k2", "k3"])])
async def test_what_takes_the_place_of_what_is_the_rulesets_choice(
    service: PushService, hello: Message, rule: str, left: list[str]
) -> None:
    service.closed.add("/wpush/v2/b1")
    sending = channel(replace=rule)
    await sending.send(hello, "k1")
    await sending.send(hello, "k2")
    await sending.send(replace(hello, content="another"), "k3")
    service.open()
    assert sorted(each["key"] for each in service.browsers["/wpush/v2/b1"].shown) == left
    await sending.close()


@pytest.mark.parametrize("status", [404, 410])
async def test_a_subscription_that_ended_is_suppressed(
    service: PushService, hello: Message, status: int
) -> None:
    service.gone["/wpush/v2/b1"] = status
    sending = channel()
    told = await sending.send(hello, "k")
    assert isinstance(told, Rejected)
    assert (told.code, told.permanent_address) == (str(status), True)
    await sending.close()


async def test_a_changed_key_refuses_messages_and_closes_no_address(
    service: PushService, hello: Message
) -> None:
    sending = channel(private_key=raw(OTHERS))
    told = await sending.send(hello, "k")
    assert isinstance(told, Rejected)
    assert (told.code, told.permanent_address) == ("403", False)
    await sending.close()


async def test_each_other_answer_says_what_may_be_done_next(service: PushService, hello: Message) -> None:
    service.replies = [
        Reply(status=429, headers={"retry-after": "30"}),
        Reply(status=429),
        Reply(status=413),
        Reply(status=401),
        Reply(status=503, headers={"retry-after": "5"}),
        Reply(status=500),
        Reply(status=307, headers={"location": "http://127.0.0.1:1/"}),
        Reply(drop=True),
    ]
    sending = channel()
    # Not `of_provider`: what one browser's service says is not said of another's.
    assert await sending.send(hello, "1") == Retry(timedelta(seconds=30), "429")
    assert await sending.send(hello, "2") == Retry(timedelta(minutes=1), "429")
    told = await sending.send(hello, "3")
    assert isinstance(told, Rejected) and (told.code, told.permanent_address) == ("413", False)
    assert await sending.send(hello, "4") == Retry(timedelta(minutes=1), "401")
    assert await sending.send(hello, "5") == Retry(timedelta(seconds=5), "503")
    assert isinstance(await sending.send(hello, "6"), Unknown)
    told = await sending.send(hello, "7")
    assert isinstance(told, Rejected) and told.code == "307", "nobody is led elsewhere"
    assert isinstance(await sending.send(hello, "8"), Unknown)
    nobody = Browser().subscription(f"http://127.0.0.1:{free_port()}/x")
    assert isinstance(await sending.send(replace(hello, to=nobody), "9"), Retry)
    await sending.close()


async def test_a_signature_is_made_anew_before_it_is_old(service: PushService, hello: Message) -> None:
    clock = FixedClock(NOW)
    service.clock = clock
    sending = channel(clock)
    for _ in range(6):
        assert await sending.send(hello, "k") == Accepted()
        clock.advance(timedelta(hours=5))
    assert len({each.headers["authorization"] for each in service.requests}) == 3
    await sending.close()


async def test_connections_are_kept_to_so_many_services(
    service: PushService, hello: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_push, "MOST_LINES", 1)
    sending = channel(hosts="127.0.0.1, localhost")
    for url in (service.url, service.url.replace("127.0.0.1", "localhost")):
        there = Browser().subscription(f"{url}/wpush/v2/b1")
        await sending.send(replace(hello, to=there), "k")
    assert [origin.split("/")[2].split(":")[0] for origin in sending._lines] == ["localhost"]
    await sending.close()


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("https://fcm.googleapis.com/fcm/send/abc:def", ""),
        ("https://updates.push.services.mozilla.com/wpush/v2/abc", ""),
        ("https://web.push.apple.com/abc", ""),
        ("https://wns2-par02p.notify.windows.com/w/?token=abc", ""),
        ("http://fcm.googleapis.com/x", "bad_address"),
        ("ftp://fcm.googleapis.com/x", "bad_address"),
        ("https://user@fcm.googleapis.com/x", "bad_address"),
        ("https://fcm.googleapis.com\r\nHost: x/", "bad_address"),
        ("https://fcm.googleapis.com\\@localhost/", "bad_address"),
        ("https:///x", "bad_address"),
        ("https://fcm.googleapis.com:99999/x", "bad_address"),
        ("https://fcm.googleapis.com:8443/x", "host_not_allowed"),
        ("https://fcm.googleapis.com.example.com/x", "host_not_allowed"),
        ("https://evilpush.apple.com/x", "host_not_allowed"),
        ("https://push.apple.com/x", "host_not_allowed"),
        ("https://localhost/x", "host_not_allowed"),
        ("https://127.0.0.1/x", "host_not_allowed"),
        ("https://127.1/x", "host_not_allowed"),
        ("https://2130706433/x", "host_not_allowed"),
        ("https://0x7f000001/x", "host_not_allowed"),
        ("https://[::1]/x", "host_not_allowed"),
        ("https://169.254.169.254/latest/meta-data", "host_not_allowed"),
    ],
)
def test_only_known_push_services_are_written_to(endpoint: str, reason: str) -> None:
    to = replace(HELLO, to=Browser(OTHERS, b"0" * 16).subscription(endpoint))
    said = channel(hosts=HOSTS, anywhere=False).preflight(to)
    assert (said.ok, said.reason) == (not reason, reason)


def test_an_address_of_numbers_is_refused_even_when_it_is_listed() -> None:
    with pytest.raises(NotUsable, match="numbers"):
        subscription_in(Browser().subscription("https://10.0.0.7/x"), Allowed(("10.0.0.7",)))


@given(st.text() | st.from_regex(r'\{"endpoint":.{0,20},"keys":\{.{0,40}\}\}'))
def test_what_is_no_subscription_is_refused_and_never_breaks(text: str) -> None:
    with pytest.raises(NotUsable):
        subscription_in(text, PUBLIC)


@pytest.mark.parametrize(
    "keys",
    [
        {"p256dh": b64(point(OTHERS)), "auth": b64(b"too short")},
        {"p256dh": b64(b"\x04" + b"\x01" * 64), "auth": b64(b"0" * 16)},
        {"p256dh": b64(b"\x02" + point(OTHERS)[1:33]), "auth": b64(b"0" * 16)},
        {"p256dh": 7, "auth": None},
        {"p256dh": "💐", "auth": b64(b"0" * 16)},
        {},
        [],
    ],
)
def test_keys_that_are_none_are_refused(keys: object) -> None:
    told = {"endpoint": "https://fcm.googleapis.com/x", "keys": keys}
    with pytest.raises(NotUsable) as refused:
        subscription_in(json.dumps(told), PUBLIC)
    assert refused.value.reason == "bad_address"


def test_what_is_too_long_or_empty_never_leaves() -> None:
    there = replace(HELLO, to=Browser().subscription("https://fcm.googleapis.com/x"))
    sending = channel(hosts=HOSTS)
    for message, reason in (
        (replace(there, body="长" * 1400), "too_long"),
        (replace(there, body="", subject=""), "empty"),
        (replace(there, to=""), "no_address"),
    ):
        assert sending.preflight(message).reason == reason


def test_settings_say_what_is_wrong_with_them() -> None:
    pem = OURS.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    for good in (raw(OURS), raw(OURS) + "=", pem, pem.replace("\n", "\\n")):
        WebPushSettings.model_validate(settings(private_key=good))
    for name, bad in (
        ("private_key", "no key"),
        ("private_key", b64(b"0" * 31)),
        ("private_key", b64(b"\xff" * 32)),
        ("contact", "push@shop.example"),
        ("hosts", "*"),
        ("hosts", "*.com"),
        ("hosts", "https://fcm.googleapis.com"),
        ("hosts", " , "),
        ("ttl", "29d"),
    ):
        with pytest.raises(ValidationError):
            WebPushSettings.model_validate(settings(**{name: bad}))


def test_the_page_subscribes_with_the_key_that_the_channel_shows() -> None:
    sending = channel()
    assert sending._vapid is not None
    assert EllipticCurvePublicKey.from_encoded_point(SECP256R1(), unb64(sending._vapid.public))
    assert sending._vapid.public == b64(point(OURS))
