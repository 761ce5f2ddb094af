"""A text leaves once people have approved it as it stands; whatever changes in it is another text."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import NotFound
from engine.gate.model import Outcome
from engine.governance.reviews import (
    Decided,
    ReviewRefusedError,
    decide,
    list_reviews,
    review_record,
)
from engine.plugin.contracts import Message, Preflight
from engine.plugin.recording import RecordingChannel
from engine.store.tables import DecisionRow, ReviewDecisionRow

ONE_STAGE = """
    kind: review
    id: review
    title: review
    owner: us
    stages: [{id: legal}]
    policies: [{id: adverts, purposes: [marketing], channels: [email], stages: [legal]}]
    """
TWO_STAGES = """
    kind: review
    id: review
    title: review
    owner: us
    stages: [{id: self_check}, {id: legal, queue: lawyers}]
    policies:
      - {id: hello, contents: [hello], stages: [self_check, legal]}
      - {id: others, stages: []}
    """
WORKSPACE = """
    kind: workspace
    id: here
    title: here
    owner: us
    timezone: Asia/Shanghai
    locales: [en, zh]
    identities: [email, app]
    queues: {lawyers: {title: Lawyers}}
    """
OTHER_TEXT = """
    kind: content
    id: content
    title: content
    owner: us
    contents: [{id: hello, locales: {en: {subject: Hello, body: Good evening}, zh: {body: 晚上好}}}]
    """
LIBRARY = """
    kind: scripts
    id: scripts
    title: scripts
    owner: us
    scripts: [{id: wish, title: wish, situation: first line, locales: {en: Good evening}}]
    """


def said(desk: Any, verdict: Any, review: str, *, by: str = "lea", stage: str | None = None) -> Decided:
    with desk.store.begin() as session:
        return decide(
            session, desk.shelf, review, verdict, by=by, now=desk.clock.now(), stage=stage, why="so"
        )


def reviews(desk: Any, **wanted: Any) -> list[dict[str, Any]]:
    with desk.store.read() as session:
        return [dict(each) for each in list_reviews(session, desk.shelf, **wanted)]


def last(desk: Any, key: str = "k1") -> DecisionRow:
    found: DecisionRow = desk.rows(DecisionRow, intent_key=key)[-1]
    return found


async def test_a_text_is_held_until_it_is_approved_and_then_leaves(desk: Any) -> None:
    desk.publish(review=ONE_STAGE)
    desk.contact()
    desk.plan()

    assert await desk.deliver() is None
    held = last(desk)
    assert (held.verdict, held.reason, held.evidence["missing"]) == ("hold", "review.pending", ["legal"])
    assert "approved by legal" in held.would_pass_if
    assert held.evidence["place"].startswith("review.yaml:")
    (waiting,) = [each for each in reviews(desk) if each["held"]]
    assert (waiting["id"], waiting["content"], waiting["locale"]) == (held.evidence["review"], "hello", "en")
    assert waiting["body"] == "Good morning {{ contact.locale | default('you', true) }}"

    decided = said(desk, "approve", waiting["id"])

    assert (decided.state, decided.woken, decided.missing) == ("approved", 1, ())
    await desk.settle_down()
    assert desk.row().outcome == "sent"
    assert last(desk).evidence["review"] == waiting["id"]


async def test_what_changes_in_a_text_makes_it_another_one(desk: Any) -> None:
    desk.publish(review=ONE_STAGE)
    desk.contact()
    first = next(
        each["id"] for each in reviews(desk) if each["locale"] == "en" and each["content"] == "hello"
    )
    said(desk, "approve", first)
    desk.plan()
    assert await desk.deliver() is Outcome.SENT

    desk.publish(content=OTHER_TEXT)
    desk.plan("k2")

    assert await desk.deliver("k2") is None
    assert last(desk, "k2").reason == "review.pending"
    assert last(desk, "k2").evidence["review"] != first
    # Back with the text that was approved, what waited for the other one leaves.
    desk.files.pop("content.yaml")
    desk.publish(
        content=OTHER_TEXT.replace(
            "Good evening", "\"Good morning {{ contact.locale | default('you', true) }}\""
        )
    )
    await desk.settle_down()
    assert desk.row("k2").outcome == "sent"


async def test_an_approval_is_of_the_whole_text_with_its_scripts(desk: Any) -> None:
    desk.publish(
        review=ONE_STAGE,
        content=OTHER_TEXT.replace("Good evening", '"{{ scripts.wish }}, {{ contact.locale }}"'),
        scripts=LIBRARY,
    )
    desk.contact(locale="en")
    desk.plan()
    await desk.deliver()
    review = last(desk).evidence["review"]
    (waiting,) = [each for each in reviews(desk) if each["id"] == review]
    assert waiting["body"] == "Good evening, {{ contact.locale }}"
    said(desk, "approve", review)
    await desk.settle_down()
    assert desk.mail.calls[-1].message.body == "Good evening, en"

    # The same words, typed in: the same text. Other words in the library: another one.
    desk.publish(content=OTHER_TEXT.replace("Good evening", '"Good evening, {{ contact.locale }}"'))
    desk.plan("k2")
    assert await desk.deliver("k2") is Outcome.SENT
    for key, wish, reason in [
        ("k3", "Good night", "review.pending"),
        ("k4", "A miracle", "content.check_blocked"),
    ]:
        desk.publish(
            content=OTHER_TEXT.replace("Good evening", '"{{ scripts.wish }}, {{ contact.locale }}"'),
            scripts=LIBRARY.replace("Good evening", wish),
        )
        desk.plan(key)
        assert await desk.deliver(key) is not Outcome.SENT
        assert last(desk, key).reason == reason
        assert last(desk, key).evidence.get("review") != review


async def test_a_rejected_text_is_blocked_there_and_another_channel_is_tried(desk: Any) -> None:
    desk.publish(review=ONE_STAGE)
    desk.contact()
    desk.plan()
    desk.plan("k2", channels=("email", "app"))
    assert await desk.deliver() is None
    said(desk, "reject", last(desk).evidence["review"])
    await desk.settle_down()

    assert (desk.row().outcome, last(desk).reason) == ("blocked", "review.rejected")
    # The policy is about e-mail alone.
    assert await desk.deliver("k2") is Outcome.SENT
    assert last(desk, "k2").channel == "app"
    assert last(desk, "k2").evidence["channels"] == {"email": "review.rejected"}


async def test_an_approval_that_is_taken_back_stops_what_is_on_its_way(desk: Any) -> None:
    desk.publish(review=ONE_STAGE)
    desk.contact()
    (review,) = {each["id"] for each in reviews(desk, content="hello") if each["locale"] == "en"}
    said(desk, "approve", review)
    desk.plan()

    class Asking(RecordingChannel):
        """Somebody takes the approval back between the look at the text and its hand-over."""

        immediate = False

        def preflight(self, message: Message) -> Preflight:
            said(desk, "withdraw", review)
            return super().preflight(message)

    desk.mail = Asking("mail")
    desk.process()

    assert await desk.deliver() is Outcome.BLOCKED
    assert last(desk).reason == "review.withdrawn"
    with desk.store.read() as session:
        record = review_record(session, desk.shelf, review[:8])
    assert (record["state"], [each["decision"] for each in record["decisions"]]) == (
        "withdrawn",
        ["approved", "withdrawn"],
    )
    assert len(desk.rows(ReviewDecisionRow)) == 2


async def test_every_stage_has_to_approve_and_nobody_approves_what_they_wrote(desk: Any) -> None:
    desk.publish(wayline=WORKSPACE, review=TWO_STAGES)
    desk.contact()
    desk.plan()
    assert await desk.deliver() is None
    review = last(desk).evidence["review"]
    assert reviews(desk, queue="lawyers")[0]["author"] == "test"

    # To look at one's own text first is no offence, where others look as well.
    assert said(desk, "approve", review, by="test").missing == ("legal",)
    assert await desk.deliver() is None
    with pytest.raises(ReviewRefusedError, match="nobody approves what they wrote") as refused:
        said(desk, "approve", review, by="test")
    assert refused.value.code == "four_eyes"
    with pytest.raises(ReviewRefusedError, match="asked are self_check, legal"):
        said(desk, "approve", review, stage="brand")
    assert said(desk, "approve", review).state == "approved"
    with pytest.raises(ReviewRefusedError, match="every stage has approved"):
        said(desk, "approve", review)

    await desk.settle_down()
    assert desk.row().outcome == "sent"
    # A policy without stages asks nobody.
    desk.plan("k2", content="boast", purpose="service")
    assert await desk.deliver("k2") is Outcome.SENT


async def test_a_lone_stage_needs_other_eyes_whether_it_has_a_queue_or_not(desk: Any) -> None:
    desk.publish(review=ONE_STAGE)
    review = reviews(desk, content="hello")[0]["id"]

    with pytest.raises(ReviewRefusedError, match="nobody approves"):
        said(desk, "approve", review, by="test")
    with pytest.raises(ReviewRefusedError, match="reject it instead"):
        said(desk, "withdraw", review)


async def test_a_text_that_no_journey_sends_there_is_listed_once_a_message_waits_for_it(desk: Any) -> None:
    desk.publish(
        review=ONE_STAGE,
        letter="""
            kind: journey
            id: letter
            title: letter
            owner: us
            purpose: marketing
            enter: {event: contact_added}
            steps: [{send: hi, content: hello, channels: [app]}]
            """,
    )
    desk.contact()
    assert reviews(desk, content="hello") == []
    desk.plan()

    assert await desk.deliver() is None
    (waiting,) = reviews(desk, content="hello")
    assert said(desk, "approve", waiting["id"][:10]).woken == 1


async def test_a_decision_is_refused_for_what_nobody_asks_about(desk: Any) -> None:
    desk.publish(review=ONE_STAGE)

    for unknown in ("", "abc", "0" * 64):
        with pytest.raises(NotFound):
            said(desk, "approve", unknown)
