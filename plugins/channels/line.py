"""One HTTP/1.1 connection for one request after another: h11 speaks the protocol, asyncio carries the bytes.

Requests here are small and answers smaller; what a general client does around them (pools, traces, scopes,
streams) takes five times as long as saying and hearing them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

import h11

from plugins.channels.webhook import Answered, NoAnswer

MOST_READ = 64 * 1024
"""Bytes of an answer that are read at most; of a longer one nothing is believed."""


class Line(asyncio.Protocol):
    """A connection, open or not any more. Give it one request at a time, in the loop that opened it."""

    def __init__(self) -> None:
        self._protocol = h11.Connection(h11.CLIENT)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answered] | None = None
        self._status, self._retry_after = 0, ""
        self._body: list[bytes] = []
        self._length = 0

    @property
    def is_open(self) -> bool:
        """Whether it takes another request."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, method: str, target: bytes, headers: Mapping[str, str], body: bytes) -> Answered:
        """What the other side answers; NoAnswer when it does not. Cancelled, the connection is given up."""
        assert self._transport is not None and self._answer is None, "one request at a time"
        head = h11.Request(
            method=method, target=target, headers=[*headers.items(), ("content-length", str(len(body)))]
        )
        said = [self._protocol.send(head), self._protocol.send(h11.Data(body))]
        said.append(self._protocol.send(h11.EndOfMessage()))
        self._status, self._retry_after = 0, ""
        self._body, self._length = [], 0
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(b"".join(part for part in said if part))
        try:
            return await self._answer
        except BaseException:
            self.close()
            raise
        finally:
            self._answer = None

    def close(self) -> None:
        """Give the connection up, at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None:
            # Nothing was asked: it would be taken for the answer to what is asked next.
            self.close()
            return
        self._hear(data)

    def eof_received(self) -> None:
        self._hear(b"")

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None:
            self._fail("ReadError")
        else:
            self._hear(b"")

    def _hear(self, data: bytes) -> None:
        if self._answer is None or self._answer.done():
            return
        try:
            self._protocol.receive_data(data)
            while self._take(self._protocol.next_event()):
                pass
        except h11.RemoteProtocolError:
            self._fail("RemoteProtocolError")

    def _take(self, event: h11.Event | type[h11.NEED_DATA | h11.PAUSED]) -> bool:
        """Whether another event may follow in what has come so far."""
        match event:
            case h11.InformationalResponse():
                return True
            case h11.Response(status_code=status, headers=headers):
                self._status = status
                given = [value for name, value in headers if name == b"retry-after"]
                self._retry_after = given[0].decode("latin-1") if given else ""
                return True
            case h11.Data(data=data):
                self._length += len(data)
                if self._length <= MOST_READ:
                    self._body.append(bytes(data))
                    return True
                self._close_with(b"")
            case h11.EndOfMessage():
                if self._protocol.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
                    self._protocol.start_next_cycle()
                    self._tell(b"".join(self._body))
                else:
                    self._close_with(b"".join(self._body))
            case h11.ConnectionClosed() | h11.PAUSED:
                self._fail("RemoteProtocolError")
        return False

    def _close_with(self, body: bytes) -> None:
        self._tell(body)
        self.close()

    def _tell(self, body: bytes) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answered(self._status, self._retry_after, body))

    def _fail(self, kind: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(NoAnswer(kind, was_sent=True))
