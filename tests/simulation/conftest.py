"""A small workspace to be tested by tests of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from textwrap import dedent

import pytest

from engine.authoring.bundle import Bundle
from engine.authoring.loading import load_files
from engine.authoring.reporting import report
from engine.plugin.recording import RecordingChannel
from engine.plugin.registry import Registry, load_registry
from plugins.generators import template

FILES: Mapping[str, str] = {
    "wayline.yaml": """\
        kind: workspace
        id: shop
        title: shop
        owner: us
        timezone: Asia/Shanghai
        locales: [en]
        identities: [email, app, phone]
        attributes: {city: {type: text}}
        """,
    "purposes.yaml": """\
        kind: purposes
        id: purposes
        title: purposes
        owner: us
        purposes: [{id: marketing, title: marketing, version: "1", kind: marketing, max_hold: 2d}]
        """,
    "channels.yaml": """\
        kind: channels
        id: channels
        title: channels
        owner: us
        channels:
          - {id: email, plugin: recording, identity: email, settings: {}}
          - {id: app, plugin: recording, identity: app, settings: {}}
        """,
    "content.yaml": """\
        kind: content
        id: content
        title: content
        owner: us
        contents:
          - {id: hello, locales: {en: {subject: Hello, body: "Welcome, {{ contact.city }}"}}}
          - {id: gift, locales: {en: {subject: Gift, body: For you}}}
        """,
    "events.yaml": """\
        kind: events
        id: events
        title: events
        owner: us
        events:
          - {id: signed_up, title: signed up, schema: {type: object, properties: {plan: {type: string}}}}
          - id: paid
            title: paid
            effect: order
            schema: {type: object, required: [amount], properties: {amount: {type: number}}}
        """,
    "caps.yaml": """\
        kind: caps
        id: caps
        title: caps
        owner: us
        caps:
          - id: one_a_day
            counts: {purpose: marketing}
            limit: 1
            window: {calendar: day, timezone: contact}
            when_full: defer
            max_defer: 36h
        """,
    "greet.yaml": """\
        kind: journey
        id: greet
        title: greet
        owner: us
        purpose: marketing
        enter: {event: signed_up, when: {event.plan: gold}}
        leave: [{when: {contact.tags: {has: do_not_disturb}}}]
        steps:
          - {send: hello, content: hello, channels: [email, app]}
          - {wait: overnight, days: 1, at: "10:00"}
          - branch: worth
            cases:
              - when: {contact.total_spent: {gte: 100}}
                steps:
                  - {send: gift, content: gift, channels: [app]}
          - {wait_for: order, event: paid, up_to: 2d, then: [{tag: note, add: [buyer]}]}
        """,
    "other.yaml": """\
        kind: journey
        id: other
        title: other
        owner: us
        purpose: marketing
        enter: {event: signed_up}
        steps:
          - {send: also, content: gift, channels: [app]}
        """,
}
HEAD = """\
ruleset: greet.yaml
start: "2026-03-01T09:00:00+08:00"
until: 10d
contact: {consents: [marketing], identities: {email: a@example.com, app: a1}, attributes: {city: Shanghai}}
tests:
"""


@pytest.fixture(scope="session")
def registry() -> Registry:
    return load_registry(entry_points=False, extra=[RecordingChannel(), template])


@pytest.fixture(scope="session")
def shop(registry: Registry) -> Callable[..., Bundle]:
    """The workspace with tests of `greet`, or of other files, as given."""

    def make(tests: str, ruleset: str = "greet.yaml", **changed: str) -> Bundle:
        files = {name: dedent(text) for name, text in FILES.items()}
        files["greet.test.yaml"] = HEAD.replace("greet.yaml", ruleset) + dedent(tests)
        files.update({f"{name}.yaml": dedent(text) for name, text in changed.items()})
        loaded = load_files(files, registry)
        assert loaded.bundle is not None, report(loaded.errors)
        return loaded.bundle

    return make
