"""Stage 6: whose quiet holds a message, until when, and what becomes of one that cannot wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.authoring.bundle import Bundle
from engine.authoring.loading import bundle_of
from engine.authoring.reading.folders import read_folder
from engine.clock import JourneyTime
from engine.delivery.gate_rules import gate_rules
from engine.gate.consent import ConsentRecord
from engine.gate.hours import NOWHERE_STATED, Held, Hours, QuietRule, Residence, WhenQuiet
from engine.gate.judging import Way, confirm, judge
from engine.gate.model import Answer, Intent, Outcome, Purpose, Verdict
from engine.gate.quiet import check_quiet
from engine.gate.state import GateRules, Identity, Moment, Standing, View

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
EVENING = datetime(2026, 3, 1, 14, tzinfo=UTC)  # 22:00 in Shanghai
NOW = Moment(EVENING, EVENING)
SHANGHAI_8 = datetime(2026, 3, 2, 0, tzinfo=UTC)
RULESETS = Path(__file__).parents[2] / "rulesets"


def night(rule_id: str = "night", start: int = 20, until: int = 8, **more: Any) -> QuietRule:
    said: dict[str, Any] = {
        "because": "law",
        "holds_back": Held(),
        "timezone": "contact",
        "when_quiet": WhenQuiet.DEFER,
        "hours": Hours(time(start), time(until)),
        "source": "the law",
        "as_of": "2026-03-01",
        "file": "quiet.yaml",
        "line": 6,
    }
    return QuietRule(rule_id, **{**said, **more})


def intent(purpose: str = "marketing", expires: timedelta = 3 * DAY, **more: Any) -> Intent:
    said: dict[str, Any] = {"journey": "welcome", "expires_at": EVENING + expires, "visit": 1, **more}
    return Intent("k", "ann", purpose, 50, "hello", ("sms", "email"), "s", created_at=EVENING, **said)


def view(*rules: QuietRule, residence: Residence = NOWHERE_STATED, **standing: Any) -> View:
    purposes = {kind: Purpose(kind, kind, "1", kind, 3 * DAY) for kind in ("marketing", "transactional")}
    platforms = {"sms": "phone", "email": "email"}
    return View(
        GateRules("v1", "Asia/Shanghai", purposes, platforms, (), {}, quiet=rules, residence=residence),
        Standing(**{"timezone": "Asia/Shanghai", **standing}),
        identities=(Identity("phone", "1"), Identity("email", "a@example.com")),
        consents=(ConsentRecord("marketing", "*", "granted", EVENING - DAY),),
    )


def refused(seen: View, wish: Intent | None = None, now: Moment = NOW) -> Answer:
    answer = judge(wish or intent(), seen, now)
    assert isinstance(answer, Answer)
    return answer


def taken(seen: View, wish: Intent | None = None, now: Moment = NOW) -> Way:
    way = judge(wish or intent(), seen, now)
    assert isinstance(way, Way)
    return way


def test_a_quiet_hour_holds_until_it_is_over_and_says_whose_it_is() -> None:
    answer = refused(view(night()))

    assert (answer.verdict, answer.stage, answer.reason) == (Verdict.HOLD, "quiet", "quiet.hours")
    assert answer.hold_until == SHANGHAI_8
    assert answer.evidence == {
        "rule": "night",
        "because": "law",
        "hours": "20:00-08:00",
        "zone": "Asia/Shanghai",
        "zone_known_by": "contact",
        "when_quiet": "defer",
        "quiet": ["night"],
        "place": "quiet.yaml:6",
        "source": "the law",
        "as_of": "2026-03-01",
        "allowed_at": SHANGHAI_8.isoformat(),
    }
    assert answer.would_pass_if == f"it is tried at {SHANGHAI_8.isoformat()}, when night is over"


def test_at_the_first_allowed_moment_it_passes() -> None:
    morning = Moment(SHANGHAI_8, SHANGHAI_8)

    assert taken(view(night()), now=morning).channel == "sms"


def test_of_several_rules_all_are_kept() -> None:
    answer = refused(view(night(), night("wish", 21, 10), night("early", 6, 9)))

    assert answer.hold_until == SHANGHAI_8 + 2 * HOUR
    assert (answer.evidence["rule"], answer.evidence["quiet"]) == ("wish", ["night", "wish"])


def test_a_zone_that_is_not_known_is_taken_as_all_that_it_may_be() -> None:
    zones = ("America/New_York", "America/Los_Angeles")
    seen = view(night(), timezone=None, timezone_candidates=zones)
    answer = refused(seen, now=Moment(*2 * (datetime(2026, 3, 2, 13, 30, tzinfo=UTC),)))

    # It is half past eight in New York, and half past five in Los Angeles.
    assert answer.hold_until == datetime(2026, 3, 2, 16, tzinfo=UTC)
    assert (answer.evidence["zone"], answer.evidence["zone_known_by"]) == (
        "America/Los_Angeles",
        "candidate",
    )


def test_a_zone_of_which_nothing_is_known_is_the_workspace_s() -> None:
    answer = refused(view(night(), timezone=None))

    assert (answer.hold_until, answer.evidence["zone_known_by"]) == (SHANGHAI_8, "workspace")


@pytest.mark.parametrize(("zone", "known_by"), [("workspace", "workspace"), ("Asia/Shanghai", "named")])
def test_a_rule_may_go_by_another_clock_than_the_contact_s(zone: str, known_by: str) -> None:
    answer = refused(view(night(timezone=zone), timezone="America/New_York"))

    assert (answer.hold_until, answer.evidence["zone_known_by"]) == (SHANGHAI_8, known_by)


@pytest.mark.parametrize(
    ("held", "is_held"),
    [
        (Held(kinds=("marketing",)), True),
        (Held(kinds=("transactional",)), False),
        (Held(platforms=("phone",)), True),
        (Held(platforms=("email",)), False),
        (Held(channels=("sms",), journeys=("welcome",), purposes=("marketing",)), True),
        (Held(journeys=("other",)), False),
        (Held(contents=("other",)), False),
    ],
)
def test_a_rule_is_about_the_messages_it_names(held: Held, is_held: bool) -> None:
    answer = check_quiet(intent(), view(night(holds_back=held)), NOW, "sms")

    assert (answer.verdict is Verdict.HOLD) is is_held


def test_what_is_spared_does_not_wait() -> None:
    rule = night(spared=Held(contents=("hello",)))

    assert taken(view(rule)).channel == "sms"
    assert refused(view(rule), replace(intent(), content="other")).reason == "quiet.hours"


@pytest.mark.parametrize(
    ("attributes", "is_held"),
    [({"country": "US-FL"}, True), ({"country": "US"}, True), ({"country": "CN"}, False), ({}, True)],
)
def test_a_law_holds_where_the_contact_lives_or_may_live(
    attributes: Mapping[str, str], is_held: bool
) -> None:
    seen = view(night(countries=("US-FL",)), residence=Residence("country"), attributes=attributes)
    answer = check_quiet(intent(), seen, NOW, "sms")

    assert (answer.verdict is Verdict.HOLD) is is_held
    if is_held:
        assert answer.evidence["lives_in"] == ([attributes["country"]] if attributes else [])


def test_who_says_nothing_lives_where_their_numbers_are_of() -> None:
    rule = night(countries=("US-FL",))

    assert check_quiet(intent(), view(rule, countries=("CN",)), NOW, "sms").verdict is Verdict.ALLOW
    answer = check_quiet(intent(), view(rule, countries=("CN", "US")), NOW, "sms")
    assert (answer.evidence["lives_in"], answer.evidence["country_known_by"]) == (["CN", "US"], "number")


def test_the_contact_s_own_wish_is_kept() -> None:
    wish = night("own", because="contact", hours=None, wish="quiet_time")
    asked = refused(view(wish, attributes={"quiet_time": "21:30-07:15, 12:00-13:00"}))

    assert asked.hold_until == SHANGHAI_8 - 45 * timedelta(minutes=1)
    assert taken(view(wish)).channel == "sms"
    assert taken(view(wish, attributes={"quiet_time": " "})).channel == "sms"


def test_a_wish_that_cannot_be_read_blocks() -> None:
    wish = night("own", because="contact", hours=None, wish="quiet_time")
    answer = refused(view(wish, attributes={"quiet_time": "at night"}))

    assert (answer.verdict, answer.reason) == (Verdict.BLOCK, "quiet.unreadable_wish")
    assert answer.outcome is Outcome.BLOCKED
    assert (answer.evidence["rule"], answer.evidence["attribute"]) == ("own", "quiet_time")
    assert answer.evidence["place"] == "quiet.yaml:6"


def test_deferred_messages_leave_spread_and_each_always_at_the_same_moment() -> None:
    seen = view(night(spread=HOUR))
    moments = [refused(seen, intent(visit=number)).hold_until for number in range(300)]

    assert moments == [refused(seen, intent(visit=number)).hold_until for number in range(300)]
    assert all(each is not None and SHANGHAI_8 <= each < SHANGHAI_8 + HOUR for each in moments)
    tenths = {int((each - SHANGHAI_8) / HOUR * 10) for each in moments if each is not None}
    assert tenths == set(range(10))


def test_nobody_is_spread_into_the_next_quiet_or_past_the_end_of_the_message() -> None:
    lunch = night("lunch", 8, 8, hours=Hours(time(8, 10), time(9)))
    for number in range(100):
        short = refused(view(night(spread=3 * HOUR), lunch), intent(visit=number)).hold_until
        ending = refused(
            view(night(spread=3 * HOUR)), intent(visit=number, expires=10 * HOUR + timedelta(minutes=5))
        )

        assert short is not None
        assert ending.hold_until is not None
        assert SHANGHAI_8 <= short < SHANGHAI_8 + timedelta(minutes=10)
        assert SHANGHAI_8 <= ending.hold_until < SHANGHAI_8 + timedelta(minutes=5)


def test_a_message_that_is_worth_nothing_in_the_morning_expires_now() -> None:
    answer = refused(view(night()), intent(expires=9 * HOUR))

    assert (answer.verdict, answer.reason, answer.outcome) == (
        Verdict.SKIP,
        "quiet.too_late",
        Outcome.EXPIRED,
    )
    assert answer.evidence["would_wait_until_at_most"] == (EVENING + 9 * HOUR).isoformat()


def test_a_deadline_in_real_time_ends_the_wait_in_journey_time() -> None:
    fast = JourneyTime(EVENING, EVENING, 3600)  # a second is an hour
    seen = replace(view(night()), time=fast)
    late, soon = (intent(deadline_at=EVENING + timedelta(seconds=each)) for each in (11, 9))

    assert refused(seen, late).reason == "quiet.hours"
    assert refused(seen, soon).reason == "quiet.too_late"


def test_a_rule_may_let_the_next_channel_try() -> None:
    sms = Held(channels=("sms",))

    assert refused(view(night(holds_back=sms))).reason == "quiet.hours"
    way = taken(view(night(holds_back=sms, when_quiet=WhenQuiet.NEXT_CHANNEL)))
    assert (way.channel, way.earlier) == ("email", {"sms": "quiet.hours"})


def test_when_no_channel_can_it_waits_for_the_first_to_open() -> None:
    rules = (
        night("sms", until=9, holds_back=Held(channels=("sms",)), when_quiet=WhenQuiet.NEXT_CHANNEL),
        night("mail", until=7, holds_back=Held(channels=("email",)), when_quiet=WhenQuiet.NEXT_CHANNEL),
    )
    answer = refused(view(*rules))

    assert (answer.reason, answer.hold_until) == ("quiet.hours", SHANGHAI_8 - HOUR)
    late = refused(view(*rules), intent(expires=HOUR))
    assert (late.reason, late.outcome) == ("quiet.too_late", Outcome.EXPIRED)


def test_a_rule_may_skip() -> None:
    answer = refused(view(night(when_quiet=WhenQuiet.SKIP), night("other")))

    assert (answer.verdict, answer.reason, answer.outcome) == (
        Verdict.SKIP,
        "quiet.skipped",
        Outcome.BLOCKED,
    )


def test_rules_that_leave_no_time_block() -> None:
    answer = refused(view(night(), night("day", 7, 21)))

    assert (answer.verdict, answer.reason, answer.outcome) == (
        Verdict.BLOCK,
        "quiet.always",
        Outcome.BLOCKED,
    )


def test_before_a_place_is_taken_the_hours_are_asked_once_more() -> None:
    assert confirm(intent(), view(night()), NOW, "sms").reason == "quiet.hours"


@cache
def _with_sms(sms: str) -> Bundle:
    return bundle_of({**read_folder(RULESETS)[0], "sms.yaml": sms})


LAWS = [
    # contact's zone, country, minutes of their day that are quiet for marketing by phone
    ("Asia/Shanghai", "CN", {*range(480), *range(1200, 1440)}),
    ("America/Chicago", "US", {*range(480), *range(1200, 1440)}),  # the part is not known: Florida's too
    ("America/Chicago", "US-TX", {*range(480), *range(1260, 1440)}),
    ("America/New_York", "US-FL", {*range(480), *range(1200, 1440)}),
    ("Europe/Berlin", "DE", {*range(480), *range(1320, 1440)}),  # courtesy alone
]


WEEKENDS = [
    # contact's zone, country, a day, minutes of it that are quiet for marketing by phone
    ("Europe/Paris", "FR", date(2026, 6, 3), {*range(480), *range(1230, 1440)}),
    ("Europe/Paris", "FR", date(2026, 6, 7), set(range(1440))),  # a Sunday
    ("Europe/Paris", "FR", date(2026, 7, 14), set(range(1440))),  # a Tuesday, and a holiday
    ("Europe/Paris", "FR", date(2027, 5, 17), set(range(1440))),  # Whit Monday
    ("Europe/Madrid", "ES", date(2026, 6, 3), {*range(540), *range(1260, 1440)}),
    ("Europe/Madrid", "ES", date(2026, 6, 6), set(range(1440))),
    ("Europe/Madrid", "ES", date(2026, 10, 12), set(range(1440))),
    ("Europe/Rome", "IT", date(2026, 6, 3), {*range(540), *range(1200, 1440)}),
    ("Europe/Rome", "IT", date(2026, 6, 6), {*range(600), *range(1140, 1440)}),  # a Saturday
    ("Europe/Rome", "IT", date(2026, 6, 2), set(range(1440))),
    ("Europe/Rome", "IT", date(2027, 3, 29), set(range(1440))),  # Easter Monday
]


@pytest.mark.parametrize(
    ("zone", "country", "day", "quiet"),
    [*((zone, country, date(2026, 6, 3), quiet) for zone, country, quiet in LAWS), *WEEKENDS],
)
def test_the_shipped_rules_keep_the_hours_of_the_law(
    zone: str, country: str, day: date, quiet: set[int]
) -> None:
    sms = "kind: channels\nid: more\ntitle: more\nowner: me\n"
    sms += "channels: [{id: sms, plugin: file, identity: phone, settings: {folder: texts}}]\n"
    bundle = _with_sms(sms)
    standing = Standing(timezone=zone, attributes={"country": country})
    seen = View(gate_rules(bundle), standing)
    midnight = datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)

    found = {
        minute
        for minute in range(0, 1440, 30)
        if check_quiet(
            intent(), seen, Moment(*2 * (midnight + minute * timedelta(minutes=1),)), "sms"
        ).verdict
        is not Verdict.ALLOW
    }

    assert found == {minute for minute in quiet if minute % 30 == 0}
    service = intent(purpose="service")
    assert check_quiet(service, seen, Moment(midnight, midnight), "sms").verdict is Verdict.ALLOW
