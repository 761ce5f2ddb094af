"""Global hold-outs: contacts who get nothing of a kind for a while, so that its effect can be measured."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import Date, Share
from engine.authoring.models.part import Head, Part
from engine.authoring.models.refusing import refuse
from engine.authoring.models.scope import ScopeEntry


class HoldOutEntry(Part):
    """Who is held out, of what, for how long."""

    share: Share = Field(
        title="留出比例",
        description=(
            "Share of contacts who are held out; the same ones as long as the seed stays, and more of them "
            "when it grows.\n"
            "被留出的联系人比例；种子不变，留出的人就不变；比例增大时只增不换。"
        ),
        examples=["5%"],
    )
    of: ScopeEntry = Field(
        title="范围",
        description=(
            "Which marketing messages they do not get; {} for all of them. Transactional and legal ones "
            "reach everybody always.\n"
            "他们收不到哪些营销消息；{} 表示全部营销消息。交易类和法定类消息始终发送。"
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
        description=(
            "First day on which they are held out, in the workspace's time zone.\n"
            "开始留出的第一天（工作区时区）。"
        ),
        examples=["2026-01-01"],
    )
    ends: Date = Field(
        title="结束日期",
        description="Last day; then everybody is written to again.\n最后一天；之后恢复向所有人发送。",
        examples=["2026-06-30"],
    )

    @model_validator(mode="before")
    @classmethod
    def _is_drawn_from_the_seed_alone(cls, raw: Any) -> Any:
        if isinstance(raw, dict) and "stratify_by" in raw:
            message = (
                "a hold-out is not stratified: it is drawn from the seed alone, and people change stratum"
            )
            hint = "remove it, and compare within each stratum when the results are read"
            raise refuse("RS210", message, hint, at=("stratify_by",))
        return raw

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
