"""The registry: what it collects, and how it names the plugin that is at fault."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr, field_validator, model_validator

import engine.plugin
from engine.errors import PluginError
from engine.plugin import Accepted, Capabilities, Channel, Message, Preflight, SendResult, hookimpl
from engine.plugin.registry import Registry, load_registry
from engine.plugin.testing import RecordingChannel


class VaultSettings(BaseModel):
    host: str
    port: int = 25
    password: SecretStr = SecretStr("")

    @field_validator("password")
    @classmethod
    def not_short(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) == 3:
            raise ValueError(f"{value.get_secret_value()} is too short")
        return value

    @model_validator(mode="after")
    def not_on_the_moon(self) -> VaultSettings:
        if self.host == "moon":
            raise ValueError(f"{self.host} {self.password.get_secret_value()}")
        return self


class VaultChannel:
    name = "vault"
    settings: type[BaseModel] = VaultSettings
    capabilities = Capabilities()

    def __init__(self, configuration: VaultSettings | None = None) -> None:
        self.configuration = configuration
        self.closed = 0

    def configured(self, settings: BaseModel) -> Channel:
        assert isinstance(settings, VaultSettings)
        if settings.host == "broken":
            raise RuntimeError(f"cannot log in with {settings.password.get_secret_value()}")
        return VaultChannel(settings)

    def preflight(self, message: Message) -> Preflight:
        return Preflight(True)

    async def send(self, message: Message, idempotency_key: str) -> SendResult:
        return Accepted()

    async def close(self) -> None:
        self.closed += 1
        if self.configuration and self.configuration.host == "stubborn":
            raise OSError


def offering(name: str, **hooks: Any) -> ModuleType:
    """A plugin module whose hooks return the given values."""
    module = ModuleType(name)
    for hook, value in hooks.items():
        function = hookimpl(value) if callable(value) else hookimpl(lambda value=value: value)
        setattr(module, hook, function)
    return module


def loaded(*plugins: object, **environ: str) -> Registry:
    return load_registry(entry_points=False, extra=plugins, environ=environ)


def fault_of(*plugins: object) -> str:
    with pytest.raises(PluginError) as caught:
        loaded(*plugins)
    return str(caught.value)


@pytest.fixture
def installed(tmp_path: Path) -> Iterator[Path]:
    """A folder of installed distributions with entry points of their own."""
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.startswith("stranger_")]:
        del sys.modules[name]


def install(folder: Path, distribution: str, entry_point: str, module: str, code: str) -> None:
    (folder / f"{module}.py").write_text(textwrap.dedent(code))
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[wayline.plugins]\n{entry_point} = {module}\n")


def test_the_public_names_are_sorted_and_all_exist() -> None:
    assert engine.plugin.__all__ == sorted(engine.plugin.__all__)
    assert all(hasattr(engine.plugin, name) for name in engine.plugin.__all__)
    assert "Channel" in engine.plugin.__all__
    assert "hookimpl" in engine.plugin.__all__


def test_every_hook_is_promised_in_the_house_form() -> None:
    from engine.plugin.hookspecs import Hooks

    for name in ("register_channels", "register_generators", "register_checks"):
        lines = [line.strip() for line in (getattr(Hooks, name).__doc__ or "").splitlines()]
        sections = [line.split(":")[0] for line in lines if ":" in line]
        assert sections == ["Called", "Return", "If it fails", "Since"], name


def test_what_a_plugin_offers_is_found_by_name() -> None:
    registry = loaded(offering("letters", register_channels=[VaultChannel(), RecordingChannel("pigeon")]))
    assert sorted(registry.channels) == ["pigeon", "vault"]
    assert registry.owners["channel:pigeon"] == "letters"
    assert not registry.generators
    assert not registry.checks


def test_a_channel_offered_twice_names_both_plugins() -> None:
    text = fault_of(
        offering("first", register_channels=[RecordingChannel("email")]),
        offering("second", register_channels=[RecordingChannel("email")]),
    )
    assert text == (
        "PL002 channel 'email' is offered by two plugins: 'second' and 'first'; disable one of them"
    ) or text == (
        "PL002 channel 'email' is offered by two plugins: 'first' and 'second'; disable one of them"
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
        raise LookupError("no licence file")

    assert fault_of(offering("boom", register_channels=explode)) == (
        "PL001 plugin 'boom': register_channels failed: LookupError: no licence file"
    )


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


def test_all_faults_of_all_plugins_are_reported_together() -> None:
    text = fault_of(
        offering("one", register_chanels=[]), offering("two", register_channels=7), ModuleType("three")
    )
    assert [line.split()[0] for line in sorted(text.splitlines())] == ["PL003", "PL004", "PL005"]


def test_an_installed_plugin_is_found_by_its_entry_point(installed: Path) -> None:
    install(
        installed,
        "stranger-good",
        "good",
        "stranger_good",
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


def test_a_plugin_that_breaks_at_import_is_named_and_can_be_disabled(installed: Path) -> None:
    install(installed, "stranger-bad", "bad", "stranger_bad", "raise SystemExit('no key for the provider')")
    with pytest.raises(PluginError) as caught:
        load_registry()
    assert str(caught.value) == (
        "PL001 plugin 'bad' (stranger_bad) cannot be imported: SystemExit: no key for the provider;"
        " repair it, or disable 'bad'"
    )
    assert "stranger_bad" not in sys.modules
    load_registry(disabled=["bad"])
    assert "stranger_bad" not in sys.modules, "a disabled plugin is not even imported"


def test_two_installed_plugins_of_one_name_are_both_named(installed: Path) -> None:
    for number in ("one", "two"):
        install(installed, f"stranger-{number}", "twin", f"stranger_{number}", "")
    with pytest.raises(PluginError, match=r"PL002 .*'twin': stranger_one and stranger_two"):
        load_registry()


def test_an_extra_plugin_given_twice_counts_once() -> None:
    channel = RecordingChannel("email")
    assert list(loaded(channel, channel).channels) == ["email"]


def test_an_unknown_channel_is_an_error_with_a_hint() -> None:
    with pytest.raises(PluginError, match=r"PL006 .*'vaultt'; did you mean 'vault'\?"):
        loaded(offering("letters", register_channels=[VaultChannel()])).channel("vaultt", {})


def vault(settings: dict[str, Any], **environ: str) -> VaultSettings:
    registry = loaded(offering("letters", register_channels=[VaultChannel()]), **environ)
    channel = registry.channel("vault", settings)
    assert isinstance(channel, VaultChannel)
    assert channel.configuration is not None
    return channel.configuration


def test_settings_take_values_from_the_environment() -> None:
    settings = vault(
        {"host": {"env": "HOST"}, "port": {"env": "PORT", "default": 99}, "password": {"env": "PASSWORD"}},
        HOST="mail.example.com",
        PASSWORD="hunter2",
    )
    assert settings.host == "mail.example.com"
    assert settings.port == 99
    assert settings.password.get_secret_value() == "hunter2"


def test_the_environment_wins_over_the_default_and_is_read_as_the_field_wants_it() -> None:
    assert vault({"host": "h", "port": {"env": "PORT", "default": 99}}, PORT="2525").port == 2525


def test_a_missing_variable_names_the_setting_and_the_variable() -> None:
    with pytest.raises(PluginError) as caught:
        vault({"host": "h", "password": {"env": "SMTP_PASSWORD"}})
    assert str(caught.value) == (
        "PL007 plugin 'vault', setting password: the environment variable SMTP_PASSWORD is not set"
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"host": "h", "password": {"env": "SECRET"}},
        {"host": "h", "port": {"env": "SECRET"}},
        {"host": "moon", "password": {"env": "SECRET"}},
        {"host": "broken", "password": {"env": "LONG"}},
    ],
)
def test_no_message_and_no_chained_error_shows_a_secret(settings: dict[str, Any]) -> None:
    with pytest.raises(PluginError) as caught:
        vault(settings, SECRET="s3c", LONG="s3cr3t")
    assert "'vault'" in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert "s3c" not in str(caught.value)


def test_a_wrong_setting_is_named_with_what_would_be_right() -> None:
    with pytest.raises(PluginError) as caught:
        vault({"port": "many"})
    assert str(caught.value).splitlines() == [
        "PL007 plugin 'vault', setting host: field required",
        "PL007 plugin 'vault', setting port: input should be a valid integer, unable to parse string as an"
        " integer",
    ]


async def test_closing_the_registry_closes_every_channel_even_when_one_refuses() -> None:
    registry = loaded(offering("letters", register_channels=[VaultChannel()]))
    channels = [registry.channel("vault", {"host": host}) for host in ("stubborn", "h")]
    await registry.close()
    assert [channel.closed for channel in channels if isinstance(channel, VaultChannel)] == [1, 1]
