"""`wayline test`: the tests that stand beside the rulesets, in virtual time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.authoring.reading.validating import known_list, nearest
from engine.authoring.reporting import as_data, count_of, report
from engine.authoring.understanding import Memory
from engine.cli.finishing import finished
from engine.cli.output import Format, FormatOption, print_json
from engine.cli.workspaces import Folder, folder_of, load_workspace, plugins_at_hand
from engine.errors import CommandError

if TYPE_CHECKING:
    from engine.authoring.bundle import Bundle
    from engine.authoring.rule_tests.tests import RuleTest, Suite
    from engine.simulation.testing import TestReport

_COLOURS = {"FAIL": "red", "+": "green", "-": "red", "?": "yellow", "~": "yellow"}
_PAUSE = 0.5
"""Seconds between two looks at the files."""


def register(app: typer.Typer) -> None:
    """Add the command to `wayline`."""
    app.command("test")(test)


def test(
    folder: Folder = None,
    only: Annotated[
        str | None, typer.Option(help="Only tests whose name, or whose file's name, contains this.")
    ] = None,
    coverage: Annotated[bool, typer.Option("--coverage", help="List all that no test reaches.")] = False,
    fail_under: Annotated[
        str | None, typer.Option(metavar="N%", help="Fail when less than this is covered, as 80%.")
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Run again whenever a file changes.")] = False,
    output: FormatOption = Format.TEXT,
) -> None:
    """Run the tests of a workspace (*.test.yaml) in virtual time; a failing one tells what led there.

    Exit 0 when all passed, 1 when one failed, nothing ran or a file is at fault.

    Example: wayline test rulesets --coverage
    """
    if only is not None and fail_under is not None:
        raise CommandError("--fail-under is about all tests; leave out --only")
    least = _share(fail_under) if fail_under is not None else 0.0
    running = Running(folder_of(folder), only, least, coverage, output)
    if watch:
        watch_and_run(running, lambda: time.sleep(_PAUSE))
    raise typer.Exit(0 if running.once() else 1)


def watch_and_run(running: Running, pause: Callable[[], None]) -> None:
    """Run the tests now and after every change; `pause` is called between two looks at the files."""
    from engine.simulation.watching import changes

    running.once()
    for _ in changes(running.where, pause):
        typer.echo(f"\n{running.where} has changed")
        try:
            running.once()
        except CommandError as error:
            # While files are being renamed, what was asked for may be away for a moment.
            typer.echo(f"wayline: {error}", err=True)


class Running:
    """One way of running the tests of a workspace, perhaps many times."""

    def __init__(
        self,
        where: Path,
        only: str | None = None,
        least: float = 0.0,
        coverage: bool = False,
        output: Format = Format.TEXT,
    ) -> None:
        self.where = where
        self._registry = plugins_at_hand()
        self._memory = Memory()
        self._only = only
        self._least = least
        self._coverage = coverage
        self._output = output

    def once(self) -> bool:
        """Whether the files are good, tests ran, all of them passed and enough was covered."""
        from engine.simulation.testing import run_tests

        began = time.perf_counter()
        loaded = load_workspace(self.where, self._registry, memory=self._memory)
        if loaded.bundle is None:
            if self._output is Format.JSON:
                print_json({"passed": False, "problems": as_data(loaded.errors)})
            else:
                typer.echo(report(loaded.errors), nl=False)
                typer.echo(f"{self.where}: {count_of(loaded.errors)}; no test was run")
            return False
        bundle = loaded.bundle
        done = finished(run_tests(bundle, self._registry, chosen=self._is_chosen))
        if not done.results:
            self._nothing_ran(bundle)
            return False
        if self._output is Format.JSON:
            self._print_data(done, bundle)
        else:
            self._print(done, bundle, time.perf_counter() - began)
        return not done.failed and done.coverage.percent >= self._least

    def _is_chosen(self, suite: Suite, test: RuleTest) -> bool:
        return self._only is None or self._only in test.name or self._only in suite.file

    def _nothing_ran(self, bundle: Bundle) -> None:
        names = [test.name for suite in bundle.suites for test in suite.tests]
        if self._only is not None and names:
            hint = nearest(self._only, names) or known_list({suite.file for suite in bundle.suites})
            raise CommandError(f"no test is called {self._only!r}: {hint}")
        typer.echo(f"{self.where}: there is no test; write welcome.test.yaml beside welcome.yaml", err=True)

    def _print(self, done: TestReport, bundle: Bundle, seconds: float) -> None:
        from engine.simulation.telling import coverage_lines, failure_lines, summary_line

        for result in done.failed:
            for line in failure_lines(result, bundle, str(self.where)):
                typer.echo(_coloured(line))
            typer.echo()
        if self._coverage:
            for line in coverage_lines(done.coverage, str(self.where)):
                typer.echo(line)
        counted = f"{len(done.results)} test{'s' if len(done.results) != 1 else ''}"
        verdict = f"{len(done.failed)} failed" if done.failed else "all passed"
        typer.echo(f"{self.where}: {counted}, {verdict} ({seconds:.1f} s)")
        if self._only is None:
            typer.echo(summary_line(done.coverage))
            if done.coverage.missed and not self._coverage:
                typer.echo("    hint: --coverage lists them")
        if done.coverage.percent < self._least:
            typer.echo(f"less than the {self._least:g}% that --fail-under asks for")

    def _print_data(self, done: TestReport, bundle: Bundle) -> None:
        from engine.simulation.telling import coverage_data, result_data

        print_json(
            {
                "passed": not done.failed and done.coverage.percent >= self._least,
                "tests": [result_data(result, bundle) for result in done.results],
                "coverage": coverage_data(done.coverage),
            }
        )


def _share(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?%?", text) or float(text.rstrip("%")) > 100:
        raise CommandError(f"--fail-under {text!r} is not a percentage; write it as 80%")
    return float(text.rstrip("%"))


def _coloured(line: str) -> str:
    """The line with its mark in colour; typer takes the colour away again where there is no terminal."""
    mark = line.split(maxsplit=1)[0] if line.strip() else ""
    return typer.style(line, fg=_COLOURS[mark], bold=mark == "FAIL") if mark in _COLOURS else line
