"""Words that count in some languages only: fitta is an insult in Swedish, and Italian for dense.

The line in which the word stands is asked first, then the whole text; a text that is too short to tell is
taken to be in the locale of its content. A locale of other letters than the word's tells nothing, and nothing
is asked then: whoever sends Chinese never waits for what tells Swedish from Italian.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.plugin import Lexicon
from plugins.checks.languages import WRITTEN_IN, is_in, script_of, told_apart


class Reading:
    """In which languages the lines of one text are; what was told of a line is kept."""

    def __init__(self, text: str, locale: str) -> None:
        self._text = text
        self._meant = told_apart(locale)
        self._told: dict[tuple[int, int, str, tuple[str, ...]], bool | None] = {}

    def counts(self, languages: tuple[str, ...], start: int, end: int) -> bool | None:
        """Whether a word of these languages counts where it stands; None if nothing tells."""
        script = _script(self._text[start:end])
        if self._meant is not None and script not in WRITTEN_IN[self._meant]:
            return None
        if not any(script in WRITTEN_IN[language] for language in languages):
            # In letters that only look like its own.
            return None
        first = self._text.rfind("\n", 0, start) + 1
        last = self._text.find("\n", end)
        told = self._asked(first, last if last >= 0 else len(self._text), languages, script)
        if told is None:
            told = self._asked(0, len(self._text), languages, script)
        if told is None and self._meant is not None:
            return self._meant in languages
        return told

    def _asked(self, first: int, last: int, languages: tuple[str, ...], script: str) -> bool | None:
        key = (first, last, script, languages)
        if key not in self._told:
            self._told[key] = is_in(self._text[first:last], languages, script)
        return self._told[key]


def restricted(lexicons: Sequence[Lexicon]) -> frozenset[str]:
    """The scripts of the words that count in some languages only.

    ValueError for an entry that is to count in a language that is not told apart: it never would.
    """
    scripts: set[str] = set()
    for lexicon in lexicons:
        for entry in lexicon.entries:
            unknown = [language for language in entry.languages if language not in WRITTEN_IN]
            if unknown:
                known = ", ".join(sorted(WRITTEN_IN))
                raise ValueError(
                    f"word list {lexicon.id!r}: {entry.term!r} counts in {unknown[0]!r}, none of {known}"
                )
            if entry.languages:
                words = [word for part in entry.parts for word in part] or [entry.term]
                scripts.update(map(_script, words))
    return frozenset(scripts)


def asks(scripts: frozenset[str], locale: str) -> bool:
    """Whether such words in a text of that locale may have to be asked in which language they stand."""
    meant = told_apart(locale)
    return bool(scripts) if meant is None else not scripts.isdisjoint(WRITTEN_IN[meant])


def _script(text: str) -> str:
    return next((script_of(letter) for letter in text if letter.isalpha()), "")
