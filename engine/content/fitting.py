"""What a platform would not take of a text: too long, too short, links or emoji where there may be none."""

from __future__ import annotations

from collections.abc import Iterator

from engine.content.adapting import EMOJI, links_in
from engine.content.platforms import LengthRule, Platform
from engine.plugin.contracts import Draft, Finding, Severity
from engine.plugin.lengths import fitting, length_in

PARTS = ("subject", "body", "call_to_action")


def misfits(draft: Draft, platform: Platform | None) -> Iterator[Finding]:
    """What is against the platform's rules in a text that was adapted to it, part by part."""
    if platform is None:
        return
    for part in PARTS:
        text = str(getattr(draft, part))
        rule = platform.lengths.get(part)
        if rule is not None:
            yield from _length(part, text, rule, platform)
        if platform.links == "refused":
            yield from (_finding("link", part, *span, platform) for span in links_in(text))
        if platform.emoji == "refused":
            yield from (_finding("emoji", part, *found.span(), platform) for found in EMOJI.finditer(text))


def _length(part: str, text: str, rule: LengthRule, platform: Platform) -> Iterator[Finding]:
    length = length_in(text, rule.unit)
    if rule.most is not None and length > rule.most:
        message = f"{length:,} {rule.unit}; {platform.title} takes {rule.most:,}"
        start = fitting(text, rule.most, rule.unit)
        yield Finding(
            "platform.too_long", rule.beyond, start, len(text), message, part, rule.source, "缩短文字"
        )
    elif length < rule.least and (text or part == "body"):
        message = f"{length:,} {rule.unit}; what reads well on {platform.title} has {rule.least:,}"
        yield Finding(
            "platform.too_short", Severity.WARN, 0, len(text), message, part, rule.source, "充实文字"
        )


def _finding(what: str, part: str, start: int, end: int, platform: Platform) -> Finding:
    message = f"{platform.title} takes no {'links' if what == 'link' else 'emoji'}"
    suggestion = "去掉链接" if what == "link" else "去掉表情符号"
    return Finding(
        f"platform.{what}", Severity.BLOCK, start, end, message, part, told_source(platform), suggestion
    )


def told_source(platform: Platform) -> str:
    """Where a platform's rules are said, and as of when."""
    return f"{platform.source} ({platform.as_of.isoformat()})"
