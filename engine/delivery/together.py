"""Work of many callers that is done together: what comes while one batch is worked on makes the next."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Together(Generic[Item, Result]):
    """Nobody waits for company: who comes alone is served alone. At most `most` are done together.

    Where a batch fails as a whole, each of it is done `alone`, so that nobody fails with another.
    """

    def __init__(
        self,
        many: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        alone: Callable[[Item], Awaitable[Result]],
        *,
        most: int = 64,
    ) -> None:
        self._many = many
        self._alone = alone
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._working: asyncio.Task[None] | None = None

    async def do(self, item: Item) -> Result:
        """What comes of the item. Cancelled while it is worked on, it is done all the same."""
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        return await answer

    async def _work(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
            try:
                results = await self._many([item for item, _ in batch])
            except Exception:  # noqa: BLE001 - whoever is at fault hears of it alone
                for item, answer in batch:
                    await self._serve(item, answer)
            else:
                for (_, answer), result in zip(batch, results, strict=True):
                    if not answer.done():
                        answer.set_result(result)

    async def _serve(self, item: Item, answer: asyncio.Future[Result]) -> None:
        try:
            result = await self._alone(item)
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            if not answer.done():
                answer.set_exception(error)
        else:
            if not answer.done():
                answer.set_result(result)
