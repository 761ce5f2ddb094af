"""Texts that a platform has approved: which one a finished message is, and what stands in its gaps.

The message that was checked is what people read: the template is found by the text, and never the other way
round. A message that is none of the approved texts does not leave.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_GAP = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\{\{(?:([0-9]+)|([A-Za-z_][A-Za-z0-9_]*)\.DATA)\}\}")
_LINE = re.compile(
    r"(?P<code>[A-Za-z0-9_\-]+)(?:\s+(?P<language>[a-z]{2,3}(?:_[A-Za-z]{2,4})?))?\s*:\s(?P<text>.+)"
)


@dataclass(frozen=True)
class Template:
    """One approved text with its gaps."""

    code: str
    text: str
    gaps: tuple[str, ...]
    """Names in the order in which they stand in the text; a name may stand twice."""
    pattern: re.Pattern[str]
    language: str = ""


@dataclass(frozen=True)
class Filled:
    """A message as a template and what stands in its gaps, by name."""

    template: Template
    values: dict[str, str]


def templates_in(text: str) -> tuple[Template, ...]:
    """The templates of a setting: one a line, `CODE: text` or `CODE language: text`; gaps: ${name}, {{1}} or
    {{name.DATA}}.

    ValueError says which line is at fault, and why.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ValueError(f"line {number} is not 'CODE: text'")
        found.append(
            _template(number, match["code"], match["language"] or "", match["text"].replace("\\n", "\n"))
        )
    codes = [(each.code, each.language) for each in found]
    if len(set(codes)) < len(codes):
        raise ValueError("one template stands there twice")
    return tuple(found)


def filled(templates: Iterable[Template], text: str) -> Filled | None:
    """The template that the text is, the one with the fewest gaps where several would do; None: none is."""
    for template in sorted(templates, key=lambda each: len(each.gaps)):
        match = template.pattern.fullmatch(text)
        if match is not None:
            named = match.groupdict().items()
            return Filled(template, {name.removeprefix("_"): value for name, value in named})
    return None


def _template(number: int, code: str, language: str, text: str) -> Template:
    between, gaps, at = list[str](), list[str](), 0
    for gap in _GAP.finditer(text):
        if gaps and gap.start() == at:
            raise ValueError(f"line {number}: two gaps side by side; nobody can tell where one ends")
        between.append(re.escape(text[at : gap.start()]))
        gaps.append(gap[1] or gap[2] or gap[3])
        at = gap.end()
    between.append(re.escape(text[at:]))
    names = tuple(dict.fromkeys(gaps))
    # A name that stands twice has the same value twice.
    values = [f"(?P=_{name})" if name in gaps[:n] else f"(?P<_{name}>.+?)" for n, name in enumerate(gaps)]
    pieces = [value + following for value, following in zip(values, between[1:], strict=True)]
    if len(names) == len(gaps):
        # Where a gap ends is not thought about twice: what follows it first is what ends it, if anything
        # does. So the time a text takes grows with its length alone, whatever it says.
        pieces[:-1] = [f"(?>{piece})" for piece in pieces[:-1]]
    pattern = re.compile("".join((between[0], *pieces)), re.DOTALL)
    return Template(code, text, names, pattern, language)
