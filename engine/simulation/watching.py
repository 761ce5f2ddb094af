"""Notices when files of a workspace change."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path


def changes(folder: Path, pause: Callable[[], None]) -> Iterator[None]:
    """Yields each time the YAML files below a folder have changed; `pause` is called between looks.

    It never ends by itself. A file that is being written may be noticed twice.
    """
    seen = _stamps(folder)
    while True:
        pause()
        found = _stamps(folder)
        if found != seen:
            seen = found
            yield


def _stamps(folder: Path) -> Mapping[str, tuple[int, int]]:
    """File -> when it was written last, and its size."""
    stamps: dict[str, tuple[int, int]] = {}
    for below, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if name.endswith(".yaml"):
                path = Path(below, name)
                try:
                    stat = path.stat()
                except FileNotFoundError:
                    continue  # editors replace files; it will be back
                stamps[str(path)] = (stat.st_mtime_ns, stat.st_size)
    return stamps
