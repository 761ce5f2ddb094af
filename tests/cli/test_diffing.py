"""`wayline diff`, and publishing and rolling back with policies for people on their way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command

WELCOME = "journeys/welcome.yaml"


@pytest.fixture
def folder(published: Command, tmp_path: Path) -> Path:
    """The shipped workspace, in force, with two people waiting for their first morning in `welcome`."""
    file = tmp_path / "added.jsonl"
    events = [{"type": "track", "event": "contact_added", "userId": user} for user in ("u1", "u2")]
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    assert published("ingest", file).status == 0
    return tmp_path / "rulesets"


def edit(folder: Path, name: str, *swaps: tuple[str, str]) -> None:
    text = (folder / name).read_text(encoding="utf-8")
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new)
    (folder / name).write_text(text, encoding="utf-8")


GONE = ('  - wait: overnight\n    days: 1\n    at: "10:00"\n', "")


def test_nothing_is_different_from_what_is_in_force(published: Command, folder: Path) -> None:
    shown = published("diff", folder)
    assert (shown.status, shown.out) == (0, "nothing would change: these files are in force\n")


def test_a_diff_tells_what_changed_and_who_stands_where(published: Command, folder: Path) -> None:
    edit(folder, WELCOME, ("days: 1", "days: 2"), ("priority: 60", "priority: 40"))
    edit(folder, WELCOME, ("  - send: guide\n", "  - {wait: lunch, for: 2h}\n  - send: guide\n"))
    shown = published("diff", folder, "--policy", "welcome=migrate")
    assert shown.status == 0
    assert shown.out == (
        """\
files: journeys/welcome.yaml

welcome: changed
  priority: 60 → 40
  ~ wait overnight  days: 1 → 2
  + wait lunch  for: 2h
  people on their way: 2; migrate, as the command says
  step       bundle  people  pin                   migrate               drain
  overnight  1       2       finish as they began  go over, and wait on  finish as they began
  who waits for a message or an answer goes over once that has come
"""
    )


def test_who_would_be_stranded_is_counted_and_not_published(published: Command, folder: Path) -> None:
    edit(folder, WELCOME, GONE, ("purpose: marketing", "purpose: marketing\nin_flight: migrate"))
    shown = published("diff", folder, "--format", "json")
    assert (shown.status, shown.json["stranded"]) == (1, 2)
    (journey,) = shown.json["journeys"]
    (at,) = journey["people"]["at"]
    assert (at["step"], at["people"], at["becomes"]["how"], at["suggestion"]) == (
        "overnight",
        2,
        "stranded",
        "guide",
    )
    assert {name: each["how"] for name, each in at["policies"].items()} == {
        "pin": "stays",
        "migrate": "stranded",
        "drain": "stays",
        "end": "ends",
    }
    refused = published("publish", folder)
    assert refused.status == 1
    assert f"{folder}/journeys/welcome.yaml:23:1: RS128 welcome.overnight: 2 people" in refused.err
    assert "write 'was: {overnight: guide}' into the journey" in refused.err
    assert len(published("bundles", "--format", "json").json) == 1
    pinned = published("publish", folder, "--policy", "welcome=pin")
    assert pinned.status == 0


def test_a_publish_and_a_list_tell_what_becomes_of_people(published: Command, folder: Path) -> None:
    edit(folder, WELCOME, GONE, ("purpose: marketing", "purpose: marketing\nwas: {overnight: guide}"))
    shown = published("publish", folder, "--policy", "welcome=migrate")
    assert shown.out.splitlines()[1:] == ["  welcome: migrate: 2 go over, on with guide"]
    journeys = {row["journey"]: row for row in published("journey", "list", "--format", "json").json}
    assert journeys["welcome"]["in_flight"] == {
        "policy": "migrate",
        "since": 2,
        "moved": 0,
        "ended": 0,
        "left": 2,
    }
    assert "migrate: 2 left" in published("journey", "list").out


def test_going_back_takes_people_back_where_they_were(published: Command, folder: Path) -> None:
    renamed = (
        ("wait: overnight", "wait: first_night"),
        ("purpose: m", "was: {overnight: first_night}\npurpose: m"),
    )
    edit(folder, WELCOME, *renamed)
    assert published("publish", folder, "--policy", "welcome=migrate").status == 0
    shown = published("rollback", "1", "--policy", "welcome=migrate", "--format", "json")
    assert shown.status == 0
    # Nobody has been taken over yet, and what they are on is in force again.
    assert shown.json["people"] == [] or all(not each["at"] for each in shown.json["people"])
    rows = {row["journey"]: row for row in published("journey", "list", "--format", "json").json}
    assert rows["welcome"]["in_flight"]["left"] == 0


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ("welcome", "is not of the form JOURNEY=POLICY"),
        ("welcome=keep", "is no policy for 'welcome': pin, migrate, drain or end"),
        ("wellcome=pin", "which is no journey"),
    ],
)
def test_a_policy_that_is_none_is_the_commands_fault(
    published: Command, folder: Path, policy: str, said: str
) -> None:
    edit(folder, WELCOME, ("days: 1", "days: 2"))
    for command in ("diff", "publish"):
        shown = published(command, folder, "--policy", policy)
        assert shown.status == 2
        assert said in shown.err


def test_a_journey_that_is_switched_off_keeps_its_people_and_says_so(
    published: Command, folder: Path
) -> None:
    edit(folder, WELCOME, ("purpose: marketing", "purpose: marketing\nenabled: false"))
    for tests in folder.rglob("*.test.yaml"):
        tests.unlink()  # of what is off nothing can be tested
    assert "2       finish as they began  STRANDED" in published("diff", folder).out
    assert published("publish", folder).out.splitlines()[1:] == [
        "  welcome, which is gone: pin: 2 finish as they began"
    ]
    rows = {row["journey"]: row for row in published("journey", "list", "--format", "json").json}
    assert (rows["welcome"]["enters_by"], rows["welcome"]["active_runs"]) == ("nobody", 2)
    refused = published("publish", folder, "--policy", "welcome=migrate")
    assert refused.status == 1
    assert "welcome=end to end their runs" in refused.err
    assert published("publish", folder, "--policy", "welcome=end").status == 0
