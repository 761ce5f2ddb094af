"""What comes back of budgets in plain memory: only periods that say something are judged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

from hypothesis import example, given
from hypothesis import strategies as st

from engine.gate.budgets import Budget, Returns
from engine.gate.model import CalendarUnit, CalendarWindow
from engine.gate.returns import Touch, periods_between
from engine.simulation.returns import Returned

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
# Five hours do not go into a day: the last period of a window is shorter.
RETURNS = Returns("paid", "amount", 6 * HOUR, 5 * HOUR, 3, Fraction(12, 100), Fraction(10, 100), decimals=2)
BUDGET = Budget("all", 480, "UTC", window=CalendarWindow(CalendarUnit.DAY, "UTC"), returns=RETURNS)


class EveryPeriod(Returned):
    """Judges each period, whether or not anybody was reached in it."""

    def _reached(self, budget: Budget, after: datetime, now: datetime) -> list[tuple[datetime, datetime]]:
        return list(periods_between(budget, after, now - RETURNS.within))


doings = st.lists(
    st.tuples(
        st.sampled_from(["spend", "spend", "order", "order", "look", "halt", "let go"]),
        st.integers(0, 30 * 4).map(lambda quarters: quarters * HOUR / 4),
        st.sampled_from(["vip", "others"]),
        st.integers(1, 9),
    ),
    max_size=40,
)


def told(world: Returned, said: list[tuple[str, timedelta, str, int]]) -> list[object]:
    """What is halted after each thing that was done."""
    now, found = START, list[object]()
    for number, (what, later, share, amount) in enumerate(said):
        now += later
        match what:
            case "spend":
                world.spent(BUDGET, f"m{number}", "c1", Touch(share, now, 1))
            case "order":
                world.happened("c1", "paid", now, {"amount": amount})
            case "halt" | "let go":
                world.say(BUDGET, share, now, "ann", halted=what == "halt")
        found.append(world.halts([BUDGET], now))
    return found


STEADY_AND_THEN_NOT = [
    step
    for amount in (5, 5, 5, 5, 1, 9, 9, 1, 5, 5, 5, 5)
    for step in (("spend", 5 * HOUR, "others", 1), ("order", HOUR, "others", amount))
]


AND_THEN_NOTHING = [("look", 6 * HOUR, "others", 1)] * 9


@given(said=doings)
@example(said=[*STEADY_AND_THEN_NOT, *AND_THEN_NOTHING])
def test_periods_in_which_nobody_was_reached_change_nothing(
    said: list[tuple[str, timedelta, str, int]],
) -> None:
    assert told(Returned(), said) == told(EveryPeriod(), said)


def test_the_example_is_halted_and_let_go_on_by_the_rule() -> None:
    found = told(Returned(), [*STEADY_AND_THEN_NOT, *AND_THEN_NOTHING])
    is_halted = [bool(each["all"]) for each in found]  # type: ignore[index]
    assert is_halted == [False] * 12 + [True] * 12 + [False] * 9
