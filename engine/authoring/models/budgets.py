"""Budgets: how much money or how many messages may be spent, how evenly, and on whom rather."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import Condition, Date, Duration, Id, Items, Share
from engine.authoring.models.limits import Window
from engine.authoring.models.part import Head, Part, Unacted
from engine.authoring.models.refusing import refuse
from engine.authoring.models.scope import ScopeEntry


class WeightEntry(Part):
    """Contacts on whom more, or less, of the budget is spent."""

    when: Condition = Field(
        title="条件",
        description="Whose share is weighted; sees the contact's facts. The first that is true counts.",
        examples=[{"contact.stage": "valued"}],
    )
    factor: float = Field(
        title="系数",
        description="1.35 gives them 35 % more than an even share, 0.5 half of it.",
        gt=0,
        le=10,
        examples=[1.35],
    )


class ReallocateEntry(Part):
    """How often what is left is shared out again, and with which weights."""

    every: Duration = Field(
        title="间隔", description="Time between two allocations; at least 1m.", examples=["30m"]
    )
    weights: Items[WeightEntry] = Field(
        (), title="权重", description="Who gets more than an even share; everybody else counts 1."
    )


class HaltEntry(Part):
    """When spending stops by itself because the return is not steady."""

    volatility_over: Share = Field(
        title="波动上限",
        description="Stops when the return of a day strays from its mean by more than this.",
        examples=["12%"],
    )
    window: Duration = Field(
        title="观察窗口", description="The time just past over which the return is watched.", examples=["7d"]
    )


class BudgetEntry(Part):
    """One budget: what it pays for, how much there is, and how it is spread over its time."""

    id: Id = Field(title="编号", description="The budget's name, as decisions cite it.")
    unit: Literal["money", "messages"] = Field(
        title="单位", description="money: each message costs `cost`. messages: each message counts one."
    )
    cost: float | None = Field(
        None,
        title="单条成本",
        description="What one message costs, coupon included, in the workspace's currency.",
        gt=0,
        examples=[0.05],
    )
    pays_for: ScopeEntry = Field(
        title="适用范围", description="Which messages it pays for.", examples=[{"purposes": ["marketing"]}]
    )
    limit: float = Field(
        title="总额", description="How much may be spent in all within the window.", gt=0, examples=[50000]
    )
    window: Window | None = Field(
        None,
        title="窗口",
        description="When the limit begins anew; without it, it holds from `starts` to `ends`, once.",
        examples=[{"calendar": "month", "timezone": "workspace"}],
    )
    starts: Date | None = Field(None, title="开始日期", description="First day on which it may be spent.")
    ends: Date | None = Field(None, title="结束日期", description="Last day on which it may be spent.")
    pace: Literal["even", "free"] = Field(
        "even",
        title="节奏",
        description="even: never ahead of the clock, so that it lasts. free: first come, first served.",
    )
    reallocate: ReallocateEntry | None = Field(
        None,
        title="再分配",
        description="Shares what is left out again, with weights.",
        examples=[{"every": "30m"}],
    )
    halt: HaltEntry | None = Field(
        None,
        title="熔断",
        description="Stops spending while the return is unsteady.",
        examples=[{"volatility_over": "12%", "window": "7d"}],
    )
    when_spent: Literal["skip", "defer"] = Field(
        title="用尽时", description="skip the message, or defer it until there is budget again."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> BudgetEntry:
        if (self.cost is None) == (self.unit == "money"):
            message = "a budget of money needs to know what a message costs, and only such a one"
            raise refuse("RS055", message, "add or remove 'cost'", at=("unit",))
        if self.starts is not None and self.ends is not None and self.ends < self.starts:
            raise refuse("RS055", "it ends before it starts", "swap 'starts' and 'ends'", at=("ends",))
        if self.window is None and self.ends is None:
            message = "a budget needs a window in which it begins anew, or a last day"
            raise refuse("RS055", message, "add 'window' or 'ends'")
        return self


class BudgetsFile(Head):
    """Budgets of money or messages."""

    unacted: ClassVar[tuple[Unacted, ...]] = (Unacted("", "no message is held back for want of budget"),)

    kind: Literal["budgets"] = Field(title="种类", description="Always budgets: this file holds budgets.")
    budgets: Items[BudgetEntry] = Field(
        title="预算", description="The budgets; all that pay for a message must have room.", min_length=1
    )
