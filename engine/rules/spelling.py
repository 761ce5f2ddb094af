"""Which known word was meant by a misspelt one, when only one can be."""

from __future__ import annotations

import re
from collections.abc import Iterable

COMPARISONS = {
    ">=": "gte",
    ">": "gt",
    "<=": "lte",
    "<": "lt",
    "==": "eq",
    "=": "eq",
    "!=": "ne",
    "≥": "gte",
    "≤": "lte",
    "＞": "gt",
    "＜": "lt",
    "＞=": "gte",
    "＜=": "lte",
}
"""How people write comparisons -> the word that the language has for it."""

_LONGEST = 80
"""Longer words are not compared: nobody misspells them, and comparing takes long."""


def only_meant(word: str, known: Iterable[str]) -> str | None:
    """The one known word that two slips of the pen lead to (one, in a word of up to four letters).

    A slip is a letter too many, too few, another one, or two neighbours swapped. None when no known word is
    that near, or several are.
    """
    if not word or len(word) > _LONGEST:
        return None
    most = 1 if len(word) <= 4 else 2
    near = {each for each in known if abs(len(each) - len(word)) <= most and _slips(word, each) <= most}
    return near.pop() if len(near) == 1 else None


def _slips(one: str, other: str) -> int:
    """The least number of slips between two words."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        above, row, older = row, [at], before
        before = above
        for place, wanted in enumerate(other, 1):
            cost = min(above[place] + 1, row[place - 1] + 1, above[place - 1] + (letter != wanted))
            swapped = at > 1 and place > 1 and letter == other[place - 2] and one[at - 2] == wanted
            row.append(min(cost, older[place - 2] + 1) if swapped else cost)
    return row[-1]


def compared(text: str) -> tuple[str, str, str] | None:
    """What is compared (perhaps nothing), the word for it and with what, of a text such as `a.b >= 3`."""
    signs = "|".join(re.escape(sign) for sign in sorted(COMPARISONS, key=len, reverse=True))
    found = re.fullmatch(rf"\s*([A-Za-z_][A-Za-z0-9_.]*)?\s*({signs})\s*([^\s=<>].*?)\s*", text)
    return (found[1] or "", COMPARISONS[found[2]], found[3]) if found is not None else None
