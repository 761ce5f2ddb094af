"""Journeys through the real services, a real database and a real Temporal server, in one process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import delete, select, update
from temporalio.client import Client, WorkflowFailureError

from engine.authoring.loading import bundle_of
from engine.cli.examining import Examiner
from engine.clock import SystemClock
from engine.errors import CommandError
from engine.governance.publishing import prove_rules, publish
from engine.intake.segment import translate
from engine.journeys.driver import RunRef, Standing
from engine.journeys.program import InFlight
from engine.services import Services, build_services
from engine.settings import Settings
from engine.store.bulk import table_of
from engine.store.control import ensure_control
from engine.store.tables import BreakerRow, BundleRow, OutboxRow, RunRow
from tests.workflows.conftest import eventually
from workflows.driver import TemporalDriver
from workflows.worker import run_worker

pytestmark = pytest.mark.temporal

WORKSPACE = {
    "wayline.yaml": """
        kind: workspace
        id: carrying
        title: carrying
        owner: tests
        timezone: UTC
        locales: [en]
        identities: [app]
        attributes: {booked_for: {type: instant}}
    """,
    "events.yaml": """
        kind: events
        id: events
        title: events
        owner: tests
        events:
          - {id: opened, title: opened, schema: {type: object}}
          - {id: booked, title: booked, schema: {type: object}}
    """,
    "purposes.yaml": """
        kind: purposes
        id: purposes
        title: purposes
        owner: tests
        purposes:
          - {id: service, title: service, version: "1", kind: transactional, max_hold: 1d}
    """,
    "channels.yaml": """
        kind: channels
        id: channels
        title: channels
        owner: tests
        channels:
          - {id: letter, plugin: file, identity: app, settings: {folder: {env: TEST_LETTERS}}}
    """,
    "content.yaml": """
        kind: content
        id: content
        title: content
        owner: tests
        contents:
          - {id: hello, locales: {en: {body: "hello"}}}
          - {id: thanks, locales: {en: {body: "thanks"}}}
          - {id: pity, locales: {en: {body: "a pity"}}}
    """,
    "breakers.yaml": """
        kind: breakers
        id: breakers
        title: breakers
        owner: tests
        breakers:
          - id: send_failure
            scope: channel
            metric: send_failure_rate
            window: 10m
            min_samples: 4
            levels: {red: {gt: 40%}}
            recover: {probe_after: 5m, probes: 2, close_when: {lt: 5%}}
    """,
    "remind.yaml": """
        kind: journey
        id: remind
        title: remind
        owner: tests
        purpose: service
        enter: {event: booked, reentry: never}
        steps:
          - {wait: the_day, until: contact.booked_for}
          - {send: reminder, content: hello, channels: [letter]}
    """,
    "ask.yaml": """
        kind: journey
        id: ask
        title: ask
        owner: tests
        purpose: service
        enter: {event: contact_added, reentry: never}
        steps:
          - {send: first, content: hello, channels: [letter]}
          - wait_for: opening
            event: opened
            up_to: 1h
            then: [{send: pleased, content: thanks, channels: [letter]}]
            otherwise: [{send: sorry, content: pity, channels: [letter]}]
    """,
}
HOUR_IN_SECONDS = 3.0


@dataclass
class Shop:
    """An installation in this process: services, dispatcher and worker at work."""

    services: Services
    letters_folder: Path

    async def tell(self, number: int, event: str, **traits: str) -> None:
        """One event of one contact, taken in as the HTTP intake does it, and what else is stated of them."""
        name = f"user-{number}"
        stated = {"app": name, **traits}
        messages = [
            {"type": "identify", "messageId": f"{name}-id-{event}", "userId": name, "traits": stated},
            {"type": "track", "event": event, "messageId": f"{name}-{event}", "userId": name},
        ]
        receipt = await self.services.store.run(
            self.services.intake.accept, [translate(message) for message in messages], source="test"
        )
        assert receipt.dead == 0
        for run_id in receipt.run_ids:
            await self.services.runs.carry(run_id)

    def letters(self) -> list[str]:
        return [
            str(json.loads(line)["body"])
            for file in sorted(self.letters_folder.glob("*.jsonl"))
            for line in file.read_text().splitlines()
        ]

    def runs(self) -> list[RunRow]:
        with self.services.store.read() as session:
            return list(session.scalars(select(RunRow)))

    async def until(self, condition: Callable[[], bool]) -> None:
        await eventually(condition)


async def is_gone(driver: TemporalDriver, row: RunRow) -> bool:
    return not await driver.is_running(ref_of(row))


@asynccontextmanager
async def at_work(services: Services) -> AsyncIterator[None]:
    """Dispatcher and worker of this process, while the block runs."""
    stop = asyncio.Event()
    working = [
        asyncio.create_task(services.dispatcher.run(stop)),
        asyncio.create_task(run_worker(services, stop)),
    ]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*working)


@pytest_asyncio.fixture
async def shop(
    tmp_path: Path, sqlite_url: str, temporal_address: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Shop]:
    letters = tmp_path / "letters"
    monkeypatch.setenv("TEST_LETTERS", str(letters))
    settings = Settings(data_dir=tmp_path, database_url=sqlite_url, temporal_address=temporal_address)
    services = build_services(settings)
    now = SystemClock().now()
    with services.store.begin() as session:
        ensure_control(
            session, now, scale=3600 / HOUR_IN_SECONDS, journey_origin=datetime(2026, 3, 1, tzinfo=UTC)
        )
        files = {name: dedent(text).lstrip("\n") for name, text in WORKSPACE.items()}
        publish(session, files, by="test", now=now)
    yield Shop(services, letters)
    await services.close()


def ref_of(row: RunRow) -> RunRef:
    return RunRef(row.id, row.journey, row.contact_id, row.entry_key, row.version)


async def test_a_run_waits_in_temporal_and_an_event_wakes_it(shop: Shop, client: Client) -> None:
    async with at_work(shop.services):
        await shop.tell(1, "contact_added")
        await shop.until(lambda: shop.letters() == ["hello"])
        (waiting,) = shop.runs()
        await shop.tell(1, "opened")
        await shop.until(lambda: shop.letters() == ["hello", "thanks"])
        result = await client.get_workflow_handle(ref_of(waiting).workflow_id).result()
    (run,) = shop.runs()
    assert (run.status, run.outcome) == ("ended", "completed")
    assert result == {"run_id": run.id, "outcome": "completed"}


async def test_time_that_passes_wakes_a_run_as_well(shop: Shop) -> None:
    async with at_work(shop.services):
        await shop.tell(1, "contact_added")
        await shop.until(lambda: shop.letters() == ["hello", "a pity"])
        await shop.until(lambda: shop.runs()[0].status == "ended")


async def test_a_date_that_is_brought_forward_wakes_a_run_that_slept_for_months(shop: Shop) -> None:
    async with at_work(shop.services):
        await shop.tell(1, "booked", booked_for="2026-09-01T00:00:00Z")
        await shop.until(lambda: shop.runs()[0].waiting == "timer")
        await shop.tell(1, "opened", booked_for="2026-03-01T01:00:00Z")
        await shop.until(lambda: shop.letters() == ["hello"])
        await shop.until(lambda: shop.runs()[0].status == "ended")


async def test_a_new_version_that_waits_less_wakes_a_run_that_slept_for_months(shop: Shop) -> None:
    async with at_work(shop.services):
        await shop.tell(1, "booked", booked_for="2026-09-01T00:00:00Z")
        await shop.until(lambda: shop.runs()[0].waiting == "timer")
        files = {name: dedent(text).lstrip("\n") for name, text in WORKSPACE.items()}
        files["remind.yaml"] = files["remind.yaml"].replace("until: contact.booked_for", "for: 1h")

        def put() -> None:
            prove_rules(bundle_of(files))
            with shop.services.store.begin() as session:
                publish(
                    session,
                    files,
                    by="test",
                    now=SystemClock().now(),
                    policies={"remind": InFlight.MIGRATE},
                    shelf=shop.services.shelf,
                )

        await shop.services.store.run(put)
        await shop.until(lambda: shop.letters() == ["hello"])
        await shop.until(lambda: shop.runs()[0].status == "ended")


async def test_a_run_begun_without_temporal_is_carried_on_when_it_is_there(shop: Shop) -> None:
    await shop.tell(1, "contact_added")
    assert shop.letters() == ["hello"]
    assert shop.runs()[0].durable
    async with at_work(shop.services):
        await shop.until(lambda: shop.letters() == ["hello", "a pity"])


async def test_a_cancelled_run_ends_its_workflow(shop: Shop, driver: TemporalDriver) -> None:
    async with at_work(shop.services):
        await shop.tell(1, "contact_added")
        (run,) = shop.runs()
        await eventually(lambda: driver.is_running(ref_of(run)))
        with shop.services.store.begin() as session:
            assert shop.services.runs.cancel(session, run.id, "asked for")
        await eventually(lambda: is_gone(driver, run))
    assert shop.letters() == ["hello"]


async def test_a_workflow_without_a_run_fails_for_good(
    shop: Shop, client: Client, driver: TemporalDriver
) -> None:
    stray = RunRef("no-such-run", "ask", "no-such-contact", "once", "v1")
    async with at_work(shop.services):
        await driver.start(stray)
        with pytest.raises(WorkflowFailureError):
            await client.get_workflow_handle(stray.workflow_id).result()


async def test_a_run_whose_bundle_is_missing_goes_on_when_it_is_back(
    shop: Shop, client: Client, driver: TemporalDriver
) -> None:
    await shop.tell(1, "contact_added")
    (run,) = shop.runs()
    tries = 0
    carry = shop.services.runs.carry

    async def counting(*args: Any, **kwargs: Any) -> Any:
        nonlocal tries
        tries += 1
        return await carry(*args, **kwargs)

    shop.services.runs.carry = counting  # type: ignore[method-assign]
    with shop.services.store.begin() as session:
        (lost,) = session.execute(select(table_of(BundleRow))).mappings().all()
        session.execute(delete(BundleRow))
    shop.services.shelf.close()
    async with at_work(shop.services):
        await shop.until(lambda: tries > 1)
        assert await driver.is_running(ref_of(run))
        with shop.services.store.begin() as session:
            session.add(BundleRow(**lost))
        await shop.until(lambda: shop.runs()[0].status == "ended")
    assert shop.letters() == ["hello", "a pity"]


async def test_a_breaker_tripped_by_hand_is_published_and_reset(shop: Shop, driver: TemporalDriver) -> None:
    where = ("send_failure", "channel:letter")

    def published() -> Any:
        with shop.services.store.read() as session:
            return session.get(BreakerRow, where)

    async with at_work(shop.services):
        state = await driver.force_breaker(*where, action="trip", by="ops.li", reason="audit", level="red")
        tripped = published()
        assert (state, tripped.state, tripped.level, tripped.by) == ("open", "open", "red", "ops.li")
        assert await driver.force_breaker(*where, action="reset", by="ops.li") == "closed"
        assert published().state == "closed"
        with pytest.raises(CommandError, match="no breaker 'complaints' in the ruleset"):
            await driver.force_breaker("complaints", "channel:letter", action="trip", by="ops.li")


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

    found = await Examiner(shop.services, repair=False).examine()
    assert {item.name for item in found if item.needs_care} == {"workflows"}
    said = next(item.detail for item in found if item.name == "workflows")
    assert said == "1 workflows without a run, 1 workflows of ended runs"

    mended = await Examiner(shop.services, repair=True).examine()
    assert not [item for item in mended if item.needs_care]
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


async def lists(driver: TemporalDriver, count: int) -> bool:
    """Whether that many open workflows are listed; the list lags behind by a moment."""
    return len([each async for each in driver.open_runs()]) == count
