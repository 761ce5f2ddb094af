"""`wayline test`: what it prints and how it ends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.cli import testing
from tests.cli.conftest import Command

TESTS = """\
ruleset: journeys/welcome.yaml
start: "2026-03-01T09:00:00+08:00"
until: 1h
contact: {consents: [marketing], identities: {email: a@example.com}}
tests:
  - name: a greeting at once
    events: [{at: 0d, event: contact_added}]
    expect: [{at: 0d, send: hello, channel: email}]
  - name: nobody comes, nobody is greeted
    expect: []
"""


@pytest.fixture
def folder(tmp_path: Path, shipped_files: Mapping[str, str]) -> Path:
    """The shipped rulesets with no tests but these."""
    root = tmp_path / "mine"
    for name, text in {**shipped_files, "welcome.test.yaml": TESTS}.items():
        if name.endswith(".test.yaml") and name != "welcome.test.yaml":
            continue
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def change(folder: Path, old: str, new: str, name: str = "welcome.test.yaml") -> None:
    file = folder / name
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def test_passing_tests_end_with_0_and_say_how_much_they_reach(wayline: Command, folder: Path) -> None:
    printed = wayline("test", folder)

    assert printed.status == 0
    first, second, hint = printed.out.splitlines()
    assert re.fullmatch(rf"{folder}: 2 tests, all passed \([0-9.]+ s\)", first)
    assert re.fullmatch(r"coverage \d+% \(\d+ of \d+\); never reached: .*", second)
    assert hint == "    hint: --coverage lists them"


def test_a_failing_test_ends_with_1_and_is_told_with_its_trace(wayline: Command, folder: Path) -> None:
    change(folder, "send: hello, channel: email", "send: hello, channel: app")
    printed = wayline("test", folder)

    assert printed.status == 1
    assert f"FAIL {folder}/welcome.test.yaml:6 a greeting at once\n" in printed.out
    assert "it went by email" in printed.out and "    0d        2026-03-01 09:00 (01:00Z)\n" in printed.out
    assert "2 tests, 1 failed" in printed.out and "\x1b[" not in printed.out


def test_files_that_are_at_fault_are_reported_and_nothing_runs(wayline: Command, folder: Path) -> None:
    change(folder, "send: hello", "send: hallo")
    printed = wayline("test", folder)

    assert printed.status == 1
    assert f"{folder}/welcome.test.yaml:8:29: RS087 tests[0].expect[0].send: 'welcome' has" in printed.out
    assert "no test was run" in printed.out


def test_a_workspace_without_tests_fails(wayline: Command, folder: Path) -> None:
    (folder / "welcome.test.yaml").unlink()
    printed = wayline("test", folder)

    assert printed.status == 1 and "there is no test; write welcome.test.yaml" in printed.err


def test_only_runs_what_is_named_and_a_name_that_fits_nothing_is_the_commands_fault(
    wayline: Command, folder: Path
) -> None:
    assert "1 test, all passed" in wayline("test", folder, "--only", "greeting").out
    assert "2 tests, all passed" in wayline("test", folder, "--only", "welcome.test").out
    printed = wayline("test", folder, "--only", "a greting at once")

    assert printed.status == 2 and "did you mean 'a greeting at once'?" in printed.err


def test_what_no_test_reaches_is_listed_on_demand(wayline: Command, folder: Path) -> None:
    printed = wayline("test", folder, "--coverage")

    assert printed.status == 0
    assert re.search(rf"{folder}/journeys/welcome.yaml:\d+: no test reaches welcome guide\n", printed.out)


def test_too_little_coverage_fails_when_asked_for(wayline: Command, folder: Path) -> None:
    printed = wayline("test", folder, "--fail-under", "99%")

    assert printed.status == 1 and "less than the 99% that --fail-under asks for" in printed.out
    assert wayline("test", folder, "--fail-under", "1").status == 0
    assert wayline("test", folder, "--fail-under", "most").status == 2
    assert wayline("test", folder, "--fail-under", "50%", "--only", "greeting").status == 2


def test_programs_get_the_same_as_data(wayline: Command, folder: Path) -> None:
    change(folder, "send: hello, channel: email", "send: hello, channel: app")
    printed = wayline("test", folder, "--format", "json")
    found = printed.json

    assert printed.status == 1 and found["passed"] is False
    failing, passing = found["tests"]
    assert (failing["name"], failing["file"]) == ("a greeting at once", "welcome.test.yaml")
    assert failing["line"] == 6
    assert "it went by email" in failing["failures"][0]["found"] and failing["trace"]
    assert passing["passed"] is True and "trace" not in passing
    assert 0 < found["coverage"]["percent"] < 100 and found["coverage"]["missed"][0]["file"]


def test_faulty_files_are_data_for_programs_too(wayline: Command, folder: Path) -> None:
    change(folder, "send: hello", "send: hallo")
    printed = wayline("test", folder, "--format", "json")

    assert printed.status == 1 and printed.json["passed"] is False
    assert [problem["code"] for problem in printed.json["problems"]] == ["RS087"]


def test_watching_runs_again_when_a_file_changes_and_survives_mistakes(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    doings = iter([("send: hello", "send: hallo"), ("send: hallo", "send: hello")])

    def pause() -> None:
        doing = next(doings, None)
        if doing is None:
            raise KeyboardInterrupt
        change(folder, *doing)

    with pytest.raises(KeyboardInterrupt):
        testing.watch_and_run(testing.Running(folder), pause)
    out = capsys.readouterr().out
    assert out.count("has changed") == 2
    assert out.count("2 tests, all passed") == 2 and out.count("no test was run") == 1
