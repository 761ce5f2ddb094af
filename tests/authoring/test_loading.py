"""Loading folders and mappings: what is read, what is left out, and an answer to whatever is written."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.authoring.codes import CODES
from engine.authoring.loading import bundle_of, load_files, load_folder, published_bundle
from engine.authoring.reading.source import MAX_CHARACTERS, read
from engine.authoring.understanding import Memory
from engine.errors import CommandError, RulesetError

JARGON = (
    "input should",
    "pydantic",
    "union",
    "tuple",
    "valid integer",
    "cannot stand here",
    "validat",
    "extra ",
)


def write(folder: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_a_folder_and_a_mapping_give_the_same_bundle(small: Mapping[str, str], tmp_path: Path) -> None:
    loaded = load_folder(write(tmp_path, small))

    assert loaded.problems == ()
    assert loaded.bundle is not None and loaded.bundle.hash == bundle_of(small).hash
    assert loaded.bundle.programs == bundle_of(small).programs


def test_hidden_files_and_other_kinds_of_files_are_left_alone(
    small: Mapping[str, str], tmp_path: Path
) -> None:
    write(
        tmp_path,
        {**small, ".git/config.yaml": "a: NO", "notes.md": "x", ".hidden.yaml": "[", "a/.b/c.yaml": "["},
    )

    loaded = load_folder(tmp_path)
    assert loaded.problems == () and loaded.bundle is not None
    assert sorted(loaded.bundle.files) == sorted(small)


TESTS = """\
ruleset: welcome.yaml
start: "2026-03-01T09:00:00+08:00"
until: 3d
tests: [{name: silence, expect: []}]
"""


def test_test_files_are_part_of_the_bundle_but_not_of_the_models(small: Mapping[str, str]) -> None:
    files = {**small, "welcome.test.yaml": TESTS}

    assert load_files(files).problems == ()
    assert bundle_of(files).hash != bundle_of(small).hash
    broken = load_files({**small, "welcome.test.yaml": "until: 10:00\n"})
    assert [problem.code for problem in broken.problems] == ["RS007"] and broken.bundle is None


def test_a_byte_order_mark_is_no_part_of_a_file(small: Mapping[str, str], tmp_path: Path) -> None:
    write(tmp_path, small)
    (tmp_path / "tags.yaml").write_bytes(
        "\ufeffkind: tags\r\nid: t\r\ntitle: 标签\r\nowner: x\r\n"
        "tags: [{tag: 常客, level: basic, when: {contact.visits: 3}}]\r\n".encode()
    )

    bundle = load_folder(tmp_path).bundle
    assert bundle is not None and bundle.tags[0].tag == "常客"


def test_a_folder_that_is_not_there_is_the_commands_fault(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"nowhere.*wayline\.yaml"):
        load_folder(tmp_path / "nowhere")


def test_an_enormous_file_is_refused_before_it_is_read(small: Mapping[str, str], tmp_path: Path) -> None:
    write(tmp_path, small)
    (tmp_path / "big.yaml").write_bytes(b"# " + b"x" * (4 * MAX_CHARACTERS))

    (problem,) = load_folder(tmp_path).problems
    assert (problem.code, problem.place.file) == ("RS015", "big.yaml")
    assert load_folder(tmp_path).bundle is None


def test_files_that_must_be_good_raise_with_every_problem(small: Mapping[str, str]) -> None:
    with pytest.raises(RulesetError) as raised:
        bundle_of({**small, "wayline.yaml": "kind: workspace\n", "more.yaml": "kind: NO\n"})

    assert {problem.place.file for problem in raised.value.problems} == {"wayline.yaml", "more.yaml"}


def test_what_was_published_is_the_same_bundle_as_on_that_day(small: Mapping[str, str]) -> None:
    today, then = published_bundle(small), bundle_of(small)
    assert (today.hash, today.programs, today.rules) == (then.hash, then.programs, then.rules)


def test_a_check_that_came_later_does_not_stop_what_was_published(small: Mapping[str, str]) -> None:
    """Files that today's checks refuse stand for files that were fine when they were published."""
    dead_end = "  - {stop: here}\n  - {send: never, content: nowhere, channels: [pigeon]}\n"
    files = {**small, "welcome.yaml": small["welcome.yaml"] + dead_end}
    assert {problem.code for problem in load_files(files).errors} >= {"RS059"}

    bundle = published_bundle(files)
    assert set(bundle.programs["welcome"].steps) == {"hi", "here", "never"}


@pytest.mark.parametrize(
    "change",
    [
        {"wayline.yaml": "kind: workspace\n"},
        {"checks.yaml": "kind: checks\nid: c\ntitle: c\nowner: c\nchecks: [{what: nobody knows}]\n"},
        {
            "tags.yaml": "kind: tags\nid: t\ntitle: t\nowner: t\n"
            "tags: [{tag: a, level: basic, when: {no.fact: 1}}]\n"
        },
        {"checks.yaml": "kind: [\n"},
    ],
    ids=["no workspace", "a key", "a condition", "no YAML"],
)
def test_what_can_not_be_read_any_more_is_refused_whole(
    small: Mapping[str, str], change: Mapping[str, str]
) -> None:
    with pytest.raises(RulesetError):
        published_bundle({**small, **change})


def test_warnings_do_not_stand_in_the_way(with_journey: Callable[..., dict[str, str]]) -> None:
    loaded = load_files(with_journey("  - {wait_for: order, event: order_paid}\n"))

    assert [problem.code for problem in loaded.warnings] == ["RW002"]
    assert loaded.errors == () and loaded.bundle is not None


def test_problems_are_sorted_by_place(small: Mapping[str, str]) -> None:
    broken = {name: text.replace("owner: tests", "ownr: tests") for name, text in small.items()}
    problems = load_files(broken).problems

    assert list(problems) == sorted(problems) and len(problems) == len(small)


def test_a_broken_file_raises_no_alarm_about_names_it_may_define(small: Mapping[str, str]) -> None:
    for name in ("content.yaml", "channels.yaml", "purposes.yaml", "events.yaml"):
        problems = load_files({**small, name: small[name] + "  oops\n"}).problems
        assert {problem.place.file for problem in problems} == {name}


junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**12),
    st.sampled_from(
        ["", "x", "3d", "10:00", "15%", "{{", "email", "vip：x", "😀", "a" * 300, "Asia/Beijing"]
    ),
    st.sampled_from([[], {}, [[]], {"x": 1}, ["a", "a"], {"all": []}, [None]]),
)


@st.composite
def mutated(draw: st.DrawFn, files: Mapping[str, Any]) -> tuple[str, Any]:
    """One shipped file with something else at one random place."""
    name = draw(st.sampled_from(sorted(files)))
    data = copy.deepcopy(files[name])
    here: Any = data
    path: list[tuple[Any, Any]] = []
    while isinstance(here, dict | list) and here and (not path or draw(st.integers(0, 3))):
        key = draw(st.sampled_from(list(here) if isinstance(here, dict) else list(range(len(here)))))
        path.append((here, key))
        here = here[key]
    container, key = path[-1]
    match draw(st.sampled_from(["replace", "remove", "add"])):
        case "replace":
            container[key] = draw(junk)
        case "remove":
            del container[key]
        case _ if isinstance(container, dict):
            container[draw(st.sampled_from(["zz", "on_red", "sent", "titel", "when", "steps"]))] = draw(junk)
        case _:
            container.append(draw(junk))
    return name, data


@pytest.fixture(scope="module")
def shipped_data(shipped_files: Mapping[str, str]) -> Mapping[str, Any]:
    """What is in the shipped files, tests apart; read once for all that is changed in them."""
    return {
        name: read(text, name).data for name, text in shipped_files.items() if not name.endswith(".test.yaml")
    }


@pytest.fixture(scope="module")
def memory() -> Memory:
    """What is shipped is read once for all that is changed in it."""
    return Memory()


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_whatever_is_changed_is_answered_in_words_and_never_raises(
    data: st.DataObject, shipped_files: Mapping[str, str], shipped_data: Mapping[str, Any], memory: Memory
) -> None:
    change_and_load(data, shipped_files, shipped_data, memory)


@pytest.mark.long
@settings(max_examples=2000, deadline=None)
@given(data=st.data())
def test_nor_does_anything_of_much_more(
    data: st.DataObject, shipped_files: Mapping[str, str], shipped_data: Mapping[str, Any], memory: Memory
) -> None:
    change_and_load(data, shipped_files, shipped_data, memory)


def change_and_load(
    data: st.DataObject, shipped_files: Mapping[str, str], shipped_data: Mapping[str, Any], memory: Memory
) -> None:
    name, changed = data.draw(mutated(shipped_data))
    text = json.dumps(changed, ensure_ascii=False, indent=1)
    loaded = load_files({**shipped_files, name: text}, memory=memory)

    assert (loaded.bundle is None) == bool(loaded.errors)
    for problem in loaded.problems:
        assert problem.code in CODES
        assert not any(word in problem.message.lower() for word in JARGON), problem
        if problem.place.file == name:
            lines = text.split("\n")
            assert problem.place.column <= len(lines[problem.place.line - 1]) + 1


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_what_is_remembered_is_what_would_be_read(
    data: st.DataObject, small: Mapping[str, str], memory: Memory
) -> None:
    """Whatever was loaded before: other files of these names, or the same ones with a file less."""
    parsed = {name: read(text, name).data for name, text in small.items()}
    for _ in range(3):
        name, changed = data.draw(mutated(parsed))
        files = {**small, name: json.dumps(changed, ensure_ascii=False, indent=1)}
        if data.draw(st.booleans()):
            del files[data.draw(st.sampled_from(sorted(files)))]

        remembered, read_anew = load_files(files, memory=memory), load_files(files, memory=Memory())

        assert remembered.problems == read_anew.problems
        assert (remembered.bundle and remembered.bundle.hash) == (read_anew.bundle and read_anew.bundle.hash)
        assert published(files, memory) == published(files, None) == published(files, Memory())


def published(files: Mapping[str, str], memory: Memory | None) -> object:
    """What is published of the files, or the problems that forbid it."""
    try:
        bundle = published_bundle(files, memory=memory)
    except RulesetError as error:
        return error.problems
    return bundle.hash, bundle.programs, bundle.rule_places
