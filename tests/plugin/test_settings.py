"""Settings of plugins: from the ruleset and the environment, with secrets that nothing shows."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest
import structlog

from engine.errors import PluginError
from engine.logs import set_up_logs
from tests.plugin.vault import VaultChannel, VaultSettings, loaded, offering


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


def test_a_secret_in_use_is_masked_in_every_log_of_the_process() -> None:
    secret = "s3cr3t-of-the-vault"
    vault({"host": "h", "password": {"env": "LONG"}}, LONG=secret)
    logs = io.StringIO()
    set_up_logs("json", stream=logs)
    logging.getLogger("stranger").warning("asked with %s", secret)
    structlog.get_logger("stranger").warning("asked", header=f"Bearer {secret}", parts=[{"key": secret}])
    assert logs.getvalue().count("asked") == 2
    assert secret not in logs.getvalue()
    structlog.reset_defaults()


def test_a_wrong_setting_is_named_with_what_would_be_right() -> None:
    with pytest.raises(PluginError) as caught:
        vault({"port": "many"})
    assert str(caught.value).splitlines() == [
        "PL007 plugin 'vault', setting host: field required",
        "PL007 plugin 'vault', setting port: input should be a valid integer, unable to parse string as an"
        " integer",
    ]
