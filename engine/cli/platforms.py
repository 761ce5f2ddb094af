"""The rule book of platforms, as `wayline facts --platforms` lists it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from engine.authoring.bundle import Bundle
from engine.cli.output import Format, print_json, shown
from engine.content.fitting import told_source
from engine.content.platforms import LengthRule, Platform


def show_platforms(bundle: Bundle, output: Format) -> None:
    """Each platform with its rules, the channels that keep to them, and where they stand."""
    users = {
        name: [channel.id for channel in bundle.channels.values() if channel.platform == name]
        for name in bundle.platforms
    }
    if output is Format.JSON:
        print_json({name: _data(each, users[name]) for name, each in bundle.platforms.items()})
        return
    if not bundle.platforms:
        typer.echo("this workspace has no rule book: no file of kind 'platforms'")
    for name, platform in bundle.platforms.items():
        used = f", channels: {', '.join(users[name])}" if users[name] else ""
        typer.echo(f"{name}: {shown(platform.title)}{used}")
        for line in _rules(platform):
            typer.echo(f"  {line}")
        typer.echo(f"  {platform.basis}: {shown(told_source(platform))}")


def _rules(platform: Platform) -> Iterator[str]:
    for part, rule in platform.lengths.items():
        yield f"{part}: {_length(rule)}"
    if platform.subject_as != "subject":
        yield f"subject: {platform.subject_as.replace('_', ' ')}"
    if platform.call_to_action_as != "button":
        yield f"call to action: {platform.call_to_action_as.replace('_', ' ')}"
    for what, how in (("markup", platform.markup), ("links", platform.links), ("emoji", platform.emoji)):
        if how not in {"kept", "anywhere"}:
            yield f"{what}: {how.replace('_', ' ')}"
    for line in platform.lines:
        whose = f" for {', '.join(line.purposes)}" if line.purposes else ""
        yield f"{line.at} line{whose}: {shown(line.text)}"
    for fact in platform.facts:
        yield f"{fact.name}: {shown(fact.value)}"


def _length(rule: LengthRule) -> str:
    least = f"{rule.least:,} to " if rule.least else "up to "
    figure = f"{least}{rule.most:,}" if rule.most is not None else f"{rule.least:,} or more"
    return f"{figure} {rule.unit}" + (", beyond it a warning" if rule.beyond.value == "warn" else "")


def _data(platform: Platform, channels: list[str]) -> dict[str, Any]:
    return {
        "title": platform.title,
        "channels": channels,
        "lengths": {
            part: {
                "least": rule.least,
                "most": rule.most,
                "unit": rule.unit,
                "beyond": rule.beyond.value,
                "source": rule.source,
            }
            for part, rule in platform.lengths.items()
        },
        "subject_as": platform.subject_as,
        "call_to_action_as": platform.call_to_action_as,
        "markup": platform.markup,
        "links": platform.links,
        "emoji": platform.emoji,
        "lines": [
            {"text": each.text, "at": each.at, "apart": each.apart, "purposes": list(each.purposes)}
            for each in platform.lines
        ],
        "facts": {each.name: {"value": each.value, "source": each.source} for each in platform.facts},
        "source": platform.source,
        "as_of": platform.as_of.isoformat(),
        "basis": platform.basis,
        "check_again": platform.check_again.isoformat(),
    }
