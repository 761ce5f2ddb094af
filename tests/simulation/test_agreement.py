"""Two drivers, one story: random lives through SQL and through virtual time give the same decisions."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import closing
from datetime import timedelta
from itertools import zip_longest
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.store.database import Store
from tests.simulation.small_workspace import PEOPLE
from tests.simulation.two_drivers import Happening, SqlLife, live_in_memory, the_bundle

EVENTS = ["added", "viewed", "viewed", "paid", "paid", "consent_withdrawn", "consent_granted"]

happenings = st.lists(
    st.builds(
        Happening,
        pause=st.sampled_from([0, 1, 60, 3600, 4 * 3600, 30 * 3600, 3 * 86400, 6 * 86400]).map(
            lambda seconds: timedelta(seconds=seconds)
        ),
        who=st.sampled_from([person.id for person in PEOPLE]),
        event=st.sampled_from(EVENTS),
        properties=st.fixed_dictionaries(
            {
                "price": st.sampled_from([10, 80]),
                "amount": st.sampled_from([5, 60]),
                "order_id": st.sampled_from(["o1", "o2"]),
                "purpose": st.just("marketing"),
            }
        ),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(life=happenings)
def test_sql_and_virtual_time_decide_the_same(life: list[Happening], _sqlite_template: Path) -> None:
    in_memory, facts = asyncio.run(live_in_memory(life, the_bundle()))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            sql = SqlLife(store, the_bundle().files)
            in_sql = asyncio.run(sql.live(life))
            facts_in_sql = sql.facts()
    for person in PEOPLE:
        stories = zip_longest(in_sql[person.id], in_memory[person.id])
        for number, (one, other) in enumerate(stories):
            assert one == other, f"decision {number} about {person.id}"
    assert facts_in_sql == facts
