"""What experiments remember in virtual time: arms of people and places of strata, in plain dictionaries."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from engine.experiments.assignment import Assignment, Design, Kept


class MemoryAssignments:
    """`Assignments` of one simulation."""

    def __init__(self) -> None:
        self._arms: dict[tuple[str, str, str], Kept] = {}
        self._places: Counter[tuple[str, str, str, str]] = Counter()

    def kept(self, design: Design, contact_id: str) -> Kept | None:
        return self._arms.get((design.key, design.seed, contact_id))

    def take_place(self, design: Design, stratum: str) -> int:
        name = (design.key, design.seed, design.shape, stratum)
        self._places[name] += 1
        return self._places[name] - 1

    def keep(self, design: Design, contact_id: str, assignment: Assignment, now: datetime) -> None:
        """Write an arm down, if it is new."""
        if assignment.is_new:
            self.give(design, contact_id, assignment.arm, now)

    def forget_people(self) -> None:
        """Let nobody have been there; the places that they took stay taken.

        So those who are lived through one by one fill the strata together, in the order in which they come.
        """
        self._arms.clear()

    def move(self, gone: str, survivor: str) -> None:
        """Let the survivor have the arms of both; of two of one experiment the earlier."""
        for key, seed, contact_id in [name for name in self._arms if name[2] == gone]:
            theirs, own = self._arms.pop((key, seed, contact_id)), self._arms.get((key, seed, survivor))
            if own is None or theirs.at < own.at:
                self._arms[key, seed, survivor] = theirs

    def give(self, design: Design, contact_id: str, arm: str, at: datetime) -> None:
        """Let a contact have an arm, as if it had been assigned at that moment."""
        self._arms[design.key, design.seed, contact_id] = Kept(arm, at)
