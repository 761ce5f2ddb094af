"""Reads the files of a workspace's folder, whatever lies in it: links, pipes, enormous files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from engine.authoring.definitions import WORKSPACE_FILE
from engine.authoring.reading.source import MAX_CHARACTERS
from engine.errors import CommandError, Place, Problem

MOST_FILES = 10_000
"""In one workspace; far more than people can look after, and a slip of the path can hold millions."""
MOST_BYTES = 4 * MAX_CHARACTERS
"""Of one file: a character takes up to four."""
MOST_BYTES_TOGETHER = 100_000_000
_SUFFIX = ".yaml"
_SAVE_AS = "save it as UTF-8: in Notepad and Excel under 'Save as', in VS Code with 'Save with Encoding'"
_LOOKED_AT = 4096
"""Bytes of an unreadable file in which its kind is looked for; it stands in the first line or two."""


def read_folder(path: Path | str) -> tuple[dict[str, str], list[Problem]]:
    """The YAML files below a folder by relative path, hidden ones left out; problems with reading them.

    CommandError when there is no such folder.
    """
    root = Path(path)
    if not root.is_dir():
        raise CommandError(f"there is no folder {str(path)!r}; name the one that holds {WORKSPACE_FILE}")
    files: dict[str, str] = {}
    problems: list[Problem] = []
    total = 0
    for file, relative in _candidates(root, problems):
        raw = _bytes_of(file, relative, problems)
        if raw is None:
            continue
        total += len(raw)
        if len(files) >= MOST_FILES:
            message = f"there are more than {MOST_FILES:,} files here; this one and the rest are not read"
            problems.append(
                Problem(Place(relative), "RS015", "(file)", message, "name the folder that is meant")
            )
            break
        if total > MOST_BYTES_TOGETHER:
            message = (
                f"with this file there are more than {MOST_BYTES_TOGETHER // 1_000_000} MB here; it and the "
                "rest are not read"
            )
            problems.append(
                Problem(Place(relative), "RS015", "(file)", message, "name the folder that is meant")
            )
            break
        text = _text_of(raw, relative, problems)
        if text is not None:
            files[relative] = text
    return files, problems


def _candidates(root: Path, problems: list[Problem]) -> Iterator[tuple[Path, str]]:
    """Everything below the root that is named as a YAML file is, in order; what is passed over is noted."""

    def failed(error: OSError) -> None:
        relative = Path(str(error.filename)).relative_to(root).as_posix()
        problems.append(_unreadable(relative, (error.strerror or str(error)).lower()))

    for folder, folders, names in os.walk(root, onerror=failed):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in folders:
            if (linked := Path(folder, name)).is_symlink():
                message = "a linked folder is not read"
                hint = "copy the files here, or link them one by one"
                problems.append(Problem(Place(_shown(linked, root)), "RW038", "(file)", message, hint))
        for name in sorted(names):
            file = Path(folder, name)
            if name.startswith("."):
                continue
            relative = _shown(file, root)
            if name.endswith(_SUFFIX):
                if relative == file.relative_to(root).as_posix():
                    yield file, relative
                else:
                    problems.append(_unreadable(relative, "its name is not UTF-8 text", "rename it"))
            elif (meant := _meant(name)) is not None:
                message = f"files ending in {name[len(meant) :]} are not read"
                hint = f"rename it to {meant}{_SUFFIX}"
                problems.append(Problem(Place(relative), "RW006", "(file)", message, hint))


def _meant(name: str) -> str | None:
    """The name without its ending when that is nearly the right one; None when it is another kind of file."""
    for ending in (".yml", ".yaml", ".yaml.txt", ".yml.txt"):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return None


def _shown(file: Path, root: Path) -> str:
    """The relative path as it can be printed: what is no text in it is written out."""
    return file.relative_to(root).as_posix().encode("utf-8", "backslashreplace").decode()


def _bytes_of(file: Path, relative: str, problems: list[Problem]) -> bytes | None:
    try:
        status = file.stat()
        # To open a pipe would wait for whoever writes to it.
        if not stat.S_ISREG(status.st_mode):
            problems.append(_unreadable(relative, "it is no ordinary file", "remove it"))
            return None
        raw = b"" if status.st_size > MOST_BYTES else file.read_bytes()
    except OSError as error:
        problems.append(_unreadable(relative, (error.strerror or str(error)).lower()))
        return None
    if status.st_size > MOST_BYTES or len(raw) > MOST_BYTES:
        message = f"the file is larger than {MOST_BYTES // 1_000_000} MB"
        problems.append(Problem(Place(relative), "RS015", "(file)", message, "split it into several files"))
        return None
    return raw


def _unreadable(relative: str, why: str, hint: str = "see to its permissions, or remove it") -> Problem:
    return Problem(Place(relative), "RS133", "(file)", f"this cannot be read: {why}", hint)


def _text_of(raw: bytes, relative: str, problems: list[Problem]) -> str | None:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        encoding = _encoding_of(raw)
        message = "the file is not UTF-8 text" + (f", it seems to be {encoding}" if encoding else "")
        problems.append(Problem(Place(relative, line), "RS019", "(file)", message, _SAVE_AS))
        return None


def _encoding_of(raw: bytes) -> str:
    """What an editor may have saved it as; "" when it does not show."""
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return "UTF-16"
    try:
        raw.decode("gb18030")
    except UnicodeDecodeError:
        return ""
    return "GBK"


def meant_text(path: Path | str, relative: str) -> str:
    """A file that could not be read as text, roughly: enough to see what kind of file it means to be."""
    try:
        raw = Path(path, relative).read_bytes()[:_LOOKED_AT]
    except (OSError, ValueError):
        return ""
    return raw.decode("utf-16" if _encoding_of(raw) == "UTF-16" else "utf-8", "replace")
