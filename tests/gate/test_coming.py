"""Nobody waits for a message that would be stopped itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest

from engine.gate.arbitration import Rival
from engine.gate.budgets import Budget, Scope
from engine.gate.capping import check_caps
from engine.gate.coming import able_rivals
from engine.gate.consent import ConsentRecord
from engine.gate.hours import Held, Hours, QuietRule, WhenQuiet
from engine.gate.model import Cap, Counts, Intent, Purpose, RollingWindow, Verdict, WhenFull
from engine.gate.state import GateRules, Identity, Moment, PublishedBreaker, Standing, View

HOUR = timedelta(hours=1)
AT = datetime(2026, 3, 2, 4, tzinfo=UTC)  # noon in Shanghai
NOW = Moment(AT, AT)
RIVAL = Rival("r", "winback", "offer", "marketing", ("sms", "email"), "gift", 90, AT + HOUR)
INTENT = Intent("k", "ann", "marketing", 50, "hello", ("email",), "s", 1, AT, expires_at=AT + 48 * HOUR)
CAP = Cap("one", Counts("marketing"), 1, RollingWindow(24 * HOUR), None, WhenFull.SKIP, look_ahead=9 * HOUR)

NEXT_YEAR = Budget(
    "gifts", 9, "UTC", Scope(journeys=("winback",)), starts=date(2027, 1, 1), ends=date(2027, 1, 31)
)


def siesta(**more: object) -> QuietRule:
    said = {"channels": ("sms", "email"), **more}
    held = Held(**said)  # type: ignore[arg-type]
    return QuietRule("siesta", "law", held, "contact", WhenQuiet.DEFER, Hours(time(13), time(14)))


def view(*quiet: QuietRule) -> View:
    purpose = Purpose("marketing", "marketing", "1", "marketing", 72 * HOUR)
    platforms = {"sms": "phone", "email": "email"}
    rules = GateRules("v1", "UTC", {"marketing": purpose}, platforms, (CAP,), {}, quiet=quiet)
    return View(
        rules,
        Standing(timezone="Asia/Shanghai"),
        identities=(Identity("phone", "1"), Identity("email", "a@example.com")),
        consents=(ConsentRecord("marketing", "*", "granted", AT - HOUR),),
        rivals=(RIVAL,),
    )


def with_rules(seen: View, **more: object) -> View:
    return replace(seen, rules=replace(seen.rules, **more))  # type: ignore[arg-type]


def refused(channel: str, moment: datetime = AT) -> ConsentRecord:
    return ConsentRecord("marketing", channel, "withdrawn", moment)


STOPPED: dict[str, Callable[[View], View]] = {
    "its hour is quiet": lambda seen: with_rules(seen, quiet=(siesta(),)),
    "no consent": lambda seen: replace(seen, consents=()),
    "withdrawn": lambda seen: replace(seen, consents=(*seen.consents, refused("*"))),
    "no address": lambda seen: replace(seen, identities=()),
    "closed addresses": lambda seen: replace(
        seen, identities=tuple(replace(each, suppressed="hard_bounce") for each in seen.identities)
    ),
    "suppressed": lambda seen: replace(seen, standing=Standing(suppressed="complaint")),
    "its journey rests": lambda seen: with_rules(seen, paused_journeys={"winback": "crisis"}),
    "its purpose is gone": lambda seen: replace(seen, rivals=(replace(RIVAL, purpose="news"),)),
    "a budget that is not open yet": lambda seen: with_rules(seen, budgets=(NEXT_YEAR,)),
    "killed": lambda seen: replace(seen, kill_reason="leak"),
    "a breaker of its journey": lambda seen: replace(
        seen, breakers=(PublishedBreaker("risk", "journey:winback", "open", "red"),)
    ),
}


def test_who_can_go_is_waited_for() -> None:
    assert able_rivals(INTENT, view(), NOW) == (RIVAL,)
    answer = check_caps(INTENT, view(), NOW, "email")
    assert (answer.verdict, answer.reason) == (Verdict.HOLD, "cap.yielded")


@pytest.mark.parametrize("why", STOPPED)
def test_who_cannot_go_is_not_waited_for(why: str) -> None:
    seen = STOPPED[why](view())
    assert able_rivals(INTENT, seen, NOW) == ()
    assert check_caps(INTENT, seen, NOW, "email").verdict is Verdict.ALLOW


def test_what_counts_is_its_own_moment() -> None:
    """Quiet now and not then, or the other way round."""
    at_night = with_rules(view(), quiet=(siesta(),))
    early = Moment(AT + HOUR, AT + HOUR)
    late = replace(RIVAL, due_at=AT + 3 * HOUR)
    assert able_rivals(INTENT, replace(at_night, rivals=(late,)), early) == (late,)


def test_it_competes_on_the_channels_it_can_take() -> None:
    seen = replace(view(), consents=(*view().consents, refused("email")))
    assert able_rivals(INTENT, seen, NOW) == (replace(RIVAL, channels=("sms",)),)
    only_mails = replace(CAP, counts=Counts("marketing", ("email",)))
    seen = with_rules(seen, caps=(only_mails,))
    assert check_caps(INTENT, seen, NOW, "email").verdict is Verdict.ALLOW


def test_whoever_is_worth_less_is_not_looked_at() -> None:
    assert able_rivals(replace(INTENT, priority=90), view(), NOW) == ()


def test_a_provider_s_refusal_of_this_message_is_not_the_other_one_s() -> None:
    seen = replace(view(), refused_by={"sms": "550", "email": "550"})
    assert able_rivals(INTENT, seen, NOW) == (RIVAL,)
