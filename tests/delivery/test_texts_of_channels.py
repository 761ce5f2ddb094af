"""The text that leaves is the channel's own, or made to suit its platform."""

from __future__ import annotations

from typing import Any

from engine.gate.model import Outcome
from engine.plugin.contracts import Rejected
from engine.plugin.recording import RecordingChannel
from engine.store.tables import DecisionRow

CONTENT = """
    kind: content
    id: content
    title: content
    owner: us
    contents:
      - id: hello
        locales:
          en:
            subject: Hello
            body: "**Good** morning {{ contact.nickname | default('you', true) }}"
            call_to_action: Look
        variants:
          - {channels: [app], locales: {en: {subject: Hi, body: <b>Short</b>}}}
      - id: boast
        locales: {en: {body: Nothing to boast of}}
        variants:
          - {channels: [app], locales: {en: {body: we are simply the miracle}}}
    """
PLATFORMS = """
    kind: platforms
    id: platforms
    title: platforms
    owner: us
    platforms:
      - id: mail
        title: Mail
        source: its page
        as_of: "2026-01-01"
        basis: official
        body: {most: 30}
        subject_as: first_line
        call_to_action_as: last_line
        markup: none
    """  # fmt: skip
CHANNELS = """
    kind: channels
    id: channels
    title: channels
    owner: us
    channels:
      - {id: email, plugin: mail, identity: email, settings: {}}
      - {id: app, plugin: push, identity: app, platform: PLATFORM, settings: {}}
    """


def sent(desk: Any, channel: str) -> list[tuple[str, str, str]]:
    calls = getattr(desk, channel).calls
    return [(each.message.subject, each.message.body, each.message.call_to_action) for each in calls]


def last(desk: Any, key: str = "k1") -> DecisionRow:
    found: DecisionRow = desk.rows(DecisionRow, intent_key=key)[-1]
    return found


async def test_a_text_is_made_to_suit_its_platform_and_the_decision_says_how(desk: Any) -> None:
    desk.publish(content=CONTENT, platforms=PLATFORMS)
    desk.contact()
    desk.plan()

    assert await desk.deliver() is Outcome.SENT
    assert sent(desk, "mail") == [("", "Hello\nGood morning you\nLook", "")]
    assert last(desk).evidence["adapted"] == ["markup", "subject_first_line", "call_to_action_last_line"]
    assert last(desk).evidence["content_hash"] == desk.row().content_hash


async def test_a_channel_with_a_text_of_its_own_gets_that_one_as_it_is(desk: Any) -> None:
    desk.publish(content=CONTENT, platforms=PLATFORMS)
    desk.contact()
    desk.plan(channels=("app", "email"))

    assert await desk.deliver() is Outcome.SENT
    assert sent(desk, "push") == [("Hi", "<b>Short</b>", "")]
    assert "adapted" not in last(desk).evidence


async def test_a_text_that_does_not_fit_takes_the_next_channel(desk: Any) -> None:
    desk.publish(content=CONTENT.replace("nickname | default('you', true)", "locale"), platforms=PLATFORMS)
    desk.contact(locale="en-a-very-long-name")
    desk.plan(channels=("email", "app"))
    desk.plan("k2", channels=("email",))

    assert await desk.deliver() is Outcome.SENT
    assert await desk.deliver("k2") is Outcome.BLOCKED
    assert sent(desk, "mail") == [] and sent(desk, "push") == [("Hi", "<b>Short</b>", "")]
    assert last(desk).evidence["channels"] == {"email": "content.does_not_fit"}
    stopped = last(desk, "k2")
    assert (stopped.reason, stopped.evidence["findings"][0]["code"]) == (
        "content.does_not_fit",
        "platform.too_long",
    )
    assert stopped.evidence["findings"][0]["rule"] == "its page (2026-01-01)"
    assert "email" in stopped.would_pass_if


async def test_who_is_refused_elsewhere_gets_the_other_channels_text_checked_anew(desk: Any) -> None:
    desk.publish(content=CONTENT, platforms=PLATFORMS)
    desk.contact()
    desk.mail = RecordingChannel("mail", results=[Rejected("no_such_box")] * 2)
    desk.process()
    desk.plan(channels=("email", "app"))
    desk.plan("k2", channels=("email", "app"), content="boast")

    assert await desk.deliver() is Outcome.SENT
    assert sent(desk, "push") == [("Hi", "<b>Short</b>", "")]
    # The other channel's text is another one, and what checks find in it stops it there.
    assert await desk.deliver("k2") is Outcome.FAILED
    assert last(desk, "k2").evidence["channels"] == {
        "email": "channel.rejected",
        "app": "content.check_blocked",
    }


async def test_a_channel_keeps_to_the_platform_that_it_names(desk: Any) -> None:
    desk.publish(content=CONTENT, platforms=PLATFORMS, channels=CHANNELS.replace("PLATFORM", "mail"))
    desk.contact()
    desk.plan(channels=("app",))

    assert await desk.deliver() is Outcome.SENT
    assert sent(desk, "push") == [("", "Hi\nShort", "")]
