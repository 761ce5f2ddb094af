"""What files say about plugins, held against the plugins' own models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from engine.authoring.loading import load_files
from engine.plugin import Check, CheckContext, Draft, Finding, hookimpl
from engine.plugin.registry import Registry, load_registry
from plugins.channels import manual


class LengthSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    most: int = Field(ge=1, description="Characters at most.")
    part: str = "body"

    @field_validator("part")
    @classmethod
    def _is_known(cls, part: str) -> str:
        if part == "crash":
            raise RuntimeError("a validator that is broken itself")
        return part


class LengthCheck:
    name = "length"
    settings = LengthSettings

    def examine(self, draft: Draft, context: CheckContext) -> Sequence[Finding]:
        del draft, context
        return []


class PlainCheck(LengthCheck):
    name = "plain"
    settings = None  # type: ignore[assignment]


class Offers:
    @hookimpl
    def register_checks(self) -> Iterable[Check]:
        return [LengthCheck(), PlainCheck()]


@pytest.mark.parametrize(
    ("queue", "said"),
    [("support", []), ("suport", ["RS082"]), ("{env: QUEUE}", []), ("{env: QUEUE, default: x}", ["RS082"])],
)
def test_a_channel_that_people_carry_names_a_queue_that_there_is(queue: str, said: list[str]) -> None:
    workspace = """
kind: workspace
id: here
title: here
owner: us
timezone: Asia/Shanghai
locales: [en]
identities: [app]
queues: {support: {title: Support}}
"""
    channels = f"""
kind: channels
id: channels
title: channels
owner: us
channels: [{{id: notes, plugin: manual, identity: app, settings: {{queue: {queue}}}}}]
"""
    registry = load_registry(entry_points=False, extra=[manual])
    loaded = load_files({"wayline.yaml": workspace, "channels.yaml": channels}, registry)
    assert [each.code for each in loaded.problems if each.code == "RS082"] == said


@pytest.fixture
def with_checks() -> Registry:
    return load_registry(extra=[Offers()])


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("{id: a, plugin: length, settings: {most: 20}}", None),
        ("{id: a, plugin: length}", "the plugin 'length' needs the setting 'most'"),
        ("{id: a, plugin: length, settings: {mst: 20}}", "the plugin 'length' has no setting 'mst'"),
        ("{id: a, plugin: length, settings: {most: 0}}", "refuses this: it should be greater than or equal"),
        ("{id: a, plugin: length, settings: {most: 1, part: crash}}", "raised RuntimeError"),
        ("{id: a, plugin: plain}", None),
        ("{id: a, plugin: plain, settings: {most: 20}}", "the plugin 'plain' takes no settings"),
    ],
)
def test_a_checks_settings_are_checked_where_they_are_written(
    small: Mapping[str, str], with_checks: Registry, check: str, said: str | None
) -> None:
    checks = f"kind: checks\nid: checks\ntitle: c\nowner: tests\nchecks:\n  - {check}\n"
    problems = load_files({**small, "checks.yaml": checks}, with_checks).problems

    assert [problem.code for problem in problems] == ([] if said is None else ["RS063"])
    assert said is None or said in problems[0].message


class VaultSettings(BaseModel):
    token: SecretStr
    where: str = ""

    @field_validator("token")
    @classmethod
    def _is_long(cls, token: SecretStr) -> SecretStr:
        if len(token.get_secret_value()) < 20:
            raise ValueError(f"{token.get_secret_value()} is too short")
        return token

    @model_validator(mode="after")
    def _fits(self) -> VaultSettings:
        if self.where == "moon":
            raise ValueError(f"{self.token.get_secret_value()} is not for there")
        return self


class VaultCheck(LengthCheck):
    name = "vault"
    settings = VaultSettings  # type: ignore[assignment]


@pytest.mark.parametrize(
    "settings", ['{token: "s3cr3t"}', '{token: "s3cr3t-that-is-long-enough", where: moon}']
)
def test_a_secret_that_stands_in_a_file_is_not_repeated_by_any_message(
    small: Mapping[str, str], settings: str
) -> None:
    class Vault:
        @hookimpl
        def register_checks(self) -> Iterable[Check]:
            return [VaultCheck()]

    check = f"{{id: a, plugin: vault, settings: {settings}}}"
    checks = f"kind: checks\nid: checks\ntitle: c\nowner: tests\nchecks:\n  - {check}\n"
    problems = load_files({**small, "checks.yaml": checks}, load_registry(extra=[Vault()])).problems
    assert {problem.code for problem in problems} == {"RS063", "RS065"}
    assert not any("s3cr3t" in problem.message + problem.hint for problem in problems)


def test_a_value_from_the_environment_is_not_guessed(small: Mapping[str, str], registry: Registry) -> None:
    channels = small["channels.yaml"]
    port = "{env: SMTP_PORT}"

    def codes(text: str) -> list[str]:
        return [problem.code for problem in load_files({**small, "channels.yaml": text}, registry).problems]

    assert codes(channels.replace("host: localhost", f"host: localhost, port: {port}")) == []
    assert codes(channels.replace("host: localhost", "host: localhost, port: {env: P, default: x}")) == [
        "RS063"
    ]
