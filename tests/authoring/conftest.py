"""The built-in plugins as a registry, and small workspaces to vary."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from pydantic import BaseModel, ConfigDict, Field

from engine.plugin.recording import RecordingAction
from engine.plugin.registry import Registry, load_registry
from plugins.actions import webhook_call
from plugins.channels import email, file, webhook
from plugins.checks import (
    ai_label,
    brand,
    duplicates,
    jargon_density,
    language,
    lexicon,
    personal_data,
    readability,
    required_line,
    tone,
)
from plugins.generators import llm, template

WORKSPACE = """\
kind: workspace
id: small
title: 小工作区
owner: tests
timezone: Asia/Shanghai
locales: [zh]
identities: [email]
attributes:
  visits: {type: number}
  member: {type: boolean}
  trial_ends_at: {type: instant}
"""
PURPOSES = """\
kind: purposes
id: purposes
title: 用途
owner: tests
purposes:
  - {id: marketing, title: 营销, version: "1", kind: marketing, max_hold: 3d}
  - {id: service, title: 服务, version: "1", kind: transactional, max_hold: 1d, repeat_unknown: true}
"""
EVENTS = """\
kind: events
id: events
title: 事件
owner: tests
events:
  - id: order_paid
    title: 支付
    effect: order
    schema: {type: object, properties: {amount: {type: number}, order_id: {type: string}}}
  - {id: product_viewed, title: 浏览}
"""
CHANNELS = """\
kind: channels
id: channels
title: 渠道
owner: tests
channels:
  - id: email
    plugin: email
    identity: email
    settings: {host: localhost, sender: a@example.com, password: {env: SMTP_PASSWORD}}
  - {id: letter, plugin: file, identity: email, settings: {folder: {env: FOLDER, default: letters}}}
"""
CONTENT = """\
kind: content
id: content
title: 内容
owner: tests
contents:
  - {id: hello, locales: {zh: {body: 你好}}}
"""
JOURNEY = """\
kind: journey
id: welcome
title: 欢迎
owner: tests
purpose: marketing
enter: {event: contact_added}
steps:
  - {send: hi, content: hello, channels: [email]}
"""


class PointsTold(BaseModel):
    model_config = ConfigDict(extra="forbid")

    points: int = Field(gt=0, description="how many points")
    reason: str = ""


class PointsGiven(BaseModel):
    balance: float
    level: str | None = None
    rows: list[str] = []


POINTS = RecordingAction("points", values=PointsTold, answers=PointsGiven)


@pytest.fixture(scope="session")
def registry() -> Registry:
    checks = [ai_label, brand, duplicates, jargon_density, language, lexicon, personal_data, readability]
    plugins = [email, file, webhook, template, llm, *checks, required_line, tone, webhook_call, POINTS]
    return load_registry(entry_points=False, extra=plugins, environ={})


@pytest.fixture(scope="session")
def small() -> Mapping[str, str]:
    """A clean workspace with one journey of one step."""
    return {
        "wayline.yaml": WORKSPACE,
        "purposes.yaml": PURPOSES,
        "events.yaml": EVENTS,
        "channels.yaml": CHANNELS,
        "content.yaml": CONTENT,
        "welcome.yaml": JOURNEY,
    }


@pytest.fixture(scope="session")
def with_journey(small: Mapping[str, str]) -> Callable[..., dict[str, str]]:
    """The small workspace with another journey: steps and entry as given."""

    def make(steps: str, enter: str = "{event: contact_added}", more: str = "") -> dict[str, str]:
        text = JOURNEY.replace("enter: {event: contact_added}", f"enter: {enter}\n{more}".rstrip())
        head, _, _ = text.partition("steps:\n")
        return {**small, "welcome.yaml": f"{head}steps:\n{steps}"}

    return make
