"""The authors' commands: what they print and how they end."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from engine.authoring.loading import load_folder
from engine.authoring.schemas import schema_files
from engine.authoring.shipped import shipped_folder
from engine.cli import author
from engine.errors import CommandError, RulesetError
from engine.plugin.registry import Registry

ROOT = Path(__file__).parents[2]


def call(*arguments: str) -> Result:
    app = typer.Typer()
    author.register(app)
    return CliRunner().invoke(app, list(arguments))


def test_lint_of_a_clean_workspace_says_what_it_read_and_ends_with_0() -> None:
    result = call("lint", str(ROOT / "rulesets"))

    assert result.exit_code == 0
    assert re.search(r"\d+ files, \d+ journeys, (no problems|\d+ warnings?)\n$", result.output)
    assert " RS" not in result.output


def test_lint_of_a_broken_workspace_shows_openable_places_and_ends_with_1() -> None:
    folder = ROOT / "tests/cases/invalid/RS045_unknown_channel"
    result = call("lint", str(folder))

    assert result.exit_code == 1
    assert (
        f"{folder}/journeys/welcome.yaml:8:43: RS045 steps[0].channels[0]: 'emails' is not" in result.output
    )
    assert "    hint: did you mean 'email'?\n" in result.output
    assert result.output.endswith(f"{folder}: 4 problems\n")


def test_lint_gives_programs_the_same_as_data() -> None:
    result = call("lint", str(ROOT / "tests/cases/invalid/RW003_locale_missing"), "--format", "json")

    assert result.exit_code == 0
    (problem,) = [each for each in json.loads(result.output)["problems"] if each["code"] == "RW003"]
    assert (problem["code"], problem["line"], problem["warning"]) == ("RW003", 8, True)


def test_lint_of_a_folder_that_is_not_there_is_the_commands_fault() -> None:
    result = call("lint", "nowhere")

    assert isinstance(result.exception, CommandError)


def test_init_writes_a_workspace_that_lints_clean_with_schemas_where_it_says(
    tmp_path: Path, registry: Registry
) -> None:
    folder = tmp_path / "mine"
    assert call("init", str(folder)).exit_code == 0

    loaded = load_folder(folder, registry)
    assert loaded.problems == () and loaded.bundle is not None
    for name, text in loaded.bundle.files.items():
        first = text.split("\n", 1)[0]
        schema = (folder / name).parent / first.partition("$schema=")[2]
        assert first.startswith("# yaml-language-server:") and schema.is_file(), name


def test_init_never_overwrites(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x", encoding="utf-8")

    assert isinstance(call("init", str(tmp_path)).exception, CommandError)
    assert [file.name for file in tmp_path.iterdir()] == ["precious.txt"]


def test_facts_lists_contacts_events_and_journeys() -> None:
    result = call("facts", str(ROOT / "rulesets"))

    assert result.exit_code == 0
    for path in ("contact.spend_90d", "event.amount", "journey.outcomes.hello", "journey.values.benefit"):
        assert f"  {path} " in result.output
    data = json.loads(call("facts", str(ROOT / "rulesets"), "--format", "json").output)
    assert {"path": "contact.city", "type": "text", "title": "城市", "choices": []} in data["contact"]
    assert [fact["path"] for fact in data["event (every type)"]] == [
        "event.occurred_at",
        "event.patterns",
        "event.received_at",
        "event.source",
        "event.type",
    ]


def test_facts_lists_the_tags_that_rules_give_and_their_levels() -> None:
    text = call("facts", str(ROOT / "rulesets")).output
    data = json.loads(call("facts", str(ROOT / "rulesets"), "--format", "json").output)

    assert re.search(r"  repeat_buyer +behaviour +tags.yaml:\d+\n", text)
    assert {"tag": "high_value", "level": "value"} in data["tags"]


def test_facts_of_a_broken_workspace_raise_its_problems() -> None:
    result = call("facts", str(ROOT / "tests/cases/invalid/RS002_duplicate_keys"))

    assert isinstance(result.exception, RulesetError)


def test_schemas_are_written_checked_and_mended(tmp_path: Path) -> None:
    folder = tmp_path / "schemas"
    assert call("schemas", str(folder), "--check").exit_code == 1
    assert call("schemas", str(folder)).output.endswith(f"{len(schema_files())} schemas written\n")
    assert call("schemas", str(folder), "--check").exit_code == 0

    (folder / "caps.schema.json").write_text("{}", encoding="utf-8")
    result = call("schemas", str(folder), "--check")
    assert result.exit_code == 1 and "caps.schema.json" in result.output
    assert call("schemas", str(folder)).output.endswith("1 schemas written\n")


def test_graph_draws_a_journey() -> None:
    result = call("graph", "welcome", str(ROOT / "rulesets"))

    assert result.exit_code == 0
    assert result.output.startswith("flowchart") and "hello" in result.output


def test_graph_of_an_unknown_journey_suggests_the_nearest() -> None:
    result = call("graph", "welcom", str(ROOT / "rulesets"))

    assert "did you mean 'welcome'?" in str(result.exception)


def test_without_a_folder_the_setting_names_the_workspace(
    small: Mapping[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in small.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setenv("WAYLINE_WORKSPACE", str(tmp_path))

    assert "contact.visits" in call("facts").output


def test_every_command_shows_an_example() -> None:
    for command in ("lint", "init", "facts", "schemas", "graph"):
        assert f"Example: wayline {command}" in call(command, "--help").output


def test_the_shipped_files_are_found_in_a_package_as_well(tmp_path: Path) -> None:
    package = tmp_path / "engine"
    shutil.copytree(ROOT / "schemas", package / "shipped/schemas")

    assert shipped_folder("schemas", package) == package / "shipped/schemas"
    with pytest.raises(CommandError, match="rulesets"):
        shipped_folder("rulesets", package)
