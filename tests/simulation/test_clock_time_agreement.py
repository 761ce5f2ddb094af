"""Times of day mean the same in virtual time and in production, where everything takes some seconds."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import closing
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from textwrap import dedent

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.store.database import Store
from tests.simulation.small_workspace import FILES, PEOPLE
from tests.simulation.two_drivers import Happening, SqlLife, Story, live_in_memory

_KEPT = ("wayline.yaml", "purposes.yaml", "channels.yaml", "content.yaml", "events.yaml")
_JOURNEY = """
kind: journey
id: clocks
title: clocks
owner: us
purpose: service
enter: {event: viewed, reentry: always}
steps:
  - {wait: first, at: "10:00"}
  - {tag: one, add: [one]}
  - repeat: mornings
    times: 3
    steps:
      - {send: hello, content: text, channels: [app, email]}
      - {wait: ten, at: "10:00"}
  - repeat: days
    times: 2
    steps:
      - {wait: a_day, for: 24h, at: "10:00"}
      - {send: again, content: text, channels: [app, email]}
  - {wait: here, at: "10:00"}
  - {wait: later, days: 2, at: "10:00", weekdays: [mon, thu, fri]}
"""

# Ten o'clock on each of their clocks, the minutes around it, and any time.
_PAUSES = (0, 1, 59, 60, 239, 240, 241, 1440, 5 * 1440 + 300, 9 * 1440)
_lives = st.lists(
    st.builds(
        Happening,
        pause=st.sampled_from(_PAUSES).map(lambda minutes: timedelta(minutes=minutes)),
        who=st.sampled_from([person.id for person in PEOPLE]),
        event=st.just("viewed"),
        properties=st.just({}),
    ),
    min_size=1,
    max_size=4,
)


@cache
def _bundle() -> Bundle:
    return bundle_of({**{name: dedent(FILES[name]) for name in _KEPT}, "clocks.yaml": _JOURNEY})


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(life=_lives, lag=st.timedeltas(timedelta(), timedelta(seconds=19)))
def test_a_time_of_day_is_the_same_one_however_many_seconds_production_takes(
    life: list[Happening], lag: timedelta, _sqlite_template: Path
) -> None:
    in_memory, _ = asyncio.run(live_in_memory(life, _bundle()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            in_sql = asyncio.run(SqlLife(store, _bundle().files, lag).live(life))
    for person in PEOPLE:
        assert _by_the_minute(in_sql[person.id]) == _by_the_minute(in_memory[person.id])


def _by_the_minute(story: list[Story]) -> list[Story]:
    return [(_minute(at), *rest) for at, *rest in story]


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)
