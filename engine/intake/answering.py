"""What became of a batch, message by message, as whoever sent it is told."""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from engine.intake import measuring
from engine.intake.incoming import Unusable

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Note:
    """Something about an accepted event that was left aside, and why."""

    message_id: str
    text: str


@dataclass(frozen=True)
class Refusal:
    """Why one event of a batch became a dead letter."""

    position: int
    """In the batch, from 0."""
    code: str
    message: str


@dataclass(frozen=True)
class Receipt:
    """What became of a batch; the three counts add up to its size."""

    accepted: int
    duplicates: int
    dead: int
    run_ids: tuple[str, ...]
    """Runs to carry on now, leased to this process until its lease ends."""
    notes: tuple[Note, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    """In the order of the batch."""


@dataclass
class Taken:
    """What became of a batch inside its transaction."""

    accepted: list[str] = field(default_factory=list)
    duplicates: int = 0
    refused: dict[int, Unusable] = field(default_factory=dict)
    """By position in the batch."""
    run_ids: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def receipt_of(taken: Taken) -> Receipt:
    """The answer for whoever sent the batch; counted and logged, too."""
    receipt = Receipt(
        accepted=len(taken.accepted),
        duplicates=taken.duplicates,
        dead=len(taken.refused),
        run_ids=tuple(taken.run_ids),
        notes=tuple(taken.notes),
        refusals=tuple(
            Refusal(position, item.code, item.message) for position, item in sorted(taken.refused.items())
        ),
    )
    for result in ("accepted", "duplicates", "dead"):
        measuring.EVENTS.labels(result).inc(getattr(receipt, result))
    if taken.refused:
        codes = sorted({item.code for item in taken.refused.values()})
        _log.warning("events became dead letters", dead=receipt.dead, codes=codes)
    return receipt
