"""A wait of a hundred years: Temporal's timer is never longer than a year, and the run looks in between."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.testing import WorkflowEnvironment

from engine.journeys.driver import RunRef
from engine.rules.duration import LONGEST
from workflows.driver import TemporalDriver
from workflows.journey import LONGEST_WAIT
from workflows.messages import ADVANCE, AdvanceRequest, AdvanceResult

pytestmark = pytest.mark.temporal


@pytest.mark.parametrize("wait", [timedelta(days=1_000), pytest.param(LONGEST, marks=pytest.mark.long)])
async def test_a_long_wait_is_slept_year_by_year_and_not_a_moment_too_long(
    wait: timedelta, skipping: WorkflowEnvironment, working: Any
) -> None:
    due_at: datetime | None = None
    looks: list[datetime] = []

    @activity.defn(name=ADVANCE)
    async def advance(request: AdvanceRequest) -> AdvanceResult:
        nonlocal due_at
        due_at = due_at or request.now + wait
        looks.append(request.now)
        if request.now >= due_at:
            return AdvanceResult(2, "ended", "ended", outcome="completed")
        return AdvanceResult(1, "active", "timer", due_at=due_at, step="long")

    async def client() -> Any:
        return skipping.client

    driver = TemporalDriver(client)
    run = RunRef("r1", "patient", "c1", "once", "v1")
    async with working(skipping.client, advance):
        await driver.start(run)
        result = await skipping.client.get_workflow_handle(run.workflow_id).result()
    assert result == {"run_id": "r1", "outcome": "completed"}
    assert due_at is not None and timedelta(0) <= looks[-1] - due_at < timedelta(minutes=1)
    assert len(looks) == -(-wait // LONGEST_WAIT) + 1
