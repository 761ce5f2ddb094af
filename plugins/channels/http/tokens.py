"""Access tokens that platforms give out for a while: fetched once, however many ask, kept until they end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from engine.plugin import Clock

MARGIN = timedelta(minutes=5)
"""How long before its end a token is not used any more: a request takes its time, and clocks differ."""


@dataclass(frozen=True)
class Token:
    """A token and for how long it is good."""

    text: str
    lasts: timedelta

    def __repr__(self) -> str:
        return f"Token(lasts={self.lasts!r})"


class NoToken(Exception):
    """The platform gave none; `code` is its own, or says why it could not be asked."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Tokens:
    """The one token of an account in this process."""

    def __init__(self, fetch: Callable[[], Awaitable[Token]], clock: Clock) -> None:
        """`fetch` raises NoToken."""
        self._fetch = fetch
        self._clock = clock
        self._token: Token | None = None
        self._until: datetime | None = None
        self._turn: asyncio.Lock | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def get(self) -> str:
        """A token that is good; NoToken when there is none to be had.

        Of many who ask at once one fetches it, and all of them get what came of that.
        """
        token = self._good()
        if token is not None:
            return token
        async with self._lock():
            token = self._good()
            if token is not None:
                return token
            fetched = await self._fetch()
            self._token = fetched
            self._until = self._clock.now() + max(fetched.lasts - MARGIN, fetched.lasts / 2)
            return fetched.text

    def spoil(self, token: str) -> None:
        """The platform does not take this one any more; a newer one, if there is one by now, is kept."""
        if self._token is not None and self._token.text == token:
            self._token = self._until = None

    def _good(self) -> str | None:
        if self._token is None or self._until is None or self._clock.now() >= self._until:
            return None
        return self._token.text

    def _lock(self) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        if self._turn is None or self._loop is not loop:
            self._turn, self._loop = asyncio.Lock(), loop
        return self._turn
