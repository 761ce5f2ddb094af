"""Finds the words of word lists in a draft, however they are disguised, and shows where they stand.

Text and words are compared after normalisation: compatibility forms (NFKC), letter case, invisible characters
and stray accents make no difference. Every position keeps its place in the original.
"""

from __future__ import annotations

import threading
import unicodedata
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from ahocorasick_rs import MATCHKIND_STANDARD, AhoCorasick

from engine.plugin import Check, CheckContext, Draft, Finding, Lexicon, LexiconEntry, Severity, hookimpl

PARTS = ("body", "subject", "call_to_action")
WEIGHT = {Severity.INFO: 0, Severity.WARN: 1, Severity.BLOCK: 2}
LISTS_KEPT = 8

# Letters that are shown as nothing, beyond the category of format characters.
BLANKS = frozenset("\u034f\u115f\u1160\u3164\uffa0\u2800")
# Scripts in which a stray mark is a disguise; in others (Thai, Hindi, Arabic) marks are the text itself.
MARKS_ARE_DISGUISE = ("LATIN", "CYRILLIC", "GREEK", "CJK")


@dataclass(frozen=True)
class Normal:
    """A text as words are compared, and for each of its characters the span in the original it stands for."""

    text: str
    spans: tuple[tuple[int, int], ...]

    def original(self, start: int, end: int) -> tuple[int, int]:
        return self.spans[start][0], self.spans[end - 1][1]


def normal(text: str) -> Normal:
    """The text without everything that does not change how it reads."""
    letters: list[str] = []
    spans: list[tuple[int, int]] = []
    for start, end in _clusters(text):
        for letter in _normal_cluster(text[start:end]):
            letters.append(letter)
            spans.append((start, end))
    return Normal("".join(letters), tuple(spans))


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
    if letter < "\u0300":
        return False
    category = unicodedata.category(letter)
    # Jamo vowels and finals, and the half-width voice marks of Japanese, join the letter before them as well.
    return category[0] == "M" or "\u1160" <= letter <= "\u11ff" or letter in "\uff9e\uff9f"


def _normal_cluster(cluster: str) -> str:
    if cluster.isascii():
        return cluster.lower() if cluster.isprintable() or cluster.isspace() else ""
    shown = "".join(letter for letter in cluster if not _is_invisible(letter))
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", shown).casefold())
    if not folded or len(folded) == 1:
        return "\ufffd" if folded and unicodedata.category(folded) == "Cs" else folded
    if unicodedata.name(folded[0], "").startswith(MARKS_ARE_DISGUISE):
        folded = "".join(letter for letter in folded if unicodedata.category(letter) not in ("Mn", "Me"))
    return "".join("\ufffd" if unicodedata.category(letter) == "Cs" else letter for letter in folded)


def _is_invisible(letter: str) -> bool:
    if letter in BLANKS or "\ufe00" <= letter <= "\ufe0f" or "\U000e0100" <= letter <= "\U000e01ef":
        return True
    category = unicodedata.category(letter)
    return category == "Cf" or (category == "Cc" and not letter.isspace())


@dataclass(frozen=True)
class _Word:
    """One entry of one list, and where its harmless contexts stand among the patterns."""

    lexicon: Lexicon
    entry: LexiconEntry
    exempting: frozenset[int]


@dataclass(frozen=True)
class _Hit:
    start: int
    end: int
    word: _Word
    exempt: bool


class WordFinder:
    """All words of some lists in one automaton."""

    def __init__(self, lexicons: Sequence[Lexicon]) -> None:
        numbers: dict[str, int] = {}
        words: dict[int, list[_Word]] = {}
        for lexicon in lexicons:
            for entry in lexicon.entries:
                exempting = frozenset(
                    _number(numbers, longer, lexicon, "exempt_when") for longer in entry.exempt_when
                )
                number = _number(numbers, entry.term, lexicon, "term")
                words.setdefault(number, []).append(_Word(lexicon, entry, exempting))
        self.lexicons = tuple(lexicons)
        """Kept, so that their identities stay taken while this finder is cached under them."""
        self._words = words
        self._lengths = [len(pattern) for pattern in numbers]
        self._automaton = AhoCorasick(list(numbers), matchkind=MATCHKIND_STANDARD)

    def find(self, text: str, part: str) -> list[Finding]:
        """One finding per word and place, in the order of the text."""
        looked_at = normal(text)
        matches = self._automaton.find_matches_as_indexes(looked_at.text, overlapping=True)
        starts: dict[int, list[int]] = {}
        for number, start, _ in matches:
            starts.setdefault(number, []).append(start)
        hits = [
            _Hit(start, end, word, self._is_exempt(word, start, end, starts))
            for number, start, end in matches
            for word in self._words.get(number, ())
        ]
        return [_finding(hit, looked_at, part) for hit in _telling(hits) if not hit.exempt]

    def _is_exempt(self, word: _Word, start: int, end: int, starts: Mapping[int, Sequence[int]]) -> bool:
        """Whether one of the entry's harmless longer texts stands around this very place."""
        for number in word.exempting:
            places = starts.get(number, ())
            first = bisect_left(places, end - self._lengths[number])
            if first < len(places) and places[first] <= start:
                return True
        return False


def _telling(hits: Iterable[_Hit]) -> Iterable[_Hit]:
    """The hits, but for those inside a longer one at least as grave, exempt or not: 最佳 settles its 最."""
    reach = dict.fromkeys(WEIGHT, 0)
    """How far the longer hits seen so far go, by severity."""
    for _, together in groupby(
        sorted(hits, key=lambda hit: (hit.start, -hit.end)), key=lambda hit: (hit.start, hit.end)
    ):
        group = list(together)
        for hit in group:
            weight = WEIGHT[hit.word.entry.severity]
            if max(end for severity, end in reach.items() if WEIGHT[severity] >= weight) < hit.end:
                yield hit
        for hit in group:
            severity = hit.word.entry.severity
            reach[severity] = max(reach[severity], hit.end)


def _number(numbers: dict[str, int], term: str, lexicon: Lexicon, key: str) -> int:
    text = normal(term).text
    if not text.strip():
        raise ValueError(f"word list {lexicon.id!r}: a {key} is empty")
    return numbers.setdefault(text, len(numbers))


def _finding(hit: _Hit, looked_at: Normal, part: str) -> Finding:
    entry, lexicon = hit.word.entry, hit.word.lexicon
    start, end = looked_at.original(hit.start, hit.end)
    return Finding(
        code=f"lexicon.{lexicon.id}",
        severity=entry.severity,
        start=start,
        end=end,
        message=f"{entry.term!r} is in the word list {lexicon.id!r} (as of {lexicon.as_of})",
        part=part,
        rule=f"{entry.law or lexicon.id}: {entry.term}",
        suggestion=entry.suggestion,
    )


class LexiconCheck:
    """Examines subject, body and call to action with the word lists the ruleset names for it."""

    name = "lexicon"
    needs_lexicons = True

    def __init__(self) -> None:
        self._finders: OrderedDict[tuple[int, ...], WordFinder] = OrderedDict()
        self._lock = threading.Lock()

    def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
        """ValueError, which blocks the message, for a check without lists: it would pass everything."""
        if not context.lexicons:
            raise ValueError("this check names no word list")
        if context.settings:
            raise ValueError("this check takes no settings")
        finder = self._finder(context.lexicons)
        return [finding for part in PARTS for finding in finder.find(getattr(draft, part), part)]

    def _finder(self, lexicons: Sequence[Lexicon]) -> WordFinder:
        # By identity: comparing lists of twenty thousand words would cost more than searching for them.
        key = tuple(id(lexicon) for lexicon in lexicons)
        with self._lock:
            finder = self._finders.get(key)
            if finder is None:
                finder = self._finders[key] = WordFinder(lexicons)
                if len(self._finders) > LISTS_KEPT:
                    self._finders.popitem(last=False)
            self._finders.move_to_end(key)
            return finder


@hookimpl
def register_checks() -> Iterable[Check]:
    return [LexiconCheck()]
