"""What is mechanical is mended at its place; nothing else moves, and mending twice is mending once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.authoring.loading import load_files
from engine.authoring.mending import mend, mend_folder
from engine.authoring.models.doing_steps import SendStep
from engine.authoring.models.part import Renamed
from engine.rules.spelling import only_meant

CASES = sorted((Path(__file__).parents[1] / "cases/invalid").glob("RS0[0-2]*"))


def mended(small: Mapping[str, str], text: str, file: str = "welcome.yaml") -> str:
    return mend({**small, file: text}).files[file]


def test_an_old_name_of_a_key_becomes_the_present_one(
    small: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SendStep, "renamed", {"text": Renamed("content", "0.9")})
    text = small["welcome.yaml"]
    assert "content: hello" in text

    result = mend({**small, "welcome.yaml": text.replace("content: hello", "text: hello")})

    assert result.files["welcome.yaml"] == text
    assert [(change.before, change.after) for change in result.changes] == [("text", "content")]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("kind: journey", "kind： journey"),
        ("kind: journey", "kind：journey"),
        ("owner: tests", "owner:tests"),
        ("owner: tests", "owner： tests"),
        ("owner: tests", "owner: “tests”"),
        ("title: 欢迎", "title: “欢迎”"),
        ("purpose: marketing", "purpose: marketting"),
        ("purpose: marketing", "purpos: marketing"),
        ("event: contact_added", "event: contact_aded"),
        ("event: contact_added", "event:contact_added"),
        ("content: hello", "content: helo"),
        ("content: hello", "contnet: hello"),
        ("[email]", "[emial]"),
        ("channels:", "chanels:"),
        ("send: hi", "sned: hi"),
        ("kind: journey", "kind: jorney"),
        ("id: welcome", "id:\twelcome"),
        ("  - {send", "\t- {send"),
        ("id: welcome", "id: welcome\u200b"),
        ("kind: journey", "\ufeffkind: journey"),
    ],
)
def test_what_is_mechanical_is_mended(small: Mapping[str, str], wrong: str, right: str) -> None:
    good, broken = wrong, right
    text = small["welcome.yaml"]
    assert good in text

    result = mended(small, text.replace(good, broken, 1))

    assert result in {text, text.replace(good, good.replace("tests", '"tests"').replace("欢迎", '"欢迎"'))}
    assert load_files({**small, "welcome.yaml": result}).problems == ()


@pytest.mark.parametrize(
    "line",
    [
        'description: "a\tb"',  # a tab that is text
        "description: 欢迎：请看",  # punctuation that is text
        "descripton: a\ndescription: b",  # the right key is there too
        "prupsoe_of: x",  # like nothing
    ],
)
def test_what_a_person_must_decide_is_left_alone(small: Mapping[str, str], line: str) -> None:
    text = small["welcome.yaml"].replace("owner: tests\n", f"owner: tests\n{line}\n")

    assert mended(small, text) == text


def test_values_that_programs_read_differently_get_quotes(small: Mapping[str, str]) -> None:
    text = (
        small["purposes.yaml"]
        .replace('version: "1"', "version: 2026-01-01")
        .replace("title: 营销", "title: on")
    )

    result = mended(small, text, "purposes.yaml")

    assert 'version: "2026-01-01"' in result and 'title: "on"' in result
    assert mended(small, text.replace("2026-01-01", "1.0"), "purposes.yaml").count('version: "1.0"') == 2


def test_line_ends_become_plain_and_all_else_stays(small: Mapping[str, str]) -> None:
    text = small["welcome.yaml"].replace("owner: tests\n", "owner: tests   # who\n\n\n#  两行\n")

    result = mend({**small, "welcome.yaml": text.replace("\n", "\r\n")})

    assert result.files["welcome.yaml"] == text
    assert [str(change) for change in result.changes] == [
        "welcome.yaml:1: line ends of another system → plain line ends"
    ]


def test_a_mark_at_the_end_that_nothing_follows_goes(small: Mapping[str, str]) -> None:
    text = small["welcome.yaml"]

    assert mended(small, text + "---\n") == text
    assert mended(small, text + "---\nkind: caps\n") == text + "---\nkind: caps\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_of_a_broken_workspace_nothing_is_made_worse_and_twice_is_once(case: Path) -> None:
    files = {
        file.relative_to(case).as_posix(): file.read_bytes().decode("utf-8", "replace")
        for file in case.rglob("*.yaml")
    }
    once = mend(files)

    assert dict(mend(once.files).files) == dict(once.files)
    before, after = load_files(files).errors, load_files(once.files).errors
    if once.files == files:
        assert once.changes == ()
    assert len({each.place.file for each in after} - {each.place.file for each in before}) == 0


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["welcome.yaml", "purposes.yaml", "events.yaml", "content.yaml"]),
    st.integers(0, 400),
    st.sampled_from([" ", "：", "，", "\t", ":", '"', "\r", "\ufeff", "x", "“", "\n", "on", "-"]),
    st.booleans(),
)
def test_mending_twice_is_mending_once(
    small: Mapping[str, str], file: str, at: int, wrong: str, instead: bool
) -> None:
    text = small[file]
    at %= len(text)
    broken = {**small, file: text[:at] + wrong + text[at + instead :]}
    once = mend(broken)

    assert dict(mend(once.files).files) == dict(once.files)
    if not load_files(broken).problems:
        assert once.files[file] in {broken[file], re.sub("\r\n?", "\n", broken[file]).removeprefix("\ufeff")}
        assert load_files(once.files).problems == ()


def test_a_folder_is_mended_in_place_and_only_when_asked(tmp_path: Path, small: Mapping[str, str]) -> None:
    for name, text in small.items():
        (tmp_path / name).write_bytes(text.encode())
    (tmp_path / "welcome.yaml").rename(tmp_path / "welcome.yml")
    broken = small["content.yaml"].replace("locales:", "locale:").replace("\n", "\r\n").encode()
    (tmp_path / "content.yaml").write_bytes(broken)

    told = mend_folder(tmp_path, write=False)
    assert (tmp_path / "content.yaml").read_bytes() == broken and (tmp_path / "welcome.yml").exists()

    assert [str(change) for change in mend_folder(tmp_path)] == [
        "content.yaml:1: line ends of another system → plain line ends",
        "content.yaml:6: locale → locales",
        "welcome.yml:1: welcome.yml → welcome.yaml",
    ]
    assert len(told) == 3
    assert (tmp_path / "content.yaml").read_bytes() == small["content.yaml"].encode()
    assert (tmp_path / "welcome.yaml").read_bytes() == small["welcome.yaml"].encode()
    assert mend_folder(tmp_path) == ()
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("chanels", ["channels", "content"], "channels"),
        ("emial", ["email", "app"], "email"),
        ("emaile", ["email", "emails"], None),
        ("fro", ["for", "form"], "for"),
        ("xy", ["ab"], None),
        ("email", ["email"], "email"),
        ("conten", ["contents", "content"], None),
        ("", ["a"], None),
        ("x" * 1_000_000, ["x"], None),
    ],
)
def test_a_word_is_meant_when_it_is_the_only_near_one(word: str, known: list[str], meant: str | None) -> None:
    assert only_meant(word, known) == meant
