"""Calls platforms that want an access token: fetched when needed, asked once more when it is refused."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from engine.plugin import Clock, Rejected, Retry, Unknown
from plugins.channels.http.answers import LONGEST_ANSWER, Answered, NoAnswer
from plugins.channels.http.asking import Line, LineSettings, object_in
from plugins.channels.http.tokens import NoToken, Token, Tokens
from plugins.channels.platforms.taxonomy import taxonomy


class TokenedApi(ABC):
    """One account's way to its platform."""

    platform: ClassVar[str]
    """Whose taxonomy its codes are read by."""
    old_token: ClassVar[frozenset[str]]
    """Codes that say the token is not taken any more: refused before anything was done."""
    longest_answer: ClassVar[int] = LONGEST_ANSWER
    """Bytes; of a longer one nothing is believed."""

    def __init__(self, base: str, settings: LineSettings, clock: Clock) -> None:
        self._line_settings = settings
        self._line = Line(base, settings, longest_answer=self.longest_answer)
        self._tokens = Tokens(self._fetch, clock)

    async def call(
        self, path: str, data: Mapping[str, Any] | None = None, *, query: Mapping[str, str] | None = None
    ) -> tuple[str, dict[str, Any]]:
        """The platform's code, "0" for success, and its whole answer; without `data` it is only asked (GET).

        NoToken when there is none to be had, and then nothing was asked; NoAnswer when nothing came back. The
        code is "http:<status>" where the answer holds none.
        """
        token = await self._tokens.get()
        code, said = await self._asked(path, data, query or {}, token)
        if code in self.old_token:
            # Once more, with a new one.
            self._tokens.spoil(token)
            code, said = await self._asked(path, data, query or {}, await self._tokens.get())
        return code, said

    def without_token(self, error: NoToken) -> Retry:
        """Nothing was sent: whoever mends the keys, or the platform, still wants it sent."""
        retry_after = self._line_settings.retry_after
        known = taxonomy(self.platform).refusal(error.code, retry_after=retry_after)
        return Retry(known.after if isinstance(known, Retry) else retry_after, error.code, of_provider=True)

    def refusal(self, code: str) -> Retry | Rejected | Unknown:
        """What the platform's code comes to."""
        if code.startswith("http:"):
            return Unknown(f"the platform answered {code.removeprefix('http:')}")
        return taxonomy(self.platform).refusal(code, retry_after=self._line_settings.retry_after)

    async def close(self) -> None:
        await self._line.close()

    @abstractmethod
    async def ask_for_token(self, line: Line) -> Answered:
        """What the platform answers when it is asked for a token; NoAnswer when nothing comes back."""

    @abstractmethod
    def token_in(self, said: Mapping[str, Any]) -> tuple[object, object]:
        """The token in such an answer, and for how many seconds it is good; None where it holds none."""

    @abstractmethod
    async def ask(
        self, line: Line, path: str, data: Mapping[str, Any] | None, query: Mapping[str, str], token: str
    ) -> Answered:
        """What the platform answers to one call; NoAnswer when nothing comes back."""

    @abstractmethod
    def code_of(self, said: Mapping[str, Any]) -> str | None:
        """The platform's code in an answer, "0" for success; None when there is none."""

    async def _asked(
        self, path: str, data: Mapping[str, Any] | None, query: Mapping[str, str], token: str
    ) -> tuple[str, dict[str, Any]]:
        answered = await self.ask(self._line, path, data, query, token)
        said = object_in(answered)
        return self.code_of(said) or f"http:{answered.status}", said

    async def _fetch(self) -> Token:
        try:
            said = object_in(await self.ask_for_token(self._line))
        except NoAnswer as error:
            raise NoToken(error.kind) from None
        token, lasts = self.token_in(said)
        if not isinstance(token, str) or not token or not isinstance(lasts, int):
            raise NoToken(self.code_of(said) or "no_token")
        return Token(token, timedelta(seconds=lasts))
