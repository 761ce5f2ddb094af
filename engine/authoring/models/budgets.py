"""Budgets: how much money or how many messages may be spent, how evenly, and on whom rather."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import Condition, Date, Duration, Id, Items, Share
from engine.authoring.models.limits import CalendarEntry
from engine.authoring.models.money import Amount, Currency
from engine.authoring.models.part import Head, Part
from engine.authoring.models.refusing import refuse
from engine.authoring.models.returns import ReturnEntry
from engine.authoring.models.scope import ScopeEntry
from engine.gate.budgets import OTHERS

_SHORTEST = timedelta(minutes=5)


class ShareEntry(Part):
    """A part of a budget for some journeys, or some contacts."""

    id: Id = Field(
        title="编号",
        description="The share's name, as decisions cite it.\n份额的编号，决策记录中引用它。",
        examples=["valued"],
    )
    share: Share = Field(
        title="份额",
        description=(
            "How much of the limit it has when a window begins; what no share has is for all other "
            "messages.\n"
            "窗口开始时占总额的比例；未分给任何份额的部分归其余消息。"
        ),
        examples=["30%"],
    )
    journeys: Items[Id] = Field(
        (),
        title="旅程",
        description="Only messages of these journeys.\n只限这些旅程的消息。",
        examples=[["welcome"]],
    )
    when: Condition | None = Field(
        None,
        title="条件",
        description=(
            "Only messages to these contacts; sees the contact's facts. A message belongs to the first share "
            "that fits; what is not known of a contact fits none.\n"
            "只限这些联系人；可用联系人事实。消息归入第一个符合的份额；事实未知时不符合。"
        ),
        examples=[{"contact.stage": "valued"}],
    )
    weight: float = Field(
        1.0,
        title="权重",
        description=(
            "What it gets when the rest is shared out again, beside others of the same size: 1.35 is 35 % "
            "more. 1 when not said.\n"
            "重新分配余额时的权重：1.35 表示比同样大小的份额多得 35%；默认 1。"
        ),
        gt=0,
        le=10,
        examples=[1.35],
    )

    @model_validator(mode="after")
    def _is_of_somebody(self) -> ShareEntry:
        if not self.journeys and self.when is None:
            message = "the share does not say for which messages it is"
            raise refuse("RS055", message, "add 'journeys' or 'when'; all other messages need no share")
        if self.id == OTHERS:
            message = f"'{OTHERS}' is the share of all other messages"
            raise refuse("RS055", message, "name it otherwise", at=("id",))
        return self


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
            "money: a message costs what its channel and its content cost, and `cost`. messages: each counts "
            "one.\n"
            "money：按渠道与内容的 costs 以及 cost 计费；messages：每条消息计一条。"
        ),
    )
    currency: Currency | None = Field(
        None,
        title="货币",
        description=(
            "With unit: money, one of `currencies` in wayline.yaml.\n"
            "unit: money 时必填：wayline.yaml 中 currencies 之一。"
        ),
        examples=["CNY"],
    )
    cost: Amount | None = Field(
        None,
        title="单条成本",
        description=(
            "What every message costs besides what its channel and content cost; only with unit: money.\n"
            "除渠道与内容的成本之外，每条消息另计多少；仅在 unit: money 时填写。"
        ),
        examples=[0.05],
    )
    pays_for: ScopeEntry = Field(
        title="适用范围",
        description=(
            "Which messages it pays for; {} for all. Messages of transactional and legal purposes are never "
            "held back by a budget, and not counted.\n"
            "由它支付的消息；{} 表示全部。事务性与法定消息不受预算限制，也不计入。"
        ),
        examples=[{"purposes": ["marketing"]}],
    )
    limit: Amount = Field(
        title="总额",
        description="How much may be spent in all within the window.\n窗口内最多可以花费的总额。",
        examples=[50000],
    )
    window: CalendarEntry | None = Field(
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
            "First day on which it may be spent; needed when there is no window, else without it at once.\n"
            "可以开始花费的第一天；没有窗口时必填，否则不写则立即开始。"
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
    pace: Literal["even", "front", "free"] = Field(
        "even",
        title="节奏",
        description=(
            "even (also when left out): never ahead of the clock, so that it lasts. front: faster at first, "
            "three quarters in the first half. free: first come, first served.\n"
            "even（默认）：匀速；front：先快后慢，前一半时间可用四分之三；free：先到先得。"
        ),
    )
    every: Duration = Field(
        timedelta(minutes=30),
        title="间隔",
        description=(
            "After which time more is allowed, and what is left is shared out again; 30m when left out, at "
            "least 5m.\n"
            "每隔多久放出下一部分额度，并重新分配余额；默认 30m，最短 5m。"
        ),
        examples=["30m"],
    )
    shares: Items[ShareEntry] = Field(
        (),
        title="份额",
        description=(
            "Parts for some journeys or contacts. They are shared out again as time goes by: what a share "
            "will not need goes to those that do, by size and weight.\n"
            "分给部分旅程或联系人的份额；随时间重新分配：用不到的部分按大小与权重转给需要的份额。"
        ),
        examples=[[{"id": "valued", "share": "30%", "when": {"contact.stage": "valued"}, "weight": 1.35}]],
    )
    when_ahead: Literal["skip", "defer", "next_channel"] = Field(
        "defer",
        title="超前时",
        description=(
            "What becomes of a message that the pace does not allow yet: defer it until it does (also when "
            "left out), skip it, or try the next_channel.\n"
            "按节奏尚不能发时：defer（默认）推迟到可以发，skip 跳过，next_channel 改试下一渠道。"
        ),
    )
    when_spent: Literal["skip", "defer", "next_channel"] = Field(
        title="用尽时",
        description=(
            "skip the message, defer it until there is budget again, or try the next_channel.\n"
            "预算用尽时：skip 跳过消息，defer 推迟到有预算时，next_channel 改试下一渠道。"
        ),
    )

    return_: ReturnEntry | None = Field(
        None,
        alias="return",
        title="回报",
        description=(
            "What comes back of what is spent. A share whose return is unsteady is halted: its messages wait "
            "until it is steady again, or somebody lets it go on. Left out: nothing is halted.\n"
            "支出带来的回报；回报不稳定的份额会被暂停，其消息等到恢复稳定或有人恢复为止。不写则不暂停。"
        ),
        examples=[
            {
                "event": "order_paid",
                "amount": "amount",
                "within": "7d",
                "period": "1d",
                "periods": 7,
                "unstable_above": "12%",
            }
        ],
    )

    @model_validator(mode="after")
    def _return_fits(self) -> BudgetEntry:
        said = self.return_
        if said is None:
            return self
        if said.currency is None and self.unit == "messages":
            message = "nobody knows in which currency the amounts are"
            raise refuse("RS055", message, "add 'currency'", at=("return", "amount"))
        if said.currency is not None and self.currency not in (None, said.currency):
            message = f"the return is in {said.currency} and the budget in {self.currency}"
            raise refuse("RS226", message, f"use {self.currency}", at=("return", "currency"))
        if said.period % self.every:
            message = "a period is cut in the middle of what is shared out at once"
            raise refuse("RS055", message, "use several times 'every'", at=("return", "period"))
        if self.unit == "messages" and (said.least_spent or 0) % 1:
            message = "there are no parts of messages"
            raise refuse("RS055", message, "use a whole number", at=("return", "least_spent"))
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> BudgetEntry:
        if (self.currency is None) == (self.unit == "money"):
            message = "a budget of money needs a currency, and only such a one"
            raise refuse("RS055", message, "add or remove 'currency'", at=("unit",))
        if self.cost is not None and self.unit != "money":
            raise refuse("RS055", "a budget of messages counts one for each", "remove 'cost'", at=("cost",))
        if self.unit == "messages" and self.limit != int(self.limit):
            raise refuse("RS055", "there are no parts of messages", "use a whole number", at=("limit",))
        if self.starts is not None and self.ends is not None and self.ends < self.starts:
            raise refuse("RS055", "it ends before it starts", "swap 'starts' and 'ends'", at=("ends",))
        if self.window is None and (self.ends is None or self.starts is None):
            message = "a budget needs a window in which it begins anew, or a first and a last day"
            raise refuse("RS055", message, "add 'window', or 'starts' and 'ends'")
        if self.window is not None and self.window.timezone == "contact":
            message = "a budget is everybody's, so its days are nobody's own"
            raise refuse("RS055", message, "use workspace or a time zone", at=("window", "timezone"))
        if self.every < _SHORTEST:
            message = "it is shared out too often to be counted well"
            raise refuse("RS055", message, "use 5m or more", at=("every",))
        names = [share.id for share in self.shares]
        for number, name in enumerate(names):
            if name in names[:number]:
                message, at = f"two shares are called '{name}'", ("shares", number, "id")
                raise refuse("RS042", message, "rename one of them", at=at)
        return self


class BudgetsFile(Head):
    """Budgets of money or messages."""

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
