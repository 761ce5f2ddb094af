"""Windows of platforms in SQL and in virtual time: what opens them, how long, and how many leave through."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import textwrap
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import cache
from itertools import zip_longest
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.plugin.contracts import Message, Preflight, Window
from engine.plugin.recording import RecordingChannel
from engine.plugin.registry import Registry, load_registry
from engine.simulation.testing import own_generator_only
from engine.simulation.virtual import VirtualWorld
from engine.store.bundles import BundleShelf
from engine.store.database import Store
from plugins.channels.meta import whatsapp
from plugins.generators import template
from tests.simulation.small_workspace import FILES, PEOPLE, START
from tests.simulation.two_drivers import Happening, SqlLife, Story, live_in_memory

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
WINDOWS = (
    Window("reply", 6 * HOUR, allowance=2),
    Window("menu", MINUTE, ("menu_clicked",), allowance=1),
    Window("credit", None, ("subscribed",), allowance=1, adds_up=True, closed_by=("unsubscribed",)),
)
CREDITS = Window(
    "credits", None, ("allowed",), allowance=1, adds_up=True, per="content", closed_by=("refused",)
)
WORKSPACE = {
    **{name: FILES[name] for name in ("wayline.yaml", "purposes.yaml")},
    "channels.yaml": """
        kind: channels
        id: channels
        title: channels
        owner: us
        channels:
          - {id: email, plugin: recording, identity: email, settings: {}}
          - {id: app, plugin: chat, identity: app, settings: {}}
          - {id: first, plugin: first, identity: app, settings: {}}
          - {id: notices, plugin: notices, identity: app, settings: {}}
        """,
    "content.yaml": """
        kind: content
        id: content
        title: content
        owner: us
        contents:
          - {id: free, locales: {en: {subject: Hello, body: We are here}}}
          - {id: approved, locales: {en: {subject: Hello, body: Your order was sent}}}
        """,
    "events.yaml": """
        kind: events
        id: events
        title: events
        owner: us
        events:
          - {id: asked, title: asked, schema: {type: object}}
          - {id: menu_clicked, title: clicked, schema: {type: object}}
          - {id: subscribed, title: subscribed, schema: {type: object}}
          - {id: unsubscribed, title: unsubscribed, schema: {type: object}}
          - {id: allowed, title: allowed, schema: {type: object}}
          - {id: refused, title: refused, schema: {type: object}}
        """,
    "journeys/answer.journey.yaml": """
        kind: journey
        id: answer
        title: answer
        owner: us
        purpose: service
        enter: {event: asked, reentry: always}
        steps:
          - {send: at_once, content: free, channels: [app, notices, email]}
          - {wait: some, for: 50s}
          - {send: once_more, content: free, channels: [first, app]}
          - {wait: more, for: 3h}
          - {send: later, content: approved, channels: [notices, app, first, email]}
        """,
}


class Templates(RecordingChannel):
    """A platform that takes approved texts at any time."""

    def preflight(self, message: Message) -> Preflight:
        return Preflight(True, within=() if "order" in message.body else None)


class Notices(RecordingChannel):
    """A platform that takes each content as often as it was allowed."""

    def preflight(self, message: Message) -> Preflight:
        return Preflight(True, within=(f"credits:{message.content}",))


def plugins() -> list[RecordingChannel]:
    return [
        RecordingChannel("chat", windows=WINDOWS),
        Templates("first", windows=WINDOWS[:1], writes_first=True),
        Notices("notices", windows=(CREDITS,), writes_first=True),
    ]


@cache
def registry() -> Registry:
    return load_registry(entry_points=False, extra=[RecordingChannel(), *plugins(), template])


@cache
def bundle() -> Bundle:
    return bundle_of({name: textwrap.dedent(text) for name, text in WORKSPACE.items()}, registry())


def in_sql(store: Store, life: list[Happening]) -> dict[str, list[Story]]:
    shelf = BundleShelf(registry().windows)
    return asyncio.run(SqlLife(store, bundle().files, shelf=shelf, channels=plugins()).live(life))


def in_memory(life: list[Happening]) -> dict[str, list[Story]]:
    return asyncio.run(live_in_memory(life, bundle(), registry()))[0]


happenings = st.lists(
    st.builds(
        Happening,
        pause=st.sampled_from([0, 1, 30, 60, 3600, 5 * 3600, 7 * 3600]).map(
            lambda seconds: timedelta(seconds=seconds)
        ),
        who=st.sampled_from([person.id for person in PEOPLE]),
        event=st.sampled_from(
            [
                "asked",
                "asked",
                "asked",
                "message_received",
                "message_received",
                "menu_clicked",
                "subscribed",
                "subscribed",
                "unsubscribed",
                "allowed",
                "allowed",
                "refused",
            ]
        ),
        properties=st.sampled_from(
            [
                {"channel": "app", "content": "free"},
                {"channel": "first"},
                {"channel": "notices", "content": "approved"},
                {"channel": "notices", "content": "free"},
                {"channel": "email"},
                {"content": "approved"},
            ]
        ),
    ),
    min_size=1,
    max_size=14,
)


def assert_alike(one: dict[str, list[Story]], other: dict[str, list[Story]]) -> None:
    for person in PEOPLE:
        for number, (sql, memory) in enumerate(zip_longest(one[person.id], other[person.id])):
            assert sql == memory, f"decision {number} about {person.id}"


@settings(max_examples=12, deadline=None)
@given(life=happenings)
def test_sql_and_virtual_time_keep_the_same_windows(life: list[Happening], _sqlite_template: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            assert_alike(in_sql(store, life), in_memory(life))


def test_postgresql_keeps_the_same_windows_over_a_long_life(postgres_store: Store) -> None:
    events = ["asked", "message_received", "asked", "menu_clicked", "asked", "allowed", "subscribed", "asked"]
    life = [
        Happening(
            timedelta(seconds=[20, 5, 4000, 45, 9000][number % 5]),
            PEOPLE[number % 3].id,
            events[number % 8],
            {"channel": ["app", "first"][number % 2]}
            if events[number % 8] != "allowed"
            else {"channel": "notices", "content": ["approved", "free"][number % 3 // 2]},
        )
        for number in range(40)
    ]
    told = in_memory(life)
    assert_alike(in_sql(postgres_store, life), told)
    reasons = Counter(story[6] for stories in told.values() for story in stories)
    assert (
        min(reasons[each] for each in ("channel.window_closed", "channel.window_spent", "sent.accepted")) > 0
    )


async def test_a_ruleset_is_told_where_whatsapp_would_not_take_its_text() -> None:
    """Its settings need secrets of production, which nobody has who writes and tests rulesets."""
    settings = (
        '{phone_number_id: "1", access_token: {env: NOBODY_HAS_IT}, app_secret: {env: NOBODY_HAS_IT}, '
        r"templates: 'order_sent en: Hello\nYour order was sent'}"
    )
    without = "          - {id: notices, plugin: notices, identity: app, settings: {}}\n"
    channels = (
        WORKSPACE["channels.yaml"]
        .replace(without, "")
        .replace(
            "plugin: first, identity: app, settings: {}",
            f"plugin: whatsapp, identity: app, settings: {settings}",
        )
    )
    name = "journeys/answer.journey.yaml"
    journey = (
        WORKSPACE[name]
        .replace("notices, ", "")
        .replace("[first, app]", "[first]")
        .replace("[app, first, email]", "[first]")
    )
    here = {**WORKSPACE, "channels.yaml": channels, name: journey}
    installed = load_registry(
        entry_points=False, extra=[RecordingChannel(), RecordingChannel("chat"), whatsapp, template]
    )
    made = bundle_of({name: textwrap.dedent(text) for name, text in here.items()}, installed)
    world = VirtualWorld(made, START, registry=own_generator_only(installed))
    with closing(world):
        for number, person in enumerate(PEOPLE[1:]):
            world.add(replace(person, identities={"app": f"+861380013800{number}"}))
        world.feed("bob", "message_received", START, {"channel": "first", "text": "hello"})
        for who in ("bob", "eve"):
            world.feed(who, "asked", START + HOUR, {})
        await world.run_until(START + 5 * HOUR)
    told = [
        (each.contact_id, each.step, each.reason)
        for each in world.decisions
        if each.kind == "message" and each.step != "at_once"
    ]
    assert told == [
        ("bob", "once_more", "sent.accepted"),
        ("eve", "once_more", "channel.window_closed"),
        ("bob", "later", "sent.accepted"),
        ("eve", "later", "sent.accepted"),
    ]
