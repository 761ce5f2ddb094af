"""Mends what is mechanical in files, and only that: words are swapped at known places, all else stays.

Nothing is written anew from its data: comments, order and layout are the author's. A change that does not
make its own problem go away, or makes another one, is not made.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engine.authoring.loading import load_files
from engine.authoring.reading.folders import read_folder
from engine.authoring.reading.source import MAX_CHARACTERS, read
from engine.authoring.understanding import Memory
from engine.errors import Place, Problem
from engine.plugin.registry import Registry

_MOST_ROUNDS = 12
"""Of loading the whole workspace: a mistake can hide another one."""
_MOST_SWAPS = 500
"""In one file."""
_WIDTHS = (2, 4, 8)


@dataclass(frozen=True, order=True)
class Change:
    """One thing that was mended: where, and what stands there now."""

    place: Place
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.place.file}:{self.place.line}: {_visible(self.before)} → {_visible(self.after)}"


@dataclass(frozen=True)
class Mended:
    """The files as they are to be, and every change, sorted by place."""

    files: Mapping[str, str]
    changes: tuple[Change, ...]


def mend(files: Mapping[str, str], registry: Registry | None = None) -> Mended:
    """The files of a workspace (by relative path, byte order marks and line ends included), mended."""
    texts = dict(files)
    changes: list[Change] = []
    for file, text in files.items():
        if len(text) <= MAX_CHARACTERS:
            texts[file] = _readable(file, text, changes)
    memory = Memory()
    for _ in range(_MOST_ROUNDS):
        problems = load_files(texts, registry, memory=memory).problems
        before = dict(texts)
        for file in sorted(texts):
            _swap_words(file, texts, problems, changes)
        if texts == before:
            break
    return Mended(texts, tuple(sorted(changes)))


def mend_folder(folder: Path, registry: Registry | None = None, *, write: bool = True) -> tuple[Change, ...]:
    """Mend the files below a folder and give them their right names; without `write`, only say what would be.

    Files are replaced in one go, so that a crash leaves the old or the new one. CommandError when there is no
    such folder.
    """
    changes: list[Change] = []
    for problem in read_folder(folder)[1]:
        name = problem.hint.removeprefix("rename it to ")
        old, new = folder / problem.place.file, (folder / problem.place.file).with_name(name)
        if problem.code == "RW006" and not new.exists() and old.is_file():
            changes.append(Change(problem.place, old.name, name))
            if write:
                old.rename(new)
    # As they are on disk: `read_folder` has taken byte order marks away already.
    found = {file: (folder / file).read_bytes().decode("utf-8") for file in read_folder(folder)[0]}
    mended = mend(found, registry)
    for file, text in mended.files.items():
        if write and text != found[file]:
            _replace(folder / file, text)
    return tuple(sorted([*changes, *mended.changes]))


def _replace(file: Path, text: str) -> None:
    file = file.resolve()  # a linked file stays a link: what it leads to is what is mended
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".mending-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as out:
            out.write(text)
        shutil.copymode(file, name)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _readable(file: str, text: str, changes: list[Change]) -> str:
    """The text of one file with everything mended that keeps it from being read."""
    if text.startswith("\ufeff"):
        text = text.removeprefix("\ufeff")
        changes.append(Change(Place(file), "byte order mark", ""))
    if "\r" in text:
        text = re.sub(r"\r\n?", "\n", text)
        changes.append(Change(Place(file), "line ends of another system", "plain line ends"))
    text = _without_tabs(file, text, changes)
    text = _without_second_document(file, text, changes)
    given_up: set[tuple[str, int, int]] = set()
    for _ in range(_MOST_SWAPS):
        problems = read(text, file).problems
        ahead = (each for each in problems if each.swap and _key(each) not in given_up)
        problem = next(ahead, None)
        if problem is None:
            break
        mended = _swapped(text, problem)
        if mended is None or _key(problem) in {_key(each) for each in read(mended, file).problems}:
            given_up.add(_key(problem))
            continue
        changes.append(_change(problem, text, mended))
        text = mended
    return text


def _key(problem: Problem) -> tuple[str, int, int]:
    return problem.code, problem.place.line, problem.place.column


def _swap_words(file: str, texts: dict[str, str], problems: Iterable[Problem], changes: list[Change]) -> None:
    """Swap every misspelt word of a file; from the end, so that places stay true."""
    own = [problem for problem in problems if problem.place.file == file and problem.swap]
    if not own or read(texts[file], file).problems:
        return
    for problem in sorted(own, reverse=True):
        mended = _swapped(texts[file], problem)
        # The right key may stand there as well; then a person must choose.
        if mended is not None and mended != texts[file] and not read(mended, file).problems:
            changes.append(_change(problem, texts[file], mended))
            texts[file] = mended


def _change(problem: Problem, text: str, mended: str) -> Change:
    """What to tell of a swap: the words, or the line as a whole when they are marks that say little alone."""
    before, after = problem.swap
    if not re.search(r"\w", before) and before.isprintable():
        line = problem.place.line - 1
        before, after = (each.split("\n")[line].strip() for each in (text, mended))
    return Change(problem.place, before, after)


def _swapped(text: str, problem: Problem) -> str | None:
    """The text with the problem's words swapped; None when they do not stand where they should."""
    written, meant = problem.swap
    if meant.startswith('"') and set(written) & set('"\\') and not written.startswith(("“", "”", "‘")):
        return None
    lines = text.split("\n")
    if problem.place.line > len(lines):
        return None
    line = lines[problem.place.line - 1]
    at = _find(line, written, problem.place.column - 1)
    if at is None:
        return None
    lines[problem.place.line - 1] = line[:at] + meant + line[at + len(written) :]
    return "\n".join(lines)


def _find(line: str, written: str, start: int) -> int | None:
    """Where a word stands in a line, at a place or just inside it; None when it does not, or goes on."""
    inside = re.compile(r"[\"'{ ]*").match(line, start)
    for at in (start, inside.end() if inside is not None else start):
        if line.startswith(written, at):
            break
    else:
        return None
    is_word = re.fullmatch(r"[\w.]+", written) is not None
    around = line[at - 1 : at] if at else "", line[at + len(written) : at + len(written) + 1]
    if is_word and any(re.fullmatch(r"[\w.]", each) for each in around):
        return None
    return at


def _without_tabs(file: str, text: str, changes: list[Change]) -> str:
    """Spaces for tabs, when every width that tabs are shown in makes the same data of it."""
    if "\t" not in text or re.search(r"[|>][+-]?[0-9]?[+-]?[ \t]*(#.*)?$", text, re.MULTILINE):
        return text
    lines = text.split("\n")
    if any(re.search(r"[\"'].*\t", line) for line in lines):
        return text
    made = ["\n".join(_spaced(line, width) for line in lines) for width in _WIDTHS]
    read_again = [(each, read(each, file)) for each in made]
    good = [(each, source) for each, source in read_again if not any(_is_shape(p) for p in source.problems)]
    if not good or any(source.data != good[0][1].data for _, source in good):
        return text
    for number, (line, mended) in enumerate(zip(lines, good[0][0].split("\n"), strict=True), 1):
        if line != mended:
            changes.append(Change(Place(file, number), "tab", "spaces"))
    return good[0][0]


def _spaced(line: str, width: int) -> str:
    body = line.lstrip("\t ")
    indent = line[: len(line) - len(body)].replace("\t", " " * width)
    return indent + body.rstrip("\t").replace("\t", " ") if "\t" in line else line


def _is_shape(problem: Problem) -> bool:
    """Whether a problem says that the layout is not understood."""
    return problem.code in {"RS001", "RS002", "RS011", "RS012", "RS021"}


def _without_second_document(file: str, text: str, changes: list[Change]) -> str:
    """Without a `---` at the end that nothing follows."""
    lines = text.split("\n")
    at = len(lines) - 1
    while at > 0 and (not lines[at].strip() or lines[at].lstrip().startswith("#")):
        at -= 1
    mended = "\n".join([*lines[:at], *lines[at + 1 :]])
    if at == 0 or lines[at].rstrip() != "---" or not _has_second(text) or _has_second(mended):
        return text
    changes.append(Change(Place(file, at + 1), "---", ""))
    return mended


def _has_second(text: str) -> bool:
    return any(problem.code == "RS011" for problem in read(text, "").problems)


def _visible(text: str) -> str:
    """The text with what cannot be seen written out."""
    shown = "".join(each if each.isprintable() else f"U+{ord(each):04X}" for each in text)
    return shown or "(nothing)"
