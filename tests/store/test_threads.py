"""Threads that event loops hand synchronous work to."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Iterator

import pytest

from engine.store.threads import Threads

WHO = contextvars.ContextVar("WHO", default="nobody")


@pytest.fixture
def one() -> Iterator[Threads]:
    made = Threads(1, name="one")
    yield made
    made.close()


@pytest.fixture
def three() -> Iterator[Threads]:
    made = Threads(3, name="three")
    yield made
    made.close()


async def test_work_is_done_in_the_order_it_came(one: Threads) -> None:
    done: list[int] = []
    await asyncio.gather(*(one.run(done.append, number) for number in range(50)))
    assert done == list(range(50))


async def test_answers_and_errors_reach_whoever_asked(three: Threads) -> None:
    results = await asyncio.gather(
        *(three.run(int, text) for text in ("1", "two", "3")), return_exceptions=True
    )
    assert results[0] == 1
    assert isinstance(results[1], ValueError)
    assert results[2] == 3


async def test_context_variables_go_along(one: Threads) -> None:
    WHO.set("ann")
    assert await one.run(WHO.get) == "ann"


async def test_no_more_work_at_once_than_threads_and_no_fewer(three: Threads) -> None:
    meeting = threading.Barrier(3)
    await asyncio.gather(*(three.run(meeting.wait, 20) for _ in range(9)))
    names = await asyncio.gather(*(three.run(lambda: threading.current_thread().name) for _ in range(20)))
    assert set(names) <= {"three_0", "three_1", "three_2"}


async def test_what_is_cancelled_before_it_begins_is_never_done(one: Threads) -> None:
    gate = threading.Event()
    done: list[str] = []
    first = asyncio.create_task(one.run(gate.wait, 20))
    second = asyncio.create_task(one.run(done.append, "second"))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.set()
    assert await first
    await one.run(done.append, "third")
    assert done == ["third"]


async def test_what_has_begun_is_done_to_its_end_when_it_is_cancelled(one: Threads) -> None:
    begun, gate = threading.Event(), threading.Event()
    done: list[str] = []

    def work() -> None:
        begun.set()
        gate.wait(20)
        done.append("work")

    task = asyncio.create_task(one.run(work))
    await asyncio.to_thread(begun.wait, 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    await one.run(done.append, "next")
    assert done == ["work", "next"]


async def test_closing_finishes_what_was_asked_for_and_takes_nothing_more(one: Threads) -> None:
    done: list[int] = []
    asked = [asyncio.create_task(one.run(done.append, number)) for number in range(20)]
    await asyncio.sleep(0)
    one.close()
    assert done == list(range(20))
    await asyncio.gather(*asked)
    with pytest.raises(RuntimeError, match="closed"):
        await one.run(done.append, 20)


def test_a_loop_that_is_gone_disturbs_nobody(one: Threads) -> None:
    gate = threading.Event()
    done: list[str] = []

    async def ask_and_leave() -> None:
        task = asyncio.create_task(one.run(gate.wait, 20))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(ask_and_leave())
    gate.set()
    asyncio.run(one.run(done.append, "still here"))
    assert done == ["still here"]
