"""What `wayline doctor` looks at, and how it brings runs and their workflows together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select

from engine.errors import CommandError, DriverUnavailable, NotFound, PluginError, RulesetError
from engine.gate.rates import read
from engine.intake import outbox
from engine.journeys.driver import Nudge, OpenWorkflow, RunRef, Standing
from engine.journeys.lanes import lane_of
from engine.plugin.registry import Registry
from engine.runs.examining import SETTLED, carried_runs, count_left_behind, pinned_bundles, standing_waits
from engine.services import Services
from engine.store.tables import ProviderRow

LAG_ALLOWED = timedelta(minutes=1)
"""How old the oldest row of the outbox may be before somebody should ask for the dispatcher."""
PICK_UP = 10_000


@dataclass(frozen=True)
class Checked:
    """One thing that was looked at."""

    name: str
    is_well: bool
    detail: str
    is_repaired: bool = False

    @property
    def needs_care(self) -> bool:
        return not self.is_well and not self.is_repaired


@dataclass(frozen=True)
class Disagreement:
    """Where the run rows and the workflows tell different stories."""

    missing: tuple[RunRef, ...]
    """Active runs whose workflow is gone."""
    strays: tuple[str, ...]
    """Ids of workflows without a run row."""
    late: tuple[RunRef, ...]
    """Ended runs whose workflow still waits."""
    behind: tuple[RunRef, ...]
    """Active runs that wait elsewhere than their workflow, as after a restore, or whose time is long over."""


def loaded_plugins(registry: Registry) -> Checked:
    """Whether every plugin that is installed and not disabled is whole."""
    if registry.faults:
        return Checked("plugins", False, "; ".join(map(str, registry.faults)))
    disabled = sorted(origin.name for origin in registry.plugins if origin.is_disabled)
    whole = len(registry.plugins) - len(disabled)
    told = f"; disabled: {', '.join(disabled)}" if disabled else ""
    return Checked("plugins", True, f"{whole} are loaded and whole{told}")


class Examiner:
    """Looks an installation over, and repairs what can be repaired without asking anybody."""

    def __init__(self, services: Services, *, repair: bool) -> None:
        self._services = services
        self._repair = repair

    async def examine(self) -> list[Checked]:
        """Every check, in the order in which they build on each other."""
        found = [await self._services.store.run(self._bundle)]
        found.append(await self._services.store.run(self._pinned))
        found.append(await self._services.store.run(self._providers))
        found.append(await self._service())
        found.append(await self._workflows())
        found.append(await self._leases())
        found.append(await self._services.store.run(self._backlog))
        return found

    def _bundle(self) -> Checked:
        services = self._services
        try:
            with services.store.read() as session:
                bundle = services.shelf.live(session)
            for channel in bundle.channels.values():
                services.registry.channel(channel.plugin, channel.settings)
            for action in bundle.actions.values():
                services.registry.action(action.plugin, action.settings)
            for generator in bundle.generators.values():
                services.registry.generator(generator.plugin, generator.settings)
        except (NotFound, RulesetError, PluginError) as error:
            return Checked("bundle", False, str(error))
        return Checked(
            "bundle",
            True,
            f"{bundle.hash[:12]} is in force: {len(bundle.programs)} journeys, "
            f"{len(bundle.channels)} channels",
        )

    def _providers(self) -> Checked:
        now = self._services.clock.now()
        with self._services.store.read() as session:
            rows = {row.account: read(row.book) for row in session.scalars(select(ProviderRow))}
        failing = [
            f"{account} failed {book.failures} times in a row; tried again at {book.open_until:%H:%M:%S} UTC"
            for account, book in sorted(rows.items())
            if book.open_until is not None
        ]
        busy = [
            f"{account} asked for nothing before {book.busy_until:%H:%M:%S} UTC"
            for account, book in sorted(rows.items())
            if book.busy_until is not None and book.busy_until > now
        ]
        if not failing and not busy:
            return Checked("providers", True, "none is known to fail or to be overloaded")
        return Checked("providers", not failing, "; ".join([*failing, *busy]))

    def _pinned(self) -> Checked:
        with self._services.store.read() as session:
            pinned = pinned_bundles(session)
            for each in pinned:
                try:
                    self._services.shelf.get(session, each)
                except (NotFound, RulesetError) as error:
                    detail = f"people are on their way in bundle {each[:12]}, which cannot be used: {error}"
                    return Checked("pinned", False, detail)
        return Checked("pinned", True, f"people are on their way in {len(pinned)} bundles, all readable")

    async def _workflows(self) -> Checked:
        try:
            found = await self._compare()
            if self._repair:
                await self._reconcile(found)
        except DriverUnavailable as error:
            return Checked("workflows", False, str(error))
        parts = {
            "active runs without a workflow": len(found.missing),
            "workflows without a run": len(found.strays),
            "workflows of ended runs": len(found.late),
            "workflows behind their runs": len(found.behind),
        }
        wrong = [f"{count} {what}" for what, count in parts.items() if count]
        if not wrong:
            return Checked("workflows", True, "every run that waits has its workflow, and no more")
        return Checked("workflows", False, ", ".join(wrong), is_repaired=self._repair)

    async def _service(self) -> Checked:
        """Whether the workflow service is there, set up, and served on every lane."""
        driver = self._services.driver
        try:
            is_repaired = self._repair and await driver.set_up()
            await driver.check()
            unserved = await driver.unserved()
            failing = [workflow_id async for workflow_id in driver.failing()]
        except (CommandError, DriverUnavailable) as error:
            return Checked("temporal", False, str(error))
        if failing:
            detail = (
                f"{len(failing)} workflows cannot go on, such as {failing[0]}: their tasks fail every time"
            )
            return Checked("temporal", False, f"{detail}; see the worker's log")
        if unserved:
            detail = f"no worker carries runs of {', '.join(unserved)}: start one with `wayline worker`"
            return Checked("temporal", False, detail)
        return Checked("temporal", not is_repaired, "it answers and has all that runs need", is_repaired)

    async def _compare(self) -> Disagreement:
        services = self._services
        open_runs = {each.run_id: each async for each in services.driver.open_runs()}
        runs, pending, waits = await services.store.run(self._carried_runs, list(open_runs))
        # What the outbox still has to tell is the dispatcher's business. The list may lag behind by a second,
        # so whoever seems to be missing or too many is asked for by name.
        settled = {run: is_active for run, is_active in runs.items() if run.run_id not in pending}
        missing = [
            run
            for run, is_active in settled.items()
            if is_active and run.run_id not in open_runs and not await services.driver.is_running(run)
        ]
        late = [
            run
            for run, is_active in settled.items()
            if not is_active and run.run_id in open_runs and await services.driver.is_running(run)
        ]
        known = {run.run_id for run in runs}
        strays = [
            each.workflow_id
            for run_id, each in open_runs.items()
            if run_id not in known and await services.driver.is_running(each)
        ]
        overdue = services.clock.now() - SETTLED
        behind = [
            run
            for run in settled
            if (carrier := open_runs.get(run.run_id)) is not None
            and (wait := waits.get(run.run_id)) is not None
            and _is_behind(carrier, wait, overdue)
        ]
        return Disagreement(tuple(missing), tuple(strays), tuple(late), tuple(behind))

    def _carried_runs(self, open_runs: list[str]) -> tuple[dict[RunRef, bool], set[str], dict[str, Standing]]:
        # In this order: a run that has just become durable is pending, or its workflow has been started.
        with self._services.store.read() as session:
            waits = standing_waits(session, self._services.clock.now())
            return carried_runs(session, open_runs), outbox.open_keys(session), waits

    async def _reconcile(self, found: Disagreement) -> None:
        driver = self._services.driver
        for run in await self._services.store.run(self._on_their_lanes, found.missing):
            await driver.start(run)
        for workflow_id in found.strays:
            await driver.terminate(workflow_id, "no such run in the database (wayline doctor)")
        for run in (*found.late, *found.behind):
            await driver.signal(run, Nudge("doctor"))

    def _on_their_lanes(self, runs: Sequence[RunRef]) -> list[RunRef]:
        """The runs as they are to be started; those whose bundle cannot be read on no lane of their own."""
        placed = []
        with self._services.store.read() as session:
            for run in runs:
                try:
                    program = self._services.shelf.get(session, run.bundle).programs[run.journey]
                except (NotFound, RulesetError):
                    placed.append(run)
                else:
                    placed.append(replace(run, lane=lane_of(program)))
        return placed

    async def _leases(self) -> Checked:
        services = self._services
        left = await services.store.run(self._left_behind, services.clock.now())
        if not left:
            return Checked("leases", True, "nobody left anything behind")
        detail = f"{left} runs or messages were left behind by a process that is gone"
        if not self._repair:
            return Checked("leases", False, f"{detail}; a running dispatcher picks them up")
        await services.runs.pick_up_abandoned(PICK_UP)
        await services.delivery.recover(PICK_UP)
        still = await services.store.run(self._left_behind, services.clock.now())
        return Checked("leases", False, detail, is_repaired=not still)

    def _left_behind(self, now: datetime) -> int:
        with self._services.store.read() as session:
            return count_left_behind(session, now)

    def _backlog(self) -> Checked:
        with self._services.store.read() as session:
            behind = outbox.backlog(session, self._services.clock.now())
        if behind.lag > LAG_ALLOWED:
            minutes = int(behind.lag / timedelta(minutes=1))
            detail = f"{behind.open} errands wait, the oldest for {minutes} min; does a dispatcher run?"
            return Checked("outbox", False, detail)
        return Checked("outbox", True, f"{behind.open} errands wait, none for long")


def _is_behind(carrier: OpenWorkflow, wait: Standing, overdue: datetime) -> bool:
    """Whether the workflow waits for something else than its run, or has slept through its moment."""
    if wait.due_at is not None and wait.due_at < overdue:
        return True
    if carrier.step is None or carrier.waiting is None:
        return False
    return (carrier.step, carrier.waiting) != (wait.step or "", wait.waiting)
