"""Which texts of a content a channel gets; pure."""

from __future__ import annotations

from collections.abc import Mapping

from engine.authoring.bundle import Bundle
from engine.authoring.personal import is_personal
from engine.plugin.contracts import ContentSpec

Texts = Mapping[str, ContentSpec]
"""By locale."""


def texts_on(bundle: Bundle, content: str, channel: str) -> Texts:
    """The texts of a content on a channel: what is written for it, and in other languages the content's own.

    Empty when the bundle has no such content.
    """
    own = bundle.contents.get(content, {})
    written = bundle.channel_contents.get(content, {}).get(channel)
    return {**own, **written} if written else own


def plain_texts_on(bundle: Bundle, content: str, channel: str) -> Texts:
    """The texts for contacts who refused personalisation; empty when every text is about the person.

    What is written for them goes before what suits them by chance, and what is written for the channel before
    what is for all, language by language.
    """
    written = bundle.channel_contents.get(content, {}).get(channel, {})
    layers = (
        _if_plain(bundle.contents.get(content, {})),
        bundle.plain_contents.get(content, {}),
        _if_plain(written),
        bundle.plain_channel_contents.get(content, {}).get(channel, {}),
    )
    return {locale: text for layer in layers for locale, text in layer.items()}


def _if_plain(texts: Texts) -> Texts:
    return {} if is_personal(texts.values()) else texts
