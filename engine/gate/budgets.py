"""What a budget is, and its book; `pacing`, `sharing_out` and `spending` reckon with them, pure.

A book is what is known of a budget in its present window. Amounts are integers: messages, or money in the
smallest part of its currency, so sums are exact. What is committed in a share never exceeds what its pace has
allowed by then, and all shares together never exceed the limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import cached_property

from engine.changing import frozen
from engine.gate.model import CalendarWindow, WhenFull
from engine.rules.condition import Condition

OTHERS = "others"
"""The share of whoever belongs to no other one."""
WHOLE = 1_000_000
"""Parts of a budget are counted in millionths."""


class Pace(StrEnum):
    """How the allowance grows from the beginning of a window to its end."""

    EVEN = "even"
    FRONT = "front"
    """Faster at first: after half of the time three quarters are allowed."""
    FREE = "free"
    """All at once."""


@dataclass(frozen=True)
class Scope:
    """Which messages a budget pays for; an empty field means all."""

    purposes: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    journeys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Share:
    """A part of a budget for some journeys, or some contacts."""

    id: str
    part: int
    """Of `WHOLE`, at the beginning of a window."""
    weight: Fraction = Fraction(1)
    """How much of what is shared out again it gets, beside others of the same part."""
    journeys: tuple[str, ...] = ()
    when: Condition | None = None
    """Whose messages; None: everybody's."""


@dataclass(frozen=True)
class Returns:
    """What comes back of what is spent, and how steady that has to be; see `engine.gate.returns`."""

    event: str
    """The type of event by which it comes back."""
    amount: str
    """The property of the event that says how much."""
    within: timedelta
    """After a message, in journey time, in which an event is its return."""
    period: timedelta
    """Into which the time is cut; a whole number of the budget's `every`."""
    periods: int
    """How many are judged together."""
    unstable_above: Fraction
    """A share is halted when its return varies by more than this part of its mean."""
    stable_below: Fraction
    """And let go on when it varies by no more than this one, which is no larger."""
    least: int = 0
    """What has to be spent of a share in a period, in smallest units, for the period to say anything."""
    decimals: int = 0
    """Of the currency of the amounts."""


@dataclass(frozen=True)
class Halt:
    """That nothing is spent of a share."""

    since: datetime
    """Journey time."""
    by: str
    """`rule`, or whoever halted it by hand."""
    volatility: float = 0.0
    """With `rule`: by which part of its mean the return varied."""
    periods: int = 0
    """Over how many periods."""


@dataclass(frozen=True)
class Budget:
    """An amount for a window, and what draws on it."""

    id: str
    limit: int
    """In smallest units, as all amounts here."""
    zone: str
    """The IANA zone of its days and windows."""
    pays_for: Scope = field(default_factory=Scope)
    title: str = ""
    currency: str | None = None
    """None: it counts messages."""
    decimals: int = 0
    """Of the currency: how many the smallest unit has."""
    cost: int = 1
    """What every message costs."""
    channel_costs: Mapping[str, int] = field(default_factory=dict)
    """What a message costs besides, on these channels."""
    content_costs: Mapping[str, int] = field(default_factory=dict)
    """What the contents cost besides that give something away."""
    window: CalendarWindow | None = None
    """In which it begins anew; None: once, from `starts` to `ends`."""
    starts: date | None = None
    ends: date | None = None
    """The last day, which is one of it."""
    pace: Pace = Pace.EVEN
    every: timedelta = timedelta(minutes=30)
    """After which the allowance grows, and what is left is shared out again."""
    shares: tuple[Share, ...] = ()
    when_ahead: WhenFull = WhenFull.DEFER
    """What becomes of a message that the pace does not allow yet."""
    when_spent: WhenFull = WhenFull.SKIP
    returns: Returns | None = None
    """None: nobody says what comes back, and no share is halted."""
    file: str = ""
    line: int = 0

    @cached_property
    def declared(self) -> str:
        """Tells a book whether it was made for this very budget."""
        parts = ",".join(f"{each.id}:{each.part}:{each.weight}" for each in self.shares)
        return f"{self.limit}/{self.pace.value}/{self.every // timedelta(seconds=1)}/{parts}"


@frozen
class Purse:
    """One share in one window."""

    allocated: int
    committed: int = 0
    """Spent, or taken by messages on their way out."""
    waiting: int = 0
    """What messages would take that wait for the pace."""


@frozen
class Book:
    """What is known of a budget in one window, half-open `[starts, ends)`, in journey time."""

    starts: datetime
    ends: datetime
    slot: int
    """The slot of the window in which its purses were filled last, from 0."""
    declared: str
    purses: Mapping[str, Purse]

    @property
    def committed(self) -> int:
        return sum(purse.committed for purse in self.purses.values())


@frozen
class Spending:
    """What a message would take out of one budget."""

    budget: Budget
    share: str
    cost: int
    goes_first: bool = False
    """Whether it waits behind nobody: it is looked at as soon as any is allowed, and before others."""


@dataclass(frozen=True)
class Paid:
    """What a message has taken out of one budget."""

    share: str
    starts: datetime
    """Of the window from which it was taken."""
    amount: int


@dataclass(frozen=True)
class Refusal:
    """Not now."""

    reason: str
    """budget.halted | budget.ahead | budget.share_spent | budget.spent | budget.not_open"""
    until: datetime | None
    """Journey time at which there may be room; None: never again."""
    spending: Spending
    book: Book | None
    halt: Halt | None = None

    @property
    def wish(self) -> WhenFull:
        """What becomes of the message; who is halted waits, for nobody has said no to them."""
        budget = self.spending.budget
        if self.halt is not None:
            return WhenFull.DEFER
        return budget.when_ahead if self.reason == "budget.ahead" else budget.when_spent


def told(budget: Budget, amount: int) -> int | str:
    """An amount for people: a number of messages, or money with its currency."""
    if budget.currency is None:
        return amount
    return f"{Decimal(amount).scaleb(-budget.decimals)} {budget.currency}"
