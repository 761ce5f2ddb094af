"""The brand book: how we speak, which words we use, and what may be claimed with which proof."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from engine.authoring.models.fields import Date, Items
from engine.authoring.models.part import Head, Part, Unacted


class PreferredEntry(Part):
    """A word of ours, and what people write instead of it."""

    write: str = Field(
        title="应写", description="The word as it should be.", min_length=1, max_length=200, examples=["会员"]
    )
    instead_of: Items[str] = Field(
        title="代替", description="The words it replaces.", min_length=1, examples=[["VIP客户", "老客户"]]
    )


class BannedEntry(Part):
    """A word that does not appear in our messages."""

    word: str = Field(
        title="禁用词", description="The word or phrase.", min_length=1, max_length=200, examples=["亲"]
    )
    why: str = Field("", title="原因", description="Why it is not ours, for whoever writes.", max_length=500)
    suggestion: str = Field("", title="建议", description="What to write instead.", max_length=500)


class ClaimEntry(Part):
    """A fact about us or a product that texts may claim."""

    claim: str = Field(
        title="可宣称事实",
        description="The fact, in the words in which it may be claimed.",
        min_length=1,
        max_length=500,
        examples=["支持七天无理由退货"],
    )
    evidence: str = Field(
        title="依据",
        description="What proves it: a report, a page, a contract.",
        min_length=1,
        max_length=1000,
    )
    until: Date | None = Field(
        None, title="有效期至", description="Last day on which it may be claimed.", examples=["2026-12-31"]
    )


class BrandFile(Head):
    """How the brand speaks; checks and generators are to keep to it."""

    unacted: ClassVar[tuple[Unacted, ...]] = (Unacted("", "no check and no generator reads it"),)

    kind: Literal["brand"] = Field(title="种类", description="Always brand: this file is a brand book.")
    tone: Items[str] = Field(
        (),
        title="语气",
        description="How we sound, in a few words each, for people and for generators.",
        examples=[["温和", "简短", "不夸张"]],
    )
    preferred: Items[PreferredEntry] = Field(
        (), title="推荐用词", description="Words to use, and those they replace."
    )
    banned: Items[BannedEntry] = Field((), title="禁用词", description="Words that do not appear.")
    claims: Items[ClaimEntry] = Field(
        (),
        title="可宣称事实",
        description="What may be claimed; anything else that sounds like a fact is questioned.",
    )
