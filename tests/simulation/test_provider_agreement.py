"""Rates and circuits in SQL and in virtual time: the same questions and answers lead to the same holds."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.delivery.gate_state import SqlGateState
from engine.gate.model import Answer, Intent
from engine.gate.rates import Circuit, Provider, Rate
from engine.gate.state import Attempt, Claim, GateRules, GateState, Moment, View
from engine.simulation.gate_state import MemoryGateState
from engine.store.bundles import BundleShelf
from engine.store.database import Store

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)
RATED = Provider("house", (Rate(3, 20 * SECOND), Rate(5, 60 * SECOND)), Circuit(2, 15 * SECOND))
PLAIN = Provider("app", (), Circuit(2, 15 * SECOND))
RULES = GateRules("v1", "UTC", {}, {}, (), {}, providers={"email": RATED, "sms": RATED, "app": PLAIN})

steps = st.tuples(
    st.integers(0, 20),
    st.sampled_from(["email", "sms", "app"]),
    st.sampled_from(["accepted", "rejected", "retry", "unknown", "busy", "lost"]),
)


def story(state: GateState, said: list[tuple[int, str, str]]) -> list[Answer | None]:
    """Every answer about a row of messages, each of which its provider answers when it may go out."""
    answers: list[Answer | None] = []
    at = START
    for number, (pause, channel, result) in enumerate(said):
        at += pause * SECOND
        intent = Intent("k", f"c{number}", "marketing", 50, "hello", (channel,), "s", 1, at)
        claim, now = Claim(intent, View(RULES, None), "lease"), Moment(at, at)
        answer = None if state.has_leave(claim, channel, now) else state.admit(claim, channel, now)
        answers.append(answer)
        if answer is None and result == "busy":
            state.note_answer(claim, Attempt(channel, "retry", busy_for=7 * SECOND), now)
        elif answer is None and result != "lost":
            state.note_answer(claim, Attempt(channel, result), now)
    return answers


@settings(max_examples=40, deadline=None)
@given(said=st.lists(steps, min_size=1, max_size=30))
def test_sql_and_virtual_time_hold_the_same_for_as_long(
    said: list[tuple[int, str, str]], _sqlite_template: Path
) -> None:
    in_memory = story(MemoryGateState(RULES, lambda _: None), said)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "wayline.db")
        shutil.copyfile(_sqlite_template, path)
        with closing(Store(f"sqlite:///{path}")) as store:
            in_sql = story(SqlGateState(store, BundleShelf(), lease=SECOND), said)
    assert in_sql == in_memory
