"""All that an installation's processes work with, wired from its settings; the port to the durable side."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol, cast

import structlog
from prometheus_client import Gauge

from engine.calls.service import Calls
from engine.clock import Clock, SystemClock
from engine.delivery.by_hand import ByHand
from engine.delivery.service import Delivery
from engine.errors import CommandError
from engine.governance.budgets import BudgetKeeper
from engine.governance.erasing import Eraser
from engine.governance.in_flight import PeopleKeeper
from engine.governance.plans import PlanKeeper
from engine.intake.accepting import Intake
from engine.intake.callbacks import Callbacks
from engine.intake.dispatcher import Dispatcher
from engine.intake.merging import Merger
from engine.intake.polling import Polling
from engine.intake.returning import Returns
from engine.intake.scheduling import Schedules
from engine.intake.sweeping import Sweeper
from engine.journeys.driver import Driver, OpenWorkflow
from engine.journeys.lanes import Lane
from engine.plugin.registry import Registry, load_registry
from engine.runs.service import Runs
from engine.runs.watching import TaskWatch
from engine.settings import Settings
from engine.store.bundles import BundleShelf
from engine.store.database import Store, open_store

DRIVERS = "wayline.drivers"
SECRET_FILE = "secret.key"
RETURNS_AT_ONCE = 200
"""Addresses that came back of which one round tells."""
CALLS_AT_ONCE = 100
"""Calls that a process takes up in one round."""
BROKEN_PLUGINS = Gauge("wayline_plugins_broken", "Plugins of which something was left out at start.")

_log = structlog.get_logger(__name__)


class DurableDriver(Driver, Protocol):
    """A driver that can also be examined and put in order; all may raise DriverUnavailable."""

    async def check(self) -> None:
        """Return when the service answers and is set up for runs."""

    async def set_up(self) -> bool:
        """Set the service up for runs; whether anything was missing.

        CommandError when it has to be done by hand.
        """

    async def unserved(self) -> list[str]:
        """The lanes that no worker serves while others are served; none when no worker runs at all."""

    def failing(self) -> AsyncIterator[str]:
        """Ids of workflows that cannot go on, for a reason that no retry will mend."""

    def open_runs(self) -> AsyncIterator[OpenWorkflow]:
        """Everything that carries a run at this moment."""

    async def terminate(self, workflow_id: str, reason: str) -> None: ...

    async def force_breaker(
        self, breaker: str, scope: str, *, action: str, by: str, reason: str, level: str
    ) -> str:
        """Trip or reset by hand through the breaker's own workflow; the state that is then published.

        CommandError when the request makes no sense.
        """


class EmbeddedServer(Protocol):
    """The durable side's server as a child process of `wayline up`."""

    ui_url: str | None
    """Where its own pages are; None when it has none."""

    async def start(self) -> str:
        """Start it and return its address once it is healthy."""

    async def exited(self) -> int:
        """Return when it ends by itself."""

    async def stop(self) -> None: ...


class DriverModule(Protocol):
    """What the entry point of group `wayline.drivers` names: a module with these functions."""

    def driver(self, settings: Settings) -> DurableDriver: ...

    def embedded_server(self, settings: Settings) -> EmbeddedServer: ...

    def measure(self) -> None:
        """Have what its connections do counted with the process's other figures; before the first of them."""

    async def run_worker(
        self, services: Services, stop: asyncio.Event, lanes: Sequence[Lane] = tuple(Lane)
    ) -> None:
        """Carry runs of these lanes until `stop` is set; comes back by itself after an outage."""


@dataclass
class Services:
    """The services over one store. Close them when done."""

    settings: Settings
    clock: Clock
    """Delivery time."""
    store: Store
    shelf: BundleShelf
    registry: Registry
    delivery: Delivery
    calls: Calls
    runs: Runs
    intake: Intake
    callbacks: Callbacks
    polling: Polling
    merger: Merger
    eraser: Eraser
    returns: Returns
    sweeper: Sweeper
    schedules: Schedules
    plans: PlanKeeper
    budgets: BudgetKeeper
    tasks: TaskWatch
    by_hand: ByHand
    people: PeopleKeeper
    secret_key: str
    """Signs unsubscribe links."""

    @cached_property
    def driver(self) -> DurableDriver:
        """The durable side; connects when first used."""
        return load_driver(self.settings)

    @cached_property
    def dispatcher(self) -> Dispatcher:
        """This process's share of the dispatching."""
        return Dispatcher(
            self.store,
            self.driver,
            self.runs,
            self.delivery,
            self.sweeper,
            self.clock,
            more={
                "schedules": self.schedules.fire_due,
                "plans": self.plans.end_due,
                "budgets": self.budgets.turn_due,
                "tasks": self.tasks.measure,
                "by_hand": self.by_hand.expire_due,
                "in_flight": self.people.take_over,
                "returns": lambda: self.returns.tell(RETURNS_AT_ONCE),
                "polls": self.polling.ask_due,
                "callbacks": self.callbacks.forget,
                "calls": lambda: self.calls.perform_due(CALLS_AT_ONCE),
            },
        )

    async def close(self) -> None:
        """Let go of channels, rules and the database, in this order."""
        await self.delivery.close()
        await self.registry.close()
        self.shelf.close()
        await asyncio.to_thread(self.store.close)


def build_services(
    settings: Settings, *, clock: Clock | None = None, registry: Registry | None = None
) -> Services:
    """Open the store and wire the services over it.

    CommandError when the database cannot be reached or is not migrated. A plugin that is broken is left out
    and told in the log.
    """
    clock = clock or SystemClock()
    store = open_store(settings.database)
    try:
        registry = registry or installed_plugins(settings)
        shelf = BundleShelf(registry.windows, registry.knowing)
        secret = secret_of(settings)
        delivery = Delivery(store, shelf, registry, clock, public_url=settings.public_address, secret=secret)
        calls = Calls(store, shelf, registry, clock)
        runs = Runs(store, shelf, delivery, clock, calls=calls)
    except BaseException:
        store.close()
        raise
    intake = Intake(store, shelf, runs, clock, secret=secret)
    callbacks = Callbacks(store, shelf, delivery.outlets, intake, clock, secret=secret)
    return Services(
        settings=settings,
        clock=clock,
        store=store,
        shelf=shelf,
        registry=registry,
        delivery=delivery,
        calls=calls,
        runs=runs,
        intake=intake,
        callbacks=callbacks,
        polling=Polling(store, shelf, registry, delivery.outlets, callbacks, runs, clock),
        merger=Merger(store, shelf, intake, clock),
        eraser=Eraser(store, clock, secret),
        returns=Returns(store, intake, runs),
        plans=PlanKeeper(store, shelf, clock),
        budgets=BudgetKeeper(store, shelf, clock),
        tasks=TaskWatch(store, clock),
        by_hand=ByHand(store, clock),
        people=PeopleKeeper(store, shelf, clock),
        schedules=Schedules(store, shelf, intake, runs, clock),
        sweeper=Sweeper(store, shelf, runs, clock),
        secret_key=secret,
    )


def installed_plugins(settings: Settings) -> Registry:
    """The plugins of this installation but the disabled ones; what is broken about them is logged."""
    registry = load_registry(disabled=settings.disabled_plugins)
    for fault in registry.faults:
        _log.error(
            "a plugin is broken and left out", code=fault.code, plugin=fault.plugin, fault=fault.message
        )
    for note in registry.notes:
        _log.warning("a plugin should be mended", code=note.code, plugin=note.plugin, fault=note.message)
    BROKEN_PLUGINS.set(len({fault.plugin for fault in registry.faults}))
    return registry


def load_driver_module() -> DriverModule:
    """The installed durable side; CommandError when there is none, or more than one."""
    found = entry_points(group=DRIVERS)
    names = sorted({point.name for point in found})
    if not names:
        raise CommandError("no driver is installed: install wayline with its `workflows` package")
    if len(names) > 1:
        raise CommandError(f"several drivers are installed: {', '.join(names)}; uninstall all but one")
    return cast(DriverModule, next(iter(found)).load())


def load_driver(settings: Settings) -> DurableDriver:
    """The durable side of this installation; connects when first used."""
    return load_driver_module().driver(settings)


def secret_of(settings: Settings) -> str:
    """The secret that signs links: as set, else one kept in the data folder, made on first use.

    Processes that do not share a data folder need `WAYLINE_SECRET_KEY`.
    """
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    file = settings.data_dir / SECRET_FILE
    with suppress(FileNotFoundError):
        return file.read_text(encoding="ascii")
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    _write_once(file, secrets.token_urlsafe(32))
    return file.read_text(encoding="ascii")


def _write_once(file: Path, text: str) -> None:
    """Put `text` there whole, readable by the owner only, unless another process was quicker."""
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
    with suppress(FileExistsError):
        os.link(draft, file)
    draft.unlink()
