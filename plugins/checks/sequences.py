"""Words that say something only one after another: 全网 and 最低, a number and 天 and 见效.

Each part of a sequence is any one of some words, or a number; between two parts stand no more characters than
the entry allows, blanks not counted, and never the end of a part of a sentence.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

_NUMERAL = r"(?:\d+(?:[.,]\d+)*|[零〇一二两三四五六七八九十百千万亿半几数]+)"
_TENTHS = r"[一二两三四五六七八九十]成[一二三四五六七八九半]?(?![功立本员为交新熟品])"
"""八成, 九成九; 五成熟 is a steak and 一成功 no share."""
NUMBERS = {
    "<number>": re.compile(rf"{_NUMERAL} ?%?"),
    "<percent>": re.compile(rf"{_NUMERAL} ?%|百分之{_NUMERAL}|{_TENTHS}"),
}
"""Parts that any number fits, or any share of a hundred."""
CLAUSE = re.compile(r"[。！？!?\n;；，,、]|\.(?=\s|$)")

Place = tuple[int, int]
Parts = tuple[frozenset[int] | re.Pattern[str], ...]
"""The patterns of each part by their numbers in the automaton, or how its numerals are written."""


@dataclass(frozen=True)
class Places:
    """Where in one form of a text the patterns of an automaton stand."""

    text: str
    starts: Mapping[int, Sequence[int]]
    lengths: Sequence[int]
    is_whole: Callable[[str, int, int], bool]

    def of(self, part: frozenset[int] | re.Pattern[str]) -> list[Place]:
        """The places of one part, in the order of the text."""
        if isinstance(part, re.Pattern):
            return [found.span() for found in part.finditer(self.text)]
        return sorted(
            (start, start + self.lengths[number])
            for number in part & self.starts.keys()
            for start in self.starts[number]
            if self.is_whole(self.text, start, start + self.lengths[number])
        )


def anchor(parts: Parts) -> frozenset[int]:
    """The words without one of which the sequence cannot be there: those of its part with the fewest."""
    return min((part for part in parts if isinstance(part, frozenset)), key=len)


def sequences(parts: Parts, gap: int, places: Places) -> Iterator[Place]:
    """Where the parts stand in their order, from each first one to the nearest of the others."""
    standing: list[list[Place]] = []
    for part in parts:
        found = places.of(part)
        if not found:
            return
        standing.append(found)
    for start, end in standing[0]:
        last = _followed(end, standing[1:], gap, places.text)
        if last is not None:
            yield start, last


def _followed(end: int, standing: Sequence[list[Place]], gap: int, text: str) -> int | None:
    """Where the rest of a sequence ends that goes on behind `end`; None when it does not."""
    if not standing:
        return end
    following = standing[0]
    for start, last in following[bisect_left(following, (end, 0)) :]:
        between = text[end:start]
        if len(between) - between.count(" ") > gap or CLAUSE.search(between):
            return None
        whole = _followed(last, standing[1:], gap, text)
        if whole is not None:
            return whole
    return None
