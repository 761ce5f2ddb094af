"""What messages are worth: the contact's value, the content's, the urgency; and who goes first by it."""

from __future__ import annotations

from datetime import UTC, datetime

from engine.gate.budgets import OTHERS, Book, Budget, Purse, Spending
from engine.gate.model import CalendarUnit, CalendarWindow, Intent
from engine.gate.spending import refused
from engine.gate.state import GateRules, View
from engine.gate.valuing import goes_first, message_value, worth_told
from engine.gate.worth import ContactValue, Worth
from engine.rules.condition import Op, Test

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
VALUES = ContactValue(
    (
        Worth(Test("contact.stage", Op.EQ, "valued"), 3),
        Worth(Test("contact.activity", Op.EQ, "frequent"), 2),
    )
)
RULES = GateRules("v", "UTC", {}, {}, (), {}, content_values={"gift": 1.5}, contact_value=VALUES)
INTENT = Intent("k", "ann", "marketing", 40, "gift", ("email",), "s", 1, NOW)


def view(**facts: str) -> View:
    return View(RULES, None, facts={f"contact.{name}": value for name, value in facts.items()})


def test_the_value_of_a_message_is_the_product_of_three_and_each_is_told() -> None:
    assert message_value(INTENT, view(stage="valued", activity="frequent"), NOW) == 180
    assert message_value(INTENT, view(stage="new", activity="frequent"), NOW) == 120
    assert worth_told(INTENT, view(stage="valued"), NOW) == {
        "value": 180,
        "contact_value": 3,
        "content_value": 1.5,
        "priority": 40,
    }


def test_what_is_not_known_makes_nobody_worth_more() -> None:
    assert message_value(INTENT, view(), NOW) == 60
    assert not goes_first(view(), NOW)
    assert goes_first(view(activity="frequent"), NOW)


def test_who_goes_first_waits_behind_nobody() -> None:
    budget = Budget("all", 480, "UTC", window=CalendarWindow(CalendarUnit.DAY, "UTC"))
    starts = datetime(2026, 3, 1, tzinfo=UTC)
    book = Book(
        starts, starts.replace(day=2), 18, budget.declared, {OTHERS: Purse(480, committed=190, waiting=100)}
    )
    others, first = (refused(Spending(budget, OTHERS, 1, goes), book, NOW) for goes in (False, True))
    assert first is not None
    assert others is not None
    assert first.until == starts.replace(hour=9, minute=30)
    assert others.until == starts.replace(hour=14, minute=30)
