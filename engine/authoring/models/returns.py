"""What comes back of what a budget spends, and how steady that has to be."""

from __future__ import annotations

from pydantic import Field, model_validator

from engine.authoring.models.fields import Duration, Id, Share
from engine.authoring.models.money import Amount, Currency
from engine.authoring.models.part import Part
from engine.authoring.models.refusing import refuse


class ReturnEntry(Part):
    """By which events a budget's spending comes back, and when a share is halted because that is unsteady."""

    event: Id = Field(
        title="回报事件",
        description=(
            "Type of event by which it comes back. Each counts for the latest message that this budget paid "
            "for the contact before it.\n"
            "体现回报的事件类型；每个事件归于此前由该预算支付的、发给该联系人的最近一条消息。"
        ),
        examples=["order_paid"],
    )
    amount: Id = Field(
        title="金额属性",
        description=(
            "Property of the event that says how much came back, a number.\n"
            "事件中表示回报金额的属性，须为数字。"
        ),
        examples=["amount"],
    )
    currency: Currency | None = Field(
        None,
        title="货币",
        description=(
            "Of the amounts: the budget's own when left out; needed with unit: messages.\n"
            "金额的货币：不写则与预算相同；unit: messages 时必填。"
        ),
        examples=["CNY"],
    )
    within: Duration = Field(
        title="归因时长",
        description=(
            "How long after a message an event still counts for it. A period is judged when that has passed "
            "since its end.\n"
            "消息发出后多久内的事件仍归于它；一个周期结束并再过这么久之后才评判。"
        ),
        examples=["7d"],
    )
    period: Duration = Field(
        title="周期",
        description=(
            "Into which the time is cut; what came back for one spent is reckoned for each. Several times "
            "`every`, and no longer than the budget's window.\n"
            "把时间切成多长的周期，逐期计算回报与支出之比；须为 every 的整数倍，且不长于预算窗口。"
        ),
        examples=["1d"],
    )
    periods: int = Field(
        title="期数",
        description=(
            "How many periods are judged together, the latest that say anything; with fewer nothing is "
            "halted.\n"
            "取最近多少个有效周期一起评判；不足时不暂停。"
        ),
        ge=3,
        le=100,
        examples=[7],
    )
    unstable_above: Share = Field(
        title="不稳定线",
        description=(
            "A share is halted when its return varies by more than this: the standard deviation over the "
            "periods, in parts of their mean.\n"
            "各期回报率的标准差与平均值之比超过此值时，暂停该份额。"
        ),
        examples=["12%"],
    )
    stable_below: Share | None = Field(
        None,
        title="恢复线",
        description=(
            "It goes on when its return varies by no more than this; `unstable_above` when left out. Else "
            "somebody lets it go on: `wayline budget resume`.\n"
            "波动不超过此值时自动恢复；默认同 unstable_above。也可由人恢复：wayline budget resume。"
        ),
        examples=["10%"],
    )
    least_spent: Amount | None = Field(
        None,
        title="最低支出",
        description=(
            "What a share has to spend in a period for it to say anything; any amount when left out.\n"
            "某份额在一个周期内至少花费多少，该周期才算有效；不写则只要有支出。"
        ),
        examples=[500],
    )

    @model_validator(mode="after")
    def _resumes_where_it_is_stable(self) -> ReturnEntry:
        if self.stable_below is not None and self.stable_below > self.unstable_above:
            message = "what is stable enough to go on would be halted at once"
            raise refuse("RS055", message, "use no more than 'unstable_above'", at=("stable_below",))
        return self
