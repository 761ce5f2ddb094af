"""The arm of one contact in one experiment: what was assigned before, else the hash, else the next place.

What an experiment remembers stands behind a protocol, as the gate's memory does: in SQL for production, in
plain dictionaries for virtual time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from typing import Any, Protocol

from engine.experiments.balancing import arm_at
from engine.experiments.bucketing import Range, arm_in, bucket_of, ranges_of
from engine.rules.facts import Facts


class By(StrEnum):
    """What decided about an arm."""

    KEPT = "kept"
    """It was assigned before, and an assignment stays."""
    HASH = "hash"
    BLOCK = "block"
    """The next place of the contact's stratum."""


@dataclass(frozen=True)
class Design:
    """How one experiment divides people."""

    key: str
    """`<journey>/<step>`: what assignments are kept under."""
    seed: str
    arms: tuple[str, ...]
    weights: tuple[int, ...]
    """Of the arms, in their order."""
    stratify_by: tuple[str, ...] = ()
    """Paths of facts; empty: the hash decides."""

    @cached_property
    def ranges(self) -> tuple[Range, ...]:
        """What part of [0, 1) each arm gets from the hash."""
        return ranges_of(self.weights)

    @cached_property
    def shape(self) -> str:
        """Short hash of arms and weights: places are counted from the beginning under each."""
        text = json.dumps([self.arms, self.weights, self.stratify_by], ensure_ascii=False)
        return sha256(text.encode()).hexdigest()[:12]

    def stratum(self, facts: Facts) -> str:
        """What the contact shares with others of a stratum, as a JSON list; what is not known is a null,
        so that those of whom it is not known are a stratum of their own."""
        values = [facts.get(path) for path in self.stratify_by]
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Kept:
    """What an experiment remembers of a contact."""

    arm: str
    at: datetime
    """Journey time at which the contact came to it first."""


class Assignments(Protocol):
    """What experiments remember. Whoever asks holds the contact until the assignment is written."""

    def kept(self, design: Design, contact_id: str) -> Kept | None:
        """The contact's arm as it was written down; None for somebody who was never there."""

    def take_place(self, design: Design, stratum: str) -> int:
        """The next free place of the stratum, from 0: taken, and nobody else's, whoever asks meanwhile."""


@dataclass(frozen=True)
class Assignment:
    """An arm, and why it is this one."""

    arm: str
    by: By
    since: datetime | None = None
    """Of a kept one that an earlier run brought about."""
    bucket: float | None = None
    """Of the hash: where the contact falls between 0 and 1."""
    range: Range | None = None
    """The arm's part of it."""
    stratum: str | None = None
    place: int | None = None
    """The contact's place in the stratum, from 0."""
    instead_of: str | None = None
    """The contact's earlier arm, which the experiment does not have any more."""

    @property
    def is_new(self) -> bool:
        """Whether it is to be written down."""
        return self.by is not By.KEPT

    def evidence(self, design: Design) -> dict[str, Any]:
        """Why it is this arm, as plain values for a decision."""
        told: dict[str, Any] = {"arm": self.arm, "by": self.by.value, "seed": design.seed}
        if self.since is not None:
            told["since"] = self.since.isoformat()
        if self.bucket is not None and self.range is not None:
            told |= {"hash": self.bucket, "range": list(self.range)}
        if self.stratum is not None and self.place is not None:
            values = json.loads(self.stratum)
            told["stratum"] = dict(zip(design.stratify_by, values, strict=True))
            told["place_in_stratum"] = self.place + 1
        if self.instead_of is not None:
            told["instead_of"] = self.instead_of
        return told


def assign(design: Design, contact_id: str, facts: Facts, memory: Assignments) -> Assignment:
    """The contact's arm.

    An assignment that was written down wins over everything, also when weights or facts have changed since;
    only where its arm is gone is the contact assigned anew.
    """
    kept = memory.kept(design, contact_id)
    if kept is not None and kept.arm in design.arms:
        return Assignment(kept.arm, By.KEPT, since=kept.at)
    gone = kept.arm if kept is not None else None
    if design.stratify_by:
        stratum = design.stratum(facts)
        place = memory.take_place(design, stratum)
        number = arm_at(place, design.seed, stratum, design.weights)
        return Assignment(design.arms[number], By.BLOCK, stratum=stratum, place=place, instead_of=gone)
    bucket = bucket_of(design.seed, contact_id)
    number = arm_in(design.ranges, bucket)
    return Assignment(
        design.arms[number], By.HASH, bucket=bucket, range=design.ranges[number], instead_of=gone
    )


class Unremembered:
    """`Assignments` of somebody who never wrote one down, in strata where nobody has been yet."""

    def kept(self, design: Design, contact_id: str) -> Kept | None:
        return None

    def take_place(self, design: Design, stratum: str) -> int:
        return 0


NOTHING_REMEMBERED = Unremembered()
