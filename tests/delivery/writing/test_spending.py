"""What generators may spend in a day, in tokens and in money: never overrun, and every answer paid for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tests.delivery.conftest import Desk
from tests.delivery.writing.conftest import (
    PRICE,
    process,
    publish,
    sent,
    spent,
    text_of,
    used,
    within_reach,
)
from tests.plugins.chat_server import ChatServer, Reply, completion, welcome


async def spend_at_once(
    desk: Desk, server: ChatServer, messages: int, spent_so_far: Callable[[Desk], int]
) -> tuple[int, list[dict[str, Any]]]:
    """As many messages at once: the most that was ever set aside, and what is told of each text."""
    process(desk, within_reach(server))
    for number in range(messages):
        desk.contact(f"c{number}", locale="en")
        desk.plan(f"k{number}", f"c{number}", content="written")
    seen: list[int] = []

    def writes(body: dict[str, Any]) -> dict[str, str]:
        seen.append(spent_so_far(desk))
        return welcome(body)

    server.writes = writes
    await asyncio.gather(*(desk.deliver(f"k{number}") for number in range(messages)))
    assert len(sent(desk)) == messages
    return max(seen), [text_of(desk, f"k{number}") for number in range(messages)]


async def test_a_day_has_a_budget_that_is_never_overrun(desk: Desk, server: ChatServer) -> None:
    publish(desk, tokens=4_000)
    most, texts = await spend_at_once(desk, server, 12, used)

    assert most <= 4_000
    assert used(desk) == 120 * len(server.asked) <= 4_000
    assert [text.get("because") for text in texts].count("budget_spent") == 12 - len(server.asked) > 0
    # A new day in the workspace's zone has its own.
    desk.clock.advance(timedelta(days=1))
    desk.contact("late", locale="en")
    desk.plan("late", "late", content="written")
    await desk.deliver("late")
    assert text_of(desk, "late")["ai_generated"] is True


async def test_a_day_has_money_that_is_never_overrun(desk: Desk, server: ChatServer) -> None:
    publish(desk, more=PRICE % "0.04")
    most, texts = await spend_at_once(desk, server, 8, spent)

    # 100 tokens at 2.50 and 20 at 10 for a million: 450 millionths a text.
    assert most <= 40_000
    assert spent(desk) == 450 * len(server.asked) <= 40_000
    assert [text.get("because") for text in texts].count("money_spent") == 8 - len(server.asked) > 0
    # Who may not have the money leaves the tokens to others.
    assert used(desk) == 120 * len(server.asked)
    cost = {"amount": "0.000450", "currency": "CNY", "as_of": "2026-11-22"}
    assert cost in [text.get("cost") for text in texts]


async def test_an_answer_that_cannot_be_sent_has_been_paid_for(sqlite_desk: Desk, server: ChatServer) -> None:
    desk = sqlite_desk
    publish(desk, more=PRICE % 1)
    process(desk, within_reach(server))
    server.replies.append(Reply(body=completion("nonsense", tokens=60)))
    server.replies.append(Reply(body=completion({"body": "Good day"}, tokens=None)))
    for number in (1, 2):
        desk.contact(f"c{number}", locale="en")
        desk.plan(f"k{number}", f"c{number}", content="written")
    await desk.deliver("k1")
    assert spent(desk) == 40 * 2.5 + 20 * 10

    # Of an endpoint that does not count, as much is paid as it may have cost at most.
    await desk.deliver("k2")
    assert spent(desk) == 300 + 10 * (used(desk) - 60)
