"""What comes while one batch is worked on makes the next, and nobody fails with another."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from engine.delivery.together import Together


class Doubling:
    """Doubles numbers; a batch with an odd one fails as a whole, and 13 fails in any company."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = asyncio.Event()

    async def many(self, numbers: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(numbers))
        await self.go.wait()
        if any(number % 2 for number in numbers):
            raise ValueError("odd")
        return [2 * number for number in numbers]

    async def alone(self, number: int) -> int:
        if number == 13:
            raise ValueError("unlucky")
        return 2 * number


async def test_who_comes_alone_is_served_alone_and_who_comes_meanwhile_together() -> None:
    doubling = Doubling()
    together = Together(doubling.many, doubling.alone, most=3)
    first = asyncio.create_task(together.do(0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    others = [asyncio.create_task(together.do(number)) for number in (2, 4, 6, 8)]
    await asyncio.sleep(0)
    doubling.go.set()
    assert await asyncio.gather(first, *others) == [0, 4, 8, 12, 16]
    assert doubling.batches == [[0], [2, 4, 6], [8]]


async def test_where_a_batch_fails_only_who_is_at_fault_hears_of_it() -> None:
    doubling = Doubling()
    doubling.go.set()
    together = Together(doubling.many, doubling.alone)
    found = await asyncio.gather(*(together.do(each) for each in (2, 13, 5)), return_exceptions=True)
    assert [found[0], found[2]] == [4, 10]
    assert isinstance(found[1], ValueError)
    assert str(found[1]) == "unlucky"


async def test_who_gives_up_takes_nobody_along() -> None:
    doubling = Doubling()
    together = Together(doubling.many, doubling.alone)
    gone, stays = (asyncio.create_task(together.do(number)) for number in (2, 4))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    doubling.go.set()
    assert await stays == 8
    assert await together.do(6) == 12
