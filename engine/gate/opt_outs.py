"""Words by which people end messages: STOP, 退订, TD; whether a whole text is one of them. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

LONGEST_WORD = 40
_LONGEST_TEXT = 4 * LONGEST_WORD
"""A longer text is no word, whatever stands around it."""


@dataclass(frozen=True)
class OptOut:
    """A list of words, and where they count."""

    id: str
    words: frozenset[str]
    """As `plain` writes them."""
    identities: tuple[str, ...] = ()
    """Only in what comes from addresses of these platforms; empty: wherever it comes from."""
    source: str = ""
    as_of: str = ""

    def counts_on(self, platform: str | None) -> bool:
        """Whether it counts for what came from this platform; None: nobody knows from which."""
        return not self.identities or platform in self.identities


def plain(text: str) -> str:
    """The text by its letters and digits alone, in narrow small ones: `Ｓｔｏｐ ！` is `stop`."""
    narrow = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(each for each in narrow if unicodedata.category(each)[0] in "LN")


def opted_out(text: object, platform: str | None, lists: Sequence[OptOut]) -> OptOut | None:
    """The first list of which the whole text is a word; None for any other text."""
    if not isinstance(text, str) or not 0 < len(text) <= _LONGEST_TEXT:
        return None
    word = plain(text)
    return next((each for each in lists if each.counts_on(platform) and word in each.words), None)
