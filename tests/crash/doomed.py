"""Processes that are killed at a named boundary of the engine; a parent with everything loaded forks them.

Run as a script. For every line of JSON on standard input one process is forked that opens the store, takes
events in, carries runs and dispatches like the processes of an installation, until it has nothing to do or
dies by SIGKILL at the boundary it was given. The parent answers with a line: the signal, or the exit code.

The product knows nothing of this: boundaries are the functions below, wrapped here and in no other process.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

import engine.calls.service
import engine.delivery.service
import engine.services
from engine.calls.service import Calls
from engine.delivery.gate_state import SqlGateState
from engine.delivery.onward import CarriedGateState
from engine.delivery.pages import Pages
from engine.delivery.passing import Means
from engine.intake.accepting import Intake
from engine.intake.dispatcher import Dispatcher
from engine.intake.segment import translate
from engine.journeys.driver import Nudge, OpenWorkflow, RunRef
from engine.plugin.calling import call_channel
from engine.plugin.registry import load_registry
from engine.runs.going_on import Company
from engine.runs.service import Runs
from engine.services import Services, build_services
from engine.settings import Settings
from engine.store.bundles import BundleShelf
from engine.store.database import Store, open_store
from engine.store.tables import RunRow
from plugins.actions import webhook_call
from plugins.channels import email, webhook
from plugins.generators import template

PAGE = 100


class Workflows:
    """Stands where the workflow service stands: whoever is told of is carried, and found by its row again."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    async def start(self, run: RunRef) -> None:
        await self._runs.carry(run.run_id, durable=True)

    async def signal(self, run: RunRef, nudge: Nudge) -> None:
        await self._runs.carry(run.run_id, durable=True)

    async def cancel(self, run: RunRef, reason: str) -> None:
        return None

    async def is_running(self, run: RunRef | OpenWorkflow) -> bool:
        return True

    async def watch_breaker(self, breaker: str, scope: str) -> None:
        return None


TRANSACTIONS: dict[str, list[tuple[type[Any], str]]] = {
    "intake": [(Intake, "settle")],
    "journey.advance": [(Runs, "_advance"), (Company, "_move")],
    "journey.park": [(Runs, "_park")],
    "journey.pick_up": [(Runs, "_lease_abandoned")],
    "gate.claim": [(SqlGateState, "claim")],
    "gate.claim_due": [(SqlGateState, "claim_due")],
    "gate.claim_in_doubt": [(SqlGateState, "claim_in_doubt")],
    "gate.depart": [(SqlGateState, "depart")],
    "gate.set_out": [(Pages, "set_out")],
    "gate.settle": [
        (SqlGateState, "settle"),
        (SqlGateState, "settle_together"),
        (CarriedGateState, "settle"),
        (Company, "_move"),
    ],
    "gate.conclude": [(SqlGateState, "conclude"), (CarriedGateState, "conclude")],
    "call.begin": [(Calls, "_begin")],
    "call.take": [(Calls, "_take_due")],
    "call.settle": [(Calls, "_settle")],
    "dispatch.claim": [(Dispatcher, "_claim")],
    "dispatch.settle": [(Dispatcher, "_settle")],
}
"""Boundary -> what does its transaction. A process dies before its commit (`.commit`) or right after it."""
CALLS: dict[str, tuple[Any, str]] = {
    "call.action": (engine.calls.service, "call_action"),
    "dispatch.start": (Workflows, "start"),
    "dispatch.signal": (Workflows, "signal"),
}
"""Boundary -> what asks the world. A process dies before it asks, or when it has the answer."""
PROVIDER = "gate.provider"
BOUNDARIES = (
    *(f"{name}{moment}" for name in TRANSACTIONS for moment in (".commit", ".committed")),
    *(f"{name}{moment}" for name in (PROVIDER, *CALLS) for moment in (".asked", ".answered")),
)


@dataclass
class Doom:
    """Counts how often the boundary was reached; the last time is the end of the process."""

    left: int

    def strike(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def doom(boundary: str, times: int) -> None:
    """Have this process die the so-manyth time it comes to the boundary."""
    name, _, moment = boundary.rpartition(".")
    fate = Doom(times)
    if name == "gate.depart":
        # Else most messages depart in the transaction that wishes them, `journey.advance` or `gate.settle`.
        email.EmailChannel.immediate = webhook.WebhookChannel.immediate = False
    if name == PROVIDER:
        asking = _asking(call_channel, fate, before=moment == "asked")
        setattr(engine.delivery.service, "Means", functools.partial(Means, send=asking))  # noqa: B010
        return
    if name in CALLS:
        owner, attribute = CALLS[name]
        setattr(owner, attribute, _asking(getattr(owner, attribute), fate, before=moment == "asked"))
        return
    inside = threading.local()
    for owner, attribute in TRANSACTIONS[name]:
        setattr(owner, attribute, _transacting(getattr(owner, attribute), fate, inside, moment))
    if moment == "commit":
        _die_before_commits(fate, inside)


def _asking(ask: Callable[..., Awaitable[Any]], fate: Doom, *, before: bool) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(ask)
    async def asked(*args: Any, **kwargs: Any) -> Any:
        if before:
            fate.strike()
        answer = await ask(*args, **kwargs)
        if not before:
            fate.strike()
        return answer

    return asked


def _transacting(
    work: Callable[..., Any], fate: Doom, inside: threading.local, moment: str
) -> Callable[..., Any]:
    @functools.wraps(work)
    def transacted(*args: Any, **kwargs: Any) -> Any:
        inside.depth = getattr(inside, "depth", 0) + 1
        try:
            done = work(*args, **kwargs)
        finally:
            inside.depth -= 1
        if moment == "committed":
            fate.strike()
        return done

    return transacted


def _die_before_commits(fate: Doom, inside: threading.local) -> None:
    begin = Store.begin

    @contextmanager
    def doomed(self: Store) -> Iterator[Session]:
        with begin(self) as session:
            yield session
            session.flush()
            if getattr(inside, "depth", 0):
                fate.strike()

    Store.begin = doomed  # type: ignore[method-assign, assignment]


class Ahead:
    """The machine's clock, some time ahead: leases are over and waits are due without anybody waiting."""

    def __init__(self, ahead: timedelta) -> None:
        self.ahead = ahead

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def arrivals(first: int, count: int) -> list[dict[str, Any]]:
    """What a sender tells of so many people: who they are, what they agreed to, that they have come."""
    told: list[dict[str, Any]] = []
    for number in range(first, first + count):
        user = f"user-{number}"
        traits = {"email": f"user{number}@example.com", "app": f"device-{number}"}
        agreed = {"purpose": "marketing"}
        told += [
            {"type": "identify", "messageId": f"identify-{number}", "userId": user, "traits": traits},
            {
                "type": "track",
                "event": "consent_granted",
                "messageId": f"consent-{number}",
                "userId": user,
                "properties": agreed,
            },
            {"type": "track", "event": "contact_added", "messageId": f"added-{number}", "userId": user},
        ]
    return told


async def live(order: dict[str, Any]) -> None:
    """One process's life."""
    if order["boundary"]:
        doom(order["boundary"], order["times"])
    clock = Ahead(timedelta(seconds=order["ahead"]))
    registry = load_registry(entry_points=False, extra=[email, webhook, template, webhook_call])
    services = build_services(Settings(), clock=clock, registry=registry)
    dispatcher = Dispatcher(
        services.store,
        Workflows(services.runs),
        services.runs,
        services.delivery,
        services.sweeper,
        clock,
        more={"calls": lambda: services.calls.perform_due(PAGE)},
    )
    await _work_off(services, dispatcher)
    for first, count in order["batches"]:
        batch = [translate(message) for message in arrivals(first, count)]
        receipt = await services.store.run(services.intake.accept, batch, source="crash")
        await asyncio.gather(*map(services.runs.carry, receipt.run_ids))
    for step in order["steps"]:
        await _work_off(services, dispatcher)
        clock.ahead += timedelta(seconds=step)
    await _work_off(services, dispatcher)
    await services.close()


async def _work_off(services: Services, dispatcher: Dispatcher) -> None:
    """Whatever is due now: rows left lying, errands, waits whose time is over."""
    while await dispatcher.step() or await _carry_due(services):
        pass


async def _carry_due(services: Services) -> int:
    now = services.clock.now()
    query = select(col(RunRow.id)).where(col(RunRow.status) == "active", col(RunRow.due_at) <= now)
    with services.store.read() as session:
        run_ids = list(session.scalars(query.order_by(col(RunRow.id))))
    await asyncio.gather(*(services.runs.carry(run_id, durable=True) for run_id in run_ids))
    return len(run_ids)


def warm_up() -> None:
    """Have the bundle compiled here, so that no child has to; it is what every process keeps of a bundle."""
    store, shelf = open_store(Settings().database), BundleShelf()
    with store.read() as session:
        shelf.matcher(shelf.live(session))
    store.close()
    setattr(engine.services, "BundleShelf", lambda *_of_plugins: shelf)  # noqa: B010


def main() -> None:
    warm_up()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                asyncio.run(live(json.loads(line)))
            except BaseException:  # noqa: BLE001 - whatever it is, the parent's test has to show it
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
