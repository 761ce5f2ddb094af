"""How long the parts of a delivery may take, in delivery time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Limits:
    """Time-outs of plugin calls, and the lease that has to outlast them."""

    generate: timedelta = timedelta(seconds=10)
    check: timedelta = timedelta(seconds=5)
    preflight: timedelta = timedelta(seconds=2)
    send: timedelta = timedelta(seconds=30)
    lease: timedelta = timedelta(seconds=60)
    """After which work that somebody began and did not finish is taken up by others."""
    repeats: int = 8
    """How often the same key is sent again while nobody can tell what became of it."""
    retries: int = 25
    """How often a provider may ask to come back before the intent fails."""

    def __post_init__(self) -> None:
        if self.lease <= max(self.send, self.generate + self.check + self.preflight):
            raise ValueError("the lease must be longer than the calls it covers")
