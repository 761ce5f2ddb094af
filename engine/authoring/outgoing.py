"""Every text that a bundle may send, as it goes out on each channel; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.authoring.bundle import Bundle
from engine.authoring.variants import Texts, plain_texts_on, texts_on
from engine.content.adapting import Adapted, adapt
from engine.journeys.program import Send
from engine.plugin.contracts import ContentSpec, Draft


@dataclass(frozen=True)
class Outgoing:
    """One text on one channel, before anything personal is filled in."""

    content: str
    channel: str
    purpose: str
    spec: ContentSpec
    """As it is written."""
    adapted: Adapted
    """As it goes out, with gaps where something is filled in."""
    is_plain: bool
    """Whether it is for contacts who refused personalisation."""


def sent_by_journeys(bundle: Bundle) -> list[tuple[str, str, str]]:
    """Content, channel and purpose of every message that a journey may send, each once, in their order."""
    return list(
        dict.fromkeys(
            (step.content, channel, step.purpose)
            for program in bundle.programs.values()
            for step in program.steps.values()
            if isinstance(step, Send)
            for channel in step.channels
            if channel in bundle.channels
        )
    )


def outgoing(bundle: Bundle, content: str, channel: str, purpose: str) -> Iterator[Outgoing]:
    """The texts of a content on a channel, by language; those for who refused personalisation after them."""
    everybody = texts_on(bundle, content, channel)
    yield from _each(bundle, everybody, channel, purpose, is_plain=False)
    marketing = bundle.purposes.get(purpose)
    if marketing is not None and marketing.kind == "marketing":
        plain = plain_texts_on(bundle, content, channel)
        if plain != everybody:
            yield from _each(bundle, plain, channel, purpose, is_plain=True)


def _each(bundle: Bundle, texts: Texts, channel: str, purpose: str, *, is_plain: bool) -> Iterator[Outgoing]:
    platform = bundle.platform_of(channel)
    for spec in texts.values():
        draft = Draft(spec.body, spec.subject, spec.call_to_action, spec.locale)
        yield Outgoing(spec.id, channel, purpose, spec, adapt(draft, platform, purpose), is_plain)
