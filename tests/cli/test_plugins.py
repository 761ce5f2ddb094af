"""`wayline plugins`, and how a broken plugin is told by the other commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tests.plugin.strangers import Strangers

VAULT = """
    import os
    from typing import Any
    from pydantic import BaseModel, Field, SecretStr
    from engine.plugin import hookimpl
    from engine.plugin.testing import RecordingChannel

    class Settings(BaseModel):
        host: str = Field(description="Where it is.")
        token: SecretStr = SecretStr(os.environ.get("VAULT_TOKEN", ""))

    class Vault(RecordingChannel):
        settings = Settings

    @hookimpl
    def register_channels():
        return [Vault("vault")]
    """


def test_plugins_are_listed_with_where_they_are_from_and_what_they_offer(wayline: Command) -> None:
    printed = wayline("plugins")
    assert printed.status == 0
    assert "email: active, plugins.channels.email of wayline " in printed.out
    assert "  channel email\n    host            The SMTP server" in printed.out
    assert "    retry_after     When to come back to a full disk. (1m)" in printed.out
    assert "    password\n" in printed.out
    listed = {each["name"]: each for each in wayline("plugins", "--format", "json").json["plugins"]}
    (offer,) = listed["email"]["offers"]
    assert (offer["kind"], offer["name"]) == ("channel", "email")
    password = offer["settings"]["properties"]["password"]
    assert {"format": "password", "type": "string", "writeOnly": True} in password["anyOf"]
    assert offer["capabilities"]["idempotency_key"] is False
    assert offer["used_by"] is None, "there is no database to ask"


def test_plugins_tell_in_which_windows_their_platforms_take_messages(wayline: Command) -> None:
    assert (
        "    window reply: messages for 1d after message_received (developers.facebook.com/"
        in wayline("plugins").out
    )


def test_where_something_is_in_force_it_is_told_how_channels_have_been_doing(published: Command) -> None:
    assert ": nothing sent in the last hour" in published("plugins").out


def test_a_secret_is_shown_by_no_output_even_as_a_default(
    wayline: Command, strangers: Strangers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VAULT_TOKEN", "s3cr3t-token")
    strangers.install("vault", VAULT)
    for arguments in (["plugins"], ["plugins", "--format", "json"]):
        printed = wayline(*arguments)
        assert "vault" in printed.out
        assert "s3cr3t" not in printed.out + printed.err


def test_a_broken_plugin_is_listed_and_the_others_too(wayline: Command, strangers: Strangers) -> None:
    strangers.install("bad", "raise RuntimeError('s3cr3t')")
    printed = wayline("plugins")
    assert printed.status == 1
    assert "bad: broken, stranger_bad of stranger-bad 1.0" in printed.out
    assert "PL001 plugin 'bad' (stranger-bad 1.0) cannot be imported" in printed.out
    assert "email: active" in printed.out
    assert "s3cr3t" not in printed.out + printed.err


def test_a_disabled_plugin_is_listed_as_that_and_not_imported(
    wayline: Command, strangers: Strangers, monkeypatch: pytest.MonkeyPatch
) -> None:
    strangers.install("bad", "raise RuntimeError")
    monkeypatch.setenv("WAYLINE_DISABLED_PLUGINS", "worse, bad")
    printed = wayline("plugins")
    assert printed.status == 0
    assert "bad: disabled, stranger_bad of stranger-bad 1.0" in printed.out


def test_what_a_plugin_prints_leaves_json_whole(wayline: Command, strangers: Strangers) -> None:
    strangers.install("loud", "print('hello')\n" + VAULT.replace("\n    ", "\n"))
    listed = {each["name"]: each for each in wayline("plugins", "--format", "json").json["plugins"]}
    assert listed["loud"]["state"] == "active"
    assert "PL008" in listed["loud"]["notes"][0]


def test_linting_goes_on_beside_a_broken_plugin_and_says_so_where_it_is_needed(
    wayline: Command, strangers: Strangers, tmp_path: Path
) -> None:
    strangers.install("bad", "raise RuntimeError")
    folder = tmp_path / "workspace"
    folder.mkdir()
    head = "title: t\nowner: o\n"
    (folder / "wayline.yaml").write_text(
        f"kind: workspace\nid: w\n{head}timezone: Asia/Shanghai\nlocales: [zh]\nidentities: [email]\n"
    )
    assert wayline("lint", folder).status == 0
    channels = "channels: [{id: c, plugin: pigeon, identity: email}]\n"
    (folder / "channels.yaml").write_text(f"kind: channels\nid: c\n{head}{channels}")
    printed = wayline("lint", folder)
    assert printed.status == 1
    assert "PL001 plugin 'bad'" in printed.err
    assert "broken and left out: bad, see `wayline plugins`" in printed.out + printed.err


def test_doctor_asks_for_care_and_the_processes_would_start(published: Command, strangers: Strangers) -> None:
    strangers.install("bad", "raise RuntimeError('s3cr3t')")
    printed = published("doctor", "--format", "json")
    found = {each["name"]: each for each in json.loads(printed.out)}
    assert found["set-up"]["is_well"]
    assert not found["plugins"]["is_well"]
    assert "PL001 plugin 'bad'" in found["plugins"]["detail"]
    assert "s3cr3t" not in printed.out + printed.err


def test_a_plugin_is_not_begun_under_a_name_that_another_has(wayline: Command, tmp_path: Path) -> None:
    for kind, name in (("channel", "email"), ("check", "lexicon"), ("generator", "email")):
        refused = wayline("plugin", "new", kind, name, tmp_path / "package")
        assert refused.status == 2
        assert f"the name '{name}' is taken by a plugin of wayline " in refused.err
    assert not (tmp_path / "package").exists()
    assert wayline("plugin", "new", "channel", "pager", tmp_path / "package").status == 0
