"""The command line over a database of its own, called in this process."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
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


@pytest.fixture
def published(wayline: Command, tmp_path: Path, shipped_files: Mapping[str, str]) -> Command:
    """The same, with a database and the shipped workspace in force."""
    folder = tmp_path / "rulesets"
    for name, text in shipped_files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    assert wayline("db", "upgrade").status == 0
    assert wayline("publish", folder).status == 0
    return wayline
