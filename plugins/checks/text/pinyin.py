"""Words of which characters are written by their sound: zui佳, du博, guojiaji.

The sounds of single characters are pypinyin's table; its code, which tells readings apart by context, is not
run: of a word in a list each reading is looked for.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice, product

import orjson

from plugins.checks.text.form import Form
from plugins.checks.text.lookalikes import is_han
from plugins.checks.text.tables import file_of

LONGEST_WORD = 8
"""Characters of a word whose sound is looked for."""
MOST_READINGS = 4
LONGEST_RUN = 24
"""Latin letters side by side that may be the sound of something."""
LEAST_SYLLABLES = 3
"""Of a word that is written by its sound alone; a shorter one is too often a word of another language."""
MARK = "\x01"
"""Stands before each syllable, so that sounds are found in sounds only: no text that is read holds it."""
BREAK = "\x02"
PIECES = re.compile(r"[a-z]+|.", re.DOTALL)
LATIN = re.compile(r"[a-z]")


def sounds_of(word: str) -> Iterator[str]:
    """How a Chinese word sounds, as patterns to search for; none for other words and single characters."""
    if 2 <= len(word) <= LONGEST_WORD and all(map(is_han, word)):
        readings = [_readings().get(letter, ()) for letter in word]
        for reading in islice(product(*readings), MOST_READINGS):
            yield "".join(MARK + syllable for syllable in reading)


@dataclass(frozen=True)
class Sounding:
    """A text by its sounds, and for each letter the character whose sound it is; none where it was Latin."""

    form: Form
    characters: Sequence[str]

    def writes(self, word: str, start: int, end: int) -> bool:
        """Whether what stands there is the word with some of its characters, though not all, as they are."""
        marks = [at for at in range(start, end) if self.form.text[at] == MARK]
        written = [self.characters[at] for at in marks]
        latin = written.count("")
        if not latin or len(written) != len(word):
            return False
        if latin == len(written) and latin < LEAST_SYLLABLES:
            return False
        return all(not each or each == letter for each, letter in zip(written, word, strict=True))


def sounding(form: Form) -> Sounding | None:
    """The text by its sounds; None where no Latin letters stand in a Chinese text."""
    if not LATIN.search(form.text) and form.text.isascii():
        return None
    text = _without_tones(form.text)
    if not LATIN.search(text) or not any(map(is_han, text)):
        return None
    letters: list[str] = []
    places: list[tuple[int, int]] = []
    characters: list[str] = []
    sounds = False
    for piece in PIECES.finditer(text):
        start, end = piece.span()
        said = list(_said(piece.group(), start))
        if not said and piece.group() == " " and letters and letters[-1] != BREAK:
            continue
        for first, last, syllable, character in said or [(start, end, "", "")]:
            sign = MARK + syllable if syllable else BREAK
            letters += sign
            places += [(first, last)] * len(sign)
            characters += [character] * len(sign)
            sounds = sounds or bool(syllable and not character)
    if not sounds:
        return None
    starts = [form.starts[first] for first, _ in places]
    return Sounding(Form("".join(letters), starts, [form.ends[last - 1] for _, last in places]), characters)


def _said(piece: str, start: int) -> Iterator[tuple[int, int, str, str]]:
    """The syllables of one character or of Latin letters, each with its place."""
    if is_han(piece[0]):
        readings = _readings().get(piece, ())
        if readings:
            yield start, start + 1, readings[0], piece
        return
    for syllable in _split(piece) if len(piece) <= LONGEST_RUN else ():
        yield start, start + len(syllable), syllable, ""
        start += len(syllable)


@lru_cache(maxsize=16_384)
def _split(run: str) -> tuple[str, ...]:
    """The run as syllables, as few as can be; none when it is not made of syllables."""
    best: list[tuple[str, ...] | None] = [()]
    for end in range(1, len(run) + 1):
        ways = [
            (*way, run[start:end])
            for start in range(max(0, end - 6), end)
            if (way := best[start]) is not None and run[start:end] in _syllables()
        ]
        best.append(min(ways, key=len) if ways else None)
    return best[-1] or ()


@cache
def _readings() -> dict[str, tuple[str, ...]]:
    """The sounds of every character without their tones, the commonest first."""
    table: dict[str, str] = orjson.loads(file_of("pypinyin", "pinyin_dict.json"))
    return {
        chr(int(code)): tuple(dict.fromkeys(_without_tones(sounds).split(",")))
        for code, sounds in table.items()
        if int(code) < 0xA000
    }


@cache
def _syllables() -> frozenset[str]:
    return frozenset(each for sounds in _readings().values() for each in sounds if len(each) > 1)


def _without_tones(text: str) -> str:
    """The text with its accented Latin letters bare, one for one."""
    return text if text.isascii() else "".join(map(_bare, text))


@lru_cache(maxsize=65_536)
def _bare(letter: str) -> str:
    base = unicodedata.normalize("NFD", letter)[0]
    return base if base.isascii() and len(letter) == 1 else letter
