"""The registry: what it collects, and how it names the plugin that is at fault."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from types import ModuleType, SimpleNamespace

import pytest

import engine.plugin
from engine.errors import PluginError
from engine.plugin import (
    Callback,
    Capabilities,
    Channel,
    Polled,
    Window,
)
from engine.plugin.registry import load_registry
from engine.plugin.shapes import fault_of_channel
from engine.plugin.testing import RecordingChannel
from tests.plugin.vault import VaultChannel, fault_of, loaded, offering


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """An event that is set only when the test is over, so that no thread outlives it."""
    event = threading.Event()
    yield event
    event.set()


def test_the_public_names_are_sorted_and_all_exist() -> None:
    assert engine.plugin.__all__ == sorted(engine.plugin.__all__)
    assert all(hasattr(engine.plugin, name) for name in engine.plugin.__all__)
    assert "Channel" in engine.plugin.__all__
    assert "hookimpl" in engine.plugin.__all__


def test_every_hook_is_promised_in_the_house_form() -> None:
    from engine.plugin.hookspecs import Hooks

    for name in (name for name in vars(Hooks) if name.startswith("register_")):
        lines = [line.strip() for line in (getattr(Hooks, name).__doc__ or "").splitlines()]
        sections = [line.split(":")[0] for line in lines if ":" in line]
        assert sections == ["Called", "Receives", "Return", "If it fails", "Since"], name


def test_what_a_plugin_offers_is_found_by_name() -> None:
    registry = loaded(offering("letters", register_channels=[VaultChannel(), RecordingChannel("pigeon")]))
    assert sorted(registry.channels) == ["pigeon", "vault"]
    assert registry.owners["channel:pigeon"] == "letters"
    assert not registry.generators
    assert not registry.checks


def test_a_channel_offered_twice_names_both_plugins_and_is_neither_of_them() -> None:
    registry = loaded(
        offering("first", register_channels=[RecordingChannel("email"), RecordingChannel("pigeon")]),
        offering("second", register_channels=[RecordingChannel("email")]),
    )
    text = (
        "PL002 channel 'email' is offered by two plugins: 'first' and 'second'; none of them is used, disable"
        " one"
    )
    assert {str(fault) for fault in registry.faults} == {text}
    assert {fault.plugin for fault in registry.faults} == {"first", "second"}
    assert list(registry.channels) == ["pigeon"], "what only one of them offers stays"
    with pytest.raises(PluginError, match="PL002"):
        registry.refuse_faults()


def test_a_channel_offered_twice_by_one_plugin_is_told() -> None:
    text = fault_of(offering("twice", register_channels=[RecordingChannel("a"), RecordingChannel("a")]))
    assert (
        text == "PL002 channel 'a' is offered twice by the plugin 'twice'; none of them is used, disable one"
    )


def test_a_misspelt_hook_is_an_error_with_the_right_name_as_hint() -> None:
    text = fault_of(offering("typo", register_chanels=[VaultChannel()]))
    assert text == (
        "PL004 plugin 'typo' implements the unknown hook 'register_chanels';"
        " did you mean 'register_channels'?"
    )


def test_a_hook_with_arguments_it_never_gets_is_an_error() -> None:
    text = fault_of(offering("greedy", register_channels=lambda workspace: []))
    assert text.startswith("PL004 plugin 'greedy'")
    assert "workspace" in text


def test_a_plugin_that_forgot_hookimpl_is_an_error() -> None:
    module = ModuleType("forgetful")
    module.register_channels = lambda: [VaultChannel()]  # type: ignore[attr-defined]
    assert "PL005 plugin 'forgetful' offers nothing" in fault_of(module)


def test_a_hook_that_raises_is_named() -> None:
    def explode() -> list[Channel]:
        raise LookupError("key-of-the-provider")

    text = fault_of(offering("boom", register_channels=explode))
    assert text.startswith("PL001 plugin 'boom': register_channels raised LookupError at test_registry.py:")
    assert "key-of-the-provider" not in text, "what a stranger raises may hold a secret"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), MemoryError()])
def test_a_hook_may_raise_anything_and_the_others_are_loaded(error: BaseException) -> None:
    def explode() -> list[Channel]:
        raise error

    registry = loaded(
        offering("boom", register_channels=explode), offering("good", register_channels=[VaultChannel()])
    )
    assert list(registry.channels) == ["vault"]
    assert type(error).__name__ in str(registry.faults[0])


def test_a_hook_that_never_comes_back_is_left(never: threading.Event) -> None:
    def wait() -> list[Channel]:
        never.wait()
        return []

    plugins = [offering("slow", register_channels=wait), offering("good", register_channels=[VaultChannel()])]
    registry = load_registry(entry_points=False, extra=plugins, patience=timedelta(seconds=1))
    assert [str(each) for each in registry.faults] == [
        "PL001 plugin 'slow': register_channels did not come back within 1 s"
    ]
    assert list(registry.channels) == ["vault"]


def test_a_hook_that_offers_without_end_is_cut_off() -> None:
    def endless() -> Iterator[Channel]:
        for number in itertools.count():
            yield RecordingChannel(f"c{number}")

    assert len(loaded(offering("endless", register_channels=endless)).channels) == 1000


def test_an_offer_whose_attributes_raise_is_one_fault_of_its_plugin() -> None:
    class Trap:
        @property
        def name(self) -> str:
            raise RuntimeError("key-of-the-provider")

    text = fault_of(offering("trap", register_channels=[Trap()]))
    assert text.startswith("PL001 plugin 'trap': register_channels raised RuntimeError at")
    assert "key-of-the-provider" not in text


def test_what_a_plugin_prints_while_it_is_loaded_does_not_reach_the_commands_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def talk() -> list[Channel]:
        sys.stdout.write("token: s3cr3t\n")
        return [VaultChannel()]

    registry = loaded(offering("talkative", register_channels=talk))
    assert list(registry.channels) == ["vault"]
    assert not registry.faults
    (note,) = registry.notes
    assert str(note).startswith("PL008 plugin 'talkative' printed 14 characters while it was loaded;")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("offer", "text"),
    [
        (None, "register_channels returned NoneType, not a list of channels"),
        ([VaultChannel], "VaultChannel is a class; return an instance of it"),
        ([object()], "object is not a Channel; it lacks capabilities, close, configured"),
        ([RecordingChannel("Not A Name")], "the name 'Not A Name' is not lower_snake text"),
    ],
)
def test_a_hook_that_returns_something_else_is_named(offer: object, text: str) -> None:
    found = fault_of(offering("odd", register_channels=lambda: offer))
    assert found.startswith("PL003 plugin 'odd'")
    assert text in found


@pytest.mark.parametrize("attribute", ["settings", "capabilities", "send", "close"])
def test_a_channel_with_a_wrong_part_is_refused_at_start(attribute: str) -> None:
    channel = VaultChannel()
    setattr(channel, attribute, lambda *_: None)
    text = fault_of(offering("odd", register_channels=[channel]))
    assert text.startswith("PL003 plugin 'odd'")
    assert attribute in text


def test_generators_and_checks_are_held_to_their_contracts_too() -> None:
    nothing = SimpleNamespace(name="nothing")
    text = fault_of(offering("odd", register_generators=[nothing], register_checks=[nothing]))
    assert "SimpleNamespace is not a Generator; it lacks generate" in text
    assert "SimpleNamespace is not a Check; it lacks examine" in text


@pytest.mark.parametrize(
    ("hook", "method"), [("register_generators", "generate"), ("register_checks", "examine")]
)
def test_a_coroutine_where_a_thread_waits_for_an_answer_is_refused(hook: str, method: str) -> None:
    async def never_awaited(*_: object) -> None:
        raise AssertionError

    text = fault_of(offering("odd", **{hook: [SimpleNamespace(name="odd", **{method: never_awaited})]}))
    assert f"{method} must be an ordinary `def`" in text


def test_all_faults_of_all_plugins_are_reported_together() -> None:
    text = fault_of(
        offering("one", register_chanels=[]), offering("two", register_channels=7), ModuleType("three")
    )
    assert [line.split()[0] for line in sorted(text.splitlines())] == ["PL003", "PL004", "PL005"]


def test_an_unknown_channel_is_an_error_with_a_hint() -> None:
    with pytest.raises(PluginError, match=r"PL006 .*'vaultt'; did you mean 'vault'\?"):
        loaded(offering("letters", register_channels=[VaultChannel()])).channel("vaultt", {})


async def test_closing_the_registry_closes_every_channel_even_when_one_refuses() -> None:
    registry = loaded(offering("letters", register_channels=[VaultChannel()]))
    channels = [registry.channel("vault", {"host": host}) for host in ("stubborn", "h")]
    await registry.close()
    assert [channel.closed for channel in channels if isinstance(channel, VaultChannel)] == [1, 1]


class Asked(VaultChannel):
    capabilities = Capabilities(poll_every=timedelta(minutes=1))

    async def poll(self, since: datetime) -> Polled:
        return Polled((), since)


class NeverAsked(Asked):
    capabilities = Capabilities()


class Hasty(Asked):
    capabilities = Capabilities(poll_every=timedelta(milliseconds=1))


class Unasked(VaultChannel):
    capabilities = Capabilities(poll_every=timedelta(minutes=1))


class Waiting(VaultChannel):
    async def parse_callback(self, *_: object) -> Callback:
        return Callback()


@pytest.mark.parametrize(
    ("offer", "because"),
    [
        (NeverAsked(), "belong together"),
        (Unasked(), "belong together"),
        (Hasty(), "1 s or longer"),
        (Waiting(), "plain `def`"),
    ],
)
def test_what_a_channel_says_of_hearing_and_asking_must_fit(offer: Channel, because: str) -> None:
    assert because in fault_of_channel(offer)
    assert not fault_of_channel(Asked())


HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("capabilities", "because"),
    [
        (Capabilities(windows=("reply",)), "a tuple of Window"),  # type: ignore[arg-type]
        (Capabilities(windows=(Window("reply", HOUR), Window("reply", 2 * HOUR))), "two windows"),
        (Capabilities(windows=(Window("Reply", HOUR),)), "lower_snake"),
        (Capabilities(windows=(Window("reply", HOUR, ()),)), "nothing opens"),
        (Capabilities(windows=(Window("reply", None),)), "neither a length"),
        (Capabilities(windows=(Window("reply", None, adds_up=True),)), "neither a length"),
        (Capabilities(windows=(Window("reply", HOUR, adds_up=True),)), "adds up"),
        (
            Capabilities(windows=(Window("one", HOUR, per="a"), Window("two", HOUR, per="b"))),
            "by different properties",
        ),
        (Capabilities(windows=(Window("reply", 0 * HOUR),)), "above zero"),
        (Capabilities(windows=(Window("reply", HOUR, allowance=0),)), "at least one"),
        (Capabilities(writes_first=True), "of channels with windows"),
    ],
)
def test_windows_that_could_not_be_kept_are_told_at_start(capabilities: Capabilities, because: str) -> None:
    offer = VaultChannel()
    offer.capabilities = capabilities
    assert because in fault_of_channel(offer)
    offer.capabilities = Capabilities(windows=(Window("reply", None, allowance=1), Window("other", HOUR)))
    assert not fault_of_channel(offer)
