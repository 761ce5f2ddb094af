"""The form in which disguised words are compared: separators are gone, numerals and look-alikes are resolved.

What is found only here was written so that it is not found, or stands here by chance: 最 佳 may be two words.
So it is suspected, where the plain form is certain. Sentences are never joined: 质量最。佳节快乐.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from plugins.checks.text.form import Form
from plugins.checks.text.lookalikes import CHARACTERS, LEET, LETTERS, NUMERALS, is_han

LONGEST_GAP = 3
"""Characters that may separate two that belong together."""
ENDS = frozenset("。！？；，、：!?;,:\n\r\t")
"""What ends a part of a sentence; nobody reads across it."""
WORD = re.compile(r"[^\W\d_]+|\d+")
RUNS = re.compile(r"[a-z0-9@$]{2,}")
SIGNS = frozenset(".,%:/-")
NUMERIC = re.compile(r"[a-z0-9%]|[.,:/-](?:[a-z0-9]|$)")
"""What goes on behind a digit as a number or a word of Latin letters does."""
MIXED = re.compile(r"[a-z\u0370-\u03ff\u0400-\u052f]{2,}")


def joined(form: Form) -> Form:
    """The form with the letters of disguised words side by side; the same form where nothing is disguised."""
    text = form.text
    kinds = list(map(_kind, text))
    if not any(kind in "SD" for kind in kinds) and text.isascii():
        return form
    places = _kept(text, kinds) if "S" in kinds else list(range(len(text)))
    letters = [text[at] for at in places]
    _resolve(letters)
    if len(places) == len(text) and "".join(letters) == text:
        return form
    return form.picked(letters, places)


def without_ornaments(form: Form, original: str) -> Form | None:
    """The form without numbers in circles and brackets, which may stand for nothing; None if it has none."""
    kept = [
        at
        for at, letter in enumerate(form.text)
        if not (letter.isdigit() or letter in "()") or not _is_ornament(original[form.starts[at]])
    ]
    if len(kept) == len(form.text):
        return None
    return form.picked([form.text[at] for at in kept], kept)


def _is_ornament(letter: str) -> bool:
    return unicodedata.category(letter) == "No"


@lru_cache(maxsize=65_536)
def _kind(letter: str) -> str:
    """H Chinese, L a letter of a script like Latin, D a digit, S a separator, E an end, X other."""
    if letter in ENDS:
        return "E"
    if is_han(letter):
        return "H"
    if "0" <= letter <= "9":
        return "D"
    category = unicodedata.category(letter)
    if category[0] in "PSZ" or letter == "\ufffd":
        return "S"
    if category[0] == "L" and letter < "\u0530":
        return "L"
    return "X"


def _kept(text: str, kinds: list[str]) -> list[int]:
    """The places of the characters that stay when what separates the letters of one word is left out."""
    kept: list[int] = []
    at, size = 0, len(text)
    while at < size:
        if kinds[at] != "S":
            kept.append(at)
            at += 1
            continue
        end = at
        while end < size and kinds[end] == "S":
            end += 1
        if not (kept and end < size and end - at <= LONGEST_GAP and _belong(kinds, at, end)):
            # Of several blanks one stays: "n u m b e r  o n e" are two words.
            kept.extend(range(at, at + 1 if text[at:end].isspace() else end))
        at = end
    return kept


def _belong(kinds: list[str], start: int, end: int) -> bool:
    """Whether what stands on both sides of the separators from `start` to `end` may be one word."""
    before, after = kinds[start - 1], kinds[end]
    if before == "H" or after == "H":
        return before in "HLD" and after in "HLD"
    if before not in "LD" or after not in "LD" or end - start > 1:
        return False
    # Letter by letter, as in T O P 1; whole words with a blank between them stay two words.
    alone_before = start < 2 or kinds[start - 2] not in "LD"
    alone_after = end + 1 >= len(kinds) or kinds[end + 1] not in "LD"
    return alone_before and alone_after


def _resolve(letters: list[str]) -> None:
    """Writes numerals and look-alikes as what they are taken for, one letter for one."""
    for at, letter in enumerate(letters):
        if letter in CHARACTERS:
            letters[at] = CHARACTERS[letter]
        elif letter in NUMERALS and (not letter.isascii() or _stands_alone(letters, at)):
            letters[at] = NUMERALS[letter]
    text = "".join(letters)
    for run in MIXED.finditer(text):
        word = run.group()
        # A word of one script is what it is; one of several is a disguise.
        if not word.isascii() and any(letter.isascii() for letter in word):
            letters[run.start() : run.end()] = [LETTERS.get(letter, letter) for letter in word]
    text = "".join(letters)
    for run in RUNS.finditer(text):
        word = run.group()
        if any(letter in LEET for letter in word) and any("a" <= letter <= "z" for letter in word):
            letters[run.start() : run.end()] = [LEET.get(letter, letter) for letter in word]


def _stands_alone(letters: list[str], at: int) -> bool:
    """Whether a digit is a numeral by itself beside Chinese: in 第1品牌 it is, in 19.8 and TOP1 it is not."""
    before, after = letters[at - 1] if at else "", "".join(letters[at + 1 : at + 3])
    if NUMERIC.match(after) or (before.isascii() and before.isalnum()) or before in SIGNS:
        return False
    return any(each and is_han(each) for each in (before, after[:1]))
