"""Journeys through the real services, a real database and a real Temporal server, in one process."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest
from sqlalchemy import delete, select
from sqlmodel import col
from temporalio.client import Client, WorkflowFailureError

from engine.authoring.loading import bundle_of
from engine.clock import SystemClock
from engine.delivery.receipts import Receipt, Said, receive
from engine.delivery.viewing import read_situation
from engine.errors import CommandError
from engine.gate.state import Moment
from engine.governance.publishing import prove_rules, publish
from engine.intake.incoming import IncomingEvent
from engine.journeys.driver import RunRef
from engine.journeys.program import InFlight
from engine.runs.cancelling import cancel
from engine.store.bulk import table_of
from engine.store.tables import BreakerRow, BundleRow, IntentRow
from tests.workflows.conftest import eventually
from tests.workflows.shop import WORKSPACE, Shop, at_work, is_gone, ref_of
from workflows.driver import TemporalDriver

pytestmark = pytest.mark.temporal


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
        await shop.tell(1, "booked", booked_for="2026-09-01T00:00:00Z")
        (run,) = shop.runs()
        await eventually(lambda: driver.is_running(ref_of(run)))
        with shop.services.store.begin() as session:
            assert cancel(session, run.id, by="ana", now=SystemClock().now())
        await eventually(lambda: is_gone(driver, run))
    assert shop.letters() == []


async def test_a_withdrawal_of_consent_ends_a_waiting_run_and_its_workflow_at_once(
    shop: Shop, driver: TemporalDriver
) -> None:
    def withdrawn(number: int, channel: str) -> IncomingEvent:
        properties = {"purpose": "service", "channel": channel}
        return IncomingEvent(
            f"no-{number}-{channel}", "consent_withdrawn", (("user", f"user-{number}"),), properties
        )

    async with at_work(shop.services):
        for number in (1, 2):
            await shop.tell(number, "booked", booked_for="2026-09-01T00:00:00Z")
        await shop.until(lambda: [run.waiting for run in shop.runs()] == ["timer", "timer"])
        stays, goes = sorted(shop.runs(), key=lambda run: run.started_at)
        await eventually(lambda: driver.is_running(ref_of(stays)))
        await eventually(lambda: driver.is_running(ref_of(goes)))
        # A refusal of one channel leaves the others, so the run goes on.
        said = [withdrawn(1, "letter"), withdrawn(2, "*")]
        await shop.services.store.run(lambda: shop.services.intake.accept(said, source="test"))
        ended = {run.id: run.status for run in shop.runs()}
        assert (ended[stays.id], ended[goes.id]) == ("active", "ended"), "in the transaction of the event"
        await eventually(lambda: is_gone(driver, goes))
        assert await driver.is_running(ref_of(stays))
    assert shop.letters() == []


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


async def test_bounces_open_a_breaker_and_a_probe_that_stays_good_closes_it(shop: Shop) -> None:
    where = ("bounces", "content:hello")

    def state() -> str | None:
        with shop.services.store.read() as session:
            row = session.get(BreakerRow, where)
            return None if row is None else row.state

    def bounce() -> None:
        with shop.services.store.begin() as session:
            now = Moment.of(shop.services.clock.now(), read_situation(session).time)
            for key in session.scalars(select(col(IntentRow.key)).order_by(col(IntentRow.key))).all()[:2]:
                receive(session, Receipt(Said.BOUNCED, now.delivery, key), now, shelf=shop.services.shelf)

    async with at_work(shop.services):
        for number in (1, 2, 3):
            await shop.tell(number, "contact_added")
        await shop.until(lambda: shop.letters().count("hello") == 3)
        bounce()
        await shop.until(lambda: state() in ("open", "half_open"))
        await shop.tell(4, "contact_added")
        await shop.until(lambda: shop.letters().count("hello") == 4)
        await shop.until(lambda: state() == "closed")


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
