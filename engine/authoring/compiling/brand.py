"""The brand book of a workspace: all files of kind brand together, and where they contradict one another."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.brand import BrandFile
from engine.errors import Problem
from engine.plugin.brand import BannedWord, BrandBook, Claim, PreferredWord
from engine.rules.condition import YamlPath


def compile_brand(found: Definitions) -> BrandBook | None:
    """The book; None for a workspace without one."""
    books = [each.item for each in found.brands]
    if not books:
        return None
    return BrandBook(
        tone=tuple(dict.fromkeys(tone for book in books for tone in book.tone)),
        preferred=tuple(
            PreferredWord(each.write, each.instead_of, each.exempt_when)
            for book in books
            for each in book.preferred
        ),
        banned=tuple(
            BannedWord(each.word, each.why, each.suggestion, each.exempt_when)
            for book in books
            for each in book.banned
        ),
        claims=tuple(
            Claim(each.claim, each.evidence, None if each.until is None else date.fromisoformat(each.until))
            for book in books
            for each in book.claims
        ),
    )


def check_brand(found: Definitions) -> Iterator[Problem]:
    """RS240 for what nobody could write: a word that is to be written and must not be, or two for one."""
    unwanted = _unwanted(found)
    for book, at, text in _wanted(found):
        for word, (why, exempt_when) in unwanted.items():
            bare = text.casefold()
            for longer in exempt_when:
                bare = bare.replace(longer.casefold(), " ")
            if word in bare:
                message = f"'{text}' contains '{word}', which {why}"
                yield book.problem("RS240", message, "change one of the two", at=at)
    taken: dict[str, str] = {}
    for book in found.brands:
        for number, preferred in enumerate(book.item.preferred):
            for place, word in enumerate(preferred.instead_of):
                first = taken.setdefault(word.casefold(), preferred.write)
                if first != preferred.write:
                    message = f"'{word}' is to be replaced by '{first}' and by '{preferred.write}'"
                    here = ("preferred", number, "instead_of", place)
                    yield book.problem("RS240", message, "keep one of the two", at=here)


def check_claims_last(found: Definitions, today: date) -> Iterator[Problem]:
    """RW240 for each claim whose last day is over: texts with it are not sent any more."""
    for book in found.brands:
        for number, claim in enumerate(book.item.claims):
            if claim.until is not None and date.fromisoformat(claim.until) < today:
                message = (
                    f"'{claim.claim}' could be claimed until {claim.until}; texts that say so are refused"
                )
                hint = "write the new last day with its evidence, or remove the claim"
                yield book.problem("RW240", message, hint, at=("claims", number, "until"))


def _unwanted(found: Definitions) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Words that texts must not have -> why, and the longer texts in which they may stand."""
    words: dict[str, tuple[str, tuple[str, ...]]] = {}
    for book in found.brands:
        for banned in book.item.banned:
            words.setdefault(banned.word.casefold(), ("is banned", banned.exempt_when))
        for preferred in book.item.preferred:
            for word in preferred.instead_of:
                why = f"is to be replaced by '{preferred.write}'"
                words.setdefault(word.casefold(), (why, preferred.exempt_when))
    return words


def _wanted(found: Definitions) -> Iterator[tuple[Defined[BrandFile], YamlPath, str]]:
    """What texts are to say, and where that stands."""
    for book in found.brands:
        for number, preferred in enumerate(book.item.preferred):
            yield book, ("preferred", number, "write"), preferred.write
        for number, claim in enumerate(book.item.claims):
            yield book, ("claims", number, "claim"), claim.claim
