"""Schedules asked ahead let the same people in, at the same moments, as schedules asked each time."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.rules.matcher import Matcher
from engine.simulation.histories import Happening, History, live
from engine.simulation.journal import Journal, shards_of
from engine.simulation.people import Person
from engine.simulation.virtual import VirtualWorld

START = datetime(2026, 2, 25, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HEAD = "kind: {kind}\nid: {id}\ntitle: t\nowner: us\n"


def clock(name: str, schedule: str, when: str, reentry: str = "always") -> dict[str, str]:
    enter = f"enter: {{schedule: {schedule}, when: {when}, reentry: {reentry}}}\n"
    steps = "steps: [{wait: pause, for: 3h}, {tag: note, add: [" + f"was_{name}" + "]}]\n"
    return {f"{name}.yaml": HEAD.format(kind="journey", id=name) + "purpose: service\n" + enter + steps}


FILES = {
    "wayline.yaml": HEAD.format(kind="workspace", id="here")
    + "timezone: Asia/Shanghai\nlocales: [en]\nidentities: [email]\n"
    + "attributes: {birthday: {type: text}, points: {type: number}}\n",
    "purposes.yaml": HEAD.format(kind="purposes", id="p")
    + 'purposes: [{id: service, title: s, version: "1", kind: transactional, max_hold: 1d}]\n',
    "events.yaml": HEAD.format(kind="events", id="e")
    + "events:\n  - {id: viewed, title: v, schema: {type: object}}\n"
    + "  - {id: paid, title: p, effect: order, schema: {type: object, required: [amount],"
    + " properties: {amount: {type: number}}}}\n",
    "counts.yaml": HEAD.format(kind="tags", id="counts")
    + "counts: [{id: views_3d, of: {event: viewed}, within: 3d}]\n"
    + "classes: [{id: activity, cases: [{is: busy, when: {contact.views_3d: {gte: 2}}}], else: calm}]\n"
    + "tags: [{tag: buyer, level: basic, when: {contact.order_count: {gte: 1}}}]\n",
    "quiet.yaml": HEAD.format(kind="audience", id="quiet") + "when: {contact.activity: calm}\n",
    **clock(
        "birthday",
        '{cron: "0 9 * * *", timezone: contact}',
        "{event.local_time: {contains: {fact: contact.birthday}}, contact.tags: {lacks: was_birthday}}",
    ),
    **clock("buyers", '{cron: "0 9 * * mon", timezone: workspace}', "{contact.tags: {has: buyer}}"),
    **clock("views", '{cron: "0 */6 * * *", timezone: contact}', "{contact.views_3d: {gte: 2}}"),
    **clock("lapsed", '{cron: "30 9 * * *", timezone: contact}', "{contact.last_order_at: {older_than: 4d}}"),
    **clock(
        "rest",
        '{cron: "0 9 * * *", timezone: contact}',
        "{contact.audiences: {has: quiet}, contact.points: {exists: true}, contact.activity: calm}",
        "{after: 2d}",
    ),
}
ZONES = ["Asia/Shanghai", "Europe/Berlin", "America/New_York", None]


@cache
def the_bundle() -> Bundle:
    return bundle_of(FILES)


people = st.builds(
    Person,
    id=st.just("ann"),
    timezone=st.sampled_from(ZONES),
    tags=st.sampled_from([frozenset(), frozenset({"was_birthday"}), frozenset({"other"})]),
    attributes=st.sampled_from([{}, {"birthday": "02-28"}, {"birthday": "03-02", "points": 3}]),
)
traits = st.sampled_from(
    [
        {},
        {},
        {"birthday": "03-03"},
        {"birthday": None},
        {"timezone": "Asia/Tokyo"},
        {"timezone": ZONES[2]},
        {"points": 1},
    ]
)
hours = st.integers(0, 24 * 12)
happenings = st.lists(
    st.builds(
        Happening,
        at=hours.map(lambda hour: START + timedelta(hours=hour)),
        event=st.sampled_from(["viewed", "paid"]),
        properties=st.just({"amount": 5}),
        traits=traits,
    ),
    max_size=12,
).map(lambda found: sorted(found, key=lambda each: each.at))
histories = st.builds(History, people, happenings)

Told = list[tuple[Any, ...]]


def told(world: VirtualWorld) -> Told:
    return [(each.at, each.kind, each.journey, each.reason, each.contact_id) for each in world.decisions]


async def at_each_firing(history: History) -> Told:
    """A world with a journal asks at every firing."""
    bundle = the_bundle()
    with closing(Matcher(bundle.rules)) as matcher:
        world = VirtualWorld(bundle, START, journal=Journal(matcher, shards_of(bundle)))
        await live(world, history, START, START + 20 * DAY)
        return told(world)


async def one_after_another(*several: History) -> list[Told]:
    found = []
    with closing(VirtualWorld(the_bundle(), START - 99 * DAY)) as world:
        for history in several:
            await live(world, history, START, START + 20 * DAY)
            found.append(told(world))
    return found


@settings(max_examples=12, deadline=None)
@given(history=histories, earlier=histories)
def test_asked_ahead_or_at_each_firing_the_same_people_enter(history: History, earlier: History) -> None:
    expected = [asyncio.run(at_each_firing(earlier)), asyncio.run(at_each_firing(history))]
    assert asyncio.run(one_after_another(earlier, history)) == expected


def test_who_travels_west_is_not_reached_by_one_morning_twice() -> None:
    morning = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)  # half past nine in Shanghai, in the night in New York
    moves = Happening(morning, "viewed", traits={"timezone": "America/New_York"})
    history = History(Person("ann", timezone="Asia/Shanghai", attributes={"birthday": "03-02"}), (moves,))
    (found,) = asyncio.run(one_after_another(history))
    births = [each[0] for each in found if each[2:4] == ("birthday", "entry.entered")]
    assert births == [datetime(2026, 3, 2, 1, 0, tzinfo=UTC)]
