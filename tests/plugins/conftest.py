"""Real servers on loopback: an SMTP server that can refuse and drop, an HTTP receiver that honours keys."""

from __future__ import annotations

import asyncio
import base64
import email
import email.policy
import hmac
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from hashlib import sha256
from typing import Protocol

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from engine.plugin.testing import FixedClock
from tests.plugins.platform_server import Reply, Request, serving
from tests.ports import free_port

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"a signing key of thirty-two byte").decode()


@dataclass
class Took:
    """One message an SMTP server accepted."""

    sender: str
    recipients: list[str]
    raw: bytes

    @property
    def mail(self) -> EmailMessage:
        parsed = email.message_from_bytes(self.raw, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed


@dataclass
class MailServer:
    """What the server did and shall do; an answer of "drop" closes the connection instead."""

    answers: dict[str, list[str]] = field(default_factory=dict)
    """MAIL | RCPT | DATA (the command) | END (the whole message) -> what to answer next; empty: accept."""
    took: list[Took] = field(default_factory=list)
    sessions: set[object] = field(default_factory=set)
    accepted_before_drop: int = 0
    port: int = 0

    def next_answer(self, phase: str, session: Session) -> str | None:
        assert session.peer is not None
        self.sessions.add(session.peer)
        script = self.answers.get(phase)
        return script.pop(0) if script else None

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.next_answer("MAIL", session)
        if answer:
            return _answer(server, answer)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 sender fine"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.next_answer("RCPT", session)
        if answer:
            return _answer(server, answer)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 recipient fine"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self.next_answer("END", session)
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        if answer == "drop":
            self.accepted_before_drop += 1
        if answer:
            return _answer(server, answer)
        self.took.append(Took(envelope.mail_from or "", list(envelope.rcpt_tos), content))
        return "250 2.0.0 taken"


def _answer(server: SMTP, answer: str) -> str:
    if answer == "drop":
        assert isinstance(server.transport, asyncio.WriteTransport)
        server.transport.abort()
        return "421 4.3.2 never arrives"
    return answer


class ScriptedSMTP(SMTP):
    """aiosmtpd answers the DATA command itself; here the script may answer it first."""

    async def smtp_DATA(self, arg: str) -> None:
        server: MailServer = self.event_handler
        assert self.session is not None
        answer = server.next_answer("DATA", self.session)
        if answer:
            answered = _answer(self, answer)
            if answer != "drop":
                await self.push(answered)
        else:
            await super().smtp_DATA(arg)


class _Controller(Controller):
    def factory(self) -> SMTP:
        return ScriptedSMTP(self.handler, hostname="localhost", enable_SMTPUTF8=True)


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    handler = MailServer(port=free_port())
    controller = _Controller(handler, hostname="127.0.0.1", port=handler.port)
    # Its own loop in its own thread: the sender under test can neither help it along nor hold it up.
    controller.start()
    yield handler
    controller.stop()


@dataclass
class Receiver:
    """An HTTP endpoint that verifies Standard Webhooks signatures and applies each id once."""

    secret: str = WEBHOOK_SECRET
    answers: list[str] = field(default_factory=list)
    """What to answer next: a status line with headers, "drop" (after applying) or "silence"; empty: 200, or
    409 for an id already applied."""
    applied: dict[str, dict[str, object]] = field(default_factory=dict)
    requests: list[dict[str, str]] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                headers = {
                    name.lower(): value.strip()
                    for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:] if line)
                }
                body = await reader.readexactly(int(headers["content-length"]))
                self.requests.append(headers)
                answer = self._answer(headers, body)
                if answer == "silence":
                    await reader.read()
                    return
                if answer == "drop":
                    return
                writer.write(f"HTTP/1.1 {answer}\r\ncontent-length: 2\r\n\r\nok".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, headers: dict[str, str], body: bytes) -> str:
        identity, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        expected = hmac.new(key, f"{identity}.{timestamp}.".encode() + body, sha256).digest()
        given = headers["webhook-signature"].removeprefix("v1,")
        if not hmac.compare_digest(base64.b64decode(given), expected):
            return "401 Unauthorized"
        answer = self.answers.pop(0) if self.answers else ""
        if answer in ("", "drop", "silence"):
            repeated = identity in self.applied
            self.applied.setdefault(identity, json.loads(body))
            return answer or ("409 Conflict" if repeated else "200 OK")
        return answer


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    handler = Receiver()
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        await handler.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    handler.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/messages"
    yield handler
    server.close()
    for task in connections:
        task.cancel()
    await asyncio.gather(*connections, return_exceptions=True)
    await server.wait_closed()


class Platform(Protocol):
    """What stands in for a platform; each file of tests has its own, as the fixture `platform`."""

    def answer(self, request: Request) -> Reply: ...


@pytest.fixture
def url(platform: Platform) -> Iterator[str]:
    """Where the platform of the file's tests listens."""
    with serving(platform.answer) as found:
        yield found


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOW)
