"""Whether the scripts that contents name can be put in, and where a fault of a whole text is mended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from engine.authoring.checking.references import References
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.contents import ContentEntry, Text
from engine.authoring.models.scripts import ScriptEntry
from engine.authoring.scripts import is_misused, most_put_in, named_in, piece, put_in_by, uses_any
from engine.errors import Problem
from engine.plugin.answers import PARTS
from engine.rules.condition import YamlPath

_ALONE = "a script stands by itself: {{ scripts.greeting }}, without filters and conditions"


def check_scripts(found: Definitions, references: References) -> Iterator[Problem]:
    """RS172 to RS174 for scripts that cannot be put in where they are named, or name one themselves."""
    for script in found.scripts.values():
        for locale, written in script.item.locales.items():
            at: YamlPath = ("locales", locale)
            yield from references.check("locale", locale, script, at)
            if uses_any(written):
                message = "a script is a piece of a content, and names no other script"
                yield script.problem(
                    "RS174", message, "write its text here, or let the content name both", at=at
                )
            elif not written.removesuffix("\n"):
                yield script.problem(
                    "RS005", "must not be empty", "write the piece, or remove the key", at=at
                )
    for content in found.contents.values():
        for where, locale, text in texts_of(content.item):
            for part in PARTS:
                # What names a script still is what could not be put in.
                if uses_any(left := str(getattr(text, part))):
                    yield from _left(content, (*where, part), locale, left, found, references)


def texts_of(content: ContentEntry) -> Iterator[tuple[YamlPath, str, Text]]:
    """Every text of a content: where it stands, its language, and itself."""
    for locale, text in content.locales.items():
        yield ("locales", locale), locale, text
    for number, variant in enumerate(content.variants):
        for locale, text in variant.locales.items():
            yield ("variants", number, "locales", locale), locale, text


def _left(
    content: Defined[ContentEntry],
    at: YamlPath,
    locale: str,
    template: str,
    found: Definitions,
    references: References,
) -> Iterator[Problem]:
    for name in named_in(template):
        script = found.scripts.get(name)
        if script is None:
            for problem in references.check("script", name, content, at):
                swap = tuple(f"scripts.{word}" for word in problem.swap)
                yield replace(problem, swap=swap)
        elif locale not in script.item.locales:
            place = script.place("locales")
            message = f"the script '{name}' has no text in '{locale}'"
            hint = f"add locales.{locale} in {place.file}:{place.line}, or write the text here"
            yield content.problem("RS173", message, hint, at=at)
    scripts = {name: script.item for name, script in found.scripts.items()}
    added, most = put_in_by(template, locale, scripts), most_put_in(str(at[-1]), template)
    if added > most:
        message = f"the scripts add {added} characters here, and no more than {most} can be added"
        yield content.problem("RS174", message, "name fewer, or shorter ones", at=at)
    elif added or is_misused(template):
        # What could be put in and still stands here came about by another script's text.
        yield content.problem("RS174", "no script can be put in here", _ALONE, at=at)


def to_be_mended(
    found: Definitions, content: Defined[ContentEntry], at: YamlPath, is_at_fault: Callable[[str], bool]
) -> tuple[Defined[Any], YamlPath, str]:
    """Where a fault of a whole text is mended, and the words to say so with.

    The script that has it by itself, with its place in it and who names it; else the content, with `at` and
    nothing to add.
    """
    locale = str(at[-2])
    for name in named_in(_written(content, at)):
        script: Defined[ScriptEntry] | None = found.scripts.get(name)
        text = None if script is None else piece(script.item, locale)
        if script is not None and text is not None and is_at_fault(text):
            return script, ("locales", locale), f" (content '{content.item.id}' says it)"
    return content, at, ""


def _written(content: Defined[ContentEntry], at: YamlPath) -> str:
    """What stands in the file, before anything was put in."""
    value: Any = content.source.data
    for key in (*content.path, *at):
        value = value.get(key, "") if isinstance(value, dict) else value[key]
    return str(value)
