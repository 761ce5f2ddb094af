"""What `wayline doctor` finds and mends when our database and Temporal's no longer agree."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, update
from temporalio.client import Client

from engine.cli.examining import Examiner
from engine.clock import SystemClock
from engine.gate.rates import Book, Circuit, Provider, note, written
from engine.journeys.driver import RunRef, Standing
from engine.store.tables import BundleRow, OutboxRow, ProviderRow, RunRow
from tests.workflows.conftest import eventually
from tests.workflows.shop import Shop, at_work, is_gone, lists, ref_of
from workflows.driver import TemporalDriver
from workflows.worker import run_worker

pytestmark = pytest.mark.temporal


async def test_doctor_ends_workflows_without_a_run_and_wakes_those_of_ended_ones(
    shop: Shop, client: Client, driver: TemporalDriver
) -> None:
    stray = RunRef("no-such-run", "ask", "no-such-contact", "once", "v1")
    await driver.start(stray)
    await shop.tell(1, "contact_added")
    (late,) = shop.runs()
    await driver.start(ref_of(late))
    with shop.services.store.begin() as session:
        session.execute(update(RunRow).values(status="ended", waiting="ended"))
        session.execute(delete(OutboxRow))
    await eventually(lambda: lists(driver, 2))

    async def said(*, repair: bool) -> tuple[dict[str, str], str]:
        """What needs care, but for the service itself, which remembers workers of other tests for minutes."""
        found = {item.name: item for item in await Examiner(shop.services, repair=repair).examine()}
        del found["temporal"]
        in_need = {name: item.detail for name, item in found.items() if item.needs_care}
        return in_need, found["workflows"].detail

    both = "1 workflows without a run, 1 workflows of ended runs"
    assert await said(repair=False) == ({"workflows": both}, both)
    assert await said(repair=True) == ({}, both)
    assert not await driver.is_running(stray)
    stop = asyncio.Event()
    working = asyncio.create_task(run_worker(shop.services, stop))
    assert await client.get_workflow_handle(ref_of(late).workflow_id).result()
    stop.set()
    await working


@pytest.mark.parametrize("how", ["elsewhere", "overdue"])
async def test_doctor_wakes_workflows_that_a_restore_has_set_back(
    shop: Shop, driver: TemporalDriver, how: str
) -> None:
    """Temporal came back from an older copy: the workflow sleeps for what its run has long left behind."""
    await shop.tell(1, "contact_added")
    await shop.tell(1, "opened")
    (row,) = shop.runs()
    now = SystemClock().now()
    step = "before" if how == "elsewhere" else row.position
    of_then = Standing(1, "event", step, now + timedelta(days=30))
    await driver.start(replace(ref_of(row), standing=of_then))
    with shop.services.store.begin() as session:
        long_ago = datetime(2026, 2, 1, tzinfo=UTC)
        session.execute(update(RunRow).values(waiting_since=long_ago))
        if how == "overdue":
            session.execute(update(RunRow).values(due_at=long_ago))
        session.execute(delete(OutboxRow))
    await eventually(lambda: lists(driver, 1))

    async def said(*, repair: bool) -> tuple[bool, str]:
        found = await Examiner(shop.services, repair=repair).examine()
        each = next(each for each in found if each.name == "workflows")
        return each.needs_care, each.detail

    assert await said(repair=False) == (True, "1 workflows behind their runs")
    assert await said(repair=True) == (False, "1 workflows behind their runs")
    async with at_work(shop.services):
        await shop.until(lambda: shop.runs()[0].status == "ended")
        await eventually(lambda: is_gone(driver, row))
    assert shop.letters() == ["hello", "thanks"]
    assert await said(repair=False) == (False, "every run that waits has its workflow, and no more")


async def test_doctor_asks_for_the_dispatcher_when_the_outbox_grows_old(shop: Shop) -> None:
    await shop.tell(1, "contact_added")
    with shop.services.store.begin() as session:
        session.execute(update(OutboxRow).values(created_at=SystemClock().now() - timedelta(minutes=5)))
    found = {item.name: item for item in await Examiner(shop.services, repair=False).examine()}
    assert found["outbox"].needs_care
    assert "1 errands wait, the oldest for 5 min; does a dispatcher run?" in found["outbox"].detail
    assert found["workflows"].is_well, "its start is still to be told, so nothing is missing"


async def test_doctor_tells_of_bundles_with_people_in_them_that_cannot_be_read_any_more(shop: Shop) -> None:
    await shop.tell(1, "contact_added")
    (run,) = shop.runs()
    with shop.services.store.begin() as session:
        session.execute(
            update(BundleRow).values(files={"wayline.yaml": "kind: [", "ask.yaml": "kind: nothing"})
        )
    shop.services.shelf.close()
    found = {item.name: item for item in await Examiner(shop.services, repair=False).examine()}
    assert found["pinned"].needs_care
    assert run.bundle_hash[:12] in found["pinned"].detail


async def test_doctor_tells_of_providers_that_fail_and_of_those_that_asked_for_a_pause(shop: Shop) -> None:
    async def said() -> tuple[bool, str]:
        found = {item.name: item for item in await Examiner(shop.services, repair=False).examine()}
        return found["providers"].needs_care, found["providers"].detail

    assert await said() == (False, "none is known to fail or to be overloaded")
    now = shop.services.clock.now()
    busy, failing = Book(), Book()
    note(Provider("texts"), busy, now, failed=False, busy_for=timedelta(hours=1))
    with shop.services.store.begin() as session:
        session.add(ProviderRow(account="texts", book=written(busy), updated_at=now))
    needs_care, detail = await said()
    assert not needs_care, "a pause that was asked for ends by itself"
    assert detail.startswith("texts asked for nothing before ")
    circuit = Provider("letters", circuit=Circuit(failures=2, pause=timedelta(minutes=5)))
    assert [note(circuit, failing, now, failed=True) for _ in range(2)] == [False, True]
    with shop.services.store.begin() as session:
        session.add(ProviderRow(account="letters", book=written(failing), updated_at=now))
    needs_care, detail = await said()
    assert needs_care
    assert detail.startswith("letters failed 2 times in a row; tried again at ")
