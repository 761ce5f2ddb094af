"""Which facts about remembered events the texts of messages name: their runs have to keep them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.authoring.models.contents import ContentEntry
from engine.plugin.answers import PARTS

_NAMED = re.compile(r"\bjourney\.(?:entry\.\w+|events\.\w+\.\w+)")


def remembered_in(content: ContentEntry) -> Iterator[str]:
    """The facts `journey.entry.…` and `journey.events.…` that a content's templates name or that are told."""
    for texts in (content.locales, *(variant.locales for variant in content.variants)):
        for text in texts.values():
            for part in PARTS:
                yield from _NAMED.findall(str(getattr(text, part)))
    if content.writing is not None:
        for fact in content.writing.facts:
            yield from _NAMED.findall(fact)
