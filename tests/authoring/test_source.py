"""Reading YAML: what is refused, what a value means, and that every path points at its text."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.authoring.reading.source import MAX_CHARACTERS, Source, dotted, read
from engine.errors import Place

# The core schema of YAML 1.2, written down independently: what is not text there.
NOT_TEXT_IN_1_2 = re.compile(
    r"|~|null|Null|NULL|true|True|TRUE|false|False|FALSE"
    r"|[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
    r"|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)

plain = st.text(alphabet="0123456789abcdefnotruylsNOYx.+-_:~=eE% ", min_size=1, max_size=14)
numeric = st.from_regex(r"[-+]?[0-9_]{0,4}[.:eExob]?[0-9_]{0,4}([-:][0-9]{0,2})?", fullmatch=True)
VISIBLE: dict[str, Any] = {"codec": "utf-8", "categories": ["L", "N", "P", "S"]}
data = st.recursive(
    st.one_of(st.integers(-(10**9), 10**9), st.booleans(), st.text(st.characters(**VISIBLE), max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(alphabet="abcdef_", min_size=1, max_size=6), inner, max_size=4),
    ),
    max_leaves=20,
)  # fmt: skip


def codes(text: str) -> list[str]:
    return [problem.code for problem in read(text, "f.yaml").problems]


@settings(max_examples=400)
@given(st.one_of(plain, numeric))
def test_an_unquoted_value_is_the_same_for_every_reader_or_refused(text: str) -> None:
    try:
        oracle = yaml.safe_load(f"key: {text}\n")
    except (yaml.YAMLError, ValueError):
        return  # not one value at all
    source = read(f"key: {text}\n", "f.yaml")
    if source.problems or not isinstance(oracle, dict) or list(oracle) != ["key"]:
        return
    value = source.data["key"]
    assert value == oracle["key"] and type(value) is type(oracle["key"])
    if isinstance(value, str):
        assert NOT_TEXT_IN_1_2.fullmatch(value) is None


SURPRISING = (
    *("NO", "on", "Off", "y", "N", "True", "FALSE", "yes", "~", "Null"),
    *("10:00", "9:5", "190:20:30", "2026-03-01", "2026-3-1", "2026-03-01 10:00:00"),
    *("0o17", "017", "089", "00", "0x1F", "0b11", "1e3", "1E-3", "1.5e3", "1.", ".5", "+5", "1_000"),
    *("-0", "-0.0", ".inf", "-.INF", ".NaN", "=", "1234567890123456789"),
)
PLAIN: tuple[tuple[str, object], ...] = (
    *(("true", True), ("false", False), ("null", None), ("0", 0), ("-12", -12), ("3.50", 3.5)),
    *((text, text) for text in ("15%", "3d", "1.2.3", "a:b", "提示：好", "nothing", "e5")),
)


@pytest.mark.parametrize("text", SURPRISING)
def test_a_surprising_value_must_be_put_in_quotes(text: str) -> None:
    (problem,) = read(f"key: {text}\n", "f.yaml").problems

    assert (problem.code, problem.place) == ("RS007", Place("f.yaml", 1, 6))
    assert problem.hint == f'put it in quotes: "{text}"'
    assert read(f'key: "{text}"\n', "f.yaml").data == {"key": text}


@pytest.mark.parametrize(("text", "value"), PLAIN)
def test_a_plain_value_is_what_it_looks_like(text: str, value: object) -> None:
    source = read(f"key: {text}\n", "f.yaml")

    assert source.problems == ()
    assert source.data == {"key": value} and type(source.data["key"]) is type(value)


@settings(max_examples=200)
@given(data, st.sampled_from([None, 0, 1, 3]))
def test_every_path_points_at_the_text_of_its_value(value: Any, indent: int | None) -> None:
    # JSON is YAML; written this way the text of every value is known.
    text = json.dumps({"root": value}, ensure_ascii=False, indent=indent)
    source = read(text, "f.yaml")

    assert source.problems == ()
    assert source.data == {"root": value}
    lines = text.split("\n")
    for path in source.places:
        place = source.place(path)
        here = lines[place.line - 1][place.column - 1 :]
        expected = _at(source.data, path)
        start = expected if isinstance(expected, list | dict) else json.dumps(expected, ensure_ascii=False)
        assert here.startswith(start if isinstance(start, str) else json.dumps(start)[0])
    for path in source.keys:
        place = source.key_place(path)
        assert lines[place.line - 1][place.column - 1 :].startswith(json.dumps(path[-1]))


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        value = value[part]
    return value


@settings(max_examples=300)
@given(st.text(alphabet="abk: -{}[],#&*!|>'\"%@`\n：，\t1?~<=", max_size=60))
def test_whatever_is_written_gets_an_answer_with_places_inside_the_file(text: str) -> None:
    source = read(text, "f.yaml")

    lines = text.split("\n")
    for problem in source.problems:
        assert problem.message and problem.code.startswith("RS0")
        assert 1 <= problem.place.line <= len(lines)
        assert 1 <= problem.place.column <= len(lines[problem.place.line - 1]) + 1
    if not source.problems:
        assert isinstance(json.dumps(source.data), str)


def test_line_ends_and_a_byte_order_mark_of_windows_change_nothing() -> None:
    text = "kind: tags\ntags:\n  - tag: 好\n    level: NO\n"

    for variant in ("\ufeff" + text, text.replace("\n", "\r\n"), "\ufeff" + text.replace("\n", "\r\n")):
        source = read(variant, "f.yaml")
        assert source.data == read(text, "f.yaml").data
        assert [problem.place for problem in source.problems] == [Place("f.yaml", 4, 12)]


def test_columns_count_characters_also_after_emoji_and_right_to_left_text() -> None:
    (problem,) = read("{a: 😀👨‍👩‍👧, b: שלום, c: NO}\n", "f.yaml").problems

    assert problem.place.column == "{a: 😀👨‍👩‍👧, b: שלום, c: ".__len__() + 1


def test_all_mistakes_of_a_file_are_reported_together() -> None:
    text = "a: NO\na: 1\nb: &x 2\nc: *x\nd: !!str 3\n<<: {e: 1}\nf:\ng: [上海，北京]\n"

    assert codes(text) == ["RS007", "RS002", "RS008", "RS008", "RS010", "RS009", "RS022", "RS014"]


def test_a_block_text_keeps_its_lines() -> None:
    assert read("body: |\n  一\n  二\n", "f.yaml").data == {"body": "一\n二\n"}


def test_a_second_value_for_a_key_does_not_move_the_first() -> None:
    source = read("a: {b: 1}\na: {b: 2}\n", "f.yaml")

    assert source.data == {"a": {"b": 1}}
    assert source.place(("a", "b")) == Place("f.yaml", 1, 8)


@pytest.mark.parametrize("text", ["[" * 5000, "{a: " * 5000, "- " * 5000, "a:\n" + " " * 4000 + "- b"])
def test_deep_or_wide_nesting_is_answered_quickly(text: str) -> None:
    assert len(read(text, "f.yaml").problems) <= 2


def test_a_file_that_is_too_large_is_not_even_parsed() -> None:
    assert codes("a: " + "x" * MAX_CHARACTERS) == ["RS015"]


def test_a_key_in_quotes_may_look_like_anything() -> None:
    assert read('"on": 1\n"10:00": 2\n', "f.yaml").data == {"on": 1, "10:00": 2}


def test_the_place_of_what_is_not_there_is_that_of_the_nearest_part() -> None:
    source = read("a:\n  b: 1\n", "f.yaml")

    assert source.place(("a", "missing", 3)) == Place("f.yaml", 2, 3)
    assert source.key_place(("a", "b")) == Place("f.yaml", 2, 3)
    assert Source("f.yaml", None).place(("a",)) == Place("f.yaml")


def test_paths_are_written_as_people_write_them() -> None:
    assert dotted(("steps", 0, "channels", 1)) == "steps[0].channels[1]"
    assert dotted(()) == "(file)"
