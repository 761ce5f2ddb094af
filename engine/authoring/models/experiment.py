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
        description="Share of contacts who are held out; the same ones as long as the seed stays.",
        examples=["5%"],
    )
    of: ScopeEntry = Field(
        title="范围", description="Which messages they do not get.", examples=[{"purposes": ["marketing"]}]
    )
    seed: str = Field(
        title="种子",
        description="Any word; a new one draws the held-out contacts anew.",
        min_length=1,
        max_length=100,
        examples=["2026-h1"],
    )
    starts: Date = Field(title="开始日期", description="First day.", examples=["2026-01-01"])
    ends: Date = Field(
        title="结束日期", description="Last day; then everybody is written to again.", examples=["2026-06-30"]
    )
    stratify_by: Items[str] = Field(
        (),
        title="分层",
        description="Facts of contacts by which the groups are balanced.",
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
        description="Always experiment: a global hold-out. Tests within a journey are steps of it.",
    )
    hold_out: HoldOutEntry = Field(
        title="全局留出",
        description="The contacts who get nothing, of which messages, and for how long.",
        examples=[{"share": "5%", "of": {"purposes": ["marketing"]}, "seed": "h1"}],
    )
