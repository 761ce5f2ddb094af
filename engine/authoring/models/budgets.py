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
        description=(
            "Whose share is weighted; sees the contact's facts. The first that is true counts.\n"
            "为谁加权；可用联系人事实，取第一个成立的。"
        ),
        examples=[{"contact.stage": "valued"}],
    )
    factor: float = Field(
        title="系数",
        description=(
            "1.35 gives them 35 % more than an even share, 0.5 half of it.\n"
            "1.35 表示比平均多 35%，0.5 表示一半。"
        ),
        gt=0,
        le=10,
        examples=[1.35],
    )


class ReallocateEntry(Part):
    """How often what is left is shared out again, and with which weights."""

    every: Duration = Field(
        title="间隔",
        description="Time between two allocations; at least 1m.\n两次重新分配之间的时间，至少 1 分钟。",
        examples=["30m"],
    )
    weights: Items[WeightEntry] = Field(
        (),
        title="权重",
        description=(
            "Who gets more than an even share; everybody else counts 1.\n谁分得比平均多；其他人按 1 计算。"
        ),
        examples=[[{"when": {"contact.stage": "valued"}, "factor": 1.35}]],
    )


class HaltEntry(Part):
    """When spending stops by itself because the return is not steady."""

    volatility_over: Share = Field(
        title="波动上限",
        description=(
            "Stops when the return of a day strays from its mean by more than this.\n"
            "当日回报偏离均值超过此比例时停止花费。"
        ),
        examples=["12%"],
    )
    window: Duration = Field(
        title="观察窗口",
        description="The time just past over which the return is watched.\n观察回报的最近一段时间。",
        examples=["7d"],
    )


class BudgetEntry(Part):
    """One budget: what it pays for, how much there is, and how it is spread over its time."""

    id: Id = Field(
        title="编号",
        description="The budget's name, as decisions cite it.\n预算的编号，决策记录中引用它。",
        examples=["coupons_march"],
    )
    unit: Literal["money", "messages"] = Field(
        title="单位",
        description=(
            "money: each message costs `cost`. messages: each message counts one.\n"
            "money：每条消息按 cost 计费；messages：每条消息计一条。"
        ),
    )
    cost: float | None = Field(
        None,
        title="单条成本",
        description=(
            "What one message costs, coupon included, in the workspace's currency; only with unit: "
            "money.\n"
            "每条消息的成本（含优惠券），仅在 unit: money 时填写。"
        ),
        gt=0,
        examples=[0.05],
    )
    pays_for: ScopeEntry = Field(
        title="适用范围",
        description="Which messages it pays for; {} for all of them.\n由它支付的消息；{} 表示全部。",
        examples=[{"purposes": ["marketing"]}],
    )
    limit: float = Field(
        title="总额",
        description="How much may be spent in all within the window.\n窗口内最多可以花费的总额。",
        gt=0,
        examples=[50000],
    )
    window: Window | None = Field(
        None,
        title="窗口",
        description=(
            "When the limit begins anew; without it, it holds from `starts` to `ends`, once.\n"
            "额度何时重新开始；不写则在开始与结束日期之间只有一次。"
        ),
        examples=[{"calendar": "month", "timezone": "workspace"}],
    )
    starts: Date | None = Field(
        None,
        title="开始日期",
        description=(
            "First day on which it may be spent; without it, at once.\n可以开始花费的第一天；不写则立即开始。"
        ),
        examples=["2026-03-01"],
    )
    ends: Date | None = Field(
        None,
        title="结束日期",
        description=(
            "Last day on which it may be spent; needed when there is no window.\n"
            "可以花费的最后一天；没有窗口时必填。"
        ),
        examples=["2026-03-31"],
    )
    pace: Literal["even", "free"] = Field(
        "even",
        title="节奏",
        description=(
            "even (also when left out): never ahead of the clock, so that it lasts. free: first come, "
            "first served.\n"
            "even（默认）：匀速花费；free：先到先得。"
        ),
    )
    reallocate: ReallocateEntry | None = Field(
        None,
        title="再分配",
        description=(
            "Shares what is left out again, with weights; without it, nothing is weighted.\n"
            "把余额按权重重新分配；不写则不加权。"
        ),
        examples=[{"every": "30m"}],
    )
    halt: HaltEntry | None = Field(
        None,
        title="熔断",
        description=(
            "Stops spending while the return is unsteady; without it, never for that reason.\n"
            "回报不稳定时停止花费；不写则不因此停止。"
        ),
        examples=[{"volatility_over": "12%", "window": "7d"}],
    )
    when_spent: Literal["skip", "defer"] = Field(
        title="用尽时",
        description=(
            "skip the message, or defer it until there is budget again.\n"
            "预算用尽时：skip 跳过消息，defer 推迟到有预算时。"
        ),
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

    kind: Literal["budgets"] = Field(
        title="种类", description="Always budgets: this file holds budgets.\n固定写 budgets：本文件定义预算。"
    )
    budgets: Items[BudgetEntry] = Field(
        title="预算",
        description=(
            "The budgets; all that pay for a message must have room.\n"
            "各项预算；所有相关预算都有余额，消息才能发出。"
        ),
        min_length=1,
    )
