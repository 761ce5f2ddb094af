"""People and journeys in virtual time, on the shipped workspace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.errors import NotFound
from engine.plugin.registry import load_registry
from engine.simulation.people import Person
from engine.simulation.virtual import VirtualWorld

START = datetime(2026, 3, 1, 1, 0, tzinfo=UTC)  # 09:00 in Shanghai
DAY = timedelta(days=1)
SHANGHAI = ZoneInfo("Asia/Shanghai")

ANN = Person(
    "ann", {"email": "ann@example.com", "app": "ann-1"}, consents=("marketing",), timezone="Asia/Shanghai"
)


@pytest.fixture(scope="module")
def bundle(shipped_files: Mapping[str, str]) -> Bundle:
    return bundle_of(shipped_files)


@pytest.fixture
def world(bundle: Bundle) -> Iterator[VirtualWorld]:
    made = VirtualWorld(bundle, START)
    made.add(ANN)
    yield made
    made.close()


def sends(world: VirtualWorld) -> list[tuple[str, str, timedelta]]:
    return [(sent.step, sent.channel, sent.at - START) for sent in world.sends]


async def test_a_welcome_unfolds_over_its_days_in_no_time(world: VirtualWorld) -> None:
    world.feed("ann", "contact_added", START)
    await world.run_until(START + 10 * DAY)
    assert [step for step, _, _ in sends(world)] == ["hello", "guide", "bestsellers"]
    assert world.sends[1].at.astimezone(SHANGHAI).isoformat() == "2026-03-02T10:00:00+08:00"
    of_welcome = [each for each in world.decisions if each.journey == "welcome" and each.kind != "message"]
    assert [decided.reason for decided in of_welcome] == [
        "entry.entered",
        "run.completed",
    ]


async def test_an_event_wakes_its_wait(world: VirtualWorld) -> None:
    world.feed("ann", "contact_added", START)
    world.feed("ann", "product_viewed", START + 2 * DAY, {"product_id": "p"})
    await world.run_until(START + 4 * DAY)
    assert [step for step, _, _ in sends(world)] == ["hello", "guide", "picks"]
    assert world.active_runs("ann") == {}


async def test_a_goal_ends_the_welcome(world: VirtualWorld) -> None:
    world.feed("ann", "contact_added", START)
    world.feed("ann", "order_paid", START + timedelta(hours=3), {"order_id": "o1", "amount": 10})
    await world.run_until(START + 10 * DAY)
    assert [step for step, _, _ in sends(world)] == ["hello"]
    assert "run.goal" in [decided.reason for decided in world.decisions]


async def test_thirty_silent_days_bring_a_benefit_and_coming_back_does_not(world: VirtualWorld) -> None:
    world.feed("ann", "order_paid", START, {"order_id": "o1", "amount": 320})
    await world.run_until(START + 29 * DAY)
    assert [step for step, _, _ in sends(world)] == ["related", "ask"]
    world.feed("ann", "product_viewed", world.now, {"product_id": "p"})
    await world.run_until(START + 40 * DAY)
    assert [step for step, _, _ in sends(world)] == ["related", "ask"]
    await world.run_until(START + 90 * DAY)
    assert [step for step, _, _ in sends(world)] == ["related", "ask", "benefit_gold", "reminder"]
    tags = world.facts("ann")["contact.tags"]
    assert isinstance(tags, frozenset) and "high_value" in tags


async def test_nobody_hears_of_us_without_consent(bundle: Bundle) -> None:
    world = VirtualWorld(bundle, START)
    world.add(Person("bob", {"email": "bob@example.com"}))
    world.feed("bob", "contact_added", START)
    await world.run_until(START + 10 * DAY)
    assert world.sends == []
    messages = [decided for decided in world.decisions if decided.kind == "message"]
    assert {decided.reason for decided in messages} == {"consent.unknown"}
    world.close()


async def test_a_cap_holds_a_message_until_it_frees_and_the_night_until_morning(world: VirtualWorld) -> None:
    world.feed("ann", "order_paid", START, {"order_id": "o1", "amount": 320})
    world.feed("ann", "contact_added", START + 15 * DAY)
    await world.run_until(START + 17 * DAY)
    assert [(step, at.days) for step, _, at in sends(world)] == [
        ("hello", 15),
        ("related", 15),
        ("guide", 16),
    ]
    capped = next(decided for decided in world.decisions if decided.reason == "cap.full")
    assert capped.hold_until is not None
    assert capped.hold_until.astimezone(SHANGHAI).isoformat() == "2026-03-17T00:00:00+08:00"
    quiet = next(decided for decided in world.decisions if decided.reason == "quiet.hours")
    assert (quiet.at, quiet.step) == (capped.hold_until, "related")
    assert quiet.hold_until == world.sends[1].at
    assert world.sends[1].at.astimezone(SHANGHAI).strftime("%F %H") == "2026-03-17 08"


async def test_a_withdrawal_ends_what_runs_for_its_purpose(world: VirtualWorld) -> None:
    world.feed("ann", "contact_added", START)
    world.feed("ann", "consent_withdrawn", START + timedelta(hours=1), {"purpose": "marketing"})
    await world.run_until(START + 2 * DAY)
    assert [step for step, _, _ in sends(world)] == ["hello"]
    assert world.active_runs("ann") == {}


async def test_with_a_registry_texts_are_made_and_checked(bundle: Bundle) -> None:
    world = VirtualWorld(bundle, START, registry=load_registry())
    world.add(
        Person("old", {"email": "old@example.com"}, consents=("marketing",), tags=frozenset({"legacy_copy"}))
    )
    world.feed("old", "order_paid", START, {"order_id": "o1", "amount": 20})
    await world.run_until(START + 20 * DAY)
    assert world.sends == []
    assert "content.check_blocked" in [decided.reason for decided in world.decisions]
    world.close()


async def test_mistaken_feeds_are_told(world: VirtualWorld) -> None:
    with pytest.raises(NotFound):
        world.feed("nobody", "order_paid", START)
    with pytest.raises(NotFound):
        world.feed("ann", "order_payed", START)
    with pytest.raises(ValueError, match="past"):
        world.feed("ann", "product_viewed", START - DAY)
    with pytest.raises(ValueError, match="two people"):
        world.add(ANN)


async def test_the_same_world_unfolds_the_same_way_twice(bundle: Bundle) -> None:
    stories = []
    for _ in range(2):
        world = VirtualWorld(bundle, START)
        for number in range(20):
            name = f"p{number}"
            world.add(Person(name, {"email": f"{name}@example.com"}, consents=("marketing",)))
            world.feed(name, "contact_added", START + timedelta(hours=number))
            world.feed(
                name, "order_paid", START + timedelta(hours=7 * number), {"order_id": name, "amount": 90}
            )
        await world.run_until(START + 120 * DAY)
        stories.append((world.decisions, world.sends))
        world.close()
    assert stories[0] == stories[1]
    assert len(stories[0][1]) > 60
