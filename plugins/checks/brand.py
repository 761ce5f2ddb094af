"""Sees that a text keeps to the brand book: no banned word, our words for others, no unproved fact."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.plugin import (
    BrandBook,
    Check,
    CheckContext,
    Claim,
    Draft,
    Finding,
    Lexicon,
    LexiconEntry,
    Severity,
    hookimpl,
)
from plugins.checks.automaton import Hit, WordFinder
from plugins.checks.claims import signs_in
from plugins.checks.parts import parts_of, told
from plugins.checks.text import joined, plain

BOOKS_KEPT = 8
ALIKE = 0.4
"""How like a claim of the book a phrase has to be for the claim to be offered in its place."""
LONGEST_SUGGESTION = 500

Grave = Literal["info", "warn", "block"]


class BrandSettings(BaseModel):
    """What a ruleset may set: how grave each kind of finding is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    banned: Grave = Field("block", description="a banned word")
    preferred: Grave = Field("warn", description="a word that the book replaces by another")
    claims: Grave = Field("warn", description="what sounds like a fact and is none of the book's claims")
    ended: Grave = Field("block", description="a claim whose last day is over")
    disguised: Grave = Field(
        "warn", description="the most that follows from a word found only in disguise, as in `lexicon`"
    )


class BrandCheck:
    """Examines subject, body and call to action by the workspace's brand book."""

    name = "brand"
    settings = BrandSettings
    needs_brand = True

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, str, str], tuple[BrandBook, WordFinder | None]] = OrderedDict()
        self._lock = threading.Lock()

    def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
        """One finding for each word and each claim. ValueError, which blocks the message, without a book."""
        settings = BrandSettings.model_validate(dict(context.settings))
        if context.brand is None:
            # It would pass everything.
            raise ValueError("this workspace has no brand book")
        book, parts = context.brand, parts_of(draft)
        finder = self._finder(book, settings)
        disguised = Severity(settings.disguised)
        found = [*parts.too_long]
        for part, text in parts.texts:
            hits = finder.find(text, disguised) if finder is not None else ()
            found += [_of_word(hit, part, text, disguised) for hit in hits if not hit.exempt]
            found += _of_claims(book, part, text, context, settings)
        return told(found)

    def immediate(self, context: CheckContext) -> bool:
        """Whether the words of this book have been made ready."""
        if context.brand is None:
            return True
        return _key(context.brand, BrandSettings.model_validate(dict(context.settings))) in self._kept

    def _finder(self, book: BrandBook, settings: BrandSettings) -> WordFinder | None:
        key = _key(book, settings)
        with self._lock:
            if key not in self._kept:
                words = _words_of(book, settings)
                # The book is kept beside its words, so that its identity stays taken.
                self._kept[key] = book, WordFinder([words]) if words.entries else None
                if len(self._kept) > BOOKS_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key][1]


def _key(book: BrandBook, settings: BrandSettings) -> tuple[int, str, str]:
    return id(book), settings.banned, settings.preferred


def _words_of(book: BrandBook, settings: BrandSettings) -> Lexicon:
    """The book's words as a word list, which the automaton reads; the topic says which kind each is."""
    banned = (
        LexiconEntry(
            each.word, Severity(settings.banned), each.why, each.suggestion, each.exempt_when, "banned"
        )
        for each in book.banned
    )
    preferred = (
        LexiconEntry(
            word, Severity(settings.preferred), "", each.write, _holding(word, each.exempt_when), "preferred"
        )
        for each in book.preferred
        for word in each.instead_of
    )
    return Lexicon("brand", (*banned, *preferred), "the brand book", "")


def _holding(word: str, texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text for text in texts if word.casefold() in text.casefold())


def _of_word(hit: Hit, part: str, text: str, disguised: Severity) -> Finding:
    entry = hit.word.entry
    if entry.topic == "banned":
        message = f"{entry.term!r} is banned by the brand book" + (f": {entry.law}" if entry.law else "")
    else:
        message = f"the brand book writes {entry.suggestion!r} for {entry.term!r}"
    if hit.disguised:
        message += f", here in disguise: {text[hit.start : hit.end]!r}"
    return Finding(
        code=f"brand.{entry.topic}",
        severity=hit.severity(disguised),
        start=hit.start,
        end=hit.end,
        message=message,
        part=part,
        rule=f"brand book: {entry.term}",
        suggestion=entry.suggestion,
    )


def _of_claims(
    book: BrandBook, part: str, text: str, context: CheckContext, settings: BrandSettings
) -> Iterator[Finding]:
    """What sounds like a fact outside of the claims that may be made today, and claims that have ended."""
    current = book.claims_on(context.today)
    allowed = [span for claim in current for span in _places(claim.claim, text)]
    ended = [
        (claim, span)
        for claim in book.claims
        if claim not in current
        for span in _places(claim.claim, text)
        if not _within(span, allowed)
    ]
    for claim, (start, end) in ended:
        yield Finding(
            code="brand.claim_ended",
            severity=Severity(settings.ended),
            start=start,
            end=end,
            message=f"this could be claimed until {claim.until}, on the evidence of {claim.evidence!r:.200}",
            part=part,
            rule=f"brand book: claimed until {claim.until}",
            suggestion="leave it out, or prove it anew and write its new last day into the brand book",
        )
    settled = [*allowed, *(span for _, span in ended)]
    for sign in signs_in(plain(text)):
        if not _within((sign.start, sign.end), settled):
            yield Finding(
                code=f"brand.claim.{sign.kind}",
                severity=Severity(settings.claims),
                start=sign.start,
                end=sign.end,
                message="this sounds like a fact, and is none of those that the brand book allows to claim",
                part=part,
                rule="brand book: claims",
                suggestion=_nearest(text[sign.start : sign.end], current),
            )


def _places(claim: str, text: str) -> list[tuple[int, int]]:
    """Where the claim stands in the text, whatever separates its letters and however numbers are written."""
    wanted, form = joined(plain(claim)).text, joined(plain(text))
    places, at = [], form.text.find(wanted) if wanted else -1
    while at >= 0:
        places.append(form.original(at, at + len(wanted)))
        at = form.text.find(wanted, at + len(wanted))
    return places


def _within(span: tuple[int, int], spans: Iterable[tuple[int, int]]) -> bool:
    return any(start <= span[0] and span[1] <= end for start, end in spans)


def _nearest(said: str, claims: Sequence[Claim]) -> str:
    """The claim that most likely was meant, as a suggestion."""
    scored = [(SequenceMatcher(None, said, each.claim).ratio(), each.claim) for each in claims]
    score, claim = max(scored, default=(0.0, ""))
    if score >= ALIKE:
        return f"write it as the brand book has it: {claim}"[:LONGEST_SUGGESTION]
    return "leave it out, or write it with its evidence into the claims of the brand book"


@hookimpl
def register_checks() -> Iterable[Check]:
    return [BrandCheck()]
