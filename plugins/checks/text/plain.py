"""The form in which words are compared: whatever does not change how a text reads makes no difference.

Compatibility forms (NFKC), letter case, invisible characters, stray accents and traditional characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from plugins.checks.text.form import Form
from plugins.checks.text.simplified import simplified

# Letters that are shown as nothing, beyond the category of format characters.
BLANKS = frozenset("\u034f\u115f\u1160\u3164\uffa0\u2800")
# Scripts in which a stray mark is a disguise; in others (Thai, Hindi, Arabic) marks are the text itself.
MARKS_ARE_DISGUISE = ("LATIN", "CYRILLIC", "GREEK", "CJK")
SIMPLE = re.compile(r"[\t\n\r -~\u3000-\u3029\u3030-\u3098\u309b-\u30ff\u4e00-\u9fff\uff01-\uff9d]*")
"""Texts of these characters hold nothing that is written onto the letter before it."""


def plain(text: str) -> Form:
    """The text without everything that does not change how it reads. Takes any text, lone surrogates too."""
    if SIMPLE.fullmatch(text):
        letters = list(map(_folded, text))
        whole = "".join(letters)
        if len(whole) == len(text) and all(letters):
            return Form(whole, range(len(text)), range(1, len(text) + 1))
        clusters: Iterable[tuple[int, int]] = ((at, at + 1) for at in range(len(text)))
    else:
        clusters = _clusters(text)
    read: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end in clusters:
        for letter in _folded(text[start:end]):
            read.append(letter)
            starts.append(start)
            ends.append(end)
    return Form("".join(read), starts, ends)


def _clusters(text: str) -> Iterable[tuple[int, int]]:
    """Spans of one letter and what is written onto it; only together do they have a normal form."""
    start = 0
    for position in range(1, len(text)):
        if not _continues(text[position]):
            yield start, position
            start = position
    if text:
        yield start, len(text)


def _continues(letter: str) -> bool:
    if letter < "\u0300" or "\u4e00" <= letter <= "\u9fff":
        return False
    category = unicodedata.category(letter)
    # Jamo vowels and finals, and the half-width voice marks of Japanese, join the letter before them as well.
    return category[0] == "M" or "\u1160" <= letter <= "\u11ff" or letter in "\uff9e\uff9f"


@lru_cache(maxsize=65_536)
def _folded(cluster: str) -> str:
    if cluster.isascii():
        return cluster.lower() if cluster.isprintable() or cluster.isspace() else ""
    shown = "".join(letter for letter in cluster if not _is_invisible(letter))
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", shown).casefold())
    if len(folded) > 1 and unicodedata.name(folded[0], "").startswith(MARKS_ARE_DISGUISE):
        folded = "".join(letter for letter in folded if unicodedata.category(letter) not in ("Mn", "Me"))
    simple = simplified()
    # A lone surrogate is no character; whatever searches further on takes characters only.
    return "".join(
        "\ufffd" if unicodedata.category(letter) == "Cs" else simple.get(letter, letter) for letter in folded
    )


def _is_invisible(letter: str) -> bool:
    if letter in BLANKS or "\ufe00" <= letter <= "\ufe0f" or "\U000e0100" <= letter <= "\U000e01ef":
        return True
    category = unicodedata.category(letter)
    return category == "Cf" or (category == "Cc" and not letter.isspace())
