"""What every implementation of the gate's memory promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from engine.gate.model import Answer, Intent, Outcome, Verdict
from engine.gate.state import (
    Aftermath,
    Attempt,
    Claim,
    Departure,
    LeaseLost,
    Moment,
    Passage,
    PublishedBreaker,
)

HOUR = timedelta(hours=1)
LEASE = timedelta(seconds=30)
EMAIL = Passage("email", "ann-email", "hash")
APP = Passage("app", "ann-app", "hash")
ACCEPTED = Attempt("email", "accepted", provider_id="p1")
SENT = Aftermath("accepted", Answer(Verdict.ALLOW, "hand_over", "sent.accepted"), Outcome.SENT)
NO = Answer(Verdict.BLOCK, "content", "content.missing", outcome=Outcome.BLOCKED)


def later(now: Moment, by: timedelta) -> Moment:
    return Moment(now.journey + by, now.delivery + by)


def intent(now: Moment, key: str = "k1", **values: Any) -> Intent:
    given: dict[str, Any] = {
        "contact_id": "ann",
        "purpose": "marketing",
        "priority": 50,
        "content": "hello",
        "channels": ("email", "app"),
        "step_id": "s",
        "visit": 1,
        "created_at": now.journey,
        "journey": "welcome",
    }
    return Intent(key=key, **(given | values))


def claimed(memory: Any, now: Moment, key: str = "k1", **values: Any) -> Claim:
    memory.plan(intent(now, key, **values))
    claim = memory.state.claim(key, now.delivery)
    assert isinstance(claim, Claim)
    return claim


def reserved(memory: Any, now: Moment, key: str = "k1", passage: Passage = EMAIL) -> tuple[Claim, Passage]:
    claim = claimed(memory, now, key)
    got = memory.state.reserve(claim, passage, now)
    assert isinstance(got, Passage)
    return claim, got


def sent(memory: Any, now: Moment, key: str = "k1", passage: Passage = EMAIL) -> None:
    claim, got = reserved(memory, now, key, passage)
    assert memory.state.hand_over(claim, got, now) is None
    assert memory.state.settle(claim, ACCEPTED, SENT, now, carried=True) is Outcome.SENT


def test_a_claim_shows_what_the_gate_must_see(memory: Any, now: Moment) -> None:
    claim = claimed(memory, now)
    view = claim.view
    assert view.standing is not None
    assert view.standing.timezone == "Asia/Shanghai"
    assert {(each.platform, each.address) for each in view.identities} == {
        ("email", "ann-email"),
        ("app", "ann-app"),
    }
    assert [record.decision for record in view.consents] == ["granted"]
    assert (view.kill_reason, view.breakers, view.places, dict(view.refused_by)) == (None, (), (), {})
    assert view.rules.timezone == "Asia/Shanghai"
    assert claim.intent.expires_at == now.journey + timedelta(days=3)


def test_an_intent_is_claimed_by_one_alone(memory: Any, now: Moment) -> None:
    claimed(memory, now)
    assert memory.state.claim("k1", now.delivery) is None


def test_an_unknown_intent_cannot_be_claimed(memory: Any, now: Moment) -> None:
    assert memory.state.claim("k1", now.delivery) is None


def test_an_intent_for_nobody_is_claimed_without_a_standing(memory: Any, now: Moment) -> None:
    assert claimed(memory, now, contact_id="nobody").view.standing is None


def test_a_lease_that_ran_out_goes_to_the_next(memory: Any, now: Moment) -> None:
    first = claimed(memory, now)
    after = later(now, LEASE)
    assert isinstance(memory.state.claim("k1", after.delivery), Claim)
    with pytest.raises(LeaseLost):
        memory.state.renew(first, after.delivery)
    with pytest.raises(LeaseLost):
        memory.state.reserve(first, EMAIL, after)
    with pytest.raises(LeaseLost):
        memory.state.hand_over(first, EMAIL, after)
    with pytest.raises(LeaseLost):
        memory.state.depart(first, EMAIL, after)
    with pytest.raises(LeaseLost):
        memory.state.conclude(first, NO, after, passage=None, carried=True)
    assert memory.decisions("k1") == []


def test_reserving_takes_one_place_in_every_cap_that_applies(memory: Any, now: Moment) -> None:
    reserved(memory, now)
    assert memory.places("k1") == [("email_gap", False, now.journey), ("one_a_day", False, now.journey)]
    assert memory.found("k1")[0] == "reserved"


def test_a_reserved_place_counts_against_others_until_its_lease_ends(memory: Any, now: Moment) -> None:
    reserved(memory, now)
    answer = memory.state.reserve(claimed(memory, now, "k2"), APP, now)
    assert isinstance(answer, Answer)
    assert (answer.reason, answer.stage) == ("cap.full", "reserve")
    after = later(now, LEASE)
    other = claimed(memory, after, "k3")
    assert isinstance(memory.state.reserve(other, APP, after), Passage)


def test_a_reservation_whose_lease_is_over_is_not_handed_over(memory: Any, now: Moment) -> None:
    claim, passage = reserved(memory, now)
    after = later(now, LEASE)
    assert isinstance(memory.state.reserve(claimed(memory, after, "k2"), APP, after), Passage)
    with pytest.raises(LeaseLost):
        memory.state.hand_over(claim, passage, after)
    assert memory.found("k1")[0] == "reserved"


def test_nor_does_a_renewed_claim_bring_its_places_back(memory: Any, now: Moment) -> None:
    claim, passage = reserved(memory, now)
    after = later(now, LEASE)
    renewed = memory.state.renew(claim, after.delivery)
    assert isinstance(memory.state.reserve(claimed(memory, after, "k2"), APP, after), Passage)
    with pytest.raises(LeaseLost):
        memory.state.hand_over(renewed, passage, after)


def test_the_hand_over_confirms_the_places_and_dates_them(memory: Any, now: Moment) -> None:
    claim, passage = reserved(memory, now)
    after = later(now, timedelta(seconds=5))
    assert memory.state.hand_over(claim, passage, after) is None
    assert memory.places("k1") == [("email_gap", True, after.journey), ("one_a_day", True, after.journey)]
    assert memory.found("k1")[0] == "handed_over"


def test_however_much_was_sent_no_more_is_read_than_decides(memory: Any, now: Moment) -> None:
    for day in range(6):
        sent(memory, later(now, 25 * HOUR * day), f"k{day}")
    places = claimed(memory, later(now, 25 * HOUR * 5), "k6").view.places
    assert sorted((place.cap_id, place.intent_key) for place in places) == [
        ("email_gap", "k4"),
        ("email_gap", "k5"),
        ("one_a_day", "k4"),
        ("one_a_day", "k5"),
    ]
    assert {place.content for place in places} == {"hello"}


def test_departing_reserves_and_hands_over_at_once(memory: Any, now: Moment) -> None:
    claim = claimed(memory, now)
    assert memory.state.depart(claim, EMAIL, now) == Departure(EMAIL)
    assert memory.places("k1") == [("email_gap", True, now.journey), ("one_a_day", True, now.journey)]
    assert memory.found("k1")[0] == "handed_over"


def test_departing_where_a_cap_is_full_writes_nothing(memory: Any, now: Moment) -> None:
    sent(memory, now)
    answer = memory.state.depart(claimed(memory, now, "k2"), APP, now)
    assert isinstance(answer, Answer)
    assert (answer.reason, answer.stage) == ("cap.full", "reserve")
    assert (memory.places("k2"), memory.found("k2")[0]) == ([], "planned")


def test_departing_while_everything_is_stopped_leaves_a_reservation_to_be_given_back(
    memory: Any, now: Moment
) -> None:
    claim = claimed(memory, now)
    memory.kill()
    departure = memory.state.depart(claim, EMAIL, now)
    assert isinstance(departure, Departure)
    assert departure.stopped is not None
    assert (departure.stopped.reason, departure.stopped.stage) == ("kill.switch", "hand_over")
    assert memory.found("k1")[0] == "reserved"
    memory.state.conclude(claim, departure.stopped, now, passage=departure.passage, carried=True)
    assert memory.places("k1") == []


def test_departing_takes_the_probe_that_lets_it_pass(memory: Any, now: Moment) -> None:
    memory.breaker(PublishedBreaker("b", "channel:app", "half_open", probes_left=1, epoch=3))
    departure = memory.state.depart(claimed(memory, now), APP, now)
    assert isinstance(departure, Departure)
    assert departure.stopped is None
    assert [(probe.breaker_id, probe.epoch) for probe in departure.passage.probes] == [("b", 3)]
    assert memory.probes_left() == 0


def test_a_settled_intent_answers_with_its_outcome(memory: Any, now: Moment) -> None:
    sent(memory, now)
    assert memory.state.claim("k1", now.delivery) is Outcome.SENT
    assert memory.found("k1") == ("accepted", "sent", None)
    assert (memory.decisions("k1"), memory.results("k1")) == (["sent.accepted"], ["accepted"])


def test_a_sent_message_fills_the_cap_for_the_next(memory: Any, now: Moment) -> None:
    sent(memory, now)
    after = later(now, 2 * HOUR)
    answer = memory.state.reserve(claimed(memory, after, "k2"), EMAIL, after)
    assert isinstance(answer, Answer)
    assert answer.hold_until == now.journey + 24 * HOUR


def test_a_no_gives_every_place_back(memory: Any, now: Moment) -> None:
    claim, passage = reserved(memory, now)
    assert memory.state.conclude(claim, NO, now, passage=passage, carried=True) is Outcome.BLOCKED
    assert memory.places("k1") == []
    assert memory.found("k1") == ("ended", "blocked", None)
    assert memory.decisions("k1") == ["content.missing"]
    sent(memory, now, "k2")


def test_consent_is_judged_again_under_the_lock(memory: Any, now: Moment) -> None:
    claim = claimed(memory, now)
    memory.withdraw()
    answer = memory.state.reserve(claim, EMAIL, now)
    assert isinstance(answer, Answer)
    assert answer.reason == "consent.withdrawn"
    assert memory.places("k1") == []


def test_the_kill_switch_is_read_again_at_the_hand_over(memory: Any, now: Moment) -> None:
    claim, passage = reserved(memory, now)
    memory.kill()
    answer = memory.state.hand_over(claim, passage, now)
    assert answer is not None
    assert (answer.reason, answer.stage) == ("kill.switch", "hand_over")
    assert memory.found("k1")[0] == "reserved"


def test_an_erased_contact_is_noticed_at_the_hand_over(memory: Any, now: Moment) -> None:
    claim, passage = reserved(memory, now)
    memory.erase()
    answer = memory.state.hand_over(claim, passage, now)
    assert answer is not None
    assert answer.reason == "suppressed.erased"


def test_what_the_kill_switch_holds_sleeps_until_it_is_woken(memory: Any, now: Moment) -> None:
    claim = claimed(memory, now)
    memory.kill()
    hold = Answer(Verdict.HOLD, "halt", "kill.switch", hold_scope="kill")
    assert memory.state.conclude(claim, hold, now, passage=None, carried=True) is None
    assert memory.found("k1") == ("held", None, "kill")
    assert memory.state.claim("k1", later(now, HOUR).delivery) is None
    assert memory.unkill() == 1
    assert memory.found("k1") == ("planned", None, None)
    assert isinstance(memory.state.claim("k1", now.delivery), Claim)


def test_a_hold_with_a_moment_is_over_at_that_moment(memory: Any, now: Moment) -> None:
    claim = claimed(memory, now)
    hold = Answer(Verdict.HOLD, "caps", "cap.full", hold_until=now.journey + HOUR)
    memory.state.conclude(claim, hold, now, passage=None, carried=True)
    early = later(now, HOUR - timedelta(microseconds=1))
    assert memory.state.claim("k1", early.delivery) is None
    assert isinstance(memory.state.claim("k1", later(now, HOUR).delivery), Claim)


def test_a_hold_that_is_worth_less_than_the_purpose_allows_shortens_the_life(
    memory: Any, now: Moment
) -> None:
    memory.breaker(PublishedBreaker("b", "channel:email", "open"))
    claim = claimed(memory, now)
    hold = Answer(
        Verdict.HOLD,
        "breaker",
        "breaker.open",
        hold_scope="breaker:channel:email",
        worth_until=now.journey + HOUR,
    )
    memory.state.conclude(claim, hold, now, passage=None, carried=True)
    found = memory.state.claim("k1", later(now, HOUR).delivery)
    assert isinstance(found, Claim)
    assert found.intent.expires_at == now.journey + HOUR


def test_a_refusal_is_remembered_and_the_place_goes_along_to_the_next_channel(
    memory: Any, now: Moment
) -> None:
    claim, passage = reserved(memory, now)
    memory.state.hand_over(claim, passage, now)
    refused = Attempt("email", "rejected", "550")
    assert memory.state.settle(claim, refused, Aftermath("planned", None), now, carried=True) is None
    claim = memory.state.renew(claim, now.delivery)
    assert dict(claim.view.refused_by) == {"email": "550"}
    assert claim.attempts == 1
    assert isinstance(memory.state.reserve(claim, APP, now), Passage)
    assert memory.places("k1") == [("one_a_day", False, now.journey)]


def test_an_address_that_never_works_is_suppressed_from_then_on(memory: Any, now: Moment) -> None:
    claim, passage = reserved(memory, now)
    memory.state.hand_over(claim, passage, now)
    attempt = Attempt("email", "rejected", "550", suppress_address="ann-email")
    failed = Answer(Verdict.FAIL, "hand_over", "failed.rejected")
    after = Aftermath("rejected", failed, Outcome.FAILED, keeps_places=False)
    assert memory.state.settle(claim, attempt, after, now, carried=True) is Outcome.FAILED
    assert memory.places("k1") == []
    view = claimed(memory, now, "k2").view
    assert {each.platform: each.suppressed for each in view.identities} == {
        "email": "hard_bounce",
        "app": None,
    }


def test_a_hand_over_to_be_repeated_stays_where_it_is(memory: Any, now: Moment) -> None:
    claim, passage = reserved(memory, now)
    memory.state.hand_over(claim, passage, now)
    again = Aftermath("handed_over", None, repeat_after=timedelta(seconds=2))
    assert memory.state.settle(claim, Attempt("email", "unknown"), again, now, carried=True) is None
    assert memory.found("k1")[0] == "handed_over"
    assert len(memory.places("k1")) == 2
    assert memory.state.claim("k1", later(now, HOUR).delivery) is None


def test_a_half_open_breaker_hands_out_its_probes_once_each(memory: Any, now: Moment) -> None:
    memory.breaker(PublishedBreaker("b", "channel:app", "half_open", probes_left=1, epoch=3))
    first = claimed(memory, now, "k1")
    second = claimed(memory, later(now, timedelta(0)), "k2")
    got = memory.state.reserve(first, APP, now)
    assert isinstance(got, Passage)
    assert [(probe.breaker_id, probe.epoch) for probe in got.probes] == [("b", 3)]
    assert memory.probes_left() == 0
    assert memory.state.hand_over(first, got, now) is None
    done = replace(SENT, keeps_places=False)
    memory.state.settle(first, Attempt("app", "accepted"), done, now, carried=True)
    held = memory.state.reserve(second, APP, now)
    assert isinstance(held, Answer)
    assert (held.reason, held.hold_scope) == ("breaker.half_open", "breaker:channel:app")


def test_a_probe_that_was_not_used_is_given_back(memory: Any, now: Moment) -> None:
    memory.breaker(PublishedBreaker("b", "channel:app", "half_open", probes_left=2))
    claim, passage = reserved(memory, now, passage=APP)
    assert memory.probes_left() == 1
    memory.state.conclude(claim, NO, now, passage=passage, carried=True)
    assert memory.probes_left() == 2


def test_a_breaker_that_opened_meanwhile_stops_the_hand_over(memory: Any, now: Moment) -> None:
    claim, passage = reserved(memory, now)
    memory.breaker(PublishedBreaker("b", "channel:email", "open"))
    answer = memory.state.hand_over(claim, passage, now)
    assert answer is not None
    assert answer.hold_scope == "breaker:channel:email"


def test_a_late_acceptance_settles_what_was_unknown(memory: Any, now: Moment) -> None:
    claim, passage = reserved(memory, now)
    memory.state.hand_over(claim, passage, now)
    unknown = Aftermath("unknown", Answer(Verdict.FAIL, "hand_over", "unknown.no_answer"), Outcome.UNKNOWN)
    assert memory.state.settle(claim, None, unknown, now, carried=True) is Outcome.UNKNOWN
    assert len(memory.places("k1")) == 2
    assert memory.state.settle(claim, ACCEPTED, SENT, now, carried=True) is Outcome.SENT
    assert memory.found("k1")[:2] == ("accepted", "sent")
