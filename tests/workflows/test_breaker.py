"""The breaker workflow against a real server: looks, timers, manual changes and their refusals."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from engine.errors import CommandError
from workflows.connection import connect
from workflows.driver import TemporalDriver
from workflows.messages import (
    FORCE_BREAKER,
    OBSERVE_BREAKER,
    BreakerInput,
    BreakerState,
    ForceOrder,
    ForceRequest,
    ObserveRequest,
    breaker_workflow_id,
)

pytestmark = pytest.mark.temporal

Named = tuple[str, str]
_numbers = itertools.count(1)


@pytest.fixture
def email() -> Named:
    """A breaker of this test's own: the workflow of an earlier one may not have been listed, nor ended."""
    return ("send_failure", f"channel:email-{next(_numbers)}")


@dataclass
class Figures:
    """A breaker whose published state a test sets; counts looks and keeps manual changes."""

    state: str = "closed"
    next_in: timedelta | None = None
    looks: list[ObserveRequest] = field(default_factory=list)
    orders: list[ForceOrder] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @activity.defn(name=OBSERVE_BREAKER)
    async def observe(self, request: ObserveRequest) -> BreakerState:
        self.looks.append(request)
        self.changed.set()
        next_at = None if self.next_in is None else request.now + self.next_in
        return BreakerState(self.state, next_at=next_at)

    @activity.defn(name=FORCE_BREAKER)
    async def force(self, order: ForceOrder) -> BreakerState:
        self.orders.append(order)
        self.state = "open" if order.request.action == "trip" else "closed"
        return BreakerState(self.state, order.request.level, epoch=len(self.orders))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self.changed.clear()
                await self.changed.wait()


async def test_told_to_look_it_looks_again(
    client: Client, driver: TemporalDriver, working: Any, email: Named
) -> None:
    figures = Figures()
    async with working(client, figures.observe, figures.force):
        await driver.watch_breaker(*email)
        await figures.until(lambda: len(figures.looks) >= 1)
        looked = len(figures.looks)
        await driver.watch_breaker(*email)
        await figures.until(lambda: len(figures.looks) > looked)
    assert {(look.breaker, look.scope) for look in figures.looks} == {email}


async def test_a_pause_that_has_passed_brings_a_look_without_being_told(
    client: Client, driver: TemporalDriver, working: Any, email: Named
) -> None:
    figures = Figures(state="open", next_in=timedelta(seconds=1))
    async with working(client, figures.observe, figures.force):
        await driver.watch_breaker(*email)
        await figures.until(lambda: len(figures.looks) >= 4)


async def test_a_manual_trip_answers_when_it_is_published(
    client: Client, driver: TemporalDriver, working: Any, email: Named
) -> None:
    figures = Figures()
    async with working(client, figures.observe, figures.force):
        answer = await driver.force_breaker(
            *email, action="trip", by="ops.li", reason="provider maintenance", level="yellow"
        )
        handle = client.get_workflow_handle(breaker_workflow_id(*email))
        described = await handle.describe()
    assert answer == "open"
    assert figures.orders[0].request == ForceRequest("trip", "ops.li", "provider maintenance", "yellow")
    assert described.workflow_type == "Breaker"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"action": "open", "by": "ops.li"}, "'open' is not known; use one of trip, reset"),
        (
            {"action": "trip", "by": "ops.li", "level": "pink"},
            "'pink' is not known; use one of yellow, red, black",
        ),
        ({"action": "reset", "by": "  "}, "needs the name of who makes it"),
    ],
)
async def test_a_manual_change_that_makes_no_sense_is_refused_and_leaves_no_trace(
    client: Client, driver: TemporalDriver, working: Any, email: Named, asked: dict[str, str], said: str
) -> None:
    figures = Figures()
    async with working(client, figures.observe, figures.force):
        await driver.watch_breaker(*email)
        await figures.until(lambda: len(figures.looks) >= 1)
        with pytest.raises(CommandError, match=said):
            await driver.force_breaker(*email, **asked)
    history = await client.get_workflow_handle(breaker_workflow_id(*email)).fetch_history()
    assert figures.orders == []
    assert not any(
        event.HasField("workflow_execution_update_accepted_event_attributes") for event in history.events
    )


async def test_manual_changes_survive_the_renewal_of_the_history(
    client: Client, temporal_address: str, working: Any, email: Named
) -> None:
    driver = TemporalDriver(lambda: connect(temporal_address, "default"), continue_after=20)
    figures = Figures()
    async with working(client, figures.observe, figures.force):
        for number in range(12):
            action = "reset" if number % 2 else "trip"
            await driver.force_breaker(*email, action=action, by=f"ops.{number}")
    assert [order.request.by for order in figures.orders] == [f"ops.{number}" for number in range(12)]


async def test_a_closed_breaker_nobody_asks_about_ends_its_workflow(
    skipping: WorkflowEnvironment, working: Any, email: Named
) -> None:
    figures = Figures()
    async with working(skipping.client, figures.observe, figures.force):
        result = await skipping.client.execute_workflow(
            "Breaker",
            BreakerInput(*email),
            id=breaker_workflow_id(*email),
            task_queue="journeys",
            result_type=BreakerState,
        )
    assert result.state == "closed"
    assert len(figures.looks) == 1
