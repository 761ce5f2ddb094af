"""What looks like YAML to a person and is none: dashes of other kinds, full-width braces and spaces, `>= 3`.

Asked only once a file cannot be read: in a text such characters are what they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.rules.spelling import COMPARISONS

_KEY = r"[A-Za-z_][A-Za-z0-9_.]*"
# Only in front of a key or a brace: a line of a text may begin with a dash, too.
_DASH = re.compile(rf"\s*([－—–‐‑‒―−﹣])\s*(?={_KEY}\s*[:：]|[{{｛])")
_SPACE = re.compile(rf"[ ]*(?:-[ ]*)?(\u3000+)[ ]*(?=(?:-[ ]*)?{_KEY}\s*[:：])")
_SPACE_AFTER = re.compile(rf"^[ ]*(?:-[ ]+)?{_KEY}:(\u3000)")
_NO_SPACE = re.compile(rf"\s*(-)({_KEY}:.*|\{{.*)$")
_BRACE = re.compile(r"(?:^|[:\-,\[{(])\s*([｛［])|([｝］])\s*$")
# `>-` by itself begins a text over several lines.
_COMPARED = re.compile(rf"({_KEY}):\s+((>=|>|＞=|＞)\s*(?!-\s*$)([0-9A-Za-z_.%\"'-]+))")
_CONFLICT = re.compile(r"(<{7}|={7}|>{7}|\|{7})(?: .*)?$")
_LONGEST_LINE = 1_000
"""Nobody writes longer ones by hand, and what is sought in them would take long to find."""
_PLAIN = {"｛": "{", "｝": "}", "［": "[", "］": "]"}
_QUOTED = re.compile(r""" "(?:[^"\\]|\\.)*" | '(?:[^']|'')*' """, re.VERBOSE)


@dataclass(frozen=True)
class Lookalike:
    """One thing that was meant as syntax."""

    line: int
    """From 1."""
    column: int
    """From 1."""
    code: str
    message: str
    hint: str
    swap: tuple[str, ...] = ()


def lookalike_near(lines: Sequence[str], line: int) -> Lookalike | None:
    """What explains that a parser stumbled in this line (from 1): there, in the line before, or after it."""
    conflict = next((number for number, each in enumerate(lines, 1) if each.startswith("<<<<<<< ")), None)
    if conflict is not None and _CONFLICT.match(lines[conflict - 1]):
        message = "two versions of this file were merged and not settled: from here on both stand in it"
        hint = "keep one of the two, and delete the lines that begin with <<<<<<<, ======= and >>>>>>>"
        return Lookalike(conflict, 1, "RS001", message, hint)
    for number in (line, line - 1, line + 1):
        if 1 <= number <= len(lines):
            found = next(_in_line(lines[number - 1], number), None)
            if found is not None:
                return found
    return None


def _in_line(line: str, number: int) -> Iterator[Lookalike]:
    if len(line) > _LONGEST_LINE:
        return
    bare = _QUOTED.sub(lambda found: "x" * len(found[0]), line)
    if bare.lstrip().startswith("#"):
        return
    if (found := _DASH.match(bare)) is not None:
        dash = found[1]
        swap: tuple[str, ...] = (dash, "-" if bare[found.end(1) :][:1] == " " else "- ")
        message = f"'{dash}' (U+{ord(dash):04X}) looks like the '-' of a list and is another character"
        yield Lookalike(number, found.start(1) + 1, "RS014", message, "write '- '", swap)
    if (found := _SPACE.match(bare)) is not None or (found := _SPACE_AFTER.match(bare)) is not None:
        message = "there is a full-width space here, which YAML takes for a letter"
        hint = "use plain spaces, as many as in the lines beside it"
        swap = ("\u3000", " ") if bare[: found.start(1)].endswith(":") else ()
        yield Lookalike(number, found.start(1) + 1, "RS014", message, hint, swap)
    if (found := _NO_SPACE.match(bare)) is not None:
        written = line[found.start(2) :].rstrip()
        shown = written if len(written) <= 40 else f"{written[:37]}…"
        message = "a space is missing after the '-'"
        yield Lookalike(number, found.start(1) + 1, "RS013", message, f"write '- {shown}'", ("-", "- "))
    if (found := _BRACE.search(bare)) is not None:
        at = found.start(1) if found[1] else found.start(2)
        brace = bare[at]
        message = f"full-width '{brace}' is a letter, no brace"
        hint = f"write '{_PLAIN[brace]}'; put it in quotes if it is text"
        yield Lookalike(number, at + 1, "RS014", message, hint, (brace, _PLAIN[brace]))
    if (found := _COMPARED.search(line)) is not None:
        right = f"{{{COMPARISONS[found[3]]}: {found[4]}}}"
        message = f"'{found[2]}' is no value: comparisons are words"
        hint = f"write '{found[1]}: {right}'"
        yield Lookalike(number, found.start(2) + 1, "RS001", message, hint, (found[2], right))
