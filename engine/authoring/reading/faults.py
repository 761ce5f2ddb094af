"""Says in an operator's words why a YAML file cannot be read; spots Chinese punctuation used as syntax."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from engine.errors import Place, Problem

# The beginning may repeat in one way only: a line of a million spaces must not be tried in a trillion.
_KEY_FULL_WIDTH = re.compile(r"(?:-?\s)*([A-Za-z_][A-Za-z0-9_.]*)\s*：")
_KEY_NO_SPACE = re.compile(r"(?:-?\s)*([A-Za-z_][A-Za-z0-9_.]*):([^\s/:].*)")

# The parser's phrase (libyaml's, then PyYAML's own) -> what happened, and the way out.
_PHRASES: tuple[tuple[str, str, str], ...] = (
    (
        "mapping values are not allowed",
        "a ':' is not possible here",
        "check the indentation of this line and the one above; put a text that contains ': ' in quotes",
    ),
    (
        "could not find expected ':'",
        "this line has no ': ' after its key",
        "write 'key: value'; check the indentation",
    ),
    (
        "did not find expected key",
        "the indentation does not fit the lines above",
        "let keys of one mapping begin in one column",
    ),
    (
        "expected <block end>",
        "the indentation does not fit the lines above",
        "let keys of one mapping begin in one column",
    ),
    (
        "did not find expected '-' indicator",
        "the indentation does not fit the list above",
        "let the '-' of one list stand in one column",
    ),
    (
        "block sequence entries are not allowed",
        "a list item is not possible here",
        "put the '-' on a line of its own below the key",
    ),
    (
        "did not find expected ',' or '}'",
        "a '{' is not closed",
        "close it with '}', separate its entries with ', '",
    ),
    ("expected ',' or '}'", "a '{' is not closed", "close it with '}', separate its entries with ', '"),
    (
        "did not find expected ',' or ']'",
        "a '[' is not closed",
        "close it with ']', separate its entries with ', '",
    ),
    ("expected ',' or ']'", "a '[' is not closed", "close it with ']', separate its entries with ', '"),
    ("unexpected end of stream", "a quoted text is not closed", "close it with the quote that opened it"),
    (
        "unexpected document indicator",
        "a quoted text is not closed",
        "close it with the quote that opened it",
    ),
    (
        "unknown escape character",
        "a backslash in double quotes needs a second one",
        "write '\\\\', or use single quotes",
    ),
    ("alphabetic or numeric character", "an unquoted text cannot begin with '*' or '&'", "put it in quotes"),
    ("cannot start any token", "an unquoted text cannot begin with this character", "put it in quotes"),
    ("did not find expected node content", "a value is missing here", "write one, or remove the key"),
    ("expected the node content", "a value is missing here", "write one, or remove the key"),
    (
        "did not find expected <document start>",
        "something stands after the end of the file's content",
        "check the indentation",
    ),
    (
        "block scalar",
        "a text that begins with | or > is not written correctly",
        "write only | or > after the colon, and the text indented below",
    ),
)


def breakage(error: Any, lines: list[str], file: str) -> Problem:
    """The problem behind a parser's error: often Chinese punctuation or a missing space, said as such."""
    mark = getattr(error, "problem_mark", None)
    context = getattr(error, "context_mark", None)
    line = mark.line if mark is not None else 0
    column = mark.column if mark is not None else 0
    first = context.line if context is not None else line
    for number in range(max(0, min(first, line - 1)), min(line + 1, len(lines))):
        if (found := _KEY_FULL_WIDTH.match(lines[number])) is not None:
            at = Place(file, number + 1, found.end())
            message = "full-width '：' does not end a key"
            swap = ("：", ":" if lines[number][found.end() :][:1] in {"", " "} else ": ")
            return Problem(at, "RS014", "(file)", message, f"write '{found[1]}: …'", swap)
        if (found := _KEY_NO_SPACE.match(lines[number])) is not None:
            at = Place(file, number + 1, found.start(2))
            hint = f"write '{found[1]}: {found[2].rstrip()}'"
            return Problem(at, "RS013", "(file)", "a space is missing after the colon", hint, (":", ": "))
    if (opened := _unclosed_quote(lines[: line + 1])) is not None:
        at = Place(file, *opened)
        return Problem(at, "RS001", "(file)", "a quoted text is not closed", "close it in the same line")
    phrase = " ".join(
        str(part) for part in (getattr(error, "problem", None), getattr(error, "context", None)) if part
    )
    if "unexpected ':'" in phrase:
        at = Place(file, line + 1, column + 1)
        before = lines[line][: column + 1] if line < len(lines) else ""
        key = re.search(r"[A-Za-z_][A-Za-z0-9_.]*(?=:$)", before)
        hint = f"write '{key[0]}: …'" if key is not None else "write ': '"
        return Problem(at, "RS013", "(file)", "a space is missing after the colon", hint, (":", ": "))
    if "could not find expected ':'" in phrase and context is not None:
        line, column = context.line, context.column
    at = Place(file, min(line, max(len(lines) - 1, 0)) + 1, column + 1)
    for known, message, hint in _PHRASES:
        if known in phrase:
            if "not closed" in message and context is not None:
                # Where it begins is what has to be mended; the parser stumbles somewhere after it.
                at = Place(file, first + 1, context.column + 1)
            return Problem(at, "RS001", "(file)", message, hint)
    return Problem(
        at,
        "RS001",
        "(file)",
        f"this is not YAML: {phrase or 'it cannot be read'}",
        "check this line and the one above",
    )


_QUOTED = re.compile(r""" "(?:[^"\\]|\\.)*" | '(?:[^']|'')*' """, re.VERBOSE)
_OPENED = re.compile(r"""(?:^\s*|[:,\[{]\s+|-\s+|[\[{])(["'])(?=\S)""")


def _unclosed_quote(lines: Sequence[str]) -> tuple[int, int] | None:
    """Line and column, from 1, of the first quote that its line does not close.

    A quoted text may not go over several lines here, so when a file cannot be read it is the likely reason.
    """
    for number, line in enumerate(lines, 1):
        blanked = _QUOTED.sub(lambda found: "x" * len(found[0]), line)
        if not line.lstrip().startswith("#") and (found := _OPENED.search(blanked)) is not None:
            return number, found.start(1) + 1
    return None


def lookalike(text: str, *, flow: bool) -> str | None:
    """The way out when an unquoted text uses full-width punctuation as syntax; None when it does not."""
    if text.isascii():
        return None
    if text[:1] in {"“", "”", "‘", "’", "＂", "＇"}:
        return 'use straight quotes: "…"'
    if "：" in text and (found := _KEY_FULL_WIDTH.match(text)) is not None:
        return f"write '{found[1]}: …'; put it in quotes if it is text"
    if flow and any(mark in text for mark in "：，、"):
        return "write ': ' and ', '; put it in quotes if it is text"
    return None


_QUOTES = {"“": "”", "”": "”", "‘": "’", "＂": "＂", "＇": "＇"}
_IDS = re.compile(r"[a-z][a-z0-9_]*(?:[，、][a-z][a-z0-9_]*)+")


def straightened(text: str, *, flow: bool) -> str | None:
    """The unquoted text with its full-width syntax as it must be; None where it might be meant as text."""
    if len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        inner = text[1:-1]
        return None if set(inner) & set('“”‘’＂＇"\\') else f'"{inner}"'
    if flow and _IDS.fullmatch(text):
        return re.sub("[，、]", ", ", text)
    if (found := re.fullmatch(r"([A-Za-z_][A-Za-z0-9_.]*)：\s*([^：，、\s]+)", text)) is not None:
        return f"{found[1]}: {found[2]}"
    return None
