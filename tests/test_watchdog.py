"""What hangs fails, is named, and holds up no other test; nothing that it started stays behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parent.parent

CLINGING = """
    import asyncio, contextlib, subprocess, threading, time
    import pytest

    async def test_waits():
        try:
            await asyncio.Event().wait()
        finally:  # as a worker does that waits for the last of its activities
            await asyncio.Event().wait()

    @pytest.fixture
    def clinging():
        yield
        threading.Event().wait()

    def test_fails_first(clinging):
        assert False

    def test_goes_on():
        pass
"""
STUBBORN = """
    import contextlib, pathlib, subprocess, time
    import pytest

    def test_never_lets_go():
        child = subprocess.Popen(["sleep", "300"])
        pathlib.Path("child").write_text(str(child.pid))
        while True:
            with contextlib.suppress(BaseException):
                time.sleep(300)

    def test_goes_on():
        pass
"""
INTERNAL = """
    import threading
    import pytest

    @pytest.fixture
    def clinging():
        yield
        threading.Event().wait()

    def test_passes(clinging):
        pass
"""
BROKEN = """
    import pytest

    def pytest_runtest_logreport(report):
        if report.when == "call":
            raise RuntimeError("of pytest itself")
"""
# A machine that is busy may take a second or two for what is no test's fault, as for a test to begin.
TIMEOUT, PATIENCE = 3, 2
SETTINGS = f"[pytest]\nasyncio_mode = auto\ntimeout = {TIMEOUT}\n"

pytestmark = pytest.mark.xdist_group("watchdog")  # these wait most of their time


def run(folder: Path, text: str, *options: str) -> str:
    """What pytest says of a file with these tests, whose time-out is short."""
    (folder / "test_it.py").write_text(dedent(text))
    (folder / "pytest.ini").write_text(SETTINGS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.watchdog", "-p", "no:cacheprovider", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "WAYLINE_TEST_PATIENCE": str(PATIENCE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    return done.stdout


def test_what_clings_when_its_time_is_over_or_it_has_failed_is_interrupted(tmp_path: Path) -> None:
    said = run(tmp_path, CLINGING, "-W", "ignore")
    assert "HUNG: test_it.py::test_waits is not over: interrupted" in said
    assert "HUNG: test_it.py::test_fails_first is not over: interrupted" in said
    assert "await asyncio.Event().wait()" in said.partition("HUNG")[0], "where the task was"
    assert "2 failed, 1 passed, 2 errors" in said


def test_what_cannot_be_interrupted_ends_its_process_with_all_it_started(tmp_path: Path) -> None:
    said = run(tmp_path, STUBBORN, "-n", "1")
    assert "crashed while running 'test_it.py::test_never_lets_go'" in said
    assert "1 failed, 1 passed" in said
    assert not is_running(int((tmp_path / "child").read_text()))


def test_what_a_test_set_up_is_watched_while_it_ends_after_an_internal_error(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(dedent(BROKEN))
    said = run(tmp_path, INTERNAL)
    assert "HUNG: the end of the session is not over: interrupted" in said


def is_running(process: int) -> bool:
    """Whether a process is still at work; one that is dead and waits for whoever inherited it is not."""
    try:
        told = Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return told.rpartition(")")[2].split()[0] not in {"Z", "X"}
