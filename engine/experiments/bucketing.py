"""Where a person falls between 0 and 1 under a seed, and which arm that is: GrowthBook's hash, version 2.

Anybody who knows the seed and the contact's id can work it out again, with any of GrowthBook's client
libraries or with these few lines.
"""

from __future__ import annotations

from collections.abc import Sequence

STEPS = 10_000
"""The hash tells so many people apart: an arm smaller than one step may be nobody's."""

Range = tuple[float, float]
"""Half-open: the end belongs to the next arm."""

_OFFSET, _PRIME, _MASK = 0x811C9DC5, 0x01000193, 0xFFFFFFFF


def bucket_of(seed: str, value: str) -> float:
    """Where `value` falls under `seed`: one of 0, 0.0001, … 0.9999, the same for ever."""
    return _fnv1a(str(_fnv1a(seed + value))) % STEPS / STEPS


def ranges_of(weights: Sequence[int]) -> tuple[Range, ...]:
    """The part of [0, 1) that each arm gets, in the order of the arms.

    Shares are added up as GrowthBook adds them, in the same order, so that the borders are the same numbers.
    """
    total, ranges, start = sum(weights), list[Range](), 0.0
    for weight in weights:
        end = start + weight / total
        ranges.append((start, end))
        start = end
    return tuple(ranges)


def arm_in(ranges: Sequence[Range], bucket: float) -> int:
    """The number of the arm, from 0, in whose range the bucket lies."""
    for number, (start, end) in enumerate(ranges):
        if start <= bucket < end:
            return number
    return len(ranges) - 1  # the sum of many shares can fall short of 1 by the last digit


def is_reachable(one: Range) -> bool:
    """Whether any bucket lies in the range: a share below one step of the hash can be nobody's."""
    first = max(0, int(one[0] * STEPS) - 1)
    return any(one[0] <= step / STEPS < one[1] for step in range(first, min(first + 3, STEPS)))


def _fnv1a(text: str) -> int:
    """FNV-1a of 32 bits over UTF-16 code units, which is what JavaScript calls characters."""
    found = _OFFSET
    units = text.encode("utf-16-le", "surrogatepass")
    for at in range(0, len(units), 2):
        found = (found ^ (units[at] | units[at + 1] << 8)) * _PRIME & _MASK
    return found
