"""The connections over which webhooks are posted; apart, so that only what sends loads an HTTP client."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping

import httpx

from plugins.channels.line import MOST_READ, Line
from plugins.channels.webhook import Answered, NoAnswer

APART = 0.25
"""Seconds after which another of the receiver's addresses is tried beside the first."""


def is_address(url: str) -> bool:
    """Whether one can post to it; ValueError when it is no URL at all."""
    try:
        found = httpx.URL(url)
    except httpx.InvalidURL:
        raise ValueError("not a URL") from None
    return found.scheme in ("http", "https") and bool(found.host)


class Connections:
    """Kept connections to one receiver, with one request on each at a time; the last one used goes first."""

    def __init__(self, url: str, proxy: str | None, most: int) -> None:
        self.loop = asyncio.get_running_loop()
        self._url = httpx.URL(url)
        self._headers = {
            "host": self._url.netloc.decode("ascii"),
            "accept": "*/*",
            "accept-encoding": "identity",
            **_credentials(self._url),
        }
        self._places = asyncio.Semaphore(most)
        self._trusted = httpx.create_ssl_context(trust_env=False)
        self._trusted.set_alpn_protocols(["http/1.1"])
        self._lines: set[Line] = set()
        self._idle: list[Line] = []
        self._proxied = None if proxy is None else _Proxied(self._url, proxy)

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Answered:
        """What the receiver answered; NoAnswer when it did not."""
        async with self._places:
            if self._proxied is not None:
                return await self._proxied.post(body, {**self._headers, **headers})
            line = await self._line()
            try:
                return await line.ask("POST", self._url.raw_path, {**self._headers, **headers}, body)
            finally:
                if line.is_open:
                    self._idle.append(line)
                else:
                    self._lines.discard(line)

    async def close(self) -> None:
        """Close them all; what is on its way fails."""
        for line in self._lines:
            line.close()
        if self._proxied is not None:
            await self._proxied.close()

    async def _line(self) -> Line:
        """A connection that rests, or a new one."""
        while self._idle:
            line = self._idle.pop()
            if line.is_open:
                return line
            self._lines.discard(line)
        is_secure = self._url.scheme == "https"
        host = self._url.raw_host.decode("ascii")
        try:
            _, line = await self.loop.create_connection(
                Line,
                host,
                self._url.port or (443 if is_secure else 80),
                ssl=self._trusted if is_secure else None,
                happy_eyeballs_delay=APART,
            )
        except OSError:
            raise NoAnswer("ConnectError", was_sent=False) from None
        self._lines.add(line)
        return line


class _Proxied:
    """Requests by way of a proxy, with all that a general client knows of proxies."""

    def __init__(self, url: httpx.URL, proxy: str) -> None:
        self._url = url
        # Without a time-out of its own: the whole request has one.
        self._transport = httpx.AsyncHTTPTransport(
            verify=httpx.create_ssl_context(trust_env=False), proxy=proxy, trust_env=False
        )

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Answered:
        request = httpx.Request("POST", self._url, headers=headers, content=body)
        try:
            response = await self._transport.handle_async_request(request)
            try:
                answer = await _read(response)
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            was_sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
            raise NoAnswer(type(error).__name__, was_sent=was_sent) from None
        return Answered(response.status_code, response.headers.get("retry-after", ""), answer)

    async def close(self) -> None:
        await self._transport.aclose()


def _credentials(url: httpx.URL) -> dict[str, str]:
    """The header for a name and a password that stand in the URL."""
    if not url.userinfo:
        return {}
    pair = f"{url.username}:{url.password}".encode()
    return {"authorization": f"Basic {base64.b64encode(pair).decode()}"}


async def _read(response: httpx.Response) -> bytes:
    """The answer as it came, read so that its connection can be used again; nothing of a very long one."""
    chunks, length = [], 0
    async for chunk in response.aiter_raw():
        length += len(chunk)
        if length > MOST_READ:
            return b""
        chunks.append(chunk)
    return b"".join(chunks)
