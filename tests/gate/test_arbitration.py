"""Who gets the last place: values, what is looked for ahead, and that nobody waits for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.gate.arbitration import GRACE, Rival
from engine.gate.consent import ConsentRecord
from engine.gate.judging import Way, judge
from engine.gate.model import (
    Answer,
    CalendarUnit,
    CalendarWindow,
    Cap,
    Counts,
    Intent,
    Outcome,
    Purpose,
    RollingWindow,
    Verdict,
    WhenFull,
)
from engine.gate.state import GateRules, Identity, Moment, Place, Standing, View

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = 24 * HOUR
A_DAY = Cap(
    "one_a_day", Counts(), 1, RollingWindow(DAY), None, WhenFull.DEFER, file="caps.yaml", look_ahead=6 * HOUR
)
RULES = GateRules(
    version="b1",
    timezone="UTC",
    purposes={"marketing": Purpose("marketing", "marketing", "1", "marketing", 3 * DAY)},
    platforms={"email": "email"},
    caps=(A_DAY,),
    resume_within={},
)
VIEW = View(
    rules=RULES,
    standing=Standing(),
    identities=(Identity("email", "a@example.com"),),
    consents=(ConsentRecord("marketing", "*", "granted", START - DAY),),
)
INTENT = Intent(
    "k", "c", "marketing", 40, "hello", ("email",), "s", 1, START, journey="low", expires_at=START + 3 * DAY
)


def rival(after: timedelta, priority: int = 60, name: str = "r", **values: object) -> Rival:
    given = {"journey": "high", "step": "best", "purpose": "marketing", "channels": ("email",)} | values
    return Rival(
        name,
        content=str(given.pop("content", "gift")),
        priority=priority,
        due_at=START + after,
        **given,  # type: ignore[arg-type]
    )


def judged(
    *rivals: Rival,
    cap: Cap = A_DAY,
    at: timedelta = timedelta(),
    sent: tuple[timedelta, ...] = (),
    intent: Intent = INTENT,
    values: dict[str, float] | None = None,
) -> Way | Answer:
    places = tuple(
        Place(cap.id, f"sent {n}", START + each, True, "marketing", "email") for n, each in enumerate(sent)
    )
    rules = replace(RULES, caps=(cap,), content_values=values or {})
    view = replace(VIEW, rules=rules, rivals=rivals, places=places)
    return judge(intent, view, Moment(START + at, START + at))


def yielded(*rivals: Rival, **values: object) -> Answer:
    answer = judged(*rivals, **values)  # type: ignore[arg-type]
    assert isinstance(answer, Answer)
    assert answer.reason == "cap.yielded"
    return answer


def test_the_last_place_is_left_to_what_is_worth_more_and_says_to_whom_and_when() -> None:
    answer = yielded(rival(5 * HOUR))
    assert (answer.verdict, answer.hold_until) == (Verdict.HOLD, START + 5 * HOUR + GRACE)
    assert answer.evidence["yields_to"] == [
        {"journey": "high", "step": "best", "due_at": (START + 5 * HOUR).isoformat(), "value": 60.0}
    ]
    assert answer.evidence["value"] == 40.0
    assert answer.evidence["cap"] == "one_a_day"


@pytest.mark.parametrize(
    "other",
    [
        rival(5 * HOUR, priority=40),
        rival(5 * HOUR, priority=10),
        rival(6 * HOUR + GRACE),
        rival(-GRACE),
        rival(5 * HOUR, purpose="service"),
    ],
    ids=["equal", "lower", "too far", "did not come", "not counted"],
)
def test_nobody_else_is_waited_for(other: Rival) -> None:
    counting = replace(A_DAY, counts=Counts(purpose="marketing"))
    assert isinstance(judged(other, cap=counting), Way)


def test_a_cap_that_does_not_look_ahead_waits_for_nobody() -> None:
    assert isinstance(judged(rival(HOUR), cap=replace(A_DAY, look_ahead=None)), Way)


def test_the_value_of_a_content_counts() -> None:
    assert isinstance(judged(rival(HOUR), values={"hello": 2.0}), Way)
    yielded(rival(HOUR, priority=30), values={"gift": 1.5})


def test_where_there_is_room_for_both_both_go() -> None:
    two = replace(A_DAY, limit=2)
    assert isinstance(judged(rival(HOUR), cap=two), Way)
    yielded(rival(HOUR), rival(2 * HOUR, name="other"), cap=two)
    yielded(rival(HOUR), cap=two, sent=(-HOUR,))


def test_a_place_that_frees_before_it_is_wanted_is_not_kept() -> None:
    two = replace(A_DAY, limit=2)
    assert isinstance(judged(rival(2 * HOUR), cap=two, sent=(-23 * HOUR,)), Way)


def test_tomorrows_message_does_not_want_a_place_of_today() -> None:
    today = replace(A_DAY, window=CalendarWindow(CalendarUnit.DAY, "workspace"), look_ahead=DAY)
    yielded(rival(14 * HOUR), cap=today)
    assert isinstance(judged(rival(16 * HOUR), cap=today), Way)


def test_a_gap_is_kept_free_before_what_is_worth_more() -> None:
    gap = Cap("gap", Counts(), None, None, 4 * HOUR, WhenFull.DEFER, look_ahead=6 * HOUR)
    yielded(rival(3 * HOUR), cap=gap)
    assert isinstance(judged(rival(5 * HOUR), cap=gap), Way)


def test_who_would_find_no_place_anyway_is_not_waited_for() -> None:
    answer = judged(rival(HOUR), sent=(-HOUR,))
    assert isinstance(answer, Answer)
    assert answer.reason == "cap.full"


def test_a_message_that_cannot_wait_so_long_is_refused() -> None:
    answer = yielded(rival(5 * HOUR), intent=replace(INTENT, deadline_at=START + HOUR))
    assert (answer.verdict, answer.outcome) == (Verdict.SKIP, Outcome.CAPPED)


def test_of_what_a_run_may_come_to_only_one_counts() -> None:
    two = replace(A_DAY, limit=2)
    assert isinstance(judged(rival(HOUR), rival(HOUR, content="other"), cap=two), Way)


@given(st.lists(st.integers(0, 400), max_size=30), st.booleans(), st.integers(1, 20))
def test_nobody_waits_longer_than_the_cap_looks_ahead_whatever_is_promised(
    promises: list[int], is_full: bool, hours: int
) -> None:
    """Rivals that never come, each promised anew when the last is waited for no longer."""
    cap = replace(A_DAY, look_ahead=hours * HOUR)
    sent, free_at = ((-DAY + HOUR,), START + HOUR) if is_full else ((), START)
    now = free_at
    while True:
        coming = [
            rival(now - START + timedelta(minutes=minutes), name=str(n)) for n, minutes in enumerate(promises)
        ]
        answer = judged(*coming, cap=cap, at=now - START, sent=sent)
        if isinstance(answer, Way):
            break
        assert answer.hold_until is not None and answer.hold_until > now
        now = answer.hold_until
        assert now <= free_at + hours * HOUR + GRACE
