"""Word finders that are made once for their word lists and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from engine.plugin import Lexicon
from plugins.checks.automaton import WordFinder

LISTS_KEPT = 8


class Finders:
    """The finders of the word lists that were asked for last."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, ...], WordFinder] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def has(self, lexicons: Sequence[Lexicon]) -> bool:
        """Whether these word lists have been made ready: for long ones that takes its time, once."""
        return _key(lexicons) in self._kept

    def of(self, lexicons: Sequence[Lexicon]) -> WordFinder:
        """The finder of these word lists. ValueError, which blocks the message, when there are none."""
        if not lexicons:
            # It would pass everything.
            raise ValueError("this check names no word list")
        key = _key(lexicons)
        with self._lock:
            finder = self._kept.get(key)
            if finder is None:
                finder = self._kept[key] = WordFinder(lexicons)
                if len(self._kept) > LISTS_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return finder


def _key(lexicons: Sequence[Lexicon]) -> tuple[int, ...]:
    # By identity: comparing lists of twenty thousand words would cost more than searching for them.
    return tuple(id(lexicon) for lexicon in lexicons)
