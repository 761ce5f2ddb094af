"""The script library: pieces of text that contents name, put in before anything else reads the text; pure.

`{{ scripts.greeting }}` stands for the piece in the text's own language, as if somebody had typed it there.
What compiles, checks, hashes, approves and sends a content therefore knows of no scripts at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from engine.authoring.models.contents import ContentEntry, Text
from engine.authoring.models.scripts import ScriptEntry
from engine.plugin.answers import PARTS

MOST_PUT_IN = 20_000
"""Characters that scripts may add to one text: a page of mentions would be a library of pieces."""

_PLACE = re.compile(r"\{\{\s*scripts\.(\w+)\s*\}\}")
_ANY_USE = re.compile(r"\{[{%][^{}]*?(?<![\w.])scripts\s*[.\[]")


def named_in(template: str) -> tuple[str, ...]:
    """The scripts for which a text has a place, each once, in their order."""
    return tuple(dict.fromkeys(_PLACE.findall(template)))


def is_misused(template: str) -> bool:
    """Whether it uses a script otherwise than by a place of its own: with a filter, or in a condition."""
    return _ANY_USE.search(_PLACE.sub(" ", template)) is not None


def uses_any(template: str) -> bool:
    """Whether it names a script in any way; of a text into which all were put, whether one could not be."""
    return "scripts" in template and (_PLACE.search(template) or _ANY_USE.search(template)) is not None


def piece(script: ScriptEntry, locale: str) -> str | None:
    """What is put in for it; None when it has no text in that language, or names a script itself."""
    text = script.locales.get(locale, "").removesuffix("\n")
    return None if not text or uses_any(text) else text


def put_in(template: str, locale: str, scripts: Mapping[str, ScriptEntry], most: int = MOST_PUT_IN) -> str:
    """The text with the pieces at their places; a place stays as it is when there is no piece for it.

    All of them stay when the pieces have more than `most` characters together.
    """
    if not 0 < put_in_by(template, locale, scripts) <= most:
        return template
    pieces = _pieces(template, locale, scripts)
    return _PLACE.sub(lambda place: pieces.get(place[1], place[0]), template)


def put_in_by(template: str, locale: str, scripts: Mapping[str, ScriptEntry]) -> int:
    """How many characters its scripts would add to it."""
    if "scripts" not in template:
        return 0
    pieces = _pieces(template, locale, scripts)
    return sum(len(pieces.get(name, "")) for name in _PLACE.findall(template))


def _pieces(template: str, locale: str, scripts: Mapping[str, ScriptEntry]) -> dict[str, str]:
    return {
        name: text
        for name in named_in(template)
        if name in scripts and (text := piece(scripts[name], locale)) is not None
    }


def most_put_in(part: str, template: str) -> int:
    """How many characters scripts may add to a part of a text; subjects and buttons have their own bounds."""
    for bound in Text.model_fields[part].metadata:
        if (most := getattr(bound, "max_length", None)) is not None:
            return max(0, int(most) - len(_PLACE.sub("", template)))
    return MOST_PUT_IN


def with_scripts(content: ContentEntry, scripts: Mapping[str, ScriptEntry]) -> ContentEntry:
    """The content with every piece put in; the same object when it names none."""
    if not any(uses_any(template) for template in _templates(content)):
        return content
    variants = tuple(
        variant.model_copy(update={"locales": _whole(variant.locales, scripts)})
        for variant in content.variants
    )
    return content.model_copy(update={"locales": _whole(content.locales, scripts), "variants": variants})


def _templates(content: ContentEntry) -> Iterator[str]:
    for texts in (content.locales, *(variant.locales for variant in content.variants)):
        for text in texts.values():
            yield from (str(getattr(text, part)) for part in PARTS)


def _whole(texts: Mapping[str, Text], scripts: Mapping[str, ScriptEntry]) -> dict[str, Text]:
    whole = {}
    for locale, text in texts.items():
        parts = {part: str(getattr(text, part)) for part in PARTS}
        whole[locale] = text.model_copy(
            update={
                part: put_in(template, locale, scripts, most_put_in(part, template))
                for part, template in parts.items()
            }
        )
    return whole
