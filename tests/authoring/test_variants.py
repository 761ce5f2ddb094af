"""Which text a channel gets: written for it, in the reader's language, without what they refused."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import pytest

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of, load_files
from engine.authoring.outgoing import outgoing, sent_by_journeys
from engine.authoring.variants import plain_texts_on, texts_on
from engine.errors import RulesetError
from engine.plugin.contracts import Capabilities, ContentSpec
from engine.plugin.recording import RecordingChannel
from engine.plugin.registry import load_registry
from plugins.generators import template


@pytest.fixture
def bilingual(small: Mapping[str, str]) -> Mapping[str, str]:
    return {**small, "wayline.yaml": small["wayline.yaml"].replace("locales: [zh]", "locales: [zh, en]")}


@pytest.fixture
def bundle(bilingual: Mapping[str, str]) -> Bundle:
    content = """
        kind: content
        id: content
        title: 内容
        owner: tests
        contents:
          - id: hello
            locales:
              zh: {body: "{{ contact.id }}您好"}
              en: {body: "Hello {{ contact.id }}"}
            variants:
              - {channels: [letter], locales: {zh: {body: 信}}}
              - {personal: false, locales: {zh: {body: 平}, en: {body: Plain}}}
              - {channels: [letter], personal: false, locales: {zh: {body: 平信}}}
          - id: other
            locales: {zh: {body: 无}, en: {body: None}}
            variants: [{channels: [letter], locales: {zh: {body: "{{ contact.id }}"}}}]
        """
    return bundle_of({**bilingual, "content.yaml": textwrap.dedent(content)})


def bodies(texts: Mapping[str, ContentSpec]) -> dict[str, str]:
    return {locale: text.body for locale, text in texts.items()}


def test_a_channel_gets_what_is_written_for_it_and_other_languages_stay(bundle: Bundle) -> None:
    assert bodies(texts_on(bundle, "hello", "letter")) == {"zh": "信", "en": "Hello {{ contact.id }}"}
    assert bodies(texts_on(bundle, "hello", "email"))["zh"] == "{{ contact.id }}您好"
    assert texts_on(bundle, "unknown", "email") == {}


def test_who_refused_personalisation_gets_what_is_written_for_them_there(bundle: Bundle) -> None:
    assert bodies(plain_texts_on(bundle, "hello", "letter")) == {"zh": "平信", "en": "Plain"}
    assert bodies(plain_texts_on(bundle, "hello", "email")) == {"zh": "平", "en": "Plain"}
    # What is written for the channel is about the person, and what is for all is not.
    assert bodies(plain_texts_on(bundle, "other", "letter")) == {"zh": "无", "en": "None"}


def test_every_text_that_may_go_out_is_listed(bundle: Bundle) -> None:
    (use,) = [each for each in sent_by_journeys(bundle) if each[0] == "hello"]
    listed = [(each.spec.locale, each.adapted.draft.body, each.is_plain) for each in outgoing(bundle, *use)]

    assert listed == [
        ("zh", "{{ contact.id }}您好", False),
        ("en", "Hello {{ contact.id }}", False),
        ("zh", "平", True),
        ("en", "Plain", True),
    ]


@pytest.mark.parametrize(
    "variants",
    [
        "[{channels: [letter], locales: {zh: {body: a}}}, "
        "{channels: [email, letter], locales: {zh: {body: b}}}]",
        "[{personal: false, locales: {zh: {body: a}}}, {personal: false, locales: {zh: {body: b}}}]",
    ],
)
def test_two_texts_for_one_channel_are_one_too_many(bilingual: Mapping[str, str], variants: str) -> None:
    content = (
        "kind: content\nid: content\ntitle: a\nowner: a\ncontents:\n"
        f"  - {{id: hello, locales: {{zh: {{body: a}}, en: {{body: a}}}}, variants: {variants}}}\n"
    )
    with pytest.raises(RulesetError) as raised:
        bundle_of({**bilingual, "content.yaml": content})
    assert [problem.code for problem in raised.value.problems] == ["RS055"]


def test_what_a_plugin_takes_at_most_is_known_while_writing(bilingual: Mapping[str, str]) -> None:
    channels = (
        "kind: channels\nid: channels\ntitle: a\nowner: a\nchannels:\n"
        "  - {id: email, plugin: short, identity: email}\n"
    )
    channel = RecordingChannel("short")
    channel.capabilities = Capabilities(max_length=5, length_unit="bytes")
    short = load_registry(entry_points=False, extra=[channel, template])
    content = (
        "kind: content\nid: content\ntitle: a\nowner: a\ncontents:\n"
        "  - {id: hello, locales: {zh: {body: 您好}, en: {body: Hello}}}\n"
    )
    loaded = load_files({**bilingual, "channels.yaml": channels, "content.yaml": content}, short)

    assert [(each.code, each.path) for each in loaded.errors] == [("RS171", "contents[0].locales.zh.body")]
    assert "6 bytes; the plugin 'short' takes 5" in loaded.errors[0].message
