"""The webhook channel against a real receiver that verifies signatures and honours idempotency keys."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from engine.plugin import Accepted, Rejected, Retry
from engine.plugin.testing import EXAMPLE_MESSAGE, FixedClock, check_channel
from plugins.channels.http.answers import LONGEST_WAIT, wait_of
from plugins.channels.standard_webhooks import signature_headers
from plugins.channels.webhook import (
    WebhookChannel,
    WebhookSettings,
)
from tests.plugins.conftest import NOW, WEBHOOK_SECRET, Receiver
from tests.ports import free_port

MINUTE = timedelta(minutes=1)


def channel_for(url: str, clock: FixedClock | None = None, **others: object) -> WebhookChannel:
    configuration = WebhookSettings.model_validate({"url": url, "secret": WEBHOOK_SECRET, **others})
    return WebhookChannel(configuration, clock or FixedClock(NOW))


@pytest.fixture
def threaded_receiver() -> Iterator[Receiver]:
    """The receiver in a loop and a thread of its own, for tests that are not async."""
    handler, stop = Receiver(), asyncio.Event()
    ready = threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        server = await asyncio.start_server(handler.serve, "127.0.0.1", 0)
        handler.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        ready.set()
        async with server:
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(30)
    yield handler
    loops[0].call_soon_threadsafe(stop.set)
    thread.join(30)


def test_it_passes_the_contract_tests(threaded_receiver: Receiver) -> None:
    check_channel(WebhookChannel(), settings={"url": threaded_receiver.url, "secret": WEBHOOK_SECRET})
    assert len(threaded_receiver.applied) == 10
    assert len(threaded_receiver.requests) == 11, "one key was sent twice and applied once"


async def test_the_receiver_gets_a_signed_message_with_the_key_as_its_id(receiver: Receiver) -> None:
    channel = channel_for(receiver.url)
    assert await channel.send(EXAMPLE_MESSAGE, "key-1") == Accepted()
    (headers,) = receiver.requests
    assert headers["webhook-id"] == "key-1"
    assert headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert headers["content-type"] == "application/json"
    body = receiver.applied["key-1"]
    assert (body["type"], body["timestamp"]) == ("message.send", "2026-11-21T09:30:00Z")
    data = body["data"]
    assert isinstance(data, dict)
    assert (data["to"], data["body"]) == (EXAMPLE_MESSAGE.to, EXAMPLE_MESSAGE.body)
    await channel.close()


async def test_a_name_and_a_password_in_the_url_travel_as_a_header(receiver: Receiver) -> None:
    channel = channel_for(receiver.url.replace("http://", "http://ann:p%40ss@"))
    assert await channel.send(EXAMPLE_MESSAGE, "key-1") == Accepted()
    (headers,) = receiver.requests
    assert headers["authorization"] == "Basic " + base64.b64encode(b"ann:p@ss").decode()
    await channel.close()


async def test_connections_are_kept_and_no_more_than_set(receiver: Receiver) -> None:
    channel = channel_for(receiver.url, connections=3)
    for round_ in range(3):
        await asyncio.gather(*(channel.send(EXAMPLE_MESSAGE, f"{round_}-{n}") for n in range(10)))
    assert len(receiver.applied) == 30
    assert receiver.connections == 3
    await channel.close()


def test_the_signature_is_the_one_of_the_specification() -> None:
    # The example published with the Standard Webhooks reference libraries.
    headers = signature_headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1614265330, tz=NOW.tzinfo),
        b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_wrong_secret_is_refused_by_the_receiver_for_good(receiver: Receiver) -> None:
    channel = channel_for(receiver.url, secret="another secret")
    result = await channel.send(EXAMPLE_MESSAGE, "k")
    assert isinstance(result, Rejected)
    assert result.code == "401"
    assert receiver.applied == {}
    await channel.close()


async def test_a_repeated_key_is_accepted_and_applied_once(receiver: Receiver) -> None:
    channel = channel_for(receiver.url)
    for _ in range(3):
        assert await channel.send(EXAMPLE_MESSAGE, "same") == Accepted()
    assert list(receiver.applied) == ["same"]
    await channel.close()


@pytest.mark.parametrize("answer", ["drop", "silence"])
async def test_a_lost_answer_is_safe_to_ask_again(receiver: Receiver, answer: str) -> None:
    receiver.answers = [answer]
    channel = channel_for(receiver.url, timeout="1s")
    result = await channel.send(EXAMPLE_MESSAGE, "same")
    assert isinstance(result, Retry)
    assert list(receiver.applied) == ["same"]
    assert await channel.send(EXAMPLE_MESSAGE, "same") == Accepted()
    assert list(receiver.applied) == ["same"]
    await channel.close()


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        ("429 Slow Down\r\nretry-after: 7", timedelta(seconds=7)),
        ("503 Busy\r\nretry-after: Sat, 21 Nov 2026 09:45:00 GMT", timedelta(minutes=15)),
        ("503 Busy\r\nretry-after: Sat, 21 Nov 2020 09:45:00 GMT", timedelta(seconds=1)),
        ("429 Slow Down\r\nretry-after: 999999999", LONGEST_WAIT),
        ("429 Slow Down\r\nretry-after: soon", MINUTE),
        ("429 Slow Down", MINUTE),
        ("500 Oops", MINUTE),
        ("502 Bad Gateway", MINUTE),
        ("408 Timeout", MINUTE),
    ],
)
async def test_a_busy_receiver_says_when_to_come_back(
    receiver: Receiver, answer: str, after: timedelta
) -> None:
    receiver.answers = [answer]
    channel = channel_for(receiver.url)
    assert await channel.send(EXAMPLE_MESSAGE, "k") == Retry(after, answer[:3], of_provider=after != MINUTE)
    assert receiver.applied == {}
    await channel.close()


@pytest.mark.parametrize("answer", ["400 Bad", "403 No", "404 Nobody", "410 Gone", "422 No", "302 Found"])
async def test_a_refusal_is_final(receiver: Receiver, answer: str) -> None:
    receiver.answers = [answer]
    channel = channel_for(receiver.url)
    result = await channel.send(EXAMPLE_MESSAGE, "k")
    assert isinstance(result, Rejected)
    assert result.code == answer[:3]
    assert receiver.url not in result.detail
    await channel.close()


async def test_no_receiver_at_all_means_come_back() -> None:
    channel = channel_for(f"http://127.0.0.1:{free_port()}/", retry_after="30s")
    result = await channel.send(EXAMPLE_MESSAGE, "k")
    assert result == Retry(timedelta(seconds=30), "ConnectError")
    await channel.close()


async def test_connections_are_kept_and_bounded(receiver: Receiver) -> None:
    channel = channel_for(receiver.url, connections=2)
    results = await asyncio.gather(*(channel.send(EXAMPLE_MESSAGE, f"k{number}") for number in range(20)))
    assert results == [Accepted()] * 20
    assert len(receiver.applied) == 20
    assert receiver.connections <= 2
    await channel.close()


async def test_a_key_that_fits_no_header_still_names_one_effect(receiver: Receiver) -> None:
    channel = channel_for(receiver.url)
    for _ in range(2):
        assert await channel.send(EXAMPLE_MESSAGE, "ключ\r\nx: y \ud800") == Accepted()
    assert len(receiver.applied) == 1
    await channel.close()


async def test_half_surrogates_do_not_stop_a_message(receiver: Receiver) -> None:
    channel = channel_for(receiver.url)
    assert await channel.send(replace(EXAMPLE_MESSAGE, body="\ud83d"), "k") == Accepted()
    await channel.close()


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        ({"url": "ftp://x.example"}, "https://"),
        ({"url": "x.example/hook"}, "https://"),
        ({"url": "http://x:port"}, "https://"),
        ({"url": "http://x.example/a b"}, "https://"),
        ({"proxy": ":::"}, "https://"),
        ({"secret": ""}, "signing secret"),
        ({"secret": "whsec_***"}, "signing secret"),
        ({"timeout": "0s"}, "greater than 0"),
        ({"timeout": "31s"}, "less than or equal to"),
    ],
)
def test_settings_that_cannot_work_are_refused(others: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        channel_for(**{"url": "https://x.example", **others})  # type: ignore[arg-type]


async def test_a_message_without_an_address_is_refused(receiver: Receiver) -> None:
    channel = channel_for(receiver.url)
    assert not channel.preflight(replace(EXAMPLE_MESSAGE, to="")).ok
    assert isinstance(await channel.send(replace(EXAMPLE_MESSAGE, to=""), "k"), Rejected)
    assert isinstance(await WebhookChannel().send(EXAMPLE_MESSAGE, "k"), Rejected)
    assert receiver.requests == []


@given(st.text(max_size=40))
def test_no_retry_after_header_gives_a_wait_out_of_bounds(text: str) -> None:
    wait = wait_of(text, NOW)
    assert wait is None or timedelta(seconds=1) <= wait <= LONGEST_WAIT
