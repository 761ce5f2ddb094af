"""Metrics over a window of attempts, from their counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ACCEPTED = "accepted"


@dataclass(frozen=True)
class Figures:
    """How many attempts a window holds, and how many of them failed."""

    samples: int = 0
    failed: int = 0

    @property
    def rate(self) -> float:
        """The share that failed, between 0 and 1; 0 without samples."""
        return self.failed / self.samples if self.samples else 0.0


def send_failures(counts: Mapping[str, int]) -> Figures:
    """The send failures among attempts counted by result.

    Whatever a provider did not take is a failure: refused, told to come back, or without an answer.
    """
    samples = sum(counts.values())
    return Figures(samples, samples - counts.get(ACCEPTED, 0))
