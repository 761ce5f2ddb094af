"""Files that are made to hurt are refused quickly, each with a place; none is ever waited for."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from engine.authoring.loading import load_files, load_folder
from engine.authoring.reading import folders
from engine.authoring.reading.folders import read_folder
from engine.authoring.reading.source import read
from engine.errors import Place

HEAD = "kind: caps\nid: a\ntitle: a\nowner: a\n"


def only(text: str) -> tuple[str, int, int]:
    """The code and place of the first problem; nothing of it may be long."""
    problems = read(text, "f.yaml").problems
    assert problems and all(len(each.message) < 300 for each in problems)
    return problems[0].code, problems[0].place.line, problems[0].place.column


def test_fifty_megabytes_are_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "big.yaml").open("wb") as file:
        file.truncate(50_000_000)

    files, (problem,) = read_folder(tmp_path)

    assert files == {}
    assert (problem.code, problem.place) == ("RS015", Place("big.yaml"))


def test_repeats_of_repeats_are_refused_before_they_are_written_out() -> None:
    lines = ["a0: &a0 [lol]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]

    assert only("\n".join(lines)) == ("RS008", 1, 5)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "{", "? "])
def test_a_hundred_thousand_levels_are_refused_at_the_fortieth(opening: str) -> None:
    code, line, column = only(opening * 100_000)

    assert code in {"RS016", "RS018"} and line == 1 and column <= 41 * len(opening) + 1


def test_a_million_keys_are_refused() -> None:
    text = "\n".join(f"k{number}: 1" for number in range(250_000))

    assert only(text) == ("RS015", 200_000, 10)


@pytest.mark.parametrize(
    "line",
    [
        "a: " + "x" * 1_000_000,
        "a: " + "1" * 1_000_000 + "x",
        "a: " + "1_" * 500_000 + "x",
        " " * 1_000_000 + "a",
        "- " * 1_000_000 + "x",
        "a: [" + "x," * 400_000,
        "a: 'x" + " " * 1_000_000,
        "a" * 1_000_000 + ":1",
        "{" + "a" * 1_000_000,
        "# " + "：" * 1_000_000,
        " " * 500_000 + "：\n :",
        "\t" * 1_000_000,
        "a: " + "\u200b" * 1_000_000,
        "kind" + " " * 1_000_000 + "\nkind: [",
    ],
    ids=lambda line: f"{line[:8]!r}",
)
def test_a_line_of_a_million_characters_is_answered(line: str, small: Mapping[str, str]) -> None:
    loaded = load_files({**small, "long.yaml": f"{line}\n{HEAD}"})

    assert loaded.bundle is None
    assert {each.place.file for each in loaded.problems} == {"long.yaml"}


@pytest.mark.parametrize(("text", "column"), [("a: x\x00y", 5), ("a: x\ud800y", 5), ("\ufffea: 1", 1)])
def test_what_is_no_text_is_refused_where_it_stands(text: str, column: int) -> None:
    assert only(text) == ("RS020", 1, column)


def test_half_a_character_in_a_file_of_a_program_raises_nothing(small: Mapping[str, str]) -> None:
    loaded = load_files({**small, "caps.yaml": f"{HEAD}description: x\ud800\n"})

    assert [each.code for each in loaded.problems] == ["RS020"]


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|aa)*b", "((a|b)|(a|c))*d", "(.*a){20}", "(?:(?:a|b)+|c)*d", "a*a*a*b"]
)
def test_a_pattern_that_could_search_for_ever_is_refused(
    pattern: str, with_journey: Callable[..., dict[str, str]]
) -> None:
    enter = f"{{event: order_paid, when: {{event.order_id: {{matches: '{pattern}'}}}}}}"
    loaded = load_files(with_journey("  - {stop: here}\n", enter))

    assert [(each.code, each.place.line) for each in loaded.errors] == [("RS112", 6)]


def test_a_folder_named_as_a_file_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").mkdir()
    (tmp_path / "x.yaml" / "y.yaml").write_text("kind: caps\n")

    assert read_folder(tmp_path) == ({"x.yaml/y.yaml": "kind: caps\n"}, [])


def test_links_that_lead_in_circles_end(tmp_path: Path) -> None:
    (tmp_path / "self.yaml").symlink_to("self.yaml")
    (tmp_path / "gone.yaml").symlink_to("nowhere")
    (tmp_path / "here").symlink_to(".")

    files, problems = read_folder(tmp_path)

    assert files == {}
    assert [(each.code, each.place.file) for each in problems] == [
        ("RW038", "here"),
        ("RS133", "gone.yaml"),
        ("RS133", "self.yaml"),
    ]


def test_a_pipe_or_a_socket_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "socket.yaml"))
        _, problems = read_folder(tmp_path)

    assert [(each.code, each.place.file) for each in problems] == [
        ("RS133", "pipe.yaml"),
        ("RS133", "socket.yaml"),
    ]


def test_a_name_that_is_no_text_can_be_read_in_the_report(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.yaml")).write_text("kind: caps\n")

    _, (problem,) = read_folder(tmp_path)

    assert (problem.code, problem.place.file) == ("RS133", "caf\\udce9.yaml")


def test_one_file_that_cannot_be_read_does_not_hide_the_mistakes_of_others(
    tmp_path: Path, small: Mapping[str, str]
) -> None:
    for name, text in small.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "self.yaml").symlink_to("self.yaml")
    (tmp_path / "caps.yaml").write_text("kind: cap\n")

    loaded = load_folder(tmp_path)

    assert [each.code for each in loaded.problems] == ["RS023", "RS133"]
    assert loaded.bundle is None


def test_reading_stops_at_a_number_of_files_and_at_a_sum_of_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        (tmp_path / f"f{number}.yaml").write_text("kind: caps\n")

    monkeypatch.setattr(folders, "MOST_FILES", 3)
    files, (problem,) = read_folder(tmp_path)
    assert len(files) == 3 and (problem.code, problem.place.file) == ("RS015", "f3.yaml")

    monkeypatch.setattr(folders, "MOST_FILES", 10)
    monkeypatch.setattr(folders, "MOST_BYTES_TOGETHER", 25)
    files, (problem,) = read_folder(tmp_path)
    assert len(files) == 2 and (problem.code, problem.place.file) == ("RS015", "f2.yaml")


@pytest.mark.parametrize("name", ["a.yml", "a.YAML", "a.yaml.txt", "a.Yml"])
def test_a_name_that_is_nearly_right_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("kind: caps\n")

    files, (problem,) = read_folder(tmp_path)

    assert files == {}
    assert (problem.code, problem.hint) == ("RW006", "rename it to a.yaml")
