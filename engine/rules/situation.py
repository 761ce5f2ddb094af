"""What a set of tests can tell apart: facts in one situation get one answer from every condition over them.

A situation is a tuple of small integers, read off the columns that the matcher compares. Whatever is worked
out of such tests alone needs to be worked out once for all facts in the same situation.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from engine.rules.condition import Test
from engine.rules.facts import Facts
from engine.rules.quantise import Quantiser


class Situations:
    """The situations that these tests make."""

    def __init__(self, tests: Iterable[Test]) -> None:
        asked = list(tests)
        quantiser = Quantiser(asked)
        for test in asked:
            quantiser.settle(test, True)  # that it is true and that it is false is read off the same column
        self._readers = [column.read for column in quantiser.columns]

    def of(self, facts: Facts, now: datetime) -> tuple[int, ...]:
        """The situation of the facts at `now`, from which ages are counted."""
        return tuple([read(facts, now) for read in self._readers])
