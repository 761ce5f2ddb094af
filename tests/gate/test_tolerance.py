"""How much a contact bears: what scales a cap, what is not known, and the pause after silence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.gate.consent import ConsentRecord
from engine.gate.judging import Way, judge
from engine.gate.model import (
    Answer,
    Cap,
    Counts,
    Intent,
    Outcome,
    Purpose,
    RollingWindow,
    Scale,
    Silence,
    Verdict,
    WhenFull,
)
from engine.gate.state import GateRules, Identity, Moment, Place, Standing, View
from engine.gate.tolerance import after_activity, after_send, most, scaled, silent_until, tolerated
from engine.rules.condition import Op, Test
from engine.rules.facts import Facts

START = datetime(2026, 3, 1, 9, tzinfo=UTC)
DAY = timedelta(days=1)
SILENCE = Silence(3 * DAY, 14 * DAY, "caps.yaml", 9)
MARKETING = Purpose("marketing", "marketing", "1", "marketing", 3 * DAY)
SERVICE = Purpose("service", "service", "1", "transactional", 3 * DAY)
KEEN = Scale(Test("contact.activity", Op.EQ, "frequent", ()), 1.5, "caps.yaml", 7)
WEARY = Scale(Test("contact.response_rate", Op.LT, 0.02, ()), 0.5, "caps.yaml", 8)


def cap(limit: int | None, *scale: Scale, min_gap: timedelta | None = None) -> Cap:
    window = RollingWindow(7 * DAY) if limit is not None else None
    return Cap("one", Counts(), limit, window, min_gap, WhenFull.SKIP, scale=scale)


def limit(of: Cap, **facts: object) -> int | None:
    known: Facts = {f"contact.{name}": value for name, value in facts.items()}  # type: ignore[misc]
    return tolerated([of], known, START)[0].limit


@pytest.mark.parametrize(
    ("stated", "factor", "expected"),
    [
        (3, 1.5, 4),
        (1, 0.5, 1),
        (3, 0.1, 1),
        (100, 0.29, 29),
        (10, 0.7, 7),
        (7, 1.0, 7),
        (10_000, 10.0, 100_000),
    ],
)
def test_a_limit_is_scaled_as_the_factor_is_written_and_leaves_at_least_one(
    stated: int, factor: float, expected: int
) -> None:
    assert scaled(stated, factor) == expected


def test_the_first_condition_that_holds_decides() -> None:
    both = cap(4, KEEN, WEARY)
    assert limit(both, activity="frequent", response_rate=0.01) == 6
    assert limit(both, activity="normal", response_rate=0.01) == 2
    assert limit(both, activity="normal", response_rate=0.5) == 4


def test_each_of_several_caps_is_scaled_by_its_own_conditions() -> None:
    one, same, other, plain = cap(4, KEEN), cap(2, KEEN), cap(4, WEARY), cap(3)
    known: Facts = {"contact.activity": "frequent", "contact.response_rate": 0.01}
    found = tolerated([one, same, other, plain, one], known, START)
    assert [each.limit for each in found] == [6, 3, 2, 3, 6]


def test_what_is_not_known_never_makes_a_limit_larger() -> None:
    assert limit(cap(4, KEEN)) == 4
    assert limit(cap(4, WEARY)) == 2
    assert limit(cap(4, KEEN, WEARY), response_rate=0.5) == 4
    assert limit(cap(4, WEARY, KEEN), activity="frequent") == 2


@given(st.lists(st.sampled_from([0.1, 0.5, 1.0, 1.5, 3.0]), min_size=1, max_size=4), st.data())
def test_an_open_question_gives_the_least_of_what_its_answers_would_give(
    factors: list[float], data: st.DataObject
) -> None:
    scales = [Scale(Test(f"contact.f{n}", Op.EQ, True, ()), factor) for n, factor in enumerate(factors)]
    known = [data.draw(st.sampled_from([True, False, None])) for _ in factors]
    possible = []
    for answers in product(*[[True, False] if each is None else [each] for each in known]):
        possible.append(limit(cap(10, *scales), **{f"f{n}": each for n, each in enumerate(answers)}))
    found = limit(cap(10, *scales), **{f"f{n}": each for n, each in enumerate(known)})
    assert found == min(each for each in possible if each is not None)
    assert found is not None and found <= most(cap(10, *scales))


def test_a_gap_is_the_same_for_everybody() -> None:
    gap = cap(None, KEEN, min_gap=DAY)
    assert tolerated([gap], {"contact.activity": "frequent"}, START) == [gap]


def test_the_pause_begins_when_an_answer_is_owed_so_long_and_ends_by_itself() -> None:
    tick = timedelta(microseconds=1)
    ends = START + 17 * DAY
    assert silent_until(None, SILENCE, START) is None
    assert silent_until(START, None, START + 4 * DAY) is None
    assert silent_until(START, SILENCE, START + 3 * DAY - tick) is None
    assert silent_until(START, SILENCE, START + 3 * DAY) == ends
    assert silent_until(START, SILENCE, ends - tick) == ends
    assert silent_until(START, SILENCE, ends) is None


def test_an_answer_is_owed_from_the_oldest_marketing_message_on() -> None:
    assert after_send(None, MARKETING, SILENCE, START) == START
    assert after_send(START, MARKETING, SILENCE, START + DAY) == START
    assert after_send(None, SERVICE, SILENCE, START) is None


def test_the_first_message_after_a_pause_begins_a_new_round() -> None:
    again = START + 17 * DAY
    assert after_send(START, MARKETING, SILENCE, again) == again
    assert after_send(START, MARKETING, None, again) == START


def test_a_sign_of_life_settles_what_was_sent_before_it_and_nothing_else() -> None:
    later = START + DAY
    assert after_activity(START, START, later) is None
    assert after_activity(START, later, later) is None
    assert after_activity(START, START + 2 * DAY, later) == START + 2 * DAY  # told late
    assert after_activity(later, later, START) == later  # before anything that is owed
    assert after_activity(None, later, START) is None


RULES = GateRules(
    version="b1",
    timezone="UTC",
    purposes={"marketing": MARKETING, "service": SERVICE},
    platforms={"email": "email"},
    caps=(cap(2, KEEN, WEARY),),
    resume_within={},
    silence=SILENCE,
    revivals=frozenset({"wake_up"}),
)
VIEW = View(
    rules=RULES,
    standing=Standing(silent_since=START - 5 * DAY),
    identities=(Identity("email", "a@example.com"),),
    consents=(ConsentRecord("marketing", "*", "granted", START - DAY),),
)
INTENT = Intent("k", "c", "marketing", 50, "hello", ("email",), "s", 1, START, journey="welcome")


def judged(view: View = VIEW, intent: Intent = INTENT) -> Way | Answer:
    return judge(intent, view, Moment(START, START))


def test_a_silent_contact_is_left_alone_and_told_until_when() -> None:
    answer = judged()
    assert isinstance(answer, Answer)
    assert (answer.verdict, answer.reason, answer.outcome) == (
        Verdict.SKIP,
        "cap.silence",
        Outcome.CAPPED,
    )
    assert answer.evidence["pause_ends"] == (START + 12 * DAY).isoformat()
    assert answer.evidence["place"] == "caps.yaml:9"


def test_the_pause_spares_revivals_and_what_is_no_marketing() -> None:
    assert isinstance(judged(intent=replace(INTENT, journey="wake_up")), Way)
    assert isinstance(judged(intent=replace(INTENT, purpose="service")), Way)


def test_a_refusal_says_who_scaled_the_limit_and_why() -> None:
    places = tuple(Place("one", f"k{n}", START - n * DAY, True, "marketing", "email") for n in range(3))
    view = replace(VIEW, standing=Standing(), places=places, facts={"contact.activity": "normal"})
    answer = judged(view)
    assert isinstance(answer, Answer)
    assert answer.reason == "cap.full"
    assert (answer.evidence["limit"], answer.evidence["stated_limit"], answer.evidence["used"]) == (1, 2, 3)
    assert answer.evidence["scaled_by"] == "caps.yaml:8"
    assert answer.evidence["tests"][0].startswith("? contact.response_rate")
