"""What a file says that this version checks but does not act upon: warned of by lint, refused by publish."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from engine.authoring.models.part import Head, Part, Unacted
from engine.authoring.models.workspace import WorkspaceFile
from engine.authoring.reading.source import Source, dotted
from engine.authoring.reading.walking import parts_of
from engine.errors import Problem
from engine.rules.condition import YamlPath

WARNING = "RW020"
REFUSAL = "RS080"


def unacted_in(source: Source, model: type[Head]) -> Iterator[Problem]:
    """A warning for each key, value, step or file of this kind that nothing acts upon."""
    below: list[YamlPath] = []  # what stands inside such a part is not named once more
    for path, part, data in parts_of(model, source.data):
        if any(path[: len(each)] == each for each in below):
            continue
        for entry in part.unacted:
            if not _says(data, entry):
                continue
            at = (*path, entry.key or next(iter(data)))
            yield _warning(source, at, part, entry, data)
            below.append(at if entry.key else path)


def is_unacted(part: type[Part]) -> bool:
    """Whether nothing acts upon the part as a whole."""
    return any(not entry.key for entry in part.unacted)


def refused(problems: Iterable[Problem]) -> list[Problem]:
    """The warnings of what is not acted upon, as the refusals that they are to a publisher."""
    return [
        Problem(
            each.place, REFUSAL, each.path, each.message.replace("checked, but", "checked only:"), each.hint
        )
        for each in problems
        if each.code == WARNING
    ]


def _says(data: dict[str, Any], entry: Unacted) -> bool:
    if not entry.key:
        return True
    return entry.key in data and (not entry.values or data[entry.key] in entry.values)


def _warning(source: Source, at: YamlPath, part: type[Part], entry: Unacted, data: dict[str, Any]) -> Problem:
    whole_file = issubclass(part, Head) and not entry.key
    if whole_file:
        what, at = f"a file of kind '{data['kind']}'", ("kind",)
    elif not entry.key:
        what = f"a step of kind '{at[-1]}'"
    elif entry.values:
        what = f"'{entry.key}: {data[entry.key]}'"
    else:
        what = f"'{entry.key}'"
    message = f"{what} is checked, but this version does not act on it: {entry.without}"
    # The workspace itself cannot be switched off.
    ways = [] if whole_file else ["remove it"]
    ways += [] if part is WorkspaceFile else ["set 'enabled: false' at the top of the file"]
    hint = f"{', or '.join(ways)}; as it is, it cannot be published"
    return Problem(source.key_place(at), WARNING, dotted(at), message, hint)
