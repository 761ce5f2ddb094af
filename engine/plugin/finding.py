"""Finds the installed plugins and imports them: each within a time, and whatever it does instead is told.

A text of a stranger's exception or print may hold a key or an address: only the kind of an exception and its
line come through, and Python's own words for a module that is not there or cannot be read.
"""

from __future__ import annotations

import io
import traceback
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import EntryPoint
from importlib.metadata import entry_points as installed_entry_points
from typing import Any

from engine.masking import mask_text
from engine.plugin.calling import where, within
from engine.plugin.patience import TooSlow

GROUP = "wayline.plugins"
LOADING = timedelta(seconds=30)
"""How long one import or one hook may take at start."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a plugin; whatever it concerns is left out and everything else goes on."""

    code: str
    plugin: str
    message: str

    def __str__(self) -> str:
        return f"{self.code} {self.message}"


@dataclass(frozen=True)
class Origin:
    """A plugin, and where it comes from."""

    name: str
    """The entry point's, or the module's where a plugin was given directly."""
    module: str = ""
    distribution: str = ""
    version: str = ""
    is_disabled: bool = False

    @property
    def package(self) -> str:
        """The distribution and its version, or the module."""
        return f"{self.distribution} {self.version}" if self.distribution else self.module

    def __str__(self) -> str:
        return f"{self.name!r} ({self.package})" if self.package else repr(self.name)


@dataclass(frozen=True)
class Answer:
    """What came of asking a plugin at start."""

    value: Any = None
    failure: str = ""
    """How it failed, as the end of a sentence; nothing when it did not."""
    printed: int = 0
    """Characters it wrote to standard output, which belongs to the commands."""


def ask(work: Callable[[], Any], patience: timedelta) -> Answer:
    """What `work` gives; an exception, SystemExit included, and a hang are answers too."""
    errors: list[BaseException] = []

    def contained() -> Any:
        try:
            return work()
        except BaseException as error:  # noqa: BLE001 - importing a stranger's module can raise anything
            errors.append(error)
            return None

    sink = io.StringIO()
    try:
        with redirect_stdout(sink):
            value = within(patience, contained)
    except TooSlow:
        return Answer(failure=f"did not come back within {patience.total_seconds():g} s")
    printed = len(sink.getvalue())
    if errors:
        return Answer(failure=_told(errors[0]), printed=printed)
    return Answer(value, printed=printed)


def find_installed(disabled: Iterable[str], faults: list[Fault]) -> list[tuple[Origin, EntryPoint | None]]:
    """The plugins of this installation by name; without an entry point the disabled ones, which are not
    imported. Two distributions that give one name to different plugins are at fault, and neither is used.
    """
    left_out = frozenset(disabled)
    found: dict[str, dict[str, tuple[Origin, EntryPoint]]] = {}
    called: dict[int, tuple[str, str]] = {}  # a distribution reads its metadata anew for whoever asks
    for point in installed_entry_points(group=GROUP):
        package = point.dist
        if id(package) not in called:
            called[id(package)] = ("", "") if package is None else (package.name, package.version)
        origin = Origin(point.name, point.value, *called[id(package)], is_disabled=point.name in left_out)
        # Python lists a distribution as often as its folder stands in the path; the first one is in use.
        found.setdefault(point.name, {}).setdefault(point.value, (origin, point))
    plugins: list[tuple[Origin, EntryPoint | None]] = []
    for name, by_value in sorted(found.items()):
        offers = [by_value[value] for value in sorted(by_value)]
        if name in left_out:
            plugins += [(origin, None) for origin, _ in offers]
        elif len(offers) > 1:
            both = " and ".join(f"{origin.module} ({origin.package})" for origin, _ in offers)
            text = (
                f"two installed plugins are called {name!r}: {both}; neither is used, uninstall one of them"
            )
            faults.append(Fault("PL002", name, text))
            plugins += [(origin, None) for origin, _ in offers]
        else:
            plugins += offers
    return plugins


def imported(origin: Origin, point: EntryPoint, patience: timedelta) -> Answer:
    """The plugin that the entry point names."""
    answer = ask(point.load, patience)
    if not answer.failure:
        return answer
    module = point.module
    way_out = (
        f"`python -c 'import {module}'` shows more; repair it, or set WAYLINE_DISABLED_PLUGINS={origin.name}"
    )
    return Answer(
        failure=f"plugin {origin} cannot be imported: {module} {answer.failure}; {way_out}",
        printed=answer.printed,
    )


def _told(error: BaseException) -> str:
    python_says = isinstance(error, SyntaxError) or (isinstance(error, ImportError) and bool(error.name))
    if isinstance(error, AttributeError):
        # An entry point that names something which its module does not have.
        frames = traceback.extract_tb(error.__traceback__)
        python_says = "importlib" in frames[-1].filename
    if python_says:
        return f"raised {type(error).__name__}: {mask_text(str(error))}"
    return f"raised {where(error)}"
