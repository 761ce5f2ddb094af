"""Each stage of the gate, and the order in which they are asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from engine.gate.consent import ConsentRecord
from engine.gate.judging import Way, confirm, judge
from engine.gate.model import (
    Answer,
    Cap,
    Counts,
    Intent,
    Outcome,
    Purpose,
    RollingWindow,
    Verdict,
    WhenFull,
)
from engine.gate.stages import share_of
from engine.gate.state import GateRules, Identity, Moment, Place, PublishedBreaker, Standing, View

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
NOW = Moment(START, START)
DAY = timedelta(days=1)

CONSENT = ConsentRecord("marketing", "*", "granted", START - DAY)
RULES = GateRules(
    version="b1",
    timezone="Asia/Shanghai",
    purposes={
        "marketing": Purpose("marketing", "Marketing", "1", "marketing", 3 * DAY),
        "service": Purpose("service", "Service", "1", "transactional", 3 * DAY),
        "law": Purpose("law", "Legal notices", "1", "legal", 3 * DAY),
    },
    platforms={"email": "email", "app": "app"},
    caps=(),
    resume_within={"send_failure": timedelta(hours=6)},
)
VIEW = View(
    rules=RULES,
    standing=Standing(timezone="Asia/Shanghai"),
    identities=(Identity("email", "a@example.com"), Identity("app", "device-1")),
    consents=(CONSENT,),
)
INTENT = Intent(
    key="k1",
    contact_id="c1",
    purpose="marketing",
    priority=50,
    content="hello",
    channels=("email", "app"),
    step_id="s1",
    visit=1,
    created_at=START,
    journey="welcome",
    expires_at=START + 3 * DAY,
)


def refused(view: View = VIEW, intent: Intent = INTENT, now: Moment = NOW) -> Answer:
    answer = judge(intent, view, now)
    assert isinstance(answer, Answer)
    return answer


def taken(view: View = VIEW, intent: Intent = INTENT, now: Moment = NOW) -> Way:
    way = judge(intent, view, now)
    assert isinstance(way, Way)
    return way


def with_cap(
    when_full: WhenFull, *, channels: tuple[str, ...] = (), max_defer: timedelta | None = None
) -> View:
    one = Cap(
        "one", Counts(channels=channels), 1, RollingWindow(DAY), None, when_full, max_defer, "caps.yaml", 4
    )
    earlier = Place(
        "one", "k0", START - timedelta(hours=1), True, "marketing", channels[0] if channels else "sms"
    )
    return replace(VIEW, rules=replace(RULES, caps=(one,)), places=(earlier,))


def test_a_good_intent_takes_the_first_channel_of_its_step() -> None:
    assert taken() == Way("email", "a@example.com", {})


# stage 1


def test_the_kill_switch_holds_everything_until_it_is_off() -> None:
    answer = refused(replace(VIEW, kill_reason="wrong price"))
    assert (answer.verdict, answer.reason, answer.hold_scope) == (Verdict.HOLD, "kill.switch", "kill")
    assert answer.hold_until is None


@pytest.mark.parametrize("scope", ["workspace", "journey:welcome", "content:hello"])
def test_an_open_breaker_of_the_whole_holds_whatever_the_channel(scope: str) -> None:
    answer = refused(replace(VIEW, breakers=(PublishedBreaker("b", scope, "open", "yellow"),)))
    assert (answer.reason, answer.hold_scope) == ("breaker.open", f"breaker:{scope}")


@pytest.mark.parametrize("scope", ["journey:other", "content:other", "channel:sms"])
def test_a_breaker_elsewhere_does_not_matter(scope: str) -> None:
    assert taken(replace(VIEW, breakers=(PublishedBreaker("b", scope, "open"),))).channel == "email"


# stage 2


@pytest.mark.parametrize(
    ("standing", "reason"),
    [
        (None, "suppressed.no_contact"),
        (Standing(is_erased=True), "suppressed.erased"),
        (Standing(is_merged=True), "suppressed.merged"),
        (Standing(suppressed="complaint"), "suppressed.contact"),
    ],
)
def test_who_must_not_be_reached_is_not_reached(standing: Standing | None, reason: str) -> None:
    answer = refused(replace(VIEW, standing=standing))
    assert (answer.verdict, answer.reason, answer.outcome) == (Verdict.BLOCK, reason, Outcome.BLOCKED)


def test_a_deadline_is_delivery_time() -> None:
    urgent = replace(INTENT, deadline_at=START + timedelta(seconds=20))
    assert taken(intent=urgent, now=Moment(START + DAY, START + timedelta(seconds=19)))
    late = refused(intent=urgent, now=Moment(START, START + timedelta(seconds=20)))
    assert (late.reason, late.outcome) == ("expired.deadline", Outcome.EXPIRED)


def test_the_longest_hold_is_journey_time() -> None:
    late = refused(now=Moment(START + 3 * DAY, START))
    assert (late.reason, late.outcome) == ("expired.held_too_long", Outcome.EXPIRED)


# stage 3


def test_an_open_channel_breaker_lets_the_next_channel_try() -> None:
    view = replace(VIEW, breakers=(PublishedBreaker("send_failure", "channel:email", "open", "yellow"),))
    assert taken(view) == Way("app", "device-1", {"email": "breaker.open"})


def test_with_no_other_channel_an_open_breaker_holds_for_as_long_as_it_is_worth() -> None:
    view = replace(VIEW, breakers=(PublishedBreaker("send_failure", "channel:email", "open", "yellow"),))
    answer = refused(view, replace(INTENT, channels=("email",)))
    assert (answer.verdict, answer.hold_scope) == (Verdict.HOLD, "breaker:channel:email")
    assert answer.worth_until == START + timedelta(hours=6)


def test_a_half_open_breaker_lets_pass_while_probes_are_left() -> None:
    probing = PublishedBreaker("send_failure", "channel:email", "half_open", "yellow", probes_left=1)
    only_email = replace(INTENT, channels=("email",))
    assert taken(replace(VIEW, breakers=(probing,)), only_email).channel == "email"
    used_up = replace(VIEW, breakers=(replace(probing, probes_left=0),))
    assert refused(used_up, only_email).reason == "breaker.half_open"


def test_a_ramp_lets_a_share_of_the_keys_pass() -> None:
    share = share_of(INTENT.key)
    only_email = replace(INTENT, channels=("email",))
    ramping = PublishedBreaker("send_failure", "channel:email", "half_open", "yellow", ramp=share + 0.001)
    assert taken(replace(VIEW, breakers=(ramping,)), only_email).channel == "email"
    narrower = replace(VIEW, breakers=(replace(ramping, ramp=share - 0.001),))
    assert refused(narrower, only_email).reason == "breaker.half_open"


def test_shares_of_many_keys_are_even() -> None:
    inside = sum(share_of(f"intent {n}") < 0.25 for n in range(4000))
    assert 900 < inside < 1100


# stage 4


def test_a_channel_the_ruleset_does_not_know_is_passed_over() -> None:
    way = taken(intent=replace(INTENT, channels=("fax", "app")))
    assert way.earlier == {"fax": "channel.not_configured"}


def test_no_address_anywhere_blocks() -> None:
    answer = refused(replace(VIEW, identities=()))
    assert (answer.reason, answer.outcome) == ("channel.no_identity", Outcome.BLOCKED)
    assert answer.evidence["channels"] == {"email": "channel.no_identity", "app": "channel.no_identity"}


def test_a_suppressed_address_is_not_used_but_another_one_is() -> None:
    bounced = Identity("email", "old@example.com", "hard_bounce")
    only_email = replace(INTENT, channels=("email",))
    assert refused(replace(VIEW, identities=(bounced,)), only_email).reason == "channel.suppressed_address"
    both = replace(VIEW, identities=(bounced, *VIEW.identities))
    assert taken(both, only_email).address == "a@example.com"


def test_a_channel_that_refused_this_intent_is_not_tried_again() -> None:
    assert taken(replace(VIEW, refused_by={"email": "550"})).earlier == {"email": "channel.rejected"}
    answer = refused(replace(VIEW, refused_by={"email": "550", "app": "410"}))
    assert answer.outcome is Outcome.FAILED


# stage 5


def test_unknown_consent_blocks_the_send() -> None:
    answer = refused(replace(VIEW, consents=()))
    assert (answer.verdict, answer.reason, answer.outcome) == (
        Verdict.BLOCK,
        "consent.unknown",
        Outcome.BLOCKED,
    )


def test_a_purpose_the_ruleset_does_not_define_blocks() -> None:
    assert refused(intent=replace(INTENT, purpose="gossip")).reason == "consent.unknown_purpose"


def test_consent_on_one_channel_only_leads_to_that_channel() -> None:
    view = replace(VIEW, consents=(replace(CONSENT, channel="app"),))
    assert taken(view) == Way("app", "device-1", {"email": "consent.unknown"})


def test_a_transactional_message_needs_no_consent_but_respects_an_objection_to_it() -> None:
    service = replace(INTENT, purpose="service")
    everything_withdrawn = replace(CONSENT, purpose="*", decision="withdrawn")
    assert taken(replace(VIEW, consents=(everything_withdrawn,)), service).channel == "email"
    objection = replace(CONSENT, purpose="service", decision="withdrawn")
    assert refused(replace(VIEW, consents=(objection,)), service).reason == "consent.withdrawn"


def test_a_legal_notice_always_goes() -> None:
    objection = replace(CONSENT, purpose="law", decision="withdrawn")
    assert taken(replace(VIEW, consents=(objection,)), replace(INTENT, purpose="law")).channel == "email"


# stage 7


def test_a_full_cap_that_skips_ends_the_intent() -> None:
    answer = refused(with_cap(WhenFull.SKIP))
    assert (answer.verdict, answer.reason, answer.outcome) == (Verdict.SKIP, "cap.full", Outcome.CAPPED)
    assert answer.evidence["cap"] == "one"
    assert answer.evidence["place"] == "caps.yaml:4"


def test_a_full_cap_that_defers_holds_until_it_frees() -> None:
    answer = refused(with_cap(WhenFull.DEFER))
    assert (answer.verdict, answer.hold_until) == (Verdict.HOLD, START + timedelta(hours=23))


def test_a_deferral_beyond_what_the_cap_or_the_purpose_allows_ends_as_capped() -> None:
    for view, intent in (
        (with_cap(WhenFull.DEFER, max_defer=timedelta(hours=23)), INTENT),
        (with_cap(WhenFull.DEFER), replace(INTENT, expires_at=START + timedelta(hours=23))),
    ):
        answer = refused(view, intent)
        assert (answer.reason, answer.outcome) == ("cap.defer_too_long", Outcome.CAPPED)


def test_a_full_cap_may_send_the_intent_to_the_next_channel() -> None:
    assert taken(with_cap(WhenFull.NEXT_CHANNEL, channels=("email",))).earlier == {"email": "cap.full"}


def test_next_channel_with_no_channel_left_ends_as_capped() -> None:
    answer = refused(
        with_cap(WhenFull.NEXT_CHANNEL, channels=("email",)), replace(INTENT, channels=("email",))
    )
    assert answer.outcome is Outcome.CAPPED


# together


def test_what_a_later_stage_said_of_a_channel_leads_to_the_next_one() -> None:
    found = Answer(Verdict.BLOCK, "content", "content.check_blocked", "email")
    assert judge(INTENT, VIEW, NOW, {"email": found}) == Way(
        "app", "device-1", {"email": "content.check_blocked"}
    )


def test_waiting_is_preferred_when_it_may_help_any_channel() -> None:
    view = replace(
        VIEW,
        breakers=(PublishedBreaker("send_failure", "channel:email", "open"),),
        identities=(Identity("email", "a@example.com"),),
    )
    answer = refused(view)
    assert (answer.verdict, answer.reason) == (Verdict.HOLD, "breaker.open")
    assert answer.evidence["channels"] == {"email": "breaker.open", "app": "channel.no_identity"}


def test_the_answer_that_came_furthest_decides_among_refusals() -> None:
    view = replace(VIEW, consents=(replace(CONSENT, channel="sms"),), identities=VIEW.identities[:1])
    assert refused(view).reason == "consent.unknown"


def test_confirming_under_the_lock_sees_a_withdrawal_and_a_full_cap() -> None:
    assert confirm(INTENT, VIEW, NOW, "email").verdict is Verdict.ALLOW
    withdrawn = replace(VIEW, consents=(CONSENT, replace(CONSENT, decision="withdrawn", recorded_at=START)))
    assert confirm(INTENT, withdrawn, NOW, "email").reason == "consent.withdrawn"
    assert confirm(INTENT, with_cap(WhenFull.SKIP), NOW, "email").stage == "reserve"
    erased = replace(VIEW, standing=Standing(is_erased=True))
    assert confirm(INTENT, erased, NOW, "email").reason == "suppressed.erased"


def test_every_no_says_what_would_have_to_differ_and_holds_no_address() -> None:
    views = [
        replace(VIEW, kill_reason="x"),
        replace(VIEW, standing=None),
        replace(VIEW, identities=()),
        replace(VIEW, consents=()),
        replace(VIEW, identities=(Identity("email", "a@example.com", "complaint"),)),
        *(with_cap(wish) for wish in WhenFull if wish is not WhenFull.NEXT_CHANNEL),
    ]
    for view in views:
        answer = refused(view)
        assert answer.reason
        assert answer.would_pass_if
        assert "a@example.com" not in repr(answer.evidence)
