"""What files say about plugins, held against the plugins' own models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pytest
from pydantic import BaseModel, ConfigDict, Field, field_validator

from engine.authoring.loading import load_files
from engine.plugin import Check, CheckContext, Draft, Finding, hookimpl
from engine.plugin.registry import Registry, load_registry


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


def test_a_value_from_the_environment_is_not_guessed(small: Mapping[str, str], registry: Registry) -> None:
    channels = small["channels.yaml"]
    port = "{env: SMTP_PORT}"

    def codes(text: str) -> list[str]:
        return [problem.code for problem in load_files({**small, "channels.yaml": text}, registry).problems]

    assert codes(channels.replace("host: localhost", f"host: localhost, port: {port}")) == []
    assert codes(channels.replace("host: localhost", "host: localhost, port: {env: P, default: x}")) == [
        "RS063"
    ]
