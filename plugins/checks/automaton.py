"""All words of some lists in one automaton, looked for in every form of a text.

What a list looks for is a word, or several parts one after another. A hit in the plain form is certain. A hit
in another form only is `disguised`: separators were left out, or look-alikes and sounds read as the
characters they stand for.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from ahocorasick_rs import MATCHKIND_STANDARD, AhoCorasick

from engine.plugin import Lexicon, LexiconContext, LexiconEntry, Severity
from plugins.checks.restricting import Reading, restricted
from plugins.checks.sequences import CLAUSE, NUMBERS, Parts, Places, anchor, sequences
from plugins.checks.text import Form, joined, plain, sounding, sounds_of, without_ornaments

WEIGHT = {Severity.INFO: 0, Severity.WARN: 1, Severity.BLOCK: 2}
SENTENCE = re.compile(r"[。！？!?\n;；]|\.(?=\s|$)")
WIDEST = 60
"""Characters on each side of a word in which its context is looked for."""
NEAR = 3
"""Characters that may stand between a word and what is near to it: 不是最好, 并非全网最低."""


@dataclass(frozen=True)
class _Context:
    """What makes a word harmless, as numbers of patterns."""

    said: LexiconContext
    before: frozenset[int]
    after: frozenset[int]
    together: tuple[frozenset[int], ...]


@dataclass(frozen=True, eq=False)
class Word:
    """One word, or several in a row, of one entry of a list, with what may stand around it."""

    lexicon: Lexicon
    entry: LexiconEntry
    reads: str
    """The word in its joined form; empty for several in a row."""
    exempting: frozenset[int]
    contexts: tuple[_Context, ...]
    parts: Parts = ()
    company: frozenset[int] = frozenset()
    """Patterns of which one stands in the same sentence, or the word says nothing; empty: it needs none."""


@dataclass(frozen=True)
class Hit:
    """A word, and the span in the original at which it stands."""

    start: int
    end: int
    word: Word
    disguised: bool = False
    exempt: bool = False
    proven: LexiconContext | None = None
    """The context that allows the word as long as what it states is kept as evidence."""
    doubtful: bool = False
    """The word counts in some languages only, and in which one it stands here is not known."""
    echo: bool = False
    """Whether it only goes with a claim of its topic that the sentence makes outright: 药到病除，立竿见影."""

    def severity(self, disguised: Severity) -> Severity:
        """How grave it is: what is disguised at the most as grave as `disguised`, what is doubtful warns.

        An echo is only told.
        """
        said = Severity.INFO if self.echo else self.word.entry.severity
        if self.doubtful:
            said = min(said, Severity.WARN, key=lambda each: WEIGHT[each])
        return min(said, disguised, key=lambda each: WEIGHT[each]) if self.disguised else said


@dataclass
class _Patterns:
    """The patterns of the automaton, each with its number, and whose words they are."""

    numbers: dict[str, int] = field(default_factory=dict)
    words: dict[int, list[Word]] = field(default_factory=dict)
    rows: dict[int, list[Word]] = field(default_factory=dict)
    """Words in a row, by the patterns without one of which they cannot be there."""

    def of(self, text: str, lexicon: Lexicon, key: str) -> frozenset[int]:
        """The numbers of a text in both of its written forms. ValueError when nothing of it can be read."""
        form = plain(text)
        written = {form.text, joined(form).text}
        if not form.text.strip():
            raise ValueError(f"word list {lexicon.id!r}: a {key} is empty")
        return frozenset(self.number(each) for each in written)

    def number(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))


class WordFinder:
    """Finds the words of some lists; making one takes time, using it takes little."""

    def __init__(self, lexicons: Sequence[Lexicon]) -> None:
        patterns = _Patterns()
        for lexicon in lexicons:
            contexts = [_context(patterns, lexicon, each) for each in lexicon.contexts]
            for entry in lexicon.entries:
                _add(patterns, lexicon, entry, contexts)
        self.lexicons = tuple(lexicons)
        """Kept, so that their identities stay taken while this finder is cached under them."""
        self.restricted = restricted(lexicons)
        """The scripts of those of its words that count in some languages only."""
        self._words = patterns.words
        self._rows = patterns.rows
        self._lengths = [len(pattern) for pattern in patterns.numbers]
        self._automaton = AhoCorasick(list(patterns.numbers), matchkind=MATCHKIND_STANDARD)

    def find(self, text: str, disguised: Severity = Severity.WARN, locale: str = "") -> list[Hit]:
        """One hit per word and place, in the order of the text, exempt ones included.

        A word that counts in some languages only is no hit in a text of another one; `locale` is what the
        text is meant to be in. Of hits inside of a longer one that is at least as grave, exempt or not,
        nothing is said: 最佳 settles its 最. What is disguised counts as no graver than `disguised`.
        """
        first = plain(text)
        found = {(hit.word, hit.start, hit.end): hit for hit in self._written(first, disguised=False)}
        second = joined(first)
        others = [second] if second is not first else []
        bare = without_ornaments(first, text)
        if bare is not None:
            others.append(joined(bare))
        for form in others:
            self._merge(found, self._written(form, disguised=True))
        self._merge(found, self._sounded(second))
        counting = list(_counting(found.values(), text, locale))
        return list(_telling(_with_echoes(counting, text), disguised))

    def _merge(self, found: dict[tuple[Word, int, int], Hit], more: Iterable[Hit]) -> None:
        """An exemption counts in whatever form it is seen; a disguise only where nothing plain was seen."""
        for hit in more:
            key = (hit.word, hit.start, hit.end)
            if key not in found or (hit.exempt and not found[key].exempt):
                found[key] = hit

    def _written(self, form: Form, *, disguised: bool) -> list[Hit]:
        matches = self._automaton.find_matches_as_indexes(form.text, overlapping=True)
        if not matches:
            return []
        starts: dict[int, list[int]] = {}
        for number, start, _ in matches:
            starts.setdefault(number, []).append(start)
        hits = [
            self._judged(word, start, end, form, starts, disguised=disguised)
            for number, start, end in matches
            for word in self._words.get(number, ())
            if _is_whole(form.text, start, end) and self._is_meant(word, form.text, start, end, starts)
        ]
        if self._rows:
            places = Places(form.text, starts, self._lengths, _is_whole)
            rows = dict.fromkeys(word for number in starts for word in self._rows.get(number, ()))
            hits += [
                self._judged(word, start, end, form, starts, disguised=disguised)
                for word in rows
                for start, end in sequences(word.parts, word.entry.gap, places)
                if self._is_meant(word, form.text, start, end, starts)
            ]
        return hits

    def _sounded(self, form: Form) -> list[Hit]:
        sounds = sounding(form)
        if sounds is None:
            return []
        matches = self._automaton.find_matches_as_indexes(sounds.form.text, overlapping=True)
        return [
            Hit(*sounds.form.original(start, end), word, disguised=True)
            for number, start, end in matches
            for word in self._words.get(number, ())
            # What is meant only in company is too common to be looked for by its sound as well.
            if not word.company
            and sounds.form.text[end : end + 1] in ("", "\x01", "\x02")
            and sounds.writes(word.reads, start, end)
        ]

    def _judged(
        self,
        word: Word,
        start: int,
        end: int,
        form: Form,
        starts: Mapping[int, Sequence[int]],
        *,
        disguised: bool,
    ) -> Hit:
        exempt, proven = self._is_inside(word, start, end, starts), None
        if not exempt:
            for context in word.contexts:
                if self._is_in(context, form.text, start, end, starts):
                    exempt = not context.said.evidence
                    proven = context.said if context.said.evidence else None
                    break
        return Hit(*form.original(start, end), word, disguised=disguised, exempt=exempt, proven=proven)

    def _is_meant(
        self, word: Word, text: str, start: int, end: int, starts: Mapping[int, Sequence[int]]
    ) -> bool:
        """Whether the word stands in the company without which it says nothing."""
        if not word.company:
            return True
        first, last = _around(text, start, end, SENTENCE)
        return self._stands(word.company, first, last, starts)

    def _is_inside(self, word: Word, start: int, end: int, starts: Mapping[int, Sequence[int]]) -> bool:
        """Whether one of the entry's harmless longer texts stands around this very place."""
        for number in word.exempting:
            places = starts.get(number, ())
            first = bisect_left(places, end - self._lengths[number])
            if first < len(places) and places[first] <= start:
                return True
        return False

    def _is_in(
        self, context: _Context, text: str, start: int, end: int, starts: Mapping[int, Sequence[int]]
    ) -> bool:
        ends = SENTENCE if context.said.within == "sentence" else CLAUSE
        first, last = _around(text, start, end, ends)
        near = NEAR if context.said.within == "near" else WIDEST
        if context.before and self._stands(context.before, first, start, starts, ends_from=start - near):
            return True
        if context.after and self._stands(context.after, end, last, starts, begins_to=end + near):
            return True
        return bool(context.together) and all(
            self._stands(group, first, last, starts) for group in context.together
        )

    def _stands(
        self,
        numbers: Iterable[int],
        first: int,
        last: int,
        starts: Mapping[int, Sequence[int]],
        *,
        ends_from: int = 0,
        begins_to: int = sys.maxsize,
    ) -> bool:
        """Whether one of the patterns stands between two places, and ends and begins where it should."""
        for number in numbers:
            places = starts.get(number, ())
            if not places:
                continue
            length = self._lengths[number]
            at = bisect_left(places, max(first, ends_from - length))
            if at < len(places) and places[at] <= begins_to and places[at] + length <= last:
                return True
        return False


def _context(patterns: _Patterns, lexicon: Lexicon, said: LexiconContext) -> _Context:
    def numbers(words: Iterable[str]) -> frozenset[int]:
        return frozenset(number for word in words for number in patterns.of(word, lexicon, "context"))

    return _Context(said, numbers(said.before), numbers(said.after), tuple(map(numbers, said.together)))


def _add(patterns: _Patterns, lexicon: Lexicon, entry: LexiconEntry, contexts: Sequence[_Context]) -> None:
    exempting = frozenset(
        number for longer in entry.exempt_when for number in patterns.of(longer, lexicon, "exempt_when")
    )
    company = frozenset(
        number for beside in entry.only_with for number in patterns.of(beside, lexicon, "only_with")
    )
    applying = tuple(each for each in contexts if _applies(each.said, entry))
    if len(entry.parts) > 1:
        parts = tuple(
            NUMBERS[part[0]]
            if part[0] in NUMBERS
            else frozenset(number for text in part for number in patterns.of(text, lexicon, "part"))
            for part in entry.parts
        )
        row = Word(lexicon, entry, "", exempting, applying, parts, company)
        for number in anchor(parts):
            patterns.rows.setdefault(number, []).append(row)
        return
    for text in entry.parts[0] if entry.parts else (entry.term,):
        numbers = patterns.of(text, lexicon, "term")
        reads = joined(plain(text)).text
        word = Word(lexicon, entry, reads, exempting, applying, (), company)
        sounds = () if company else sounds_of(reads)
        for number in numbers | {patterns.number(sound) for sound in sounds}:
            patterns.words.setdefault(number, []).append(word)


def _applies(context: LexiconContext, entry: LexiconEntry) -> bool:
    if not context.topics and not context.terms:
        return True
    return entry.topic in context.topics or entry.term in context.terms


def _around(text: str, start: int, end: int, ends: re.Pattern[str]) -> tuple[int, int]:
    """The part of a sentence around a place."""
    lowest, highest = max(0, start - WIDEST), min(len(text), end + WIDEST)
    first = lowest
    for mark in ends.finditer(text, lowest, start):
        first = mark.end()
    mark_after = ends.search(text, end, highest)
    return first, mark_after.start() if mark_after else highest


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether a word of letters stands for itself: ass is no part of class."""
    return not (
        (start and _joins(text[start - 1], text[start]))
        or (end < len(text) and _joins(text[end - 1], text[end]))
    )


def _joins(left: str, right: str) -> bool:
    return _is_spaced(left) and _is_spaced(right)


def _is_spaced(letter: str) -> bool:
    """Whether the letter is of a script that parts its words by blanks."""
    if letter.isascii():
        return letter.isalnum()
    return letter < "\u0e00" and (letter.isalpha() or not letter.isprintable() or letter >= "\u0300")


def _counting(hits: Iterable[Hit], text: str, locale: str) -> Iterator[Hit]:
    """The hits that count in the language in which they stand."""
    reading = Reading(text, locale)
    for hit in hits:
        languages = hit.word.entry.languages
        counts = not languages or reading.counts(languages, hit.start, hit.end)
        if counts is not False:
            yield hit if counts else replace(hit, doubtful=True)


def _telling(hits: Iterable[Hit], disguised: Severity) -> Iterable[Hit]:
    """The hits, but for those inside a longer one at least as grave."""
    reach = dict.fromkeys(WEIGHT, 0)
    """How far the longer hits seen so far go, by severity."""
    ordered = sorted(hits, key=lambda hit: (hit.start, -hit.end))
    for _, together in groupby(ordered, key=lambda hit: (hit.start, hit.end)):
        group = sorted(
            ((hit, hit.severity(disguised)) for hit in together), key=lambda each: -WEIGHT[each[1]]
        )
        told: set[tuple[str, str]] = set()
        for hit, severity in group:
            if not hit.exempt:
                # Several ways of saying one thing, of one list, are one finding: the gravest.
                kind = (hit.word.lexicon.id, hit.word.entry.topic)
                if hit.word.entry.parts and kind in told:
                    continue
                told.add(kind)
            weight = WEIGHT[severity]
            if max(end for each, end in reach.items() if WEIGHT[each] >= weight) < hit.end:
                yield hit
        for hit, severity in group:
            reach[severity] = max(reach[severity], hit.end)


def _with_echoes(hits: list[Hit], text: str) -> list[Hit]:
    """The hits; what means something in company only is an echo beside a claim made outright."""
    if not any(hit.word.company for hit in hits):
        return hits
    outright = [hit for hit in hits if not (hit.word.company or hit.exempt or hit.proven)]

    def echoes(hit: Hit) -> bool:
        return any(
            each.word.lexicon is hit.word.lexicon
            and each.word.entry.topic == hit.word.entry.topic
            and not SENTENCE.search(text, min(each.end, hit.end), max(each.start, hit.start))
            for each in outright
        )

    return [replace(hit, echo=True) if hit.word.company and echoes(hit) else hit for hit in hits]
