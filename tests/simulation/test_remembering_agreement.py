"""What runs know of events, of working time and of other ways in: the same in SQL and in virtual time."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import closing
from datetime import timedelta
from functools import cache
from itertools import zip_longest
from pathlib import Path
from textwrap import dedent

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.store.database import Store
from engine.store.tables import ContactRow
from tests.simulation.small_workspace import FILES, PEOPLE
from tests.simulation.two_drivers import Happening, SqlLife, live_in_memory

_KEPT = ("wayline.yaml", "purposes.yaml", "channels.yaml", "content.yaml")
_HEAD = "kind: journey\nid: {0}\ntitle: {0}\nowner: us\npurpose: service\n"
_MORE = {
    "events.yaml": """
        kind: events
        id: events
        title: events
        owner: us
        events:
          - id: wrote
            title: wrote
            schema:
              type: object
              required: [text]
              properties:
                text: {type: string}
                stars: {type: integer, minimum: 1, maximum: 5}
                topics: {type: array, items: {type: string}}
          - {id: called, title: called, schema: {type: object, properties: {stars: {type: integer}}}}
        """,
    "caps.yaml": """
        kind: caps
        id: caps
        title: caps
        owner: us
        caps:
          - id: one_a_day
            counts: {purpose: marketing}
            limit: 1
            window: {calendar: day, timezone: contact}
            when_full: defer
            max_defer: 36h
        """,
    "shop.yaml": """
        kind: calendar
        id: shop
        title: shop
        owner: us
        hours: [{days: [mon, tue, wed, thu, fri, sat], from: "10:00", to: "18:00"}]
        """,
}
_JOURNEYS = {
    # Both events by which it goes on, held against each other and against what let the contact in.
    "talk": """
        enter: {event: [wrote, called], when: {calendar.shop: true}, reentry: always}
        leave:
          - event: called
            when: {event.stars: {lt: {fact: journey.entry.stars}}, calendar.shop: false}
        goal: {event: called, when: {calendar.shop: true, journey.entry.type: wrote, event.stars: 5}}
        steps:
          - set: first
            values:
              said: {fact: journey.entry.text}
              stars: {fact: journey.entry.stars}
              who: {fact: contact.id}
          - repeat: messages
            times: 4
            steps:
              - branch: what
                cases:
                  - when: {journey.values.said: {matches: "help|hilfe"}}
                    steps: [{send: help, content: text, channels: [app, email]}, {start: ask, journey: desk}]
                  - when: {journey.values.said: {exists: false}}
                    steps: [{tag: silent, add: [silent]}, {start: count, journey: row}]
                  - when: {journey.events.next.topics: {has: price}, journey.entry.topics: {lacks: price}}
                    steps: [{tag: price, add: [price]}]
                else: [{wait: some, for: 20m}]
              - wait_for: next
                event: [wrote, called]
                when: {event.text: {ne: {fact: journey.events.next.text}}}
                up_to: 3h
                then:
                  - set: again
                    values: {said: {fact: journey.events.next.text}, stars: {fact: journey.events.next.stars}}
                otherwise:
                  - branch: late
                    cases:
                      - {when: {journey.events.next.type: {exists: true}}, steps: [{stop: never}]}
        """,
    "row": """
        enter:
          pattern: {count: {event: called, when: {event.stars: {lte: 2}}}, at_least: 2, within: 2d}
          reentry: always
          also: [{api: {}}]
        steps:
          - branch: by
            cases: [{when: {journey.entry.type: journey_requested}, steps: [{tag: row, add: [counted]}]}]
            else: [{tag: rowed, add: [rowed]}]
          - {wait: hour, for: 1h}
        """,
    "desk": """
        enter:
          event: called
          when: {event.stars: {gte: 3}}
          reentry: always
          also:
            - {api: {}}
            - {event: wrote, when: {event.topics: {has: desk}}}
        steps:
          - branch: how
            cases:
              - {when: {journey.entry.type: journey_requested}, steps: [{tag: asked, add: [asked]}]}
              - {when: {journey.entry.stars: 5}, steps: [{send: great, content: text, channels: [email]}]}
            else: [{wait: rest, for: 2h}]
        """,
}
# From START, a Friday at 11 in Shanghai and 4 in Berlin, into the closed hours and days.
_lives = st.lists(
    st.builds(
        Happening,
        pause=st.sampled_from([0, 1, 30, 120, 200, 420, 1440]).map(
            lambda minutes: timedelta(minutes=minutes)
        ),
        who=st.sampled_from([person.id for person in PEOPLE]),
        event=st.sampled_from(["wrote", "wrote", "called"]),
        properties=st.fixed_dictionaries(
            {"text": st.sampled_from(["help me", "hello", "hilfe", "x" * 501])},
            optional={
                "stars": st.integers(1, 5),
                "topics": st.lists(st.sampled_from(["price", "desk", "time"]), max_size=2),
            },
        ),
    ),
    min_size=1,
    max_size=10,
)


@cache
def _bundle() -> Bundle:
    files = {name: dedent(FILES[name]) for name in _KEPT}
    files |= {name: dedent(text) for name, text in _MORE.items()}
    files |= {f"{name}.yaml": _HEAD.format(name) + dedent(text) for name, text in _JOURNEYS.items()}
    return bundle_of(files)


def _wrote(minutes: int, **properties: object) -> Happening:
    return Happening(timedelta(minutes=minutes), "bob", "wrote", properties)


def _called(minutes: int, **properties: object) -> Happening:
    return Happening(timedelta(minutes=minutes), "eve", "called", properties)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(life=_lives)
@example(life=[_called(0, stars=1), _called(30, stars=2), _called(30, stars=5), _called(1440, stars=4)])
@example(life=[_wrote(0, text="hello", topics=["time"]), _wrote(1, text="help", topics=["price"], stars=2)])
@example(life=[_wrote(0, text="x" * 501), _wrote(1, text="hi", topics=["price"]), _wrote(1, text="hi")])
def test_sql_and_virtual_time_remember_the_same(life: list[Happening], _sqlite_template: Path) -> None:
    in_memory, facts = asyncio.run(live_in_memory(life, _bundle()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            sql = SqlLife(store, _bundle().files)
            in_sql = asyncio.run(sql.live(life))
            with store.read() as session:
                tags = {row.id: frozenset(row.tags) for row in session.scalars(select(ContactRow))}
    for person in PEOPLE:
        stories = zip_longest(in_sql[person.id], in_memory[person.id])
        for number, (one, other) in enumerate(stories):
            assert one == other, f"decision {number} about {person.id}"
    assert tags == {name: each["contact.tags"] for name, each in facts.items()}
