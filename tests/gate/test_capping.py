"""What a message that caps keep back is told: which caps, and when it would fit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from engine.gate.capping import check_caps
from engine.gate.consent import ConsentRecord
from engine.gate.model import Cap, Counts, Intent, Purpose, RollingWindow, Verdict, WhenFull
from engine.gate.state import GateRules, Identity, Moment, Place, Standing, View

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = Cap("a_week", Counts(), 2, RollingWindow(7 * DAY), None, WhenFull.SKIP)
GAP = Cap("a_gap", Counts(), None, None, DAY, WhenFull.DEFER)
INTENT = Intent("k", "c", "marketing", 50, "hello", ("email",), "s", 1, NOW, journey="welcome")
SENT = {"k1": NOW - 7 * DAY + HOUR, "k2": NOW - 2 * HOUR}
VIEW = View(
    rules=GateRules(
        version="b1",
        timezone="UTC",
        purposes={"marketing": Purpose("marketing", "marketing", "1", "marketing", 3 * DAY)},
        platforms={"email": "email"},
        caps=(WEEK, GAP),
        resume_within={},
    ),
    standing=Standing(),
    identities=(Identity("email", "a@example.com"),),
    consents=(ConsentRecord("marketing", "*", "granted", NOW - DAY),),
    places=tuple(
        Place(cap.id, key, at, True, "marketing", "email") for cap in (WEEK, GAP) for key, at in SENT.items()
    ),
)


def test_it_would_pass_when_the_last_of_all_full_caps_frees_not_just_the_one_that_decides() -> None:
    answer = check_caps(INTENT, VIEW, Moment(NOW, NOW), "email")
    assert (answer.verdict, answer.evidence["cap"]) == (Verdict.SKIP, "a_week")
    then = datetime.fromisoformat(answer.evidence["frees_at"])
    assert then == SENT["k2"] + DAY
    assert answer.would_pass_if == (
        f"it is tried at {then.isoformat()} and nothing that a_gap, a_week count is sent before"
    )
    assert check_caps(INTENT, VIEW, Moment(then, then), "email").verdict is Verdict.ALLOW
    before = then - timedelta(microseconds=1)
    assert check_caps(INTENT, VIEW, Moment(before, before), "email").verdict is not Verdict.ALLOW
