"""What is remembered of files that were read, and for how long."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from engine.authoring.reading import source
from engine.authoring.understanding import Memory

TEXT = "kind: tags\nid: {}\ntitle: Some\nowner: tests\ntags: []\n"


def file(number: int) -> tuple[str, str]:
    return TEXT.format(f"t{number}"), f"t{number}.yaml"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were really read, in order."""
    names: list[str] = []

    def noted(text: str, name: str) -> source.Source:
        names.append(name)
        return source.read(text, name)

    monkeypatch.setattr("engine.authoring.understanding.read", noted)
    return names


def test_a_file_that_says_the_same_is_read_once_and_one_that_says_something_else_again(
    read: list[str],
) -> None:
    memory = Memory()
    first = memory.understood(*file(1))
    assert memory.understood(*file(1)) is first
    assert memory.understood(file(1)[0], "other.yaml").source.file == "other.yaml"
    assert memory.understood(file(1)[0].replace("Some", "Any"), "t1.yaml") is not first
    assert read == ["t1.yaml", "other.yaml", "t1.yaml"]


def test_of_more_than_it_may_keep_it_keeps_what_was_asked_for_last(read: list[str]) -> None:
    memory = Memory(most=3 * len(file(1)[0]))
    for number in (1, 2, 3, 1, 4):
        memory.understood(*file(number))
    assert read == ["t1.yaml", "t2.yaml", "t3.yaml", "t4.yaml"]
    for number in (1, 3, 4):
        memory.understood(*file(number))
    assert len(read) == 4, "only the second was forgotten"
    memory.understood(*file(2))
    assert read[4:] == ["t2.yaml"]


def test_what_no_file_says_any_more_is_forgotten_and_makes_room(read: list[str]) -> None:
    memory = Memory(most=2 * len(file(1)[0]))
    for number in (1, 2):
        memory.understood(*file(number))
    there: Mapping[str, str] = {"t1.yaml": file(1)[0], "t2.yaml": "something else"}
    memory.keep_only(there)
    for number in (3, 1):
        memory.understood(*file(number))
    assert read == ["t1.yaml", "t2.yaml", "t3.yaml"]
    memory.understood(*file(2))
    assert read[3:] == ["t2.yaml"]
