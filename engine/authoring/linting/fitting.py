"""Texts that a channel cannot carry: told while they are written, not when nobody has got them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date

from engine.authoring.bundle import Bundle
from engine.authoring.definitions import Defined, Definitions
from engine.authoring.models.contents import ContentEntry, Text
from engine.authoring.personal import TEMPLATE
from engine.content.adapting import adapt
from engine.content.fitting import misfits
from engine.content.platforms import LengthRule, Platform
from engine.errors import Problem
from engine.journeys.program import Send
from engine.plugin.answers import PARTS
from engine.plugin.contracts import Draft, Finding, Severity
from engine.plugin.registry import Registry
from engine.rules.condition import YamlPath

_FILLED_IN = re.compile(r"\{\{.*?\}\}|\{#.*?#\}", re.DOTALL)
_STATEMENT = re.compile(r"\{%-?\s*(\w+)(.*?)-?%\}", re.DOTALL)
_OPENS = {"if", "for", "filter", "call", "macro", "block", "raw", "with"}
_SILENT = Platform("", "", "", date.min, "unverified", date.max)
"""A platform of which nothing is written down."""
_SIGNS = re.compile(r"[\[\]()*_~`#>]")


@dataclass(frozen=True)
class _Use:
    """A channel on which a step may send a content."""

    content: str
    channel: str
    purpose: str
    journey: str
    step: str


def check_fitting(found: Definitions, bundle: Bundle, registry: Registry | None) -> Iterator[Problem]:
    """RS171 for texts that could never go out on a channel of a step, RW170 for those that read badly there.

    Of a text with gaps only what stands in it for sure is counted. With a registry, what the channels'
    plugins say of lengths counts too.
    """
    told: set[tuple[str, YamlPath, str, str]] = set()
    for use in _uses(bundle):
        content = found.contents.get(use.content)
        platform = _rules_on(use.channel, bundle, registry)
        if content is None or platform is None or content.item.generator != TEMPLATE:
            continue
        for at, text in _texts_on(content.item, use.channel):
            for finding in _against(text, platform, use.purpose):
                seen = (use.content, at, use.channel, f"{finding.part} {finding.code}")
                if seen not in told:
                    told.add(seen)
                    yield _problem(content, at, text, use, finding)


def _uses(bundle: Bundle) -> Iterator[_Use]:
    for journey, program in bundle.programs.items():
        for step in program.steps.values():
            if isinstance(step, Send):
                for channel in step.channels:
                    yield _Use(step.content, channel, step.purpose, journey, step.id)


def _rules_on(channel: str, bundle: Bundle, registry: Registry | None) -> Platform | None:
    """The rule book's entry, with what the channel's plugin takes where the book says nothing."""
    platform, config = bundle.platform_of(channel), bundle.channels.get(channel)
    plugin = registry.channels.get(config.plugin) if registry is not None and config is not None else None
    if plugin is None or plugin.capabilities.max_length is None:
        return platform
    most, unit = plugin.capabilities.max_length, plugin.capabilities.length_unit
    limit = LengthRule(most=most, unit="bytes" if unit == "bytes" else "characters", source="the plugin")
    if platform is None:
        return replace(_SILENT, title=f"the plugin '{plugin.name}'", lengths={"body": limit})
    if "body" in platform.lengths:
        return platform
    return replace(platform, lengths={**platform.lengths, "body": limit})


def _texts_on(content: ContentEntry, channel: str) -> Iterator[tuple[YamlPath, Text]]:
    """Every text that somebody may get on the channel, and where it stands."""
    written = [
        (number, variant) for number, variant in enumerate(content.variants) if channel in variant.channels
    ]
    taken = {(variant.personal, locale) for _, variant in written for locale in variant.locales}
    for locale, text in content.locales.items():
        if (True, locale) not in taken:
            yield ("locales", locale), text
    for number, variant in enumerate(content.variants):
        if channel in variant.channels or not variant.channels:
            for locale, text in variant.locales.items():
                if variant.channels or (variant.personal, locale) not in taken:
                    yield ("variants", number, "locales", locale), text


def _against(text: Text, platform: Platform, purpose: str) -> Iterator[Finding]:
    parts = {part: str(getattr(text, part)) for part in PARTS}
    has_gaps = any("{" in part for part in parts.values())
    if not has_gaps:
        yield from misfits(adapt(_draft(parts), platform, purpose).draft, platform)
        return
    surely = {part: _without_gaps(each) for part, each in parts.items()}
    if platform.markup != "kept":
        # What is filled in may make a sign part of markup, which is taken out.
        surely = {part: _SIGNS.sub("", each) for part, each in surely.items()}
    adapted = adapt(_draft(surely), replace(platform, lines=()), purpose)
    yield from (each for each in misfits(adapted.draft, platform) if each.code != "platform.too_short")


def _draft(parts: Mapping[str, str]) -> Draft:
    return Draft(parts["body"], parts["subject"], parts["call_to_action"])


def _without_gaps(template: str) -> str:
    """What stands in every text that a template makes: outside of gaps, and of parts under a condition."""
    pieces, at, depth = [], 0, 0
    for statement in _STATEMENT.finditer(template):
        if depth == 0:
            pieces.append(template[at : statement.start()])
        word = statement[1]
        if word in _OPENS or (word == "set" and "=" not in statement[2]):
            depth += 1
        elif word.startswith("end"):
            depth = max(0, depth - 1)
        at = statement.end()
    if depth == 0:
        pieces.append(template[at:])
    return _FILLED_IN.sub("", "".join(pieces))


def _problem(
    content: Defined[ContentEntry], at: YamlPath, text: Text, use: _Use, finding: Finding
) -> Problem:
    part = finding.part if getattr(text, finding.part) else "body"
    where = f"on '{use.channel}' (step '{use.step}' of '{use.journey}')"
    code = "RS171" if finding.severity is Severity.BLOCK else "RW170"
    hint = f"write a text for it: variants: [{{channels: [{use.channel}], locales: …}}]"
    if finding.rule:
        hint += f"; the rule: {finding.rule}"
    return content.problem(code, f"{finding.message}; this goes out {where}", hint, at=(*at, part))
