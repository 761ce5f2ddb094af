"""`wayline publish`, `rollback`, `bundles`, `consent`, `contact` and `run`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command


def add_contact(wayline: Command, folder: Path) -> None:
    file = folder / "added.jsonl"
    file.write_text(json.dumps({"type": "track", "event": "contact_added", "userId": "u1"}) + "\n")
    assert wayline("ingest", file).status == 0


def test_a_workspace_is_published_once_per_change_and_rolled_back(published: Command, tmp_path: Path) -> None:
    folder = tmp_path / "rulesets"
    assert published("publish", folder, "--format", "json").json["number"] == 1
    (folder / "wayline.yaml").write_text(
        (folder / "wayline.yaml").read_text(encoding="utf-8").replace("late_after: 7d", "late_after: 8d"),
        encoding="utf-8",
    )
    assert published("publish", folder, "--format", "json").json["number"] == 2
    assert published("rollback", "1").out.startswith("bundle 3 (")
    bundles = published("bundles", "--format", "json").json
    assert [(bundle["number"], bundle["live"]) for bundle in bundles] == [(3, True), (2, False), (1, False)]
    assert published("rollback", "9").status == 2


def test_a_broken_workspace_is_the_inputs_fault_and_changes_nothing(
    published: Command, tmp_path: Path
) -> None:
    (tmp_path / "rulesets" / "extra.yaml").write_text("kind: journey\nid: yes\n", encoding="utf-8")
    shown = published("publish", tmp_path / "rulesets")
    assert (shown.status, shown.out) == (1, "")
    assert "extra.yaml:2:5: RS" in shown.err
    assert len(published("bundles", "--format", "json").json) == 1


def test_consent_is_granted_withdrawn_and_shown(published: Command, tmp_path: Path) -> None:
    add_contact(published, tmp_path)
    assert published("consent", "grant", "user:u1", "marketing", "--channel", "email").status == 0
    assert published("consent", "withdraw", "user:u1", "marketing").status == 0
    ledger = published("consent", "show", "user:u1", "--format", "json").json["ledger"]
    assert [(entry["decision"], entry["channel"]) for entry in ledger] == [
        ("granted", "email"),
        ("withdrawn", "*"),
    ]
    assert published("consent", "grant", "user:u1", "espionage").status == 2
    assert published("consent", "grant", "user:nobody", "marketing").status == 2


def test_a_contact_and_its_runs_are_shown(published: Command, tmp_path: Path) -> None:
    add_contact(published, tmp_path)
    contact = published("contact", "show", "user:u1", "--format", "json").json
    runs = published("run", "list", "--contact", contact["id"], "--format", "json").json
    assert "welcome" in {run["journey"] for run in runs}
    shown = published("run", "show", runs[0]["id"])
    assert runs[0]["id"] in shown.out
    assert "contact_added" in published("contact", "show", "user:u1").out
    assert runs[0]["id"] in published("run", "list").out
    assert published("run", "show", "none").status == 2


def test_publishing_checks_what_plugins_need_as_linting_does(published: Command, tmp_path: Path) -> None:
    folder = tmp_path / "rulesets"
    channels = folder / "channels.yaml"
    channels.write_text(channels.read_text(encoding="utf-8").replace("plugin: webhook", "plugin: pigeon"))
    shown = published("publish", folder)
    assert (shown.status, shown.out) == (1, "")
    assert f"{folder}/channels.yaml:18:13: RS060" in shown.err
    assert len(published("bundles", "--format", "json").json) == 1


@pytest.mark.parametrize(
    ("command", "purpose", "channel", "said"),
    [
        ("grant", "markting", "email", "'markting' is not a purpose of this workspace"),
        ("grant", "*", "email", "'*' is not a purpose of this workspace"),
        ("grant", "marketing", "emial", "did you mean 'email'?"),
        ("withdraw", "marketing", "emial", "nothing was recorded: did you mean 'email'?"),
    ],
)
def test_a_misspelt_consent_is_refused_before_anything_is_written(
    published: Command, tmp_path: Path, command: str, purpose: str, channel: str, said: str
) -> None:
    add_contact(published, tmp_path)
    shown = published("consent", command, "user:u1", purpose, "--channel", channel)
    assert (shown.status, shown.out) == (2, "")
    assert said in shown.err
    assert published("consent", "show", "user:u1").out == "nothing is recorded\n"
    assert published("deadletter", "list").out == "no dead letters\n"


def test_everything_can_be_withdrawn_at_once_and_is_told_to_programs(
    published: Command, tmp_path: Path
) -> None:
    add_contact(published, tmp_path)
    told = published("consent", "withdraw", "user:u1", "*", "--format", "json").json
    assert (told["decision"], told["purpose"], told["channel"]) == ("withdrawn", "*", "*")


def test_a_run_is_shown_in_lines_that_fit_a_screen(published: Command, tmp_path: Path) -> None:
    add_contact(published, tmp_path)
    (run,) = published("run", "list", "--journey", "welcome", "--format", "json").json
    assert list(run)[:2] == ["id", "journey"]
    shown = published("run", "show", run["id"])
    assert max(map(len, shown.out.splitlines())) < 160
    key = published("run", "show", run["id"], "--format", "json").json["intents"][0]["key"]
    assert key in shown.out
    assert published("explain", key).status == 0


def test_words_that_no_run_or_journey_knows_are_the_commands_fault(
    published: Command, tmp_path: Path
) -> None:
    add_contact(published, tmp_path)
    assert published("run", "list", "--status", "sleeping").status == 2
    asked = published("explain", "--contact", "user:u1", "--journey", "wellcome")
    assert (asked.status, "did you mean 'welcome'?" in asked.err) == (2, True)
