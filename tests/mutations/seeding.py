"""Typical mistakes of people who write YAML by hand, seeded one at a time into the shipped files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice


@dataclass(frozen=True)
class Mistake:
    """One mistake in one file, and what a useful answer to it looks like."""

    kind: str
    file: str
    text: str
    """The whole file with the mistake in it."""
    lines: frozenset[int]
    """Where it may be reported, from 1."""
    was: str
    """The line before, for reports."""
    now: str
    names: str = ""
    """What the message or its hint has to name, where only one way out is right."""


Change = Callable[[str], Iterator[tuple[str, str]]]
"""Line -> the line with a mistake, and what the answer has to name ("": any hint will do)."""

KEY = re.compile(r"(?P<lead>^\s*(?:- )?|[{,]\s*)(?P<key>[a-z_]{4,})(?P<colon>:)(?=\s|$)")


def mistakes(files: Mapping[str, str], per_kind: int) -> Iterator[Mistake]:
    """At most `per_kind` mistakes of each kind, spread over the files; the same ones every time."""
    for kind, change in LINE_MISTAKES.items():
        yield from islice(
            _in_turn([_line_mistakes(kind, change, name, files[name]) for name in sorted(files)]), per_kind
        )
    for kind, whole in FILE_MISTAKES.items():
        yield from islice(
            _in_turn([_file_mistakes(kind, whole, name, files[name]) for name in sorted(files)]), per_kind
        )


def _in_turn(sources: list[Iterator[Mistake]]) -> Iterator[Mistake]:
    """One of each source, then the next of each, until all are empty."""
    while sources:
        left = []
        for source in sources:
            found = next(source, None)
            if found is not None:
                yield found
                left.append(source)
        sources = left


def _line_mistakes(kind: str, change: Change, file: str, text: str) -> Iterator[Mistake]:
    lines = text.split("\n")
    texts = _texts(lines)
    told = set()
    for number, line in enumerate(lines):
        if not line.strip() or line.lstrip().startswith("#") or number in texts:
            continue
        for changed, names in change(line):
            # The same word is misspelt once a file: a hundred copies of one mistake prove no more than one.
            if changed == line or (line.strip(), names) in told:
                continue
            told.add((line.strip(), names))
            new = "\n".join([*lines[:number], changed, *lines[number + 1 :]])
            yield Mistake(kind, file, new, frozenset({number + 1}), line, changed, names)


def _texts(lines: list[str]) -> set[int]:
    """The lines that belong to a block of text (`|` or `>`), where anything may stand."""
    found, depth = set(), None
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        if depth is not None and indent > depth:
            found.add(number)
        else:
            depth = indent if re.search(r":\s+[|>][-+]?\s*$", line) else None
    return found


def misspelt_key(line: str) -> Iterator[tuple[str, str]]:
    for found in KEY.finditer(line):
        key = found["key"]
        start, end = found.span("key")
        yield line[:start] + key[:-2] + key[-1] + key[-2] + line[end:], "" if key[-1] == key[-2] else key
        yield line[:start] + key[:2] + key[3:] + line[end:], key


def misspelt_fact(line: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r"\b(?:contact|event)\.([a-z_0-9]{4,})(?=[:,}])", line):
        name, (start, end) = found[1], found.span(1)
        yield line[:start] + name[:1] + name[2:] + line[end:], name


def misspelt_operator(line: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r"\{(gte|lte|lacks|has_any|in|older_than|within|has|between): ", line):
        name, (start, end) = found[1], found.span(1)
        yield line[:start] + name + "s" + line[end:], name


def misspelt_reference(line: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r"\b(?:content|purpose|event): ([a-z_]{5,})(?=[,}\s]|$)", line):
        name, (start, end) = found[1], found.span(1)
        yield line[:start] + name[:-1] + line[end:], name
    for found in re.finditer(r"\bchannels: \[([a-z_]{3,})", line):
        name, (start, end) = found[1], found.span(1)
        yield line[:start] + name + "x" + line[end:], name


def wrong_unit(line: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r": (\d+)([smhdw])(?=[,}\s]|$)", line):
        start, end = found.span(1)[0], found.span(2)[1]
        for wrong in (f"{found[1]} days", f"{found[1]}天", f"{found[1]}", f"{found[1]}mo"):
            yield line[:start] + wrong + line[end:], ""


def quoted_number(line: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(
        r"\b(?:limit|priority|gte|lte|gt|lt|min_samples|probes|days): (\d+)(?=[,}\s]|$)", line
    ):
        start, end = found.span(1)
        yield f'{line[:start]}"{found[1]}"{line[end:]}', ""


def text_for_a_number(line: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r"\b(?:limit|priority|gte|lte|gt|lt|min_samples|days): (\d+)(?=[,}\s]|$)", line):
        start, end = found.span(1)
        yield f"{line[:start]}三{line[end:]}", ""
        yield f"{line[:start]}{found[1]}次{line[end:]}", ""


def swapped_bounds(line: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r"between: \[(\S+), (\S+?)\]", line):
        yield line.replace(found[0], f"between: [{found[2]}, {found[1]}]"), ""
    for found in re.finditer(r"\{gte: (\d+)\}", line):
        yield line.replace(found[0], f"{{gte: {found[1]}, lt: {int(found[1]) // 2}}}", 1), ""


def full_width_colon(line: str) -> Iterator[tuple[str, str]]:
    for found in KEY.finditer(line):
        start, end = found.span("colon")
        yield line[:start] + "：" + line[end:], ""
        yield line[:start] + "：" + line[end:].lstrip(), ""


def full_width_comma(line: str) -> Iterator[tuple[str, str]]:
    if re.search(r"[\[{].*, .*[\]}]\s*$", line):
        yield line.replace(", ", "，", 1) if '"' not in line else line, ""


def chinese_quotes(line: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r': "([^"]+)"(?=[,}\s]|$)', line):
        yield line.replace(f'"{found[1]}"', f"“{found[1]}”", 1), ""


def chinese_brackets(line: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r": \[([^\[\]]+)\](?=[,}\s]|$)", line):
        yield line.replace(f"[{found[1]}]", f"【{found[1]}】", 1), ""


def dash_that_is_none(line: str) -> Iterator[tuple[str, str]]:
    if (found := re.match(r"(\s*)- (?=[a-z_]+: |\{)", line)) is not None:
        for dash in "－—–":
            yield f"{found[1]}{dash} {line[found.end() :]}", "- "


def no_space_after_dash(line: str) -> Iterator[tuple[str, str]]:
    if (found := re.match(r"(\s*)- (?=[a-z_]+: |\{)", line)) is not None:
        yield f"{found[1]}-{line[found.end() :]}", "- "


def full_width_braces(line: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r": \{([^{}]+)\}(?=\s*$)", line):
        yield line.replace(f"{{{found[1]}}}", f"｛{found[1]}｝"), ""


def comparison_sign(line: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r"\{(gte|gt|lte|lt): (\d+)\}", line):
        sign = {"gte": ">=", "gt": ">", "lte": "<=", "lt": "<"}[found[1]]
        yield line.replace(found[0], f"{sign} {found[2]}", 1), f"{{{found[1]}: {found[2]}}}"


def full_width_indent(line: str) -> Iterator[tuple[str, str]]:
    if (found := re.match(r"( +)(?=[a-z_]+: \S)", line)) is not None:
        yield "\u3000" * (len(found[1]) // 2) + line[found.end() :], "plain spaces"


def tab_indent(line: str) -> Iterator[tuple[str, str]]:
    if line.startswith("  "):
        yield "\t" + line.lstrip(), ""


def no_space_after_colon(line: str) -> Iterator[tuple[str, str]]:
    for found in KEY.finditer(line):
        rest = line[found.end() :]
        if rest.startswith(" ") and not rest.strip().startswith(("{", "[")) and rest.strip():
            yield line[: found.end()] + rest.lstrip(), ""


def unquoted_time(line: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r'"(\d\d:\d\d)"', line):
        yield line.replace(found[0], found[1], 1), ""


def a_word_for_true(line: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r"\b[a-z_]+: (true|false)(?=[,}\s]|$)", line):
        start, end = found.span(1)
        for wrong in ("yes", "on", "True", "是"):
            yield line[:start] + wrong + line[end:], ""


def a_text_for_a_list(line: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r"\bchannels: \[([a-z_]+)(?:, [a-z_]+)*\]", line):
        yield line.replace(found[0], f"channels: {found[1]}", 1), ""


def unclosed(line: str) -> Iterator[tuple[str, str]]:
    if re.search(r"[\]}]\s*$", line) and line.count("[") + line.count("{") == line.count("]") + line.count(
        "}"
    ):
        yield line.rstrip()[:-1], ""
    if re.search(r': "[^"]*"\s*$', line):
        yield line.rstrip()[:-1], ""


def full_width_digits(line: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r"\b(?:limit|priority|gte|lte|gt|lt|for|within): (\d+)", line):
        start, end = found.span(1)
        yield line[:start] + "".join(chr(ord("０") + int(digit)) for digit in found[1]) + line[end:], ""


def percentage_without_sign(line: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r"(?<=[:\[,] )(\d+)%(?=[,}\]\s]|$)", line):
        yield line.replace(found[0], found[1], 1), ""


def unknown_kind_of_step(line: str) -> Iterator[tuple[str, str]]:
    found = re.match(r"^(\s*- \{?)(send|wait|wait_for|branch|set|tag|stop): ", line)
    if found:
        yield line.replace(found[0], f"{found[1]}{found[2][:-1]}{found[2][-1] * 2}: ", 1), found[2]


def unknown_kind_of_file(line: str) -> Iterator[tuple[str, str]]:
    found = re.match(r"^kind: ([a-z_]+)$", line)
    if found:
        yield f"kind: {found[1]}x", found[1]


def misspelt_template_fact(line: str) -> Iterator[tuple[str, str]]:
    for found in re.finditer(r"\{\{ ?(?:contact|event|journey)\.([a-z_.]{4,})", line):
        name, (start, end) = found[1], found.span(1)
        yield line[:start] + name + "e" + line[end:], ""


LINE_MISTAKES: Mapping[str, Change] = {
    "a key is misspelt": misspelt_key,
    "a fact is misspelt": misspelt_fact,
    "an operator is misspelt": misspelt_operator,
    "a name of another file's thing is misspelt": misspelt_reference,
    "a fact in a text is misspelt": misspelt_template_fact,
    "a duration has a wrong unit": wrong_unit,
    "a number stands in quotes": quoted_number,
    "a word stands where a number should": text_for_a_number,
    "bounds are swapped": swapped_bounds,
    "a full-width colon": full_width_colon,
    "a full-width comma": full_width_comma,
    "full-width digits": full_width_digits,
    "Chinese quotation marks": chinese_quotes,
    "Chinese brackets": chinese_brackets,
    "a dash of another kind": dash_that_is_none,
    "no space after a dash": no_space_after_dash,
    "full-width braces": full_width_braces,
    "a sign for a comparison": comparison_sign,
    "a full-width indentation": full_width_indent,
    "a tab": tab_indent,
    "no space after a colon": no_space_after_colon,
    "a time without quotes": unquoted_time,
    "a word for true or false": a_word_for_true,
    "a text for a list": a_text_for_a_list,
    "a bracket or quote is not closed": unclosed,
    "a percentage without its sign": percentage_without_sign,
    "an unknown kind of step": unknown_kind_of_step,
    "an unknown kind of file": unknown_kind_of_file,
}

WholeChange = Callable[[list[str]], Iterator[tuple[list[str], int, frozenset[int], str]]]
"""Lines -> the lines with a mistake, the number of its line from 0, where it may be told, what to name."""


def _file_mistakes(kind: str, change: WholeChange, file: str, text: str) -> Iterator[Mistake]:
    lines = text.split("\n")
    for changed, number, told, names in change(lines):
        was = lines[number] if number < len(lines) else ""
        now = changed[number] if number < len(changed) else ""
        yield Mistake(kind, file, "\n".join(changed), told, was, now, names)


def wrong_indent(lines: list[str]) -> Iterator[tuple[list[str], int, frozenset[int], str]]:
    texts = _texts(lines)
    for number, line in enumerate(lines):
        if number in texts or not re.match(r"^\s+[a-z_]+: \S", line):
            continue
        for moved in (" " + line, line[1:]):
            changed = [*lines[:number], moved, *lines[number + 1 :]]
            # What a parser notices is where the two lines no longer fit together: this one or a neighbour.
            yield changed, number, frozenset({number, number + 1, number + 2}), ""


def missing_line(lines: list[str]) -> Iterator[tuple[list[str], int, frozenset[int], str]]:
    for number, line in enumerate(lines):
        found = re.match(r"^(title|owner|id|purpose|kind|timezone): ", line)
        if found:
            changed = [*lines[:number], *lines[number + 1 :]]
            top = next(place for place, other in enumerate(changed) if other and not other.startswith("#"))
            yield changed, number, frozenset({1, top + 1}), found[1]


def doubled_key(lines: list[str]) -> Iterator[tuple[list[str], int, frozenset[int], str]]:
    texts = _texts(lines)
    for number, line in enumerate(lines):
        found = re.match(r"^\s*([a-z_]+): [^\[{|>]+$", line)
        if found and number not in texts:
            changed = [*lines[: number + 1], line, *lines[number + 1 :]]
            yield changed, number + 1, frozenset({number + 1, number + 2}), ""


def byte_order_mark_inside(lines: list[str]) -> Iterator[tuple[list[str], int, frozenset[int], str]]:
    number = next((place for place, line in enumerate(lines) if line.startswith(("id: ", "start: "))), 1)
    yield (
        [*lines[:number], "\ufeff" + lines[number], *lines[number + 1 :]],
        number,
        frozenset({number + 1}),
        "",
    )


def invisible_space(lines: list[str]) -> Iterator[tuple[list[str], int, frozenset[int], str]]:
    texts = _texts(lines)
    for number, line in enumerate(lines):
        if re.match(r"^\s+[a-z_]+: \S", line) and number not in texts:
            for blank in ("\u00a0", "\u3000", "\u200b"):
                changed = [*lines[:number], line.replace(": ", f":{blank}", 1), *lines[number + 1 :]]
                yield changed, number, frozenset({number + 1}), ""


def merge_conflict(lines: list[str]) -> Iterator[tuple[list[str], int, frozenset[int], str]]:
    for number, line in enumerate(lines):
        if re.match(r"^title: ", line):
            changed = [
                *lines[:number],
                "<<<<<<< HEAD",
                line,
                "=======",
                line,
                ">>>>>>> other",
                *lines[number + 1 :],
            ]
            yield changed, number, frozenset({number + 1, number + 2}), ""


FILE_MISTAKES: Mapping[str, WholeChange] = {
    "a wrong indent": wrong_indent,
    "a required key is missing": missing_line,
    "a key stands twice": doubled_key,
    "a byte order mark inside": byte_order_mark_inside,
    "an invisible space": invisible_space,
    "a merge conflict": merge_conflict,
}
