"""One purse in several stripes, so that many can take from it at once and never too much together; pure.

Each stripe may commit as much of its own part as the pace allows. Rounded down for each, that is never more
than the pace allows of the whole. Where little is left, the whole purse lies in one stripe, and nothing of it
is out of reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from engine.gate.budgets import Purse
from engine.gate.sharing_out import shared_out

_WORTH_SPLITTING = 16
"""Messages that each stripe should have room for."""


@dataclass(frozen=True)
class Stripe:
    """One stripe's part."""

    allocated: int
    committed: int = 0
    waiting: int = 0


def allowed_in(stripe: Stripe, pace: Fraction) -> int:
    """How much may be committed in the stripe while the pace allows this part."""
    return _allowed(stripe.allocated, pace)


def striped(purse: Purse, pace: Fraction, count: int, cost: int) -> list[Stripe]:
    """The purse in `count` stripes; `cost` is what a message takes of it, about."""
    lone = [Stripe(purse.allocated, purse.committed, purse.waiting), *[Stripe(0)] * (count - 1)]
    parts = shared_out(purse.allocated, [1] * count)
    rooms = [_allowed(part, pace) for part in parts]
    if sum(rooms) - purse.committed < count * _WORTH_SPLITTING * max(1, cost):
        return lone
    committed = shared_out(purse.committed, [1] * count)
    if any(taken > room for taken, room in zip(committed, rooms, strict=True)):
        return lone
    waiting = [purse.waiting, *[0] * (count - 1)]
    return [Stripe(*each) for each in zip(parts, committed, waiting, strict=True)]


def together(stripes: Sequence[Stripe]) -> Purse:
    """The purse that lies in these stripes."""
    return Purse(
        sum(each.allocated for each in stripes),
        sum(each.committed for each in stripes),
        max(0, sum(each.waiting for each in stripes)),
    )


def _allowed(amount: int, pace: Fraction) -> int:
    return amount * pace.numerator // pace.denominator
