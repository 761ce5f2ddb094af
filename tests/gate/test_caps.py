"""Caps against a naive oracle, and the details of windows, gaps and wishes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.gate.caps import CapsAnswer, applicable_caps, depth, look, moments_of, zones_of
from engine.gate.model import (
    CalendarUnit,
    CalendarWindow,
    Cap,
    Counts,
    Intent,
    Purpose,
    Quota,
    RollingWindow,
    WhenFull,
)
from engine.gate.state import Place, Standing

START = datetime(2026, 3, 28, 12, tzinfo=UTC)  # a day before the clocks change in Europe
ZONES = {"contact": "Europe/Berlin", "workspace": "Asia/Shanghai"}
TICK = timedelta(microseconds=1)


def cap(
    window: RollingWindow | CalendarWindow | None = None,
    limit: int | None = None,
    *,
    min_gap: timedelta | None = None,
    when_full: WhenFull = WhenFull.SKIP,
    name: str = "some_cap",
    counts: Counts | None = None,
) -> Cap:
    return Cap(name, counts or Counts(), limit, window, min_gap, when_full)


def place(at: datetime, name: str = "some_cap", *, confirmed: bool = True, key: str | None = None) -> Place:
    return Place(name, key or at.isoformat(), at, confirmed, "marketing", "email")


def ask(caps: list[Cap], places: list[Place], now: datetime, key: str = "this") -> CapsAnswer:
    return look(caps, moments_of(caps, places, now, key), zones=ZONES, now=now)


def test_a_rolling_window_frees_exactly_its_length_after_the_place_that_must_go() -> None:
    one_a_day = cap(RollingWindow(timedelta(days=1)), 1)
    answer = ask([one_a_day], [place(START)], START + timedelta(hours=2))
    assert answer.frees_at == START + timedelta(days=1)
    assert not ask([one_a_day], [place(START)], answer.frees_at).full
    assert ask([one_a_day], [place(START)], answer.frees_at - TICK).full


def test_a_calendar_day_frees_at_the_contacts_own_midnight() -> None:
    one_a_day = cap(CalendarWindow(CalendarUnit.DAY, "contact"), 1)
    answer = ask([one_a_day], [place(START)], START + timedelta(hours=2))
    assert answer.frees_at == datetime(2026, 3, 29, tzinfo=ZoneInfo("Europe/Berlin"))


def test_a_calendar_day_may_be_that_of_the_workspace_or_of_a_named_zone() -> None:
    for timezone, expected in (("workspace", "Asia/Shanghai"), ("America/Lima", "America/Lima")):
        answer = ask([cap(CalendarWindow(CalendarUnit.DAY, timezone), 1)], [place(START)], START)
        assert answer.frees_at.astimezone(ZoneInfo(expected)).hour == 0
        assert timedelta(0) < answer.frees_at - START <= timedelta(days=1)


def test_a_gap_is_over_exactly_when_it_has_passed() -> None:
    gap = cap(min_gap=timedelta(hours=4))
    assert ask([gap], [place(START)], START + timedelta(hours=4) - TICK).full
    assert not ask([gap], [place(START)], START + timedelta(hours=4)).full


def test_the_binding_cap_is_the_one_that_frees_last() -> None:
    caps = [
        cap(RollingWindow(timedelta(days=1)), 1, name="day", when_full=WhenFull.DEFER),
        cap(RollingWindow(timedelta(days=7)), 1, name="week", when_full=WhenFull.DEFER),
    ]
    answer = ask(caps, [place(START, "day"), place(START, "week")], START + timedelta(hours=1))
    assert answer.binding.cap.id == "week"
    assert answer.frees_at == START + timedelta(days=7)


def test_the_strictest_wish_among_full_caps_decides() -> None:
    caps = [
        cap(RollingWindow(timedelta(days=7)), 1, name="a", when_full=WhenFull.DEFER),
        cap(RollingWindow(timedelta(days=1)), 1, name="b", when_full=WhenFull.SKIP),
        cap(RollingWindow(timedelta(days=1)), 1, name="c", when_full=WhenFull.NEXT_CHANNEL),
    ]
    answer = ask(caps, [place(START, each.id) for each in caps], START + timedelta(hours=1))
    assert answer.when_full is WhenFull.SKIP
    assert answer.binding.cap.id == "b"


def test_an_intents_own_place_does_not_count_against_it() -> None:
    one = cap(RollingWindow(timedelta(days=1)), 1)
    assert not ask([one], [place(START, key="this")], START + timedelta(hours=1)).full


def test_a_leased_place_counts_until_handed_over_however_long_ago_it_was_taken() -> None:
    one = cap(RollingWindow(timedelta(hours=1)), 1)
    late = START + timedelta(hours=3)
    assert ask([one], [place(START, confirmed=False)], late).full
    assert not ask([one], [place(START)], late).full


def test_a_place_counts_as_what_was_sent_then_not_as_what_the_contact_is_now() -> None:
    vip_only = cap(RollingWindow(timedelta(days=1)), 1, counts=Counts(tags=("vip",)))
    assert not ask([vip_only], [place(START)], START + timedelta(hours=1)).full


def test_an_unknown_zone_of_the_contact_falls_back_to_the_workspace() -> None:
    assert zones_of(Standing(timezone=None), "Asia/Tokyo")["contact"] == "Asia/Tokyo"
    assert zones_of(Standing(timezone="Mars/Olympus"), "Asia/Tokyo")["contact"] == "Asia/Tokyo"
    assert zones_of(Standing(timezone="Europe/Berlin"), "Asia/Tokyo")["contact"] == "Europe/Berlin"


@pytest.mark.parametrize("kind", ["transactional", "legal"])
def test_no_purpose_is_exempt_from_a_platforms_quota(kind: str) -> None:
    quota = replace(cap(RollingWindow(timedelta(days=1)), 3), quota=Quota("the platform", "2026-03-01"))
    purpose = Purpose("service", "Service", "1", kind, timedelta(days=1))
    chosen = applicable_caps([quota, cap(name="own")], an_intent(), purpose, "email", frozenset())
    assert chosen == (quota,)


@pytest.mark.parametrize("kind", ["transactional", "legal"])
def test_exempt_purposes_need_no_place(kind: str) -> None:
    intent = an_intent()
    purpose = Purpose("service", "Service", "1", kind, timedelta(days=1))
    assert applicable_caps([cap(min_gap=timedelta(days=1))], intent, purpose, "email", frozenset()) == ()


def test_a_cap_applies_to_what_it_counts() -> None:
    purpose = Purpose("marketing", "Marketing", "1", "marketing", timedelta(days=1))
    caps = [
        cap(name="all"),
        cap(name="sms", counts=Counts(channels=("sms",))),
        cap(name="email_or_sms", counts=Counts(channels=("sms", "email"))),
        cap(name="service", counts=Counts(purpose="service")),
        cap(name="welcome", counts=Counts(journeys=("welcome",))),
        cap(name="other", counts=Counts(journeys=("other",))),
        cap(name="vip", counts=Counts(tags=("vip", "gold"))),
        cap(name="hello", counts=Counts(contents=("hello", "bye"))),
        cap(name="bye", counts=Counts(contents=("bye",))),
    ]
    chosen = applicable_caps(caps, an_intent(), purpose, "email", frozenset({"gold"}))
    assert [each.id for each in chosen] == ["all", "email_or_sms", "welcome", "vip", "hello"]


def an_intent() -> Intent:
    return Intent(
        key="this",
        contact_id="c1",
        purpose="marketing",
        priority=50,
        content="hello",
        channels=("email",),
        step_id="s",
        visit=1,
        created_at=START,
        journey="welcome",
    )


# --- against an oracle that counts by the definition, one place after another


def oracle_allows(one: Cap, sent: list[datetime], now: datetime) -> bool:
    if one.min_gap is not None and any(now - moment < one.min_gap for moment in sent):
        return False
    match one.window:
        case RollingWindow(length):
            inside = [moment for moment in sent if now - length < moment <= now]
        case CalendarWindow(unit, timezone):
            zone = ZoneInfo(ZONES.get(timezone, timezone))
            inside = [m for m in sent if period(unit, m, zone) == period(unit, now, zone)]
        case None:
            return True
    assert one.limit is not None
    return len(inside) < one.limit


def period(unit: CalendarUnit, moment: datetime, zone: ZoneInfo) -> tuple[int, ...]:
    local = moment.astimezone(zone)
    match unit:
        case CalendarUnit.DAY:
            return local.year, local.month, local.day
        case CalendarUnit.WEEK:
            return tuple(local.isocalendar())[:2]
        case CalendarUnit.MONTH:
            return local.year, local.month


minutes = st.integers(0, 60 * 24 * 3)
windows = st.one_of(
    st.builds(RollingWindow, st.integers(1, 60 * 48).map(lambda m: timedelta(minutes=m))),
    st.builds(
        CalendarWindow,
        st.sampled_from(CalendarUnit),
        st.sampled_from(["contact", "workspace", "America/Lima"]),
    ),
)
limited = st.builds(cap, windows, st.integers(1, 3), when_full=st.sampled_from(WhenFull))
gaps = st.builds(lambda m: cap(min_gap=timedelta(minutes=m)), st.integers(1, 600))
cap_lists = st.lists(limited | gaps, min_size=1, max_size=3).map(
    lambda caps: [
        Cap(f"cap_{n}", c.counts, c.limit, c.window, c.min_gap, c.when_full) for n, c in enumerate(caps)
    ]
)


@settings(max_examples=200, deadline=None)
@given(cap_lists, st.lists(minutes, max_size=14))
def test_no_sequence_of_sends_ever_over_runs_a_cap(caps: list[Cap], offsets: list[int]) -> None:
    sent: list[datetime] = []
    places: list[Place] = []
    for offset in sorted(offsets):
        now = START + timedelta(minutes=offset)
        fits = not ask(caps, places, now, key=f"at {len(sent)}").full
        assert fits == all(oracle_allows(one, sent, now) for one in caps)
        if fits:
            places += [place(now, one.id, key=f"k{len(sent)}") for one in caps]
            sent.append(now)


@settings(max_examples=200, deadline=None)
@given(cap_lists, st.lists(minutes, min_size=1, max_size=8), st.integers(0, 600))
def test_the_announced_moment_frees_and_not_an_instant_earlier(
    caps: list[Cap], offsets: list[int], later: int
) -> None:
    places = [
        place(START + timedelta(minutes=offset), one.id, key=f"k{n}")
        for n, offset in enumerate(sorted(offsets))
        for one in caps
    ]
    now = START + timedelta(minutes=max(offsets) + later)
    answer = ask(caps, places, now)
    if answer.full:
        assert answer.frees_at > now
        assert not ask(caps, places, answer.frees_at).full
        assert ask(caps, places, answer.frees_at - TICK).full


@settings(max_examples=200, deadline=None)
@given(limited | gaps, st.lists(minutes, max_size=20), minutes)
def test_the_latest_few_places_say_as_much_as_all_of_them(one: Cap, offsets: list[int], now: int) -> None:
    places = [
        place(START + timedelta(minutes=offset), key=str(n)) for n, offset in enumerate(sorted(offsets))
    ]
    moment = START + timedelta(minutes=now)
    everything, latest = (
        ask([one], places, moment, "0"),
        ask([one], places[-depth(one) :], moment, "0"),
    )
    assert [(full.cap, full.frees_at) for full in latest.full] == [
        (full.cap, full.frees_at) for full in everything.full
    ]
