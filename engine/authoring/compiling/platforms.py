"""The rule book of platforms, and which entry each channel keeps to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from engine.authoring.checking.references import References
from engine.authoring.definitions import Definitions
from engine.authoring.models.channels import ChannelEntry
from engine.authoring.models.platforms import LengthEntry, PlatformEntry, SourcedPart
from engine.content.platforms import LengthRule, LineRule, Platform, PlatformFact
from engine.errors import Problem
from engine.plugin.contracts import Severity


def compile_platforms(found: Definitions) -> dict[str, Platform]:
    """The rule book's entries by id."""
    return {name: _platform(defined.item) for name, defined in found.platforms.items()}


def platform_of(channel: ChannelEntry, found: Definitions) -> str | None:
    """Whose rules the texts of a channel keep to: those it names, or those called as its plugin is."""
    if channel.platform is not None:
        return channel.platform
    return channel.plugin if channel.plugin in found.platforms else None


def check_platforms(found: Definitions, references: References) -> Iterator[Problem]:
    """Names that lead nowhere."""
    for channel in found.channels.values():
        if channel.item.platform is not None:
            yield from references.check("platform", channel.item.platform, channel, ("platform",))
    for platform in found.platforms.values():
        for number, line in enumerate(platform.item.lines):
            for place, purpose in enumerate(line.purposes):
                at = ("lines", number, "purposes", place)
                yield from references.check("purpose", purpose, platform, at)


def check_platforms_last(found: Definitions, today: date) -> Iterator[Problem]:
    """RW171 for each platform whose rules should have been looked up again by now."""
    for name, defined in found.platforms.items():
        due = _check_again(defined.item)
        if due <= today:
            message = f"the rules of '{name}' were read on {defined.item.as_of}, and may be others by now"
            hint = "look them up again, and write 'as_of' anew"
            yield defined.problem("RW171", message, hint, at=("as_of",))


def _platform(entry: PlatformEntry) -> Platform:
    lengths = {
        part: _length(length, entry)
        for part, length in (
            ("subject", entry.subject),
            ("body", entry.body),
            ("call_to_action", entry.call_to_action),
        )
        if length is not None
    }
    return Platform(
        id=entry.id,
        title=entry.title,
        source=entry.source,
        as_of=date.fromisoformat(entry.as_of),
        basis=entry.basis,
        check_again=_check_again(entry),
        lengths=lengths,
        subject_as=entry.subject_as,
        call_to_action_as=entry.call_to_action_as,
        markup=entry.markup,
        links=entry.links,
        emoji=entry.emoji,
        lines=tuple(
            LineRule(each.text, each.at, each.apart, each.others, each.purposes) for each in entry.lines
        ),
        facts=tuple(PlatformFact(each.name, each.value, _said_by(each, entry)) for each in entry.facts),
    )


def _length(length: LengthEntry, entry: PlatformEntry) -> LengthRule:
    return LengthRule(
        length.least, length.most, length.unit, Severity(length.beyond), _said_by(length, entry)
    )


def _said_by(part: SourcedPart, entry: PlatformEntry) -> str:
    return f"{part.source or entry.source} ({part.as_of or entry.as_of})"


def _check_again(entry: PlatformEntry) -> date:
    if entry.check_again is not None:
        return date.fromisoformat(entry.check_again)
    read = date.fromisoformat(entry.as_of)
    try:
        return read.replace(year=read.year + 1)
    except ValueError:  # the 29th of February
        return date(read.year + 1, 3, 1)
