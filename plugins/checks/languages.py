"""In which language a text is written: by its scripts, and, where one script serves many, by py3langid.

Short texts and names are nobody's language: of words, only those that begin with a small letter count, and
without enough of them there is no answer.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Any

HAN, KANA = "CJK", "KANA"
ARABIC, CYRILLIC, LATIN = frozenset({"ARABIC"}), frozenset({"CYRILLIC"}), frozenset({"LATIN"})
WRITTEN_IN: Mapping[str, frozenset[str]] = {
    "zh": frozenset({HAN}),
    "ja": frozenset({HAN, KANA}),
    "ko": frozenset({"HANGUL"}),
    "el": frozenset({"GREEK"}),
    "he": frozenset({"HEBREW"}),
    "th": frozenset({"THAI"}),
    "hi": frozenset({"DEVANAGARI"}),
    "bn": frozenset({"BENGALI"}),
    "ta": frozenset({"TAMIL"}),
    "te": frozenset({"TELUGU"}),
    **dict.fromkeys(("ar", "fa", "ur"), ARABIC),
    **dict.fromkeys(("ru", "uk", "bg"), CYRILLIC),
    "sr": CYRILLIC | LATIN,
    **dict.fromkeys(("en", "vi", "id", "ms", "tl", "tr", "pl", "cs", "sk", "hu", "ro", "hr", "sl"), LATIN),
    **dict.fromkeys(("es", "pt", "fr", "it", "de", "nl", "sv", "nb", "da", "fi", "et", "lv", "lt"), LATIN),
    **dict.fromkeys(("ca", "af", "sw", "sq"), LATIN),
}
"""The languages that are told apart, and the scripts of each."""
SAME = {"no": "nb", "iw": "he", "in": "id", "fil": "tl", "nn": "nb", "cmn": "zh", "yue": "zh"}
"""Other codes for them."""
NEAR = (
    {"id", "ms"},
    {"hr", "sr", "sl"},
    {"nb", "da", "sv"},
    {"cs", "sk"},
    {"ru", "uk", "bg", "sr"},
    {"es", "pt", "ca"},
    {"nl", "af"},
    {"ar", "fa", "ur"},
)
"""Languages that a few words do not tell apart: between them it takes more."""

LEAST_LETTERS = {HAN: 8, KANA: 8, "THAI": 16, "HANGUL": 8}
"""Letters of a script that make a text; of others it is words."""
LEAST_WORDS = 5
LEAST_OF_NEAR = 2.0
"""What makes a text, so many times over, where languages are near each other."""
SURE, SURE_OF_NEAR = 0.95, 0.99
"""How certain it must be that a text is in none of the languages allowed."""
KANA_SHARE = 0.1
"""Of what there is of Chinese characters, from which on they are Japanese."""
NAMED = {"HIRAGANA": KANA, "KATAKANA": KANA, "KATAKANA-HIRAGANA": KANA, "HALFWIDTH": KANA}

SKIPPED = re.compile(
    r"\{\{[^{}]{0,500}\}\}|\{%[^%]{0,500}%\}|(?:https?://|www\.)[!-~]+|[\w.+-]{1,64}@[\w.-]+|[@#][a-zA-Z]\w*"
    r"|(?<![a-zA-Z\d])[a-zA-Z]{0,20}\d[a-zA-Z\d]*"
)
"""Variables, addresses, names of accounts and codes: of no language. Each repetition has a bound."""
WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")
CODES = {"nb": "no"}
"""What py3langid calls them, where it is something else."""


def told_apart(code: str) -> str | None:
    """The language of a code such as zh-CN, as it is told apart here; None for another one."""
    language = code.replace("_", "-").split("-")[0].lower()
    language = SAME.get(language, language)
    return language if language in WRITTEN_IN else None


def stand_alone(allowed: Collection[str]) -> bool:
    """Whether each of these languages is told by its letters alone: no other is written in them."""
    scripts = {script for language in allowed for script in WRITTEN_IN[language]} - {HAN, KANA}
    return all(sum(script in each for each in WRITTEN_IN.values()) == 1 for script in scripts)


def foreign_in(text: str, allowed: Collection[str]) -> str | None:
    """The language that the text is written in, if that is certain and none of `allowed`."""
    evidence = _evidence(text)
    ours = {script for language in allowed for script in WRITTEN_IN[language]}
    script, weight = max(evidence.items(), key=lambda each: each[1], default=("", 0.0))
    languages = [each for each, scripts in WRITTEN_IN.items() if script in scripts]
    if weight < 1 or not languages:
        return None
    if script not in ours:
        # Names in other letters stand in many texts.
        is_beside_ours = sum(evidence.get(each, 0.0) for each in ours) * 2 >= weight
        return None if is_beside_ours else _named(text, script, languages)
    if script == HAN:
        # No Japanese sentence of that length goes without kana.
        return "zh" if "zh" not in allowed and KANA not in evidence and weight >= 2 else None
    if script == KANA or len(languages) == 1:
        return None
    shares = _shares(text, languages)
    found = _likeliest(shares)
    if found in allowed:
        return None
    is_near = any(found in group and not group.isdisjoint(allowed) for group in NEAR)
    if is_near and weight < LEAST_OF_NEAR:
        return None
    # Others than those allowed may share the rest between them: Indonesian and Malay do.
    of_ours = sum(shares.get(each, 0.0) for each in allowed)
    return found if of_ours <= 1 - (SURE_OF_NEAR if is_near else SURE) else None


def is_in(text: str, languages: Collection[str], script: str) -> bool | None:
    """Whether what a text says in one script is in one of some languages; None if that is uncertain."""
    weight = _evidence(text).get(script, 0.0)
    candidates = [each for each, scripts in WRITTEN_IN.items() if script in scripts]
    if len(candidates) == 1:
        return candidates[0] in languages
    if weight < 1 or not candidates:
        return None
    shares = _shares(text, candidates)
    found = _likeliest(shares)
    of_them = sum(shares.get(each, 0.0) for each in languages)
    if found in languages:
        return True if of_them >= SURE else None
    is_near = any(found in group and not group.isdisjoint(languages) for group in NEAR)
    if is_near and weight < LEAST_OF_NEAR:
        return None
    return False if of_them <= 1 - (SURE_OF_NEAR if is_near else SURE) else None


def _evidence(text: str) -> dict[str, float]:
    """How much of each script there is, as parts of what makes a text."""
    counted: defaultdict[str, float] = defaultdict(float)
    for match in WORD.finditer(SKIPPED.sub(" ", unicodedata.normalize("NFKC", text))):
        word = match.group()
        for script, letters in Counter(map(script_of, word)).items():
            if script in LEAST_LETTERS:
                counted[script] += letters / LEAST_LETTERS[script]
            elif script_of(word[0]) == script and not word[0].isupper():
                counted[script] += 1 / LEAST_WORDS
    if counted.get(KANA, 0.0) >= max(1.0, KANA_SHARE * counted.get(HAN, 0.0)):
        counted[KANA] += counted.pop(HAN, 0.0)
    return counted


@lru_cache(maxsize=65_536)
def script_of(letter: str) -> str:
    """The script of a letter, by its name: LATIN, CYRILLIC, CJK."""
    name = unicodedata.name(letter, "").split(" ")[0]
    return NAMED.get(name, name)


def _named(text: str, script: str, languages: list[str]) -> str:
    """Which language it is that is written in letters of no language allowed."""
    if script == HAN or len(languages) == 1:
        return languages[0]
    return _likeliest(_shares(text, languages))


def _shares(text: str, languages: Collection[str]) -> dict[str, float]:
    """How likely each of some languages is among them."""
    ranked = dict(identifier().rank(SKIPPED.sub(" ", text)))
    shares = {each: ranked.get(CODES.get(each, each), 0.0) for each in languages}
    whole = sum(shares.values()) or 1.0
    return {language: share / whole for language, share in shares.items()}


def _likeliest(shares: Mapping[str, float]) -> str:
    return max(shares, key=lambda each: shares[each])


_read_once: list[Any] = []
_turn = threading.Lock()


def is_ready() -> bool:
    """Whether what tells the languages of one script apart has been read."""
    return bool(_read_once)


def identifier() -> Any:
    """py3langid's identifier, of the languages that are told apart; reading it takes most of a second."""
    with _turn:
        if not _read_once:
            _read_once.append(_read())
    return _read_once[0]


def _read() -> Any:
    # It brings numpy: who has no such check in force need not load it.
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    every = LanguageIdentifier.from_model_file(MODEL_FILE)
    every.set_languages([CODES.get(each, each) for each in WRITTEN_IN])
    # A new one, so that what was learned of the others need not be kept.
    return LanguageIdentifier(
        every.nb_ptc,
        every.nb_pc,
        every.nb_classes,
        every.tk_nextmove,
        every.tk_output,
        norm_probs=True,
        tk_row=every.tk_row,
    )
