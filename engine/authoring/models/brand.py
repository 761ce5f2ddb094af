"""The brand book: how we speak, which words we use, and what may be claimed with which proof."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import Date, Items, Wording
from engine.authoring.models.part import Head, Part
from engine.authoring.models.refusing import refuse


def _exempt_holds(exempt_when: tuple[str, ...], words: tuple[str, ...]) -> None:
    for number, longer in enumerate(exempt_when):
        if not any(word.casefold() in longer.casefold() for word in words):
            message = f"'{longer}' contains none of {', '.join(words)}, so it could never exempt anything"
            hint = "write the longer text with the word in it"
            raise refuse("RS055", message, hint, at=("exempt_when", number))


class PreferredEntry(Part):
    """A word of ours, and what people write instead of it."""

    write: str = Field(
        title="应写",
        description="The word as our texts should have it.\n推荐使用的写法。",
        min_length=1,
        max_length=200,
        examples=["会员"],
    )
    instead_of: Items[Wording] = Field(
        title="代替",
        description="The words that writers are to replace by it.\n应被替换掉的词。",
        min_length=1,
        examples=[["VIP客户", "老客户"]],
    )
    exempt_when: Items[Wording] = Field(
        (),
        title="豁免",
        description=(
            "Longer texts in which such a word is something else, and stays.\n"
            "包含被替换词但无需替换的更长文字。"
        ),
        examples=[["老客户回馈日"]],
    )

    @model_validator(mode="after")
    def _fits_together(self) -> PreferredEntry:
        for number, word in enumerate(self.instead_of):
            if word.casefold() in self.write.casefold():
                message = f"'{word}' stands in '{self.write}' itself, so what is right would be wrong"
                raise refuse("RS055", message, "name only what is wrong by itself", at=("instead_of", number))
        _exempt_holds(self.exempt_when, self.instead_of)
        return self


class BannedEntry(Part):
    """A word that does not appear in our messages."""

    word: Wording = Field(
        title="禁用词",
        description="The word or phrase that our messages do not use.\n我们的消息中不使用的词语。",
        min_length=1,
        max_length=200,
        examples=["亲"],
    )
    why: str = Field(
        "",
        title="原因",
        description="Why it is not ours, for whoever writes.\n为什么不用，写给撰稿人看。",
        examples=["过于随便"],
        max_length=500,
    )
    suggestion: str = Field(
        "",
        title="建议",
        description="What to write instead of it.\n建议改写成什么。",
        examples=["您"],
        max_length=500,
    )
    exempt_when: Items[Wording] = Field(
        (),
        title="豁免",
        description=(
            "Longer texts in which the word is something else: 父亲 for 亲.\n包含该词但无害的更长文字。"
        ),
        examples=[["父亲", "亲自"]],
    )

    @model_validator(mode="after")
    def _exemptions_hold_the_word(self) -> BannedEntry:
        _exempt_holds(self.exempt_when, (self.word,))
        return self


class ClaimEntry(Part):
    """A fact about us or a product that texts may claim."""

    claim: Wording = Field(
        title="可宣称事实",
        description=(
            "The fact, in the words in which it may be claimed.\n允许对外宣称的事实，按可使用的原话填写。"
        ),
        min_length=1,
        max_length=500,
        examples=["支持七天无理由退货"],
    )
    evidence: str = Field(
        title="依据",
        description="What proves it: a report, a page, a contract.\n能证明它的材料：报告、网页或合同。",
        examples=["售后政策 2026 版"],
        min_length=1,
        max_length=1000,
    )
    until: Date | None = Field(
        None,
        title="有效期至",
        description=(
            "Last day on which it may be claimed; without it, it may be claimed for good.\n"
            "可以宣称的最后一天；不写则长期有效。"
        ),
        examples=["2026-12-31"],
    )


class BrandFile(Head):
    """How the brand speaks; checks and generators keep to it. Several files make one book."""

    kind: Literal["brand"] = Field(
        title="种类", description="Always brand: this file is a brand book.\n固定写 brand：本文件是品牌手册。"
    )
    tone: Items[str] = Field(
        (),
        title="语气",
        description=(
            "How we sound, in a few words each, for people and for generators.\n我们的语气，用几个词概括。"
        ),
        examples=[["温和", "简短", "不夸张"]],
    )
    preferred: Items[PreferredEntry] = Field(
        (),
        title="推荐用词",
        description="Words to use, and those that they replace.\n推荐用词，以及它们替换的词。",
        examples=[[{"write": "会员", "instead_of": ["老客户"]}]],
    )
    banned: Items[BannedEntry] = Field(
        (),
        title="禁用词",
        description="Words that do not appear in our messages.\n消息中不应出现的词。",
        examples=[[{"word": "亲", "suggestion": "您"}]],
    )
    claims: Items[ClaimEntry] = Field(
        (),
        title="可宣称事实",
        description=(
            "What may be claimed; anything else that sounds like a fact is questioned.\n"
            "可以宣称的事实；其他像事实的说法会被质疑。"
        ),
    )
