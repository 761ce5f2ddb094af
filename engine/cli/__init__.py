"""The command `wayline`. A mistake of its user gets a message, never a stack trace.

Exit status: 0 good, 1 the input (ruleset files) is at fault, 2 the command, a setting or a service is.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Annotated

import typer
from pydantic import ValidationError

from engine.errors import RulesetError, WaylineError

MODULES: Mapping[str, tuple[str, ...]] = {
    "author": ("lint", "init", "facts", "schemas", "graph"),
    "plugins": ("plugins", "plugin"),
    "checking": ("check",),
    "data": ("ingest", "deadletter"),
    "records": ("contact", "run"),
    "diffing": ("diff",),
    "governing": ("publish", "rollback", "bundles", "db"),
    "consenting": ("consent", "audit"),
    "suppressing": ("suppress",),
    "testing": ("test",),
    "simulating": ("simulate", "backtest"),
    "explain": ("explain",),
    "reasons": ("reasons",),
    "risk": ("breaker", "kill"),
    "switching": ("plan", "journey"),
    "budgets": ("budget",),
    "tasks": ("task",),
    "reviews": ("review",),
    "experiments": ("experiment",),
    "processes": ("up", "api", "dispatch", "worker"),
    "doctor": ("doctor",),
    "demo": ("demo",),
}
"""Module of this folder -> the commands it registers. Only the module of the command that is called is
imported: an editor that runs `wayline lint` must not wait for a database driver."""


def main() -> None:
    """Run the command line; ends the process with its status."""
    if _called(sys.argv[1:]) in MODULES["author"]:
        # Such a command makes a bundle, tells what it thinks of it and ends: there is no garbage to look for,
        # and looking costs an eighth of its time.
        gc.disable()
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Do what the arguments say and return the exit status."""
    for argument in arguments:
        if any("\ud800" <= letter <= "\udfff" for letter in argument):
            typer.echo("wayline: an argument is not UTF-8 text; check the terminal's encoding", err=True)
            return 2
    try:
        make_app(arguments)(list(arguments), prog_name="wayline")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(bool(ended.code))
    except RulesetError as error:
        from engine.authoring.reporting import report

        typer.echo(report(error.problems), err=True, nl=False)
        typer.echo(f"wayline: {error}", err=True)
        return 1
    except WaylineError as error:
        typer.echo(f"wayline: {error}", err=True)
        return 2
    except ValidationError as error:
        if error.title != "Settings":
            raise
        for fault in error.errors(include_input=False, include_url=False):
            name = "WAYLINE_" + "_".join(str(part) for part in fault["loc"]).upper()
            typer.echo(f"wayline: {name}: {fault['msg'].lower()}", err=True)
        return 2
    except _database_failures() as error:
        typer.echo(f"wayline: the database could not do it: {getattr(error, 'orig', error)}", err=True)
        return 2
    except OSError as error:
        # A file or folder that cannot be read or written; anything without a name is not about files.
        if error.filename is None:
            raise
        typer.echo(f"wayline: {error.filename}: {(error.strerror or 'cannot be used').lower()}", err=True)
        return 2
    return 0


def _database_failures() -> tuple[type[Exception], ...]:
    """What a database raises that is away, locked or read-only; nothing when none was asked."""
    # Looked up only now: most commands never load the library.
    library = sys.modules.get("sqlalchemy.exc")
    return () if library is None else (library.OperationalError,)


def make_app(arguments: Sequence[str] = ()) -> typer.Typer:
    """The commands: those of the module that the arguments call, or all of them when they call none."""
    app = typer.Typer(
        name="wayline",
        help="Customer journeys from YAML: write, check, publish, watch.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=True,
    )
    app.callback()(_options)
    called = _called(arguments)
    owners = [module for module, commands in MODULES.items() if called in commands]
    for module in owners or MODULES:
        importlib.import_module(f"engine.cli.{module}").register(app)
    return app


def _called(arguments: Sequence[str]) -> str | None:
    """The command among the arguments, if there is one."""
    return next((word for word in arguments if not word.startswith("-")), None)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"wayline {version('wayline')}")
        raise typer.Exit


def _options(
    context: typer.Context,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    if context.invoked_subcommand in MODULES["author"]:
        return  # they log nothing, and an editor that runs them should not wait for the library
    from engine.logs import set_up_logs

    # Commands print their answer; what goes wrong beside it goes to stderr. Processes set up their own logs.
    set_up_logs("console", level=30)
