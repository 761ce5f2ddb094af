"""Figures over a window, from what was counted in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ACCEPTED = "accepted"


@dataclass(frozen=True)
class Figures:
    """How much a window holds of what a metric samples, and how much of that is against."""

    samples: int = 0
    failed: int = 0
    """Of the samples, those that count against: failed, bounced, complained of, …"""
    messages: int | None = None
    """How many messages were sent meanwhile, where the samples are something else."""

    @property
    def rate(self) -> float:
        """The share that is against, between 0 and 1; 0 without samples.

        What is told today may be about messages of yesterday, so it is cut off at everything.
        """
        return min(1.0, self.failed / self.samples) if self.samples else 0.0

    @property
    def tried(self) -> int:
        """How many messages these figures rest on."""
        return self.samples if self.messages is None else self.messages


def send_failures(counts: Mapping[str, int]) -> Figures:
    """The send failures among attempts counted by result.

    Whatever a provider did not take is a failure: refused, told to come back, or without an answer.
    """
    samples = sum(counts.values())
    return Figures(samples, samples - counts.get(ACCEPTED, 0))
