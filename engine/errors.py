"""Every exception Wayline raises on purpose, and `Problem`, the report of a mistake in a file.

* WaylineError
  x CommandError          the command or a setting is at fault (exit 2)
  x RulesetError          the files are at fault; carries all problems (exit 1)
  x PluginError           a plugin broke its contract; names the plugin and the hook
  x DriverUnavailable     the workflow service cannot be reached; try again later
  x NotFound              a record that was asked for does not exist
    x UnknownRun          that record is the run itself: nothing is left to be carried
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Place:
    """Where something stands in a file; lines and columns count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a file: where, which, what is wrong and the way out.

    Codes starting `RW` are warnings; all others make the file unusable.
    """

    place: Place
    code: str
    path: str
    message: str
    hint: str = ""
    swap: tuple[str, ...] = ()
    """What stands at the place (or right after it in the line) and what alone can be meant instead; empty
    when that is for a person to decide. `wayline lint --fix` writes it."""

    @property
    def is_warning(self) -> bool:
        return self.code.startswith("RW")


class WaylineError(Exception):
    """The root of everything raised on purpose; anything else is a defect of Wayline."""


class CommandError(WaylineError):
    """The command, its arguments or a setting is at fault, not the files."""


class RulesetError(WaylineError):
    """The files of a workspace cannot be used; `problems` holds every reason, sorted by place."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        count = len(self.problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the ruleset")


class PluginError(WaylineError):
    """A plugin cannot be used; the message names the plugin, the hook and what was wrong."""


class DriverUnavailable(WaylineError):
    """The workflow service did not answer; what was asked has not happened and may be asked again."""


class NotFound(WaylineError):
    """The record that was asked for does not exist in this workspace."""


class UnknownRun(NotFound):
    """The run that was to be carried does not exist; whatever else it needs may come back, this will not."""
