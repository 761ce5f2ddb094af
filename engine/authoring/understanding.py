"""Each file by itself: read, its keys under their present names, as the model of its kind."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from engine.authoring.checking.unacted import unacted_in
from engine.authoring.models.kinds import model_of
from engine.authoring.models.part import Head
from engine.authoring.reading.renaming import renamed
from engine.authoring.reading.source import Source, read
from engine.authoring.reading.validating import validate
from engine.authoring.rule_tests.reading import TEST_SUFFIX
from engine.errors import Problem


@dataclass(frozen=True)
class Understood:
    """One file, and what is wrong with it by itself."""

    source: Source
    head: Head | None
    """None for a file of tests, and where a problem forbids it."""
    problems: tuple[Problem, ...]


def understand(text: str, file: str) -> Understood:
    """What a file says, whatever the others say."""
    source = read(text, file)
    if source.problems or file.endswith(TEST_SUFFIX):
        return Understood(source, None, source.problems)
    model = model_of(source.data)
    if model is None:
        return Understood(source, None, tuple(validate(source)[1]))
    source, problems = renamed(source, model)
    head, more = validate(source)
    problems += more
    if head is not None and head.enabled:
        problems += unacted_in(source, model)
    return Understood(source, head, tuple(problems))


class Memory:
    """Files that were read, as they were understood: whoever loads again reads only those that have changed.

    Threads may share it.
    """

    def __init__(self, most: int | None = None) -> None:
        """`most` characters of files are kept, those that were asked for last; without it, all of them."""
        self._most = most
        self._kept = 0
        self._files: OrderedDict[tuple[str, str], Understood] = OrderedDict()
        self._lock = threading.Lock()

    def understood(self, text: str, file: str) -> Understood:
        """As `understand`, from memory when the file said the same before."""
        key = (file, text)
        with self._lock:
            if (known := self._files.get(key)) is not None:
                self._files.move_to_end(key)
                return known
        # Not under the lock: at worst two threads both read it.
        found = understand(text, file)
        with self._lock:
            if key not in self._files:
                self._kept += len(text)
            self._files[key] = found
            while self._most is not None and self._kept > self._most:
                (_, oldest), _ = self._files.popitem(last=False)
                self._kept -= len(oldest)
        return found

    def keep_only(self, files: Mapping[str, str]) -> None:
        """Forget what is no longer said by these files: relative path -> text."""
        with self._lock:
            for key in [key for key in self._files if files.get(key[0]) != key[1]]:
                del self._files[key]
                self._kept -= len(key[1])


RECENT = Memory(most=1_000_000)
"""What this process read last, in some 30 MB at the most: publishing reads what was checked just before."""
