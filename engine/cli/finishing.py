"""Work that takes its time, waited for by a command."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def finished(work: Coroutine[Any, Any, T]) -> T:
    """What the work comes to.

    The result is kept out of the task. When `asyncio.run` gives the signal handler back, Python writes the
    finished task down twice, with its result, only to throw that away; a large one takes a second.
    """
    results: list[T] = []

    async def keep() -> None:
        results.append(await work)

    asyncio.run(keep())
    return results[0]
