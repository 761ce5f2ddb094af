"""What `wayline doctor` looks at, and how it brings runs and their workflows together again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.errors import DriverUnavailable, NotFound, PluginError, RulesetError
from engine.intake import outbox
from engine.journeys.driver import Nudge, RunRef
from engine.services import Services
from engine.store.tables import IntentRow, OutboxRow, RunRow

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


class Examiner:
    """Looks an installation over, and repairs what can be repaired without asking anybody."""

    def __init__(self, services: Services, *, repair: bool) -> None:
        self._services = services
        self._repair = repair

    async def examine(self) -> list[Checked]:
        """Every check, in the order in which they build on each other."""
        found = [await self._services.store.run(self._bundle)]
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
        except (NotFound, RulesetError, PluginError) as error:
            return Checked("bundle", False, str(error))
        return Checked(
            "bundle",
            True,
            f"{bundle.hash[:12]} is in force: {len(bundle.programs)} journeys, "
            f"{len(bundle.channels)} channels",
        )

    async def _workflows(self) -> Checked:
        driver = self._services.driver
        try:
            await driver.check()
            found = await self._compare()
            if self._repair:
                await self._reconcile(found)
        except DriverUnavailable as error:
            return Checked("workflows", False, str(error))
        parts = {
            "active runs without a workflow": len(found.missing),
            "workflows without a run": len(found.strays),
            "workflows of ended runs": len(found.late),
        }
        wrong = [f"{count} {what}" for what, count in parts.items() if count]
        if not wrong:
            return Checked("workflows", True, "every run that waits has its workflow, and no more")
        return Checked("workflows", False, ", ".join(wrong), is_repaired=self._repair)

    async def _compare(self) -> Disagreement:
        services = self._services
        open_runs = {run_id: workflow_id async for workflow_id, run_id in services.driver.open_runs()}
        rows = await services.store.run(self._waiting_runs, list(open_runs))
        # The list may lag behind by a second, so whoever seems missing is asked for by name.
        missing = [
            run
            for run, status in rows
            if status == "active"
            and run.run_id not in open_runs
            and not await services.driver.is_running(run)
        ]
        late = [
            run
            for run, status in rows
            if status == "ended" and run.run_id in open_runs and await services.driver.is_running(run)
        ]
        known = {run.run_id for run, _ in rows}
        strays = [workflow_id for run_id, workflow_id in open_runs.items() if run_id not in known]
        return Disagreement(tuple(missing), tuple(strays), tuple(late))

    def _waiting_runs(self, open_runs: list[str]) -> list[tuple[RunRef, str]]:
        """Every durable active run, and every run of which a workflow is open, with its status.

        It is `pending` where the outbox still holds an errand: the dispatcher will see to those.
        """
        with self._services.store.read() as session:
            pending = set(session.scalars(select(col(OutboxRow.key)).where(col(OutboxRow.done_at).is_(None))))
            active = select(RunRow).where(col(RunRow.status) == "active", col(RunRow.durable).is_(True))
            rows = {row.id: row for row in session.scalars(active)}
            for row in _rows_of(session, [run_id for run_id in open_runs if run_id not in rows]):
                rows[row.id] = row
            return [(_ref(row), "pending" if row.id in pending else row.status) for row in rows.values()]

    async def _reconcile(self, found: Disagreement) -> None:
        driver = self._services.driver
        for run in found.missing:
            await driver.start(run)
        for workflow_id in found.strays:
            await driver.terminate(workflow_id, "no such run in the database (wayline doctor)")
        for run in found.late:
            await driver.signal(run, Nudge("doctor"))

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
        runs = select(func.count()).where(
            col(RunRow.status) == "active", col(RunRow.durable).is_(False), col(RunRow.lease_until) < now
        )
        intents = select(func.count()).where(
            col(IntentRow.outcome).is_(None), col(IntentRow.lease_until) < now
        )
        with self._services.store.read() as session:
            return (session.scalar(runs) or 0) + (session.scalar(intents) or 0)

    def _backlog(self) -> Checked:
        with self._services.store.read() as session:
            behind = outbox.backlog(session, self._services.clock.now())
        if behind.lag > LAG_ALLOWED:
            minutes = int(behind.lag / timedelta(minutes=1))
            detail = f"{behind.open} errands wait, the oldest for {minutes} min; does a dispatcher run?"
            return Checked("outbox", False, detail)
        return Checked("outbox", True, f"{behind.open} errands wait, none for long")


def _rows_of(session: Session, run_ids: list[str]) -> Iterable[RunRow]:
    for start in range(0, len(run_ids), 500):
        chunk = run_ids[start : start + 500]
        yield from session.scalars(select(RunRow).where(col(RunRow.id).in_(chunk)))


def _ref(row: RunRow) -> RunRef:
    return RunRef(row.id, row.journey, row.contact_id, row.entry_key, row.version)
