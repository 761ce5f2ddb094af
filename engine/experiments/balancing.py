"""Balanced arms within a stratum: whoever comes gets the next place of a permuted block.

A block is as long as the weights in lowest terms add up to, and holds every arm as often as its weight says:
after each block the arms are exactly as the weights want them. Within a block the places of an arm are
spread over its length and not merely shuffled, so that 33 : 33 : 34 is in balance after ten people too; and
the block begins at a place drawn anew, so that at every single place the chance of an arm is its share. All
of it follows from the seed: nobody chooses, and anybody can check.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from math import gcd

LONGEST_BLOCK = 1000
"""Weights that add up to more in lowest terms are refused: a block would hardly ever be filled."""


def lowest_terms(weights: Sequence[int]) -> tuple[int, ...]:
    """The same proportions in the smallest whole numbers."""
    common = gcd(*weights)
    return tuple(weight // common for weight in weights)


def arm_at(place: int, seed: str, stratum: str, weights: Sequence[int]) -> int:
    """The number of the arm, from 0, of whoever takes this place (from 0) of the stratum."""
    terms = lowest_terms(weights)
    block, within = divmod(place, sum(terms))
    return _block(seed, stratum, block, terms)[within]


def largest_gap(arm: int, weights: Sequence[int]) -> float:
    """How far an arm's people can ever be from its exact share of a stratum, in people, whoever comes."""
    terms = lowest_terms(weights)
    share = terms[arm] / sum(terms)
    return min(terms[arm] * (1 - share), 2 * (1 + len(terms) * share))


@lru_cache(maxsize=1024)
def _block(seed: str, stratum: str, block: int, terms: tuple[int, ...]) -> tuple[int, ...]:
    """The arms of one block in the order of its places."""
    spread = sorted(
        ((ticket + _chance(seed, stratum, block, arm, ticket)) / often, arm)
        for arm, often in enumerate(terms)
        for ticket in range(often)
    )
    begin = int(_chance(seed, stratum, block) * len(spread))
    return tuple(arm for _, arm in (*spread[begin:], *spread[:begin]))


def _chance(*what: str | int) -> float:
    """A number from 0 up to 1 that hangs on nothing but what it is for."""
    digest = sha256(json.dumps(what, ensure_ascii=False, separators=(",", ":")).encode()).digest()
    return (int.from_bytes(digest[:8]) >> 11) / 2**53
