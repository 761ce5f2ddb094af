"""Processor time of whole process trees: what holds on a machine that is shared, where rates do not."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.store.database import Store

_TICKS = os.sysconf("SC_CLK_TCK")


def spent(pids: Sequence[int]) -> float:
    """Seconds of processor time that these processes and all they have started took so far, on Linux."""
    children: dict[int, list[int]] = {}
    seconds: dict[int, float] = {}
    for pid, parent, taken in _processes():
        children.setdefault(parent, []).append(pid)
        seconds[pid] = taken
    total, left = 0.0, list(pids)
    while left:
        pid = left.pop()
        total += seconds.get(pid, 0.0)
        left += children.get(pid, ())
    return total


def _processes() -> Iterator[tuple[int, int, float]]:
    """(process, parent, seconds) of everything that runs, ended children that were waited for included."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text(encoding="utf-8")
            except (FileNotFoundError, ProcessLookupError):
                continue
            # The name in brackets may hold anything.
            fields = text.rpartition(")")[2].split()
            yield int(folder.name), int(fields[1]), sum(map(int, fields[11:15])) / _TICKS


def database_server(store: Store) -> list[int]:
    """The process id of PostgreSQL's first process; nothing for SQLite, which runs in ours."""
    if store.dialect != "postgresql":
        return []
    with store.read() as session:
        backend = session.connection().exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
    return [parent for pid, parent, _ in _processes() if pid == backend]
