"""Who is held out of messages for a while, so that what the messages bring about can be measured."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from engine.experiments.bucketing import bucket_of


@dataclass(frozen=True)
class HoldOut:
    """A share of all contacts who do not get certain messages; drawn from the seed and nothing else."""

    id: str
    share: float
    """From 0 to 1."""
    seed: str
    starts: date
    ends: date
    """The last day; days are those of the workspace's zone."""
    purposes: tuple[str, ...] = ()
    """Of which messages; an empty tuple, like the two below, is all of them."""
    channels: tuple[str, ...] = ()
    journeys: tuple[str, ...] = ()
    file: str = ""
    line: int = 0
    members: frozenset[str] | None = None
    """Exactly these contacts instead of a draw: for tests of rulesets, which say whom they mean."""

    def is_on(self, day: date) -> bool:
        """Whether anybody is held out on that day."""
        return self.starts <= day <= self.ends

    def concerns(self, purpose: str, channel: str, journey: str | None) -> bool:
        """Whether it is about such messages."""
        return (
            (not self.purposes or purpose in self.purposes)
            and (not self.channels or channel in self.channels)
            and (not self.journeys or journey in self.journeys)
        )

    def bucket(self, contact_id: str) -> float:
        """Where the contact falls between 0 and 1; those below the share are held out.

        So who is held out at 5% is held out at 10% as well.
        """
        return bucket_of(self.seed, contact_id)

    def holds(self, contact_id: str) -> bool:
        """Whether the contact is one of those who are held out."""
        if self.members is not None:
            return contact_id in self.members
        return self.bucket(contact_id) < self.share
