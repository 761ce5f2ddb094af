"""Global hold-outs: contacts who get nothing of a kind for a while, so that its effect can be measured."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import Date, Items, Share
from engine.authoring.models.part import Head, Part, Unacted
from engine.authoring.models.refusing import refuse
from engine.authoring.models.scope import ScopeEntry


class HoldOutEntry(Part):
    """Who is held out, of what, for how long."""

    share: Share = Field(
        title="留出比例",
        description=(
            "Share of contacts who are held out; the same ones as long as the seed stays.\n"
            "被留出的联系人比例；种子不变，留出的人就不变。"
        ),
        examples=["5%"],
    )
    of: ScopeEntry = Field(
        title="范围",
        description=(
            "Which messages they do not get; {} for all of them.\n他们收不到哪些消息；{} 表示全部。"
        ),
        examples=[{"purposes": ["marketing"]}],
    )
    seed: str = Field(
        title="种子",
        description=(
            "Any word; a new one draws the held-out contacts anew.\n任意一个词；换一个就重新抽取留出的人。"
        ),
        min_length=1,
        max_length=100,
        examples=["2026-h1"],
    )
    starts: Date = Field(
        title="开始日期",
        description="First day on which they are held out.\n开始留出的第一天。",
        examples=["2026-01-01"],
    )
    ends: Date = Field(
        title="结束日期",
        description="Last day; then everybody is written to again.\n最后一天；之后恢复向所有人发送。",
        examples=["2026-06-30"],
    )
    stratify_by: Items[str] = Field(
        (),
        title="分层",
        description=(
            "Facts of contacts by which the groups are balanced, three at most.\n"
            "用哪些联系人事实平衡各组，最多三个。"
        ),
        max_length=3,
        examples=[["contact.stage"]],
    )

    @model_validator(mode="after")
    def _lasts(self) -> HoldOutEntry:
        if self.ends < self.starts:
            raise refuse("RS055", "it ends before it starts", "swap 'starts' and 'ends'", at=("ends",))
        if self.share in {0, 1}:
            message = "a hold-out of nobody, or of everybody, measures nothing"
            raise refuse("RS055", message, "as 5%", at=("share",))
        return self


class ExperimentFile(Head):
    """A global hold-out."""

    unacted: ClassVar[tuple[Unacted, ...]] = (Unacted("", "nobody is held out"),)

    kind: Literal["experiment"] = Field(
        title="种类",
        description=(
            "Always experiment: a global hold-out. Tests within a journey are steps of it.\n"
            "固定写 experiment：全局留出；旅程内的实验写成步骤。"
        ),
    )
    hold_out: HoldOutEntry = Field(
        title="全局留出",
        description=(
            "The contacts who get nothing, of which messages, and for how long.\n"
            "留出哪些人、不发哪些消息、持续多久。"
        ),
        examples=[
            {
                "share": "5%",
                "of": {"purposes": ["marketing"]},
                "seed": "2026-h1",
                "starts": "2026-01-01",
                "ends": "2026-06-30",
            }
        ],
    )
