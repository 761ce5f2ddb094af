"""The command `wayline` as a whole: help, version, exit statuses, quick start."""

from __future__ import annotations

import importlib
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import typer

from engine.cli import MODULES
from tests.cli.conftest import Command

ROOT = Path(__file__).parents[2]


def test_the_version_is_told(wayline: Command) -> None:
    assert wayline("--version").out.startswith("wayline 0.")


def test_the_help_lists_every_command(wayline: Command) -> None:
    shown = wayline("--help")
    assert shown.status == 0
    for commands in MODULES.values():
        for command in commands:
            assert command in shown.out


@pytest.mark.parametrize("module", MODULES)
def test_the_table_of_commands_says_what_each_module_registers(module: str) -> None:
    app = typer.Typer()
    importlib.import_module(f"engine.cli.{module}").register(app)
    named = {command.name for command in app.registered_commands}
    named |= {group.name for group in app.registered_groups}
    assert named == set(MODULES[module])


@pytest.mark.parametrize("module", MODULES)
def test_every_command_shows_an_example(module: str, wayline: Command) -> None:
    for command in MODULES[module]:
        assert wayline(command, "--help").status == 0
    app = typer.Typer()
    importlib.import_module(f"engine.cli.{module}").register(app)
    groups = [group.typer_instance for group in app.registered_groups]
    commands = [
        *app.registered_commands,
        *(each for group in groups if group for each in group.registered_commands),
    ]
    for each in commands:
        assert each.callback is not None
        assert "Example: " in (each.callback.__doc__ or ""), each.name


def test_every_command_that_a_text_of_the_project_names_is_there() -> None:
    """`wayline run cancel` once stood in LIMITS.md alone."""
    app = typer.Typer()
    for module in MODULES:
        importlib.import_module(f"engine.cli.{module}").register(app)
    known: dict[str, set[str]] = {each.name or "": set() for each in app.registered_commands}
    for group in app.registered_groups:
        assert group.typer_instance is not None
        within = {each.name or "" for each in group.typer_instance.registered_commands}
        known[group.name or ""] = within
    files = [ROOT / "README.md", ROOT / "CHANGELOG.md"]
    files += [file for folder in ("rulesets", "plugins") for file in (ROOT / folder).rglob("*.md")]
    files += [file for folder in ("engine", "workflows") for file in (ROOT / folder).rglob("*.py")]
    missing = {
        f"wayline {name} {part}"
        for file in files
        for name, part in re.findall(r"`wayline ([a-z-]+) ?([a-z-]*)", file.read_text(encoding="utf-8"))
        if name not in known or (part and known[name] and part not in known[name])
    }
    assert not missing


@pytest.mark.parametrize("arguments", [["nonsense"], ["ingest"], ["run", "list", "--limit", "many"]])
def test_a_wrong_command_is_the_commands_fault(wayline: Command, arguments: list[str]) -> None:
    shown = wayline(*arguments)
    assert shown.status == 2
    assert "Traceback" not in shown.err


def test_a_database_without_tables_names_the_command_that_makes_them(wayline: Command) -> None:
    shown = wayline("run", "list")
    assert (shown.status, shown.out) == (2, "")
    assert "wayline db upgrade" in shown.err


def test_a_wrong_setting_is_named_without_its_value(
    wayline: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAYLINE_PORT", "secret-port")
    shown = wayline("run", "list")
    assert shown.status == 2
    assert "WAYLINE_PORT" in shown.err
    assert "secret-port" not in shown.err


def test_linting_does_not_wait_for_database_web_or_workflow_libraries() -> None:
    code = (
        "import sys; from engine.cli import make_app; make_app(['lint', '.']);"
        "heavy = {'sqlalchemy', 'fastapi', 'temporalio', 'httpx'}; print(sorted(heavy & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize("arguments", [["init", "file/below"], ["up"], ["schemas", "file/below"]])
def test_a_place_that_cannot_be_written_is_named_without_a_stack_trace(
    wayline: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("WAYLINE_DATA_DIR", "file/data")
    shown = wayline(*arguments)
    assert (shown.status, shown.out) == (2, "")
    assert shown.err.startswith("wayline: file")
    assert "not a directory" in shown.err


def test_a_workspace_is_found_where_one_stands(wayline: Command, tmp_path: Path) -> None:
    assert "name the one that holds wayline.yaml" in wayline("lint").err
    assert wayline("init", "rulesets").status == 0
    assert wayline("lint").out.startswith("rulesets: ")
    (tmp_path / "wayline.yaml").write_text((tmp_path / "rulesets" / "wayline.yaml").read_text())
    assert wayline("lint").out.rpartition("\n.: ")[2] or wayline("lint").out.startswith(".: ")


def test_a_database_that_cannot_be_written_is_said_so(published: Command, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "data" / "wayline.db")) as other:
        other.execute("DROP TABLE control")
        other.commit()
    shown = published("kill", "on")
    assert (shown.status, shown.out) == (2, "")
    assert shown.err == "wayline: the database could not do it: no such table: control\n"


def test_an_argument_that_is_no_text_is_refused_without_a_trace(wayline: Command) -> None:
    shown = wayline("lint", "\ud800")
    assert (shown.status, shown.out) == (2, "")
    assert shown.err == "wayline: an argument is not UTF-8 text; check the terminal's encoding\n"
