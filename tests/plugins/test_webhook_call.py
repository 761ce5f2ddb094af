"""The action `webhook_call` against a real receiver that verifies signatures and honours idempotency keys."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from engine.plugin import Call, Done, Failed, Retry, Unknown
from engine.plugin.testing import FixedClock, check_action
from plugins.actions.webhook_call import Anything, WebhookCall, WebhookCallSettings
from tests.plugins.conftest import NOW, WEBHOOK_SECRET, Receiver
from tests.ports import free_port

CALL = Call(
    Anything.model_validate({"points": 50}),
    "c-1",
    "welcome",
    "give",
    "r-1",
    {"event": {"type": "added", "order_id": "o1"}},
)


def action_for(url: str, **others: object) -> WebhookCall:
    settings = WebhookCallSettings.model_validate({"url": url, "secret": WEBHOOK_SECRET, **others})
    return WebhookCall(settings, FixedClock(NOW))


@pytest.fixture
def threaded_receiver() -> Iterator[Receiver]:
    """The receiver in a loop and a thread of its own, for tests that are not async."""
    handler, stop, ready = Receiver(), asyncio.Event(), threading.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        server = await asyncio.start_server(handler.serve, "127.0.0.1", 0)
        handler.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/calls"
        ready.set()
        await stop.wait()
        server.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    ready.wait()
    yield handler
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def test_it_keeps_the_contract(threaded_receiver: Receiver) -> None:
    settings = {"url": threaded_receiver.url, "secret": WEBHOOK_SECRET}
    check_action(WebhookCall(clock=FixedClock(NOW)), values={"points": 50}, settings=settings)


async def test_the_receiver_hears_what_the_step_says_and_of_whom(receiver: Receiver) -> None:
    action = action_for(receiver.url)
    assert await action.run(CALL, "k1") == Done()
    await action.close()
    (body,) = receiver.applied.values()
    assert body["type"] == "journey.call"
    assert body["data"] == {
        "values": {"points": 50},
        "contact_id": "c-1",
        "journey": "welcome",
        "step": "give",
        "run_id": "r-1",
        "event": {"type": "added", "order_id": "o1"},
    }


async def test_a_repeated_key_has_one_effect_and_is_done(receiver: Receiver) -> None:
    action = action_for(receiver.url)
    assert [await action.run(CALL, "k1") for _ in range(3)] == [Done()] * 3
    await action.close()
    assert len(receiver.applied) == 1


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("503 Busy\r\nretry-after: 7", Retry(timedelta(seconds=7), "503")),
        ("429 Slow", Retry(timedelta(minutes=1), "429")),
        ("404 None", Failed("404", "the receiver answered 404")),
        ("302 Elsewhere\r\nlocation: http://127.0.0.1:1/", Failed("302", "the receiver answered 302")),
    ],
)
async def test_what_an_answer_means(receiver: Receiver, answer: str, expected: object) -> None:
    receiver.answers.append(answer)
    action = action_for(receiver.url)
    assert await action.run(CALL, "k1") == expected
    await action.close()


@pytest.mark.parametrize("answer", ["drop", "silence"])
async def test_an_answer_that_never_comes_is_unknown(receiver: Receiver, answer: str) -> None:
    receiver.answers.append(answer)
    action = action_for(receiver.url, timeout="1s" if answer == "silence" else "5s")
    assert isinstance(await action.run(CALL, "k1"), Unknown)
    await action.close()


async def test_a_receiver_that_is_not_there_is_tried_again() -> None:
    action = action_for(f"http://127.0.0.1:{free_port()}/")
    assert await action.run(CALL, "k1") == Retry(timedelta(minutes=1), "ConnectError")
    await action.close()


def test_of_an_answer_only_plain_values_are_taken() -> None:
    from plugins.actions.webhook_call import _results_in

    body = b'{"balance": 12.5, "level": "gold", "vip": true, "list": [1], "none": null, "huge": 1e999}'
    assert _results_in(body) == {"balance": 12.5, "level": "gold", "vip": True}
    assert _results_in(b"[1]") == _results_in(b"not json") == _results_in(b"[" * 10_000) == {}
