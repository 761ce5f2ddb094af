"""What contacts are worth beside each other: the first case of the workspace's that is true of them; pure.

What is not known of a contact makes them worth no more than others.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engine.rules.condition import Condition
from engine.rules.evaluator import evaluate
from engine.rules.facts import Facts
from engine.rules.truth import Truth


@dataclass(frozen=True)
class Worth:
    """Contacts of a certain value."""

    when: Condition
    value: float
    file: str = ""
    line: int = 0


@dataclass(frozen=True)
class ContactValue:
    """What contacts are worth beside each other; of several cases the first that is true counts."""

    cases: tuple[Worth, ...] = ()
    otherwise: float = 1.0

    def of(self, facts: Facts, now: datetime) -> float:
        """The value of the contact of whom these facts are true."""
        return next(
            (case.value for case in self.cases if evaluate(case.when, facts, now) is Truth.TRUE),
            self.otherwise,
        )


EVERYBODY_THE_SAME = ContactValue()
