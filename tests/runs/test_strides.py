"""The longest stride that a journey may take, in one transaction: well inside what an activity has for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from engine.journeys.program import LONGEST_STRIDE
from engine.store.tables import ContactRow, DecisionRow

if TYPE_CHECKING:
    from tests.runs.conftest import Spine

ROUNDS = (LONGEST_STRIDE - 1) // 4


async def test_a_thousand_steps_in_one_go_take_seconds_at_most(spine: Spine) -> None:
    spine.publish(
        far=f"""
        enter: {{event: added, reentry: never}}
        steps:
          - repeat: often
            while: {{contact.tags: {{lacks: enough}}}}
            at_most: {ROUNDS}
            steps:
              - {{tag: on_, add: [seen]}}
              - branch: fork
                cases: [{{when: {{contact.tags: {{has: seen}}}}, steps: []}}]
              - {{tag: off_, remove: [seen]}}
        """
    )
    begun = time.process_time()
    (carried,) = await spine.feed("added")
    taken = time.process_time() - begun
    assert carried.outcome == "completed"
    assert len(spine.rows(DecisionRow, kind="branch")) == 2 * ROUNDS + 1
    assert spine.rows(ContactRow)[0].tags == []
    assert taken < 30  # some two seconds on a quiet machine
