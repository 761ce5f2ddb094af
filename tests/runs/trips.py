"""Journeys that change while people are on their way in them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from engine.journeys.program import InFlight
from engine.store.tables import DecisionRow

if TYPE_CHECKING:
    from tests.runs.conftest import Spine

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MIGRATE = {"trip": InFlight.MIGRATE}

SLEEPS = """
    enter: {event: added, reentry: always}
    leave: [{event: gone}]
    steps:
      - {send: one, content: text, channels: [email]}
      - {wait: night, for: 3d}
      - {send: two, content: text, channels: [email]}
    """
LISTENS = """
    enter: {event: added, reentry: always}
    goal: {event: paid, within: 10d}
    steps:
      - wait_for: look
        event: viewed
        when: {event.price: {gte: 100}}
        up_to: 4d
        then: [{send: picks, content: text, channels: [email]}]
        otherwise: [{send: best, content: text, channels: [email]}]
    """


def moved(spine: Spine) -> dict[str, object]:
    (row,) = spine.rows(DecisionRow, reason="run.moved")
    return row.evidence
