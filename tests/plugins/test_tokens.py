"""Access tokens: one request for many who ask, a new one before the old one ends."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from engine.plugin.testing import FixedClock
from plugins.channels.http.tokens import MARGIN, NoToken, Token, Tokens
from tests.plugins.conftest import NOW

TWO_HOURS = timedelta(hours=2)


class Issuer:
    """Gives out numbered tokens."""

    def __init__(self) -> None:
        self.given = 0
        self.refuses = False

    async def fetch(self) -> Token:
        self.given += 1
        mine = self.given
        await asyncio.sleep(0)
        if self.refuses:
            raise NoToken("40001")
        return Token(f"token-{mine}", TWO_HOURS)


async def test_of_many_who_ask_one_fetches() -> None:
    issuer, clock = Issuer(), FixedClock(NOW)
    tokens = Tokens(issuer.fetch, clock)
    assert set(await asyncio.gather(*(tokens.get() for _ in range(50)))) == {"token-1"}
    clock.advance(TWO_HOURS - MARGIN - timedelta(seconds=1))
    assert await tokens.get() == "token-1"
    clock.advance(timedelta(seconds=1))
    assert set(await asyncio.gather(*(tokens.get() for _ in range(50)))) == {"token-2"}


async def test_a_token_that_is_refused_is_fetched_anew_once_however_many_were_refused() -> None:
    issuer = Issuer()
    tokens = Tokens(issuer.fetch, FixedClock(NOW))
    old = await tokens.get()

    async def refused() -> str:
        tokens.spoil(old)
        return await tokens.get()

    assert set(await asyncio.gather(*(refused() for _ in range(50)))) == {"token-2"}
    tokens.spoil(old)
    assert await tokens.get() == "token-2", "what is late says nothing of the new one"


async def test_who_gets_none_says_why_and_asks_again_next_time() -> None:
    issuer = Issuer()
    issuer.refuses = True
    tokens = Tokens(issuer.fetch, FixedClock(NOW))
    with pytest.raises(NoToken, match="40001"):
        await tokens.get()
    issuer.refuses = False
    assert await tokens.get() == "token-2"


def test_a_token_does_not_show_itself() -> None:
    assert "geheim" not in repr(Token("geheim", TWO_HOURS))
