"""One intent on its way: what reaches the provider, what is recorded, what becomes of refusals."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col

from engine.contacts.consent import ConsentEntry, record_consent
from engine.contacts.unsubscribe import read_token
from engine.gate.model import Outcome
from engine.gate.state import Moment, Passage, RulesChanged
from engine.governance.plans import switch_on
from engine.plugin.contracts import Preflight, Rejected, Retry, Unknown
from engine.plugin.recording import RecordingChannel
from engine.store.tables import ContactRow, DecisionRow, IdentityRow, OutboxRow, RunRow


async def test_a_good_intent_is_sent_once_and_told_in_one_decision(desk: Any) -> None:
    desk.contact()
    desk.plan()
    assert await desk.deliver() is Outcome.SENT
    (message,) = desk.mail.sent
    assert (message.to, message.subject, message.body) == ("ann@example.com", "Hello", "Good morning you")
    row = desk.row()
    assert (row.state, row.outcome, row.channel, row.provider_id) == (
        "accepted",
        "sent",
        "email",
        "recorded-1",
    )
    assert row.lease_owner is None
    assert desk.reasons() == ["sent.accepted"]
    assert desk.results() == ["accepted"]
    (contact,) = desk.rows(ContactRow)
    assert contact.last_send_at == desk.journey_now()


async def test_delivering_again_answers_the_same_and_sends_nothing(desk: Any) -> None:
    desk.contact()
    desk.plan()
    desk.plan()
    assert [await desk.deliver() for _ in range(3)] == [Outcome.SENT] * 3
    assert len(desk.mail.sent) == 1


async def test_an_intent_nobody_planned_has_no_outcome(desk: Any) -> None:
    assert await desk.deliver("nothing") is None


async def test_marketing_carries_a_signed_unsubscribe_link_and_service_none(desk: Any) -> None:
    desk.contact()
    desk.plan("m")
    desk.plan("s", purpose="service")
    await desk.deliver("m")
    await desk.deliver("s")
    marketing, service = desk.mail.sent
    assert marketing.unsubscribe_url.startswith("https://here.example/u/")
    wish = read_token("s" * 32, marketing.unsubscribe_url.rpartition("/")[2])
    assert wish is not None
    assert (wish.contact_id, wish.purpose, wish.channel) == ("ann", "marketing", "email")
    assert service.unsubscribe_url is None
    assert not service.is_marketing


@pytest.mark.parametrize(
    ("locale", "subject"), [("zh", "您好"), ("zh-CN", "您好"), ("fr", "Hello"), (None, "Hello")]
)
async def test_the_text_is_in_the_contacts_language_or_the_workspaces_first(
    sqlite_desk: Any, locale: str | None, subject: str
) -> None:
    sqlite_desk.contact(locale=locale)
    sqlite_desk.plan()
    await sqlite_desk.deliver()
    assert sqlite_desk.mail.sent[0].subject == subject


async def test_without_consent_nothing_is_sent(desk: Any) -> None:
    desk.contact(consents=())
    desk.plan()
    assert await desk.deliver() is Outcome.BLOCKED
    assert desk.mail.calls == []
    assert desk.row().state == "ended"
    assert desk.reasons() == ["consent.unknown"]


async def test_a_forbidden_text_is_blocked_and_the_finding_kept(desk: Any) -> None:
    desk.contact()
    desk.plan(content="boast")
    assert await desk.deliver() is Outcome.BLOCKED
    assert desk.mail.calls == []
    assert desk.reasons() == ["content.check_blocked"]


async def test_a_content_that_is_nowhere_blocks(sqlite_desk: Any) -> None:
    sqlite_desk.contact()
    sqlite_desk.plan(content="no_such")
    assert await sqlite_desk.deliver() is Outcome.BLOCKED
    assert sqlite_desk.reasons() == ["content.missing"]


async def test_a_text_no_longer_live_is_taken_from_the_bundle_it_was_planned_under(sqlite_desk: Any) -> None:
    sqlite_desk.contact()
    sqlite_desk.plan(content="hello")
    text = sqlite_desk.files["content.yaml"].replace("id: hello", "id: goodbye")
    sqlite_desk.publish(content=text)
    assert await sqlite_desk.deliver() is Outcome.SENT


async def test_a_channel_that_cannot_carry_the_message_is_passed_over(sqlite_desk: Any) -> None:
    sqlite_desk.mail = RecordingChannel("mail", preflight=Preflight(False, "too_long"))
    sqlite_desk.process()
    sqlite_desk.contact()
    sqlite_desk.plan(channels=("email", "app"))
    assert await sqlite_desk.deliver() is Outcome.SENT
    assert sqlite_desk.row().channel == "app"
    sqlite_desk.plan("k2", channels=("email",))
    assert await sqlite_desk.deliver("k2") is Outcome.BLOCKED
    assert sqlite_desk.reasons("k2") == ["channel.too_long"]


async def test_a_window_that_opens_later_holds_until_then(sqlite_desk: Any) -> None:
    opens = sqlite_desk.clock.now() + timedelta(hours=1)
    shut = Preflight(False, "outside_window", not_before=opens)
    sqlite_desk.mail = RecordingChannel("mail", preflight=shut)
    sqlite_desk.process()
    sqlite_desk.contact()
    sqlite_desk.plan()
    assert await sqlite_desk.deliver() is None
    assert sqlite_desk.row().retry_at == opens


async def test_a_refusal_goes_over_to_the_next_channel_under_the_same_key(desk: Any) -> None:
    desk.mail = RecordingChannel("mail", results=[Rejected("550")])
    desk.process()
    desk.contact()
    desk.plan(channels=("email", "app"))
    assert await desk.deliver() is Outcome.SENT
    assert [call.key for call in desk.mail.calls + desk.push.calls] == ["k1", "k1"]
    assert desk.results() == ["rejected", "accepted"]
    assert desk.reasons() == ["sent.accepted"]


async def test_refused_everywhere_is_failed(desk: Any) -> None:
    desk.mail = RecordingChannel("mail", results=[Rejected("550")])
    desk.push = RecordingChannel("push", results=[Rejected("410")])
    desk.process()
    desk.contact()
    desk.plan(channels=("email", "app"))
    assert await desk.deliver() is Outcome.FAILED
    assert (desk.row().state, desk.reasons()) == ("rejected", ["failed.rejected"])


async def test_refused_with_nobody_left_to_try_is_failed_not_blocked(desk: Any) -> None:
    desk.mail = RecordingChannel("mail", results=[Rejected("550")])
    desk.process()
    desk.contact(platforms=("email",))
    desk.plan(channels=("email", "app"))
    assert await desk.deliver() is Outcome.FAILED
    assert (desk.row().state, desk.reasons()) == ("rejected", ["channel.rejected"])


async def test_an_address_that_will_never_work_is_suppressed(desk: Any) -> None:
    desk.mail = RecordingChannel("mail", results=[Rejected("550", permanent_address=True)])
    desk.process()
    desk.contact()
    desk.plan()
    await desk.deliver()
    (identity,) = desk.rows(IdentityRow, platform="email")
    assert identity.suppressed == "hard_bounce"
    desk.plan("k2")
    assert await desk.deliver("k2") is Outcome.BLOCKED
    assert desk.reasons("k2") == ["channel.suppressed_address"]


async def test_a_busy_provider_is_called_again_when_it_asked_for(desk: Any) -> None:
    desk.mail = RecordingChannel("mail", results=[Retry(timedelta(minutes=2))])
    desk.process()
    desk.contact()
    desk.plan()
    assert await desk.deliver() is None
    assert desk.row().retry_at == desk.clock.now() + timedelta(minutes=2)
    assert await desk.delivery.deliver_due(10) == 0
    desk.clock.advance(timedelta(minutes=2))
    assert await desk.delivery.deliver_due(10) == 1
    assert desk.row().outcome == "sent"
    assert desk.reasons() == ["rate.retry", "sent.accepted"]


async def test_a_busy_provider_cannot_carry_a_message_past_its_deadline(desk: Any) -> None:
    desk.mail = RecordingChannel("mail", results=[Retry(timedelta(minutes=2))])
    desk.process()
    desk.contact()
    desk.plan(deadline_at=desk.clock.now() + timedelta(minutes=1))
    assert await desk.deliver() is Outcome.EXPIRED
    assert desk.reasons() == ["expired.deadline"]


async def test_a_provider_that_is_always_busy_ends_in_failure(sqlite_desk: Any) -> None:
    sqlite_desk.mail = RecordingChannel("mail", results=[Retry(timedelta(seconds=1))] * 100)
    sqlite_desk.process()
    sqlite_desk.contact()
    sqlite_desk.plan()
    for _ in range(60):
        await sqlite_desk.settle_down()
        sqlite_desk.clock.advance(timedelta(minutes=6))
        if sqlite_desk.row().outcome:
            break
    assert (sqlite_desk.row().state, sqlite_desk.row().reason) == ("ended", "failed.retries")


async def test_unknown_marketing_stays_unknown_and_never_fails_over(desk: Any) -> None:
    desk.mail = RecordingChannel("mail", results=[Unknown()])
    desk.process()
    desk.contact()
    desk.plan(channels=("email", "app"))
    assert await desk.deliver() is Outcome.UNKNOWN
    desk.clock.advance(timedelta(hours=1))
    await desk.settle_down()
    assert desk.push.calls == []
    assert len(desk.mail.calls) == 1


async def test_a_provider_with_idempotency_keys_is_asked_again_with_the_same_key(desk: Any) -> None:
    desk.push = RecordingChannel("push", results=[Unknown()], idempotent=True)
    desk.process()
    desk.contact()
    desk.plan(channels=("app",))
    assert await desk.deliver() is None
    assert desk.row().state == "handed_over"
    desk.clock.advance(timedelta(seconds=2))
    assert await desk.delivery.recover(10) == 1
    assert desk.row().outcome == "sent"
    assert [call.key for call in desk.push.calls] == ["k1", "k1"]


async def test_a_service_message_may_be_repeated_when_its_purpose_declares_it(desk: Any) -> None:
    desk.mail = RecordingChannel("mail", results=[Unknown(), Retry(timedelta(seconds=1))])
    desk.process()
    desk.contact()
    desk.plan(purpose="service")
    assert await desk.deliver() is None
    for _ in range(3):
        desk.clock.advance(timedelta(seconds=30))
        await desk.settle_down()
    assert desk.row().outcome == "sent"
    assert desk.results() == ["unknown", "retry", "accepted"]


async def test_a_broken_channel_counts_as_unknown(sqlite_desk: Any) -> None:
    sqlite_desk.mail = RecordingChannel("mail", results=[RuntimeError("secret text")])
    sqlite_desk.process()
    sqlite_desk.contact()
    sqlite_desk.plan()
    assert await sqlite_desk.deliver() is Outcome.UNKNOWN


async def test_consent_withdrawn_between_two_looks_is_seen_under_the_lock(sqlite_desk: Any) -> None:
    """The channel withdraws consent in its preflight, after the gate has looked and before it reserves."""
    desk = sqlite_desk

    class Withdrawing(RecordingChannel):
        def preflight(self, message: Any) -> Preflight:
            with desk.store.begin() as session:
                record_consent(session, ConsentEntry("ann", "marketing", "withdrawn", desk.journey_now()))
            return Preflight(True)

    desk.mail = Withdrawing("mail")
    desk.process()
    desk.contact()
    desk.plan()
    assert await desk.deliver() is Outcome.BLOCKED
    assert desk.mail.calls == []
    assert desk.reasons() == ["consent.withdrawn"]


class Publishing(RecordingChannel):
    """The rules are changed in its first preflight: after the gate has looked, before the hand-over."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__("mail")
        self._acts = [act]

    def preflight(self, message: Any) -> Preflight:
        if self._acts:
            self._acts.pop()()
        return Preflight(True)


CRISIS = """
    kind: plan
    id: crisis
    title: crisis
    owner: us
    at_most: 7d
    pause: {purposes: [marketing]}
    """


async def test_a_plan_that_pauses_between_two_looks_stops_the_hand_over(desk: Any) -> None:
    desk.publish(crisis=CRISIS)

    def crisis() -> None:
        with desk.store.begin() as session:
            now = desk.clock.now()
            switch_on(session, desk.shelf, "crisis", until=None, by="eva", reason="recall", now=now)

    desk.mail = Publishing(crisis)
    desk.process()
    desk.contact()
    desk.plan()
    assert await desk.deliver() is None
    assert desk.mail.calls == []
    assert (desk.row().state, desk.reasons()) == ("held", ["plan.paused"])
    assert desk.row().hold_scope == "plan:crisis"


async def test_a_bundle_published_between_two_looks_decides_the_hand_over(desk: Any) -> None:
    """Its text goes out, not the one that was made under the bundle before."""
    hello = """
        kind: content
        id: content
        title: content
        owner: us
        contents:
          - {id: hello, locales: {en: {subject: Corrected, body: sorry}, zh: {subject: 更正, body: 抱歉}}}
        """
    desk.mail = Publishing(lambda: desk.publish(content=hello))
    desk.process()
    desk.contact()
    desk.plan()
    assert await desk.deliver() is Outcome.SENT
    assert [message.subject for message in desk.mail.sent] == ["Corrected"]


async def test_a_claim_judged_by_other_rules_hands_nothing_over(desk: Any) -> None:
    desk.publish(crisis=CRISIS)

    def crisis() -> None:
        with desk.store.begin() as session:
            now = desk.clock.now()
            switch_on(session, desk.shelf, "crisis", until=None, by="eva", reason="recall", now=now)

    desk.contact()
    desk.plan()
    claim = desk.delivery._state.claim("k1", desk.clock.now())
    crisis()
    moment = Moment.of(desk.clock.now(), claim.view.time)
    with pytest.raises(RulesChanged):
        desk.delivery._state.hand_over(claim, Passage("email", "ann@example.com", "h"), moment)
    assert desk.row().state == "planned"


@pytest.mark.parametrize("durable", [True, False])
async def test_the_waiting_run_is_told_in_the_same_transaction(desk: Any, durable: bool) -> None:
    desk.contact()
    desk.run_row("r1", durable=durable)
    desk.plan(run_id="r1", journey="welcome")
    assert await desk.deliver(carried=False) is Outcome.SENT
    signals = desk.rows(OutboxRow, kind="run.signal")
    (run,) = desk.rows(RunRow)
    if durable:
        assert [(row.key, row.payload["reference"]) for row in signals] == [("r1", "k1")]
    else:
        assert signals == []
        assert run.lease_until <= desk.clock.now()


async def test_whoever_carries_the_run_needs_no_signal(desk: Any) -> None:
    desk.contact()
    desk.run_row("r1", durable=True)
    desk.plan(run_id="r1", journey="welcome")
    await desk.deliver(carried=True)
    assert desk.rows(OutboxRow) == []


async def test_no_decision_holds_an_address(sqlite_desk: Any) -> None:
    sqlite_desk.contact()
    for number, content in enumerate(["hello", "boast", "no_such"]):
        sqlite_desk.plan(f"k{number}", content=content)
        await sqlite_desk.deliver(f"k{number}")
    for row in sqlite_desk.rows(DecisionRow):
        assert "example.com" not in f"{row.evidence}{row.would_pass_if}"


async def test_an_erased_contact_is_not_reached(sqlite_desk: Any) -> None:
    sqlite_desk.contact()
    sqlite_desk.plan()
    with sqlite_desk.store.begin() as session:
        session.execute(update(ContactRow).where(col(ContactRow.id) == "ann").values(suppressed="complaint"))
    assert await sqlite_desk.deliver() is Outcome.BLOCKED
    assert sqlite_desk.reasons() == ["suppressed.contact"]
