"""Files that change are noticed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from engine.simulation.watching import changes


class OverError(Exception):
    """No more pauses."""


def noticed(folder: Path, *doings: Callable[[], object]) -> int:
    """How often a change is noticed when these things are done, one in each pause."""
    left: Sequence[Callable[[], object]] = list(doings)

    def pause() -> None:
        nonlocal left
        if not left:
            raise OverError
        left[0]()
        left = left[1:]

    count = 0
    with pytest.raises(OverError):
        for _ in changes(folder, pause):
            count += 1
    return count


def test_every_change_of_a_yaml_file_is_noticed_once(tmp_path: Path) -> None:
    file = tmp_path / "below" / "a.yaml"
    file.parent.mkdir()

    def nothing() -> None:
        return None

    assert noticed(tmp_path, nothing, nothing) == 0
    assert noticed(tmp_path, lambda: file.write_text("a: 1"), nothing) == 1
    assert noticed(tmp_path, lambda: file.write_text("a: 1\nb: 2"), file.unlink) == 2


def test_other_and_hidden_files_are_not_looked_at(tmp_path: Path) -> None:
    hidden = tmp_path / ".git"
    hidden.mkdir()

    assert noticed(tmp_path, lambda: (tmp_path / "notes.md").write_text("x")) == 0
    assert noticed(tmp_path, lambda: (hidden / "a.yaml").write_text("x")) == 0


def test_a_file_that_vanishes_while_it_is_looked_at_is_no_trouble(tmp_path: Path) -> None:
    link = tmp_path / "gone.yaml"

    assert noticed(tmp_path, lambda: link.symlink_to(tmp_path / "nowhere")) == 0
