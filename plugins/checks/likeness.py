"""Which of many texts share most of their wording with a given one.

A text is the set of pairs of neighbours in it: of letters in Chinese, of words elsewhere; what its variables
are filled in with, digits and signs make no difference. The likeness of two texts is the share of pairs they
have in common (Jaccard). No text that is alike enough is missed: of a text of n pairs, all texts that share
t of them hold one of any n - t·n + 1 of its pairs, so only the texts of its rarest ones are compared.
Making an index takes time in proportion to the letters of all texts; asking it, to the letters of the one
text and to how many others hold its rarest pairs.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from plugins.checks.text import plain

VARIABLE = re.compile(r"\{\{[^{}]{0,500}\}\}|\{%[^%]{0,500}%\}|\{#[^#]{0,500}#\}")
UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
"""Scripts that put no blanks between words: Thai, Lao, Burmese, Khmer, kana, Chinese."""
UNITS = re.compile(rf"[{UNSPACED}]|[^\W\d_{UNSPACED}]+")
Pairs = frozenset[tuple[str, str]]


def pairs_of(text: str) -> Pairs:
    """The wording of a text, as it is compared."""
    units = UNITS.findall(plain(VARIABLE.sub(" ", text)).text)
    return frozenset(pairwise(units))


def likeness(one: Pairs, other: Pairs) -> float:
    """From 0, nothing in common, to 1, the same wording."""
    common = len(one & other)
    return common / (len(one) + len(other) - common) if common else 0.0


@dataclass(frozen=True)
class Alike:
    """One of the texts of an index, and how much of the wording it shares."""

    number: int
    likeness: float


class Likenesses:
    """An index of texts by their wording."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = [pairs_of(text) for text in texts]
        self._holding: dict[tuple[str, str], list[int]] = {}
        for number, pairs in enumerate(self._texts):
            for pair in pairs:
                self._holding.setdefault(pair, []).append(number)

    def alike(self, pairs: Pairs, least: float) -> Iterator[Alike]:
        """Every text that is at least as much alike; `least` is above 0."""
        rarest = sorted(pairs, key=lambda pair: len(self._holding.get(pair, ())))
        needed = len(pairs) - math.ceil(least * len(pairs)) + 1
        near = {number for pair in rarest[:needed] for number in self._holding.get(pair, ())}
        for number in sorted(near):
            share = likeness(pairs, self._texts[number])
            if share >= least:
                yield Alike(number, share)
