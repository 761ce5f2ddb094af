"""The ntfy channel, against a server on this machine that takes and refuses what ntfy does."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from wayline_ntfy import NtfyChannel, NtfySettings

from engine.plugin import Accepted, Message, Rejected, Retry, SendResult, Unknown
from engine.plugin.testing import EXAMPLE_MESSAGE, check_channel

TOKEN = "tk_of_the_tests"
MESSAGE = replace(EXAMPLE_MESSAGE, to="topic-of-ann")


class Ntfy(ThreadingHTTPServer):
    """As the documentation and the source of ntfy have it, as far as publishing goes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Publishing)
        self.published: list[dict[str, Any]] = []
        self.failing: tuple[int, dict[str, Any]] | None = None

    @property
    def settings(self) -> dict[str, Any]:
        return {"server": f"http://127.0.0.1:{self.server_port}", "token": TOKEN, "timeout": "5s"}

    def publish(self, token: str | None, said: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.failing is not None:
            return self.failing
        if token != f"Bearer {TOKEN}":
            return 403, {"code": 40301, "http": 403, "error": "forbidden"}
        if not re.fullmatch("[-_A-Za-z0-9]{1,64}", str(said.get("topic"))):
            return 400, {"code": 40009, "http": 400, "error": "invalid request: topic invalid"}
        assert len(said["message"].encode()) <= 4096, "ntfy would have made an attachment of it"
        self.published.append(said)
        return 200, {"id": f"m{len(self.published)}", "event": "message", **said}


class _Publishing(BaseHTTPRequestHandler):
    server: Ntfy

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, answer = self.server.publish(self.headers["Authorization"], said)
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def ntfy() -> Iterator[Ntfy]:
    server = Ntfy()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def sent(ntfy: Ntfy, message: Message = MESSAGE, **settings: Any) -> SendResult:
    async def send() -> SendResult:
        channel = NtfyChannel().configured(NtfySettings.model_validate({**ntfy.settings, **settings}))
        try:
            return await channel.send(message, "key")
        finally:
            await channel.close()

    return asyncio.run(send())


def test_it_keeps_the_contract(ntfy: Ntfy) -> None:
    check_channel(NtfyChannel(), message=MESSAGE, settings=ntfy.settings)


def test_a_message_arrives_with_its_title_and_where_a_tap_leads(ntfy: Ntfy) -> None:
    assert sent(ntfy, replace(MESSAGE, subject="您好\r\nAnn")) == Accepted("m1")
    assert ntfy.published == [
        {
            "topic": "topic-of-ann",
            "message": MESSAGE.body,
            "title": "您好 Ann",
            "click": "https://example.com/offer",
            "priority": 3,
        }
    ]


@pytest.mark.parametrize(
    ("status", "answer", "means"),
    [
        (429, {"code": 42901}, Retry),
        (429, {"code": 42908}, Retry),
        (500, {"code": 50001}, Unknown),
        (502, ["a proxy's page"], Unknown),
        (401, {"code": 40101}, Rejected),
        (413, {"code": 41303}, Rejected),
        (400, {"code": "odd"}, Rejected),
    ],
)
def test_what_ntfy_says_is_what_may_be_done_next(
    ntfy: Ntfy, status: int, answer: Any, means: type[SendResult]
) -> None:
    ntfy.failing = (status, answer)
    result = sent(ntfy)
    assert isinstance(result, means)
    assert not isinstance(result, Retry) or result.of_provider


def test_a_topic_that_cannot_exist_is_no_address_any_more(ntfy: Ntfy) -> None:
    ntfy.failing = (400, {"code": 40010, "http": 400, "error": "topic name is disallowed"})
    result = sent(ntfy)
    assert isinstance(result, Rejected)
    assert result.permanent_address


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (replace(MESSAGE, to="no topic"), "address_invalid"),
        (replace(MESSAGE, to="x" * 65), "address_invalid"),
        (replace(MESSAGE, body="字" * 1366), "too_long"),
    ],
)
def test_what_ntfy_would_refuse_is_not_sent(ntfy: Ntfy, message: Message, reason: str) -> None:
    assert NtfyChannel().preflight(message).reason == reason
    assert sent(ntfy, message) == Rejected(reason)
    assert not ntfy.published


def test_a_wrong_token_is_a_refusal(ntfy: Ntfy) -> None:
    assert sent(ntfy, token="other") == Rejected("ntfy_40301")


def test_a_server_that_is_not_there_is_tried_again(ntfy: Ntfy) -> None:
    ntfy.server_close()
    assert isinstance(sent(ntfy), Retry)
