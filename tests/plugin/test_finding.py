"""Installed plugins are found by entry points; what is wrong with one is told, with its distribution."""

from __future__ import annotations

import builtins
import sys
import threading
from datetime import timedelta
from importlib.metadata import entry_points
from typing import Any

import pytest

from engine.plugin.registry import load_registry
from engine.plugin.testing import RecordingChannel
from tests.plugin.strangers import Strangers
from tests.plugin.vault import loaded


def test_an_installed_plugin_is_found_by_its_entry_point(strangers: Strangers) -> None:
    strangers.install(
        "good",
        """
        from engine.plugin import hookimpl
        from engine.plugin.testing import RecordingChannel

        @hookimpl
        def register_channels():
            return [RecordingChannel("stranger")]
        """,
    )
    registry = load_registry()
    assert registry.owners["channel:stranger"] == "good"


def installed_faults(**options: Any) -> list[str]:
    return [str(fault) for fault in load_registry(**options).faults]


def test_a_plugin_that_breaks_at_import_is_named_left_out_and_can_be_disabled(strangers: Strangers) -> None:
    strangers.install("bad", "raise SystemExit('key-of-the-provider')")
    registry = load_registry()
    assert [str(fault) for fault in registry.faults] == [
        "PL001 plugin 'bad' (stranger-bad 1.0) cannot be imported: stranger_bad raised SystemExit at"
        " stranger_bad.py:1; `python -c 'import stranger_bad'` shows more; repair it, or set"
        " WAYLINE_DISABLED_PLUGINS=bad"
    ]
    assert "email" in registry.channels, "everything else is there"
    assert "stranger_bad" not in sys.modules
    assert installed_faults(disabled=["bad"]) == []
    assert "stranger_bad" not in sys.modules, "a disabled plugin is not even imported"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import a_library_that_is_not_there", "ModuleNotFoundError: No module named 'a_library_that"),
        ("from engine.plugin import Chanel", "ImportError: cannot import name 'Chanel'"),
        ("def broken(:", "SyntaxError: invalid syntax"),
        ("raise ImportError('key-of-the-provider')", "raised ImportError at stranger_bad.py:1;"),
        ("raise AttributeError('key-of-the-provider')", "raised AttributeError at stranger_bad.py:1;"),
        ("raise KeyboardInterrupt", "raised KeyboardInterrupt at stranger_bad.py:1;"),
    ],
)
def test_pythons_own_words_of_an_import_are_shown_and_no_strangers(
    strangers: Strangers, code: str, told: str
) -> None:
    strangers.install("bad", code)
    (fault,) = installed_faults()
    assert told in fault
    assert "key-of-the-provider" not in fault


def test_an_entry_point_that_names_nothing_is_told(strangers: Strangers) -> None:
    strangers.install("bad", "", attribute=":plugin")
    (fault,) = installed_faults()
    assert "module 'stranger_bad' has no attribute 'plugin'" in fault


def test_a_plugin_that_hangs_at_import_is_left(strangers: Strangers) -> None:
    code = """
        import builtins
        builtins.stranger_may_go_on.wait()
        """
    # To import all the others takes longer than that, where nothing has done so before.
    others = {point.name for point in entry_points(group="wayline.plugins")}
    strangers.install("slow", code)
    event = threading.Event()
    builtins.stranger_may_go_on = event  # type: ignore[attr-defined]
    try:
        (fault,) = installed_faults(patience=timedelta(milliseconds=200), disabled=others)
    finally:
        event.set()
        del builtins.stranger_may_go_on  # type: ignore[attr-defined]
    assert "stranger_slow did not come back within 0.2 s" in fault


def test_two_installed_plugins_of_one_name_are_both_named_and_neither_is_used(strangers: Strangers) -> None:
    for number in ("one", "two"):
        strangers.install("twin", "raise AssertionError", distribution=f"stranger-{number}")
    assert installed_faults() == [
        "PL002 two installed plugins are called 'twin': stranger_one (stranger-one 1.0) and stranger_two"
        " (stranger-two 1.0); neither is used, uninstall one of them"
    ]


def test_two_distributions_that_offer_one_channel_are_both_named(strangers: Strangers) -> None:
    code = """
        from engine.plugin import hookimpl
        from engine.plugin.testing import RecordingChannel

        @hookimpl
        def register_channels():
            return [RecordingChannel("pigeon")]
        """
    for number in ("one", "two"):
        strangers.install(number, code)
    assert set(installed_faults()) == {
        "PL002 channel 'pigeon' is offered by two plugins: 'one' (stranger-one 1.0) and 'two' (stranger-two"
        " 1.0); none of them is used, disable one"
    }
    assert "pigeon" in load_registry(disabled=["two"]).channels


def test_an_extra_plugin_given_twice_counts_once() -> None:
    channel = RecordingChannel("email")
    assert list(loaded(channel, channel).channels) == ["email"]
