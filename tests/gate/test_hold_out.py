"""The hold-out: last of all that needs no text, of marketing alone, for its days and its channels."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from engine.experiments.holding_out import HoldOut
from engine.gate.consent import ConsentRecord
from engine.gate.judging import Way, judge
from engine.gate.model import Answer, Counts, Intent, Outcome, Purpose, RollingWindow, Verdict, WhenFull
from engine.gate.model import Cap as CapRule
from engine.gate.stages import Stage, check_hold_out
from engine.gate.state import GateRules, Identity, Moment, Place, Standing, View

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = Moment(NOON, NOON)
HELD = HoldOut(
    "half_year", 0.05, "2026-h1", date(2026, 1, 1), date(2026, 6, 30), members=frozenset({"ann"}),
    file="hold_out.yaml", line=5,
)  # fmt: skip
PURPOSES = {
    kind: Purpose(kind, kind, "1", kind, timedelta(days=3))
    for kind in ("marketing", "transactional", "legal")
}
DAILY = CapRule("daily", Counts(), 1, RollingWindow(timedelta(days=1)), None, WhenFull.DEFER)


def intent(purpose: str = "marketing", who: str = "ann") -> Intent:
    return Intent("k", who, purpose, 50, "hello", ("sms", "email"), "s", 1, NOON, journey="welcome")


def view(*hold_outs: HoldOut, taken: bool = False) -> View:
    rules = GateRules(
        "v1", "Asia/Shanghai", PURPOSES, {"sms": "sms", "email": "email"}, (DAILY,), {}, hold_outs=hold_outs
    )
    place = Place("daily", "other", NOON - timedelta(hours=1), True, "marketing", "sms")
    return View(
        rules,
        Standing(),
        identities=(Identity("sms", "1"), Identity("email", "a@example.com")),
        consents=(ConsentRecord("marketing", "*", "granted", NOON),),
        places=(place,) if taken else (),
    )


def test_who_is_held_out_is_told_by_what_for_how_long_and_where_it_is_written() -> None:
    answer = judge(intent(), view(HELD), NOW)

    assert isinstance(answer, Answer)
    assert (answer.verdict, answer.stage, answer.reason) == (
        Verdict.BLOCK,
        Stage.HOLD_OUT,
        "experiment.held_out",
    )
    assert answer.outcome is Outcome.BLOCKED
    assert answer.evidence == {
        "hold_out": "half_year",
        "share": 0.05,
        "seed": "2026-h1",
        "hash": HELD.bucket("ann"),
        "until": "2026-06-30",
        "place": "hold_out.yaml:5",
    }
    assert answer.would_pass_if == "it is tried after 2026-06-30, the last day of half_year"


def test_everybody_else_is_written_to() -> None:
    assert isinstance(judge(intent(who="ben"), view(HELD), NOW), Way)


@pytest.mark.parametrize("purpose", ["transactional", "legal"])
def test_what_people_must_be_told_reaches_them_whatever_a_hold_out_says(purpose: str) -> None:
    everything = replace(HELD, purposes=(purpose,))

    assert isinstance(judge(intent(purpose), view(everything), NOW), Way)


def test_those_who_are_held_out_wait_as_long_as_others_do() -> None:
    answer = judge(intent(), view(HELD, taken=True), NOW)

    assert isinstance(answer, Answer)
    assert (answer.verdict, answer.reason) == (Verdict.HOLD, "cap.full")


def test_one_that_is_about_a_channel_leaves_the_next_one_open() -> None:
    way = judge(intent(), view(replace(HELD, channels=("sms",))), NOW)

    assert isinstance(way, Way)
    assert (way.channel, way.earlier) == ("email", {"sms": "experiment.held_out"})


@pytest.mark.parametrize(
    ("moment", "is_held"),
    [
        (datetime(2025, 12, 31, 15, 59, tzinfo=UTC), False),
        (datetime(2025, 12, 31, 16, 0, tzinfo=UTC), True),  # New Year in Shanghai
        (datetime(2026, 6, 30, 15, 59, tzinfo=UTC), True),
        (datetime(2026, 6, 30, 16, 0, tzinfo=UTC), False),
    ],
)
def test_its_days_are_those_of_the_workspaces_zone(moment: datetime, is_held: bool) -> None:
    answer = check_hold_out(intent(), view(HELD), Moment(moment, NOON), "sms")

    assert (answer.verdict is Verdict.BLOCK) is is_held
