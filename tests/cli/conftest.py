"""The command line over a database of its own, called in this process."""

from __future__ import annotations

import io
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from engine.cli import run


@dataclass
class Printed:
    """What a command printed, and its status."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Printed]


@pytest.fixture
def wayline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Command]:
    """Runs `wayline` with the given arguments, in an empty folder, with nothing set but the data folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WAYLINE_DATA_DIR", str(tmp_path / "data"))
    handlers = list(logging.getLogger().handlers)

    def call(*arguments: str | Path) -> Printed:
        capsys.readouterr()
        status = run([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Printed(status, printed.out, printed.err)

    yield call
    logging.getLogger().handlers[:] = handlers
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def _published(tmp_path_factory: pytest.TempPathFactory, shipped_files: Mapping[str, str]) -> Path:
    """A folder with the shipped workspace and the data of an installation that has published it."""
    there = tmp_path_factory.mktemp("published")
    for name, text in shipped_files.items():
        file = there / "rulesets" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    handlers = list(logging.getLogger().handlers)
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):
        patch.chdir(there)
        patch.setenv("WAYLINE_DATA_DIR", str(there / "data"))
        assert run(["db", "upgrade"]) == 0
        assert run(["publish", "rulesets"]) == 0
    logging.getLogger().handlers[:] = handlers
    structlog.reset_defaults()
    return there


@pytest.fixture
def published(wayline: Command, tmp_path: Path, _published: Path) -> Command:
    """The same, with a database and the shipped workspace in force."""
    shutil.copytree(_published, tmp_path, dirs_exist_ok=True)
    return wayline
