"""Word lists as checks take them: their groups written out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from engine.authoring.models.checks import LexiconFile
from engine.plugin.contracts import Lexicon, LexiconContext, LexiconEntry, Severity


def compile_lexicon(file: LexiconFile) -> Lexicon:
    """The word list of a file, in which every group has been found to be known."""

    def written_out(words: Iterable[str]) -> tuple[str, ...]:
        return tuple(_written_out(words, file.groups))

    entries = tuple(
        LexiconEntry(
            each.term,
            Severity(each.severity),
            each.law,
            each.suggestion,
            each.exempt_when,
            each.topic or "",
            tuple(map(written_out, each.parts)),
            each.gap,
            each.languages,
            written_out(each.only_with),
        )
        for each in file.entries
    )
    contexts = tuple(
        LexiconContext(
            each.id,
            each.law,
            each.suggestion,
            each.topics,
            each.terms,
            written_out(each.before),
            written_out(each.after),
            tuple(map(written_out, each.together)),
            each.within,
            each.evidence,
        )
        for each in file.contexts
    )
    return Lexicon(file.id, entries, file.source, file.as_of, contexts)


def _written_out(words: Iterable[str], groups: Mapping[str, tuple[str, ...]]) -> Iterable[str]:
    for word in words:
        yield from groups.get(word[1:-1], (word,)) if word.startswith("<") else (word,)
