"""Real receivers on loopback, for the demonstration and the crash tests: an SMTP server, a webhook endpoint.

Both keep count per idempotency key, which is how doubles would show.
"""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections import Counter
from email.message import EmailMessage
from types import TracebackType
from typing import Self

from aiosmtpd.smtp import SMTP, Envelope, Session


class MailReceiver:
    """An SMTP server that counts what it took by Message-ID and can be told to refuse everything.

    `answer_after` seconds pass between taking a message and saying so: the time in which a sender that dies
    cannot know.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, answer_after: float = 0.0) -> None:
        self._answer_after = answer_after
        self._host = host
        self.port = port
        self.refusing = False
        self.refused = 0
        self.taken: Counter[str] = Counter()
        self._server: asyncio.Server | None = None

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """aiosmtpd's hook: the answer to a whole message."""
        if self.refusing:
            self.refused += 1
            return "554 5.3.0 refused by the demonstration"
        content = envelope.content
        raw = content if isinstance(content, bytes) else (content or "").encode()
        message = email.message_from_bytes(raw, policy=email.policy.SMTP)
        self.taken[str(message["Message-ID"])] += 1
        self.note(message)
        await asyncio.sleep(self._answer_after)
        return "250 2.0.0 taken"

    def note(self, message: EmailMessage) -> None:
        """Called with every message that was taken; for those who want more than counts."""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: SMTP(self, hostname="localhost", enable_SMTPUTF8=True), self._host, self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    @property
    def doubled(self) -> int:
        """Messages that arrived more than once."""
        return sum(1 for count in self.taken.values() if count > 1)


class WebhookReceiver:
    """An HTTP endpoint that honours idempotency keys: a repeated `webhook-id` is answered, not applied."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._host = host
        self.port = port
        self.calls: Counter[str] = Counter()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def applied(self) -> int:
        """Distinct keys: the effects that took place."""
        return len(self.calls)

    @property
    def repeated(self) -> int:
        """Calls that came with a key already seen and had no effect."""
        return sum(self.calls.values()) - len(self.calls)

    def note(self, headers: dict[str, str], body: bytes) -> None:
        """Called with every request that was read whole; for those who want more than counts."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            for writer in self._open:
                writer.close()  # kept-alive connections would hold wait_closed for ever (Python 3.12)
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while await self._one_request(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client left in the middle; a request not read whole has no effect
        finally:
            self._open.discard(writer)
            writer.close()

    async def _one_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.note(headers, body)
        key = headers.get("webhook-id")
        status = "200 OK" if key else "400 Bad Request"
        if key:
            self.calls[key] += 1
        writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode())
        await writer.drain()
        return True
