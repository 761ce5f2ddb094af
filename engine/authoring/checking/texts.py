"""Asks the checks that read a ruleset's texts together, as `duplicates` does, about each as it is written."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from engine.authoring.bundle import Bundle, CheckConfig
from engine.authoring.definitions import Definitions
from engine.errors import Problem
from engine.journeys.program import Send
from engine.plugin.calling import call_check
from engine.plugin.contracts import Check, CheckContext, Draft, Lexicon, Severity
from engine.plugin.registry import Registry
from engine.rules.condition import YamlPath

_PATIENCE = timedelta(seconds=5)


def examine_texts(found: Definitions, bundle: Bundle, registry: Registry) -> Iterator[Problem]:
    """RW041 for what such a check finds in a text of a content that its purposes and channels concern."""
    asked = [
        (config, check)
        for config in bundle.checks
        if (check := registry.checks.get(config.plugin)) is not None
        and getattr(check, "reads_contents", False)
    ]
    if not asked:
        return
    sends: dict[str, list[Send]] = {}
    for program in bundle.programs.values():
        for step in program.steps.values():
            if isinstance(step, Send):
                sends.setdefault(step.content, []).append(step)
    for config, check in asked:
        lexicons = [bundle.lexicons[name] for name in config.lexicons if name in bundle.lexicons]
        for name in found.contents:
            if _concerns(config, sends.get(name, ())):
                yield from _examined(name, found, bundle, config, check, lexicons)


def _concerns(config: CheckConfig, sends: list[Send] | tuple[()]) -> bool:
    """Whether one of the steps that send it sends what the check looks at; without any, one may yet."""
    return not sends or any(
        (not config.purposes or step.purpose in config.purposes)
        and (not config.channels or not set(config.channels).isdisjoint(step.channels))
        for step in sends
    )


def _examined(
    name: str,
    found: Definitions,
    bundle: Bundle,
    config: CheckConfig,
    check: Check,
    lexicons: list[Lexicon],
) -> Iterator[Problem]:
    content = found.contents[name]
    for locale, text in content.item.locales.items():
        context = CheckContext(
            "", "", locale, config.settings, lexicons, bundle.brand, content=name, contents=bundle.texts
        )
        draft = Draft(text.body, text.subject, text.call_to_action, locale)
        for finding in call_check(check, draft, context, _PATIENCE):
            if finding.severity is not Severity.INFO:
                at: YamlPath = ("locales", locale, finding.part)
                message = f"the check '{config.id}' objects: {finding.message}"
                yield content.problem("RW041", message, finding.suggestion, at=at)
