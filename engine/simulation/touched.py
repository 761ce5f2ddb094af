"""Whom an event has moved, and in which order they are carried next."""

from __future__ import annotations

from collections.abc import Sequence

from engine.changing import frozen
from engine.journeys.run import OutcomeKnown


@frozen
class Touched:
    """The runs an event moved, by id: they are carried next, in this order."""

    entered: tuple[str, ...]
    woken: tuple[str, ...]
    settled: tuple[tuple[str, OutcomeKnown], ...]
    """Runs whose message the event dropped, with its outcome."""
    retimed: tuple[str, ...] = ()
    """Runs whose wait ends at another moment now."""


NOBODY = Touched((), (), ())


def together(several: Sequence[Touched]) -> Touched:
    """What events of one transaction moved: those entered come first, as production carries them."""
    if len(several) < 2:
        return several[0] if several else NOBODY
    return Touched(
        tuple(run_id for touched in several for run_id in touched.entered),
        tuple(run_id for touched in several for run_id in touched.woken),
        tuple(each for touched in several for each in touched.settled),
        tuple(run_id for touched in several for run_id in touched.retimed),
    )
