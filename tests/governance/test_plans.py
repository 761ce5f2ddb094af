"""Plans switched on and off on a real database: what is in force, for whom, until when, and what it held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_with_plans
from engine.clock import FixedClock
from engine.contacts.consent import ConsentEntry, record_consent
from engine.delivery.explaining import explain_intent
from engine.delivery.rendering import render
from engine.delivery.service import Delivery
from engine.errors import CommandError, NotFound
from engine.governance import overlays as overlays_module
from engine.governance import plans as plans_module
from engine.governance import publishing as publishing_module
from engine.governance.plans import PlanKeeper, end_due, history, list_plans, switch_off, switch_on
from engine.governance.publishing import list_bundles, publish, rollback
from engine.intake.accepting import Intake
from engine.intake.incoming import IncomingEvent
from engine.plugin.recording import RecordingChannel
from engine.plugin.registry import load_registry
from engine.runs.service import Runs
from engine.simulation.people import Person
from engine.simulation.virtual import VirtualWorld
from engine.store.bundles import BundleShelf
from engine.store.control import change_control, lock_control, read_control
from engine.store.database import Store
from engine.store.tables import ContactRow, ControlRow, DecisionRow, IdentityRow, IntentRow, RunRow
from plugins.generators import template

NOW = datetime(2026, 9, 28, 2, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HEAD = "kind: {kind}\nid: {id}\ntitle: t\nowner: us\n"


def head(kind: str, name: str, more: str = "") -> str:
    return HEAD.format(kind=kind, id=name) + more


FILES = {
    "wayline.yaml": head(
        "workspace", "here", "timezone: Asia/Shanghai\nlocales: [en]\nidentities: [email, app]\n"
    ),
    "purposes.yaml": head(
        "purposes",
        "p",
        'purposes:\n  - {id: marketing, title: m, version: "1", kind: marketing, max_hold: 9d}\n'
        '  - {id: service, title: s, version: "1", kind: transactional, max_hold: 1d}\n',
    ),
    "channels.yaml": head(
        "channels",
        "c",
        "channels:\n  - {id: email, plugin: recording, identity: email, settings: {}}\n"
        "  - {id: app, plugin: recording, identity: app, settings: {}}\n",
    ),
    "content.yaml": head(
        "content",
        "t",
        "contents:\n  - {id: text, locales: {en: {subject: Hello, body: Plain}}}\n"
        "  - {id: festive, locales: {en: {subject: Hello, body: Festive}}}\n",
    ),
    "events.yaml": head("events", "e", "events: [{id: added, title: added}, {id: viewed, title: viewed}]\n"),
    "caps.yaml": head(
        "caps",
        "caps",
        "caps:\n  - {id: weekly, counts: {purpose: marketing}, limit: 1, window: {rolling: 7d}, "
        "when_full: defer}\n",
    ),
    "welcome.yaml": head(
        "journey",
        "welcome",
        "purpose: marketing\npriority: 40\nenter: {event: added, reentry: always}\n"
        "steps: [{send: hi, content: text, channels: [email, app]}]\n",
    ),
    "receipt.yaml": head(
        "journey",
        "receipt",
        "purpose: service\nenter: {event: viewed, reentry: always}\n"
        "steps: [{send: bill, content: text, channels: [email]}]\n",
    ),
    "apology.yaml": head(
        "journey",
        "apology",
        "enabled: false\npurpose: service\nenter: {event: viewed}\n"
        "steps: [{send: sorry, content: text, channels: [email]}]\n",
    ),
    "crisis.yaml": head("plan", "crisis", "at_most: 7d\npause: {purposes: [marketing]}\nenable: [apology]\n"),
    "holiday.yaml": head(
        "plan",
        "holiday",
        'at_most: 30d\nuntil: "2026-10-08"\ncaps: {weekly: {limit: 3}}\npriorities: {welcome: 90}\n'
        "contents: {text: festive}\nchannels: [app]\ntogether_with: [heat]\n",
    ),
    "heat.yaml": head("plan", "heat", "at_most: 1d\npriorities: {receipt: 10}\n"),
}


class Works:
    """The production services over one database and one clock."""

    def __init__(self, store: Store) -> None:
        self.store, self.clock, self.shelf = store, FixedClock(NOW), BundleShelf()
        self.channel = RecordingChannel()
        registry = load_registry(entry_points=False, extra=[self.channel, template])
        self.delivery = Delivery(
            store, self.shelf, registry, self.clock, public_url="http://here", secret="s"
        )
        self.runs = Runs(store, self.shelf, self.delivery, self.clock)
        self.intake = Intake(store, self.shelf, self.runs, self.clock)
        self.keeper = PlanKeeper(store, self.shelf, self.clock)
        self.publish()
        with store.begin() as session:
            session.add(ContactRow(id="ann", created_at=NOW))
            for platform in ("email", "app"):
                session.add(
                    IdentityRow(
                        platform=platform, address=f"ann@{platform}.org", contact_id="ann", added_at=NOW
                    )
                )
            session.flush()
            record_consent(session, ConsentEntry("ann", "marketing", "granted", NOW))
        self.number = 0

    def publish(self, **changed: str) -> None:
        files = {**FILES, **{f"{name}.yaml": text for name, text in changed.items()}}
        with self.store.begin() as session:
            publish(
                session, {name: text for name, text in files.items() if text}, by="us", now=self.clock.now()
            )

    def on(self, name: str, until: datetime | None = None, why: str = "") -> datetime:
        with self.store.begin() as session:
            return switch_on(
                session, self.shelf, name, until=until, by="eva", reason=why, now=self.clock.now()
            )

    def off(self, name: str) -> bool:
        with self.store.begin() as session:
            return switch_off(session, self.shelf, name, by="eva", reason="over", now=self.clock.now())

    async def feed(self, kind: str) -> None:
        self.number += 1
        event = IncomingEvent(f"m{self.number}", kind, contact_id="ann", occurred_at=self.clock.now())
        for run_id in self.intake.accept([event], source="test").run_ids:
            await self.runs.carry(run_id)

    def live(self) -> Bundle:
        with self.store.read() as session:
            return self.shelf.live(session)

    def rows(self, table: type[Any]) -> list[Any]:
        with self.store.read() as session:
            return list(session.scalars(select(table)))

    def states(self) -> dict[str, bool]:
        with self.store.read() as session:
            return {each.id: each.is_on for each in list_plans(session, self.shelf)}


@pytest.fixture
def works(store: Store) -> Iterator[Works]:
    made = Works(store)
    yield made
    made.shelf.close()


@pytest.fixture
def quick(sqlite_store: Store) -> Iterator[Works]:
    made = Works(sqlite_store)
    yield made
    made.shelf.close()


async def test_a_crisis_holds_marketing_lets_nobody_in_and_leaves_the_rest_alone(works: Works) -> None:
    await works.feed("added")
    await works.feed("added")  # the cap holds the second one
    works.on("crisis", why="recall")
    await works.delivery.deliver_due(10)
    held = next(row for row in works.rows(IntentRow) if row.state == "held")
    assert (held.reason, held.hold_scope) == ("plan.paused", "plan:crisis")
    assert await works.delivery.deliver_due(10) == 0, "it rests until the plan is off"

    await works.feed("added")
    assert [row.reason for row in works.rows(DecisionRow)][-1] == "entry.paused"
    await works.feed("viewed")
    journeys = sorted(row.journey for row in works.rows(RunRow))
    assert journeys == ["apology", "receipt", "welcome", "welcome"], (
        "and the prepared journey has come to life"
    )

    assert works.off("crisis")
    await works.delivery.deliver_due(10)
    held = next(row for row in works.rows(IntentRow) if row.state == "held")
    assert held.reason.startswith("cap."), "the cap is all that holds it now"


async def test_looser_caps_let_go_at_once_of_what_the_old_ones_held(works: Works) -> None:
    await works.feed("added")
    await works.feed("added")
    assert [row.outcome for row in works.rows(IntentRow)].count("sent") == 1
    works.on("holiday")
    await works.delivery.deliver_due(10)

    assert [row.outcome for row in works.rows(IntentRow)] == ["sent", "sent"]
    texts = [message.body for message in works.channel.sent]
    assert texts == ["Plain", "Festive"]


async def test_runs_and_decisions_name_the_bundle_with_its_plans(quick: Works) -> None:
    before = quick.live()
    quick.on("holiday")
    await quick.feed("added")
    (run,) = quick.rows(RunRow)
    under = quick.live()

    assert (under.plans_on, before.plans_on) == (("holiday",), ())
    assert run.bundle_hash == under.hash != before.hash
    assert run.priority == 90
    assert [row.channel for row in quick.rows(IntentRow)] == ["app"]
    with quick.store.read() as session:
        told = render(explain_intent(session, quick.shelf, quick.rows(IntentRow)[0].key))
    assert "plans on: holiday" in told
    quick.off("holiday")
    assert quick.live().hash == before.hash
    fresh = BundleShelf()
    with quick.store.read() as session:
        assert fresh.get(session, run.bundle_hash).plans_on == ("holiday",), "another process makes the same"
    fresh.close()


async def test_a_plan_ends_by_itself_and_it_is_recorded(works: Works) -> None:
    ends = works.on("crisis", until=NOW + 2 * DAY, why="recall")
    assert ends == NOW + 2 * DAY
    works.clock.advance(2 * DAY - timedelta(seconds=1))
    assert await works.keeper.end_due() == 0 and works.states()["crisis"]
    works.clock.advance(timedelta(seconds=1))
    assert await works.keeper.end_due() == 1 and not works.states()["crisis"]

    with works.store.read() as session:
        acts = [(row.action, row.by, row.reason) for row in history(session)]
    assert acts == [("off", "time", "its end has come"), ("on", "eva", "recall")]


def test_a_plan_that_got_a_later_end_meanwhile_is_not_ended(
    quick: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the keeper's look and its act an operator prolongs the plan."""
    quick.on("crisis", until=NOW + DAY)
    quick.clock.advance(DAY)

    def prolonged(session: Session) -> ControlRow:
        control = lock_control(session)
        later = [{**each, "until": (NOW + 3 * DAY).isoformat()} for each in control.plans]
        return change_control(session, plans=later)

    monkeypatch.setattr(plans_module, "lock_control", prolonged)
    with quick.store.begin() as session:
        assert end_due(session, quick.shelf, quick.clock.now()) == []
    assert quick.states()["crisis"]


@pytest.mark.parametrize("act", ["on", "publish"])
def test_the_control_row_is_held_only_once_everything_is_compiled(
    quick: Works, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """Whoever holds it stops every hand-over, and the kill switch has to wait."""
    order: list[str] = []
    for module in (plans_module, publishing_module):
        monkeypatch.setattr(module, "lock_control", _noted(order, "held", lock_control))
    monkeypatch.setattr(overlays_module, "bundle_with_plans", _noted(order, "compiled", bundle_with_plans))
    quick.on("crisis")
    if act == "publish":
        order.clear()
        quick.publish(heat=FILES["heat.yaml"].replace("title: t", "title: hot"))
    assert order == ["compiled", "held"]


def _noted(order: list[str], what: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*args: Any) -> Any:
        order.append(what)
        return real(*args)

    return noted


def test_a_plan_may_be_on_no_longer_than_its_file_says(quick: Works) -> None:
    assert quick.on("heat") == NOW + DAY
    quick.off("heat")
    assert quick.on("holiday") == datetime(2026, 10, 8, 16, tzinfo=UTC), "midnight in the workspace's zone"
    with pytest.raises(CommandError, match="at most"):
        quick.on("holiday", until=NOW + 20 * DAY)
    with pytest.raises(CommandError, match="past"):
        quick.on("holiday", until=NOW)
    quick.off("holiday")
    quick.clock.advance(20 * DAY)
    with pytest.raises(CommandError, match="is over"):
        quick.on("holiday")
    with pytest.raises(NotFound, match="crisis"):
        quick.on("crysis")


def test_only_plans_that_say_so_are_on_together(quick: Works) -> None:
    quick.on("holiday")
    quick.on("heat")
    assert quick.live().plans_on == ("heat", "holiday")
    assert (quick.live().programs["receipt"].priority, quick.live().programs["welcome"].priority) == (10, 90)
    with pytest.raises(CommandError, match="beside"):
        quick.on("crisis")
    assert quick.live().plans_on == ("heat", "holiday"), "a refusal changes nothing"


def test_a_plan_stays_on_when_a_bundle_is_published_that_it_fits(quick: Works) -> None:
    quick.on("holiday")
    changed = FILES["welcome.yaml"].replace("priority: 40", "priority: 30")
    quick.publish(welcome=changed)

    assert quick.live().plans_on == ("holiday",) and quick.live().programs["welcome"].priority == 90
    with quick.store.read() as session:
        control, latest = read_control(session), list_bundles(session)[0]
    assert (control.published_bundle, latest.number) == (latest.hash, 2)
    with quick.store.begin() as session:
        assert rollback(session, 1, by="us", now=NOW).number == 3
    quick.off("holiday")
    assert quick.live().programs["welcome"].priority == 40


def test_a_bundle_that_a_plan_does_not_fit_is_refused_with_the_reason(quick: Works) -> None:
    quick.on("holiday")
    before = quick.live().hash
    with pytest.raises(CommandError, match="no such plan; switch it off first"):
        quick.publish(holiday="", heat="")
    assert quick.live().hash == before


def test_switching_off_what_is_not_on_is_no_act(quick: Works) -> None:
    assert not quick.off("crisis")
    with quick.store.read() as session:
        assert history(session) == []


async def test_virtual_time_knows_a_plan_as_production_does() -> None:
    bundle = bundle_with_plans(FILES, ["crisis"])
    world = VirtualWorld(bundle, NOW)
    world.add(Person("ann", {"email": "ann@email.org"}, consents=("marketing",)))
    world.feed("ann", "added", NOW)
    world.feed("ann", "viewed", NOW)
    await world.run_until(NOW + DAY)
    world.close()

    told = [(decided.journey, decided.reason) for decided in world.decisions if decided.kind == "entry"]
    assert told == [
        ("welcome", "entry.paused"),
        ("apology", "entry.entered"),
        ("receipt", "entry.entered"),
    ]
    assert [sent.journey for sent in world.sends] == ["apology", "receipt"]
