"""The connections over which requests are made; apart, so that only what sends loads an HTTP client."""

from __future__ import annotations

import asyncio
import base64

import httpx

from plugins.channels.http.answers import LONGEST_ANSWER, Answered, NoAnswer

NO_CONNECTION = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
"""What goes wrong before anything is written to the receiver."""


class Connections:
    """Kept connections to one receiver, with one request on each at a time; the last one used goes first.

    Each is a transport of its own: a shared one looks at the sockets of all its connections before and after
    every request, which costs more than the request.
    """

    def __init__(self, url: str, proxy: str | None, most: int, longest_answer: int = LONGEST_ANSWER) -> None:
        """`longest_answer`: the bytes of an answer that are read; of a longer one nothing is believed."""
        self.loop = asyncio.get_running_loop()
        self._url = httpx.URL(url)
        self._headers = {"accept": "*/*", "accept-encoding": "identity", **_credentials(self._url)}
        self._proxy = proxy
        self._longest_answer = longest_answer
        self._places = asyncio.Semaphore(most)
        self._trusted = httpx.create_ssl_context(trust_env=False)
        self._all: list[httpx.AsyncHTTPTransport] = []
        self._idle: list[httpx.AsyncHTTPTransport] = []

    async def post(self, body: bytes, headers: dict[str, str]) -> Answered:
        """What the receiver answered; NoAnswer when it did not."""
        return await self._answered(
            httpx.Request("POST", self._url, headers=self._headers | headers, content=body)
        )

    async def ask(self, method: str, url: str, body: bytes, headers: dict[str, str]) -> Answered:
        """`post` at any address of the same receiver, in any way."""
        return await self._answered(
            httpx.Request(method, url, headers=self._headers | headers, content=body or None)
        )

    async def _answered(self, request: httpx.Request) -> Answered:
        try:
            return await self._posted(request)
        except httpx.HTTPError as error:
            raise NoAnswer(type(error).__name__, was_sent=not isinstance(error, NO_CONNECTION)) from None

    async def close(self) -> None:
        """Close them all; what is on its way fails."""
        for connection in self._all:
            await connection.aclose()

    async def _posted(self, request: httpx.Request) -> Answered:
        async with self._places:
            connection = self._idle.pop() if self._idle else self._another()
            try:
                response = await connection.handle_async_request(request)
                try:
                    body = await _read(response, self._longest_answer)
                finally:
                    await response.aclose()
            finally:
                self._idle.append(connection)
        return Answered(response.status_code, response.headers.get("retry-after", ""), body)

    def _another(self) -> httpx.AsyncHTTPTransport:
        # Without a time-out of its own: the whole request has one.
        made = httpx.AsyncHTTPTransport(
            verify=self._trusted,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            proxy=self._proxy,
            trust_env=False,
        )
        self._all.append(made)
        return made


def _credentials(url: httpx.URL) -> dict[str, str]:
    """The header for a name and a password that stand in the URL."""
    if not url.userinfo:
        return {}
    pair = f"{url.username}:{url.password}".encode()
    return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}


async def _read(response: httpx.Response, most: int) -> bytes:
    """The answer as it came, read so that its connection can be used again; nothing of a very long one."""
    chunks, length = [], 0
    async for chunk in response.aiter_raw():
        length += len(chunk)
        if length > most:
            return b""
        chunks.append(chunk)
    return b"".join(chunks)
