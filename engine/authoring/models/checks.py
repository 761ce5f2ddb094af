"""Checks and their word lists: what a text must not say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import Date, Id, Items, Scalar
from engine.authoring.models.part import Head, Part
from engine.authoring.models.refusing import refuse


class CheckEntry(Part):
    """One check that every matching message must pass before it leaves."""

    id: Id = Field(
        title="编号",
        description="The check's name, as decisions cite it.\n检查的编号，决策记录中引用它。",
        examples=["ad_law"],
    )
    plugin: Id = Field(
        title="插件",
        description=(
            "The plugin that checks; `wayline plugins` lists them.\n执行检查的插件；用 wayline plugins 查看。"
        ),
        examples=["lexicon"],
    )
    lexicons: Items[Id] = Field(
        (),
        title="词库",
        description="Word lists that it goes by, by their id.\n检查所用词库的编号。",
        examples=[["ad_law_zh"]],
    )
    purposes: Items[Id] = Field(
        (),
        title="适用用途",
        description="Only messages of these purposes; empty: all.\n只检查这些用途的消息；不写则全部。",
        examples=[["marketing"]],
    )
    channels: Items[Id] = Field(
        (),
        title="适用渠道",
        description="Only messages on these channels; empty: all.\n只检查这些渠道的消息；不写则全部。",
        examples=[["sms"]],
    )
    settings: dict[str, Scalar] = Field(
        {},
        title="设置",
        description=(
            "The plugin's settings; `wayline plugins` lists them. Left out: its defaults.\n"
            "插件的设置；不写则用默认值。"
        ),
    )


class ChecksFile(Head):
    """Which checks run."""

    kind: Literal["checks"] = Field(
        title="种类",
        description=(
            "Always checks: this file says which checks run.\n固定写 checks：本文件定义要执行的检查。"
        ),
    )
    checks: Items[CheckEntry] = Field(
        title="检查",
        description="The checks, in the order in which they run.\n检查列表，按顺序执行。",
        min_length=1,
    )


class TermEntry(Part):
    """One word or phrase and what follows from it."""

    term: str = Field(
        title="词语",
        description="The word or phrase, in its normal writing.\n词或短语的标准写法。",
        examples=["最佳"],
        min_length=1,
        max_length=200,
    )
    severity: Literal["info", "warn", "block"] = Field(
        title="严重程度",
        description=(
            "block stops the message; warn and info are recorded with it.\n"
            "block 阻止发送；warn 和 info 只随消息记录。"
        ),
    )
    law: str = Field(
        "",
        title="依据",
        description=(
            "The law or platform rule behind it, for whoever reads the finding.\n所依据的法律或平台规则。"
        ),
        examples=["广告法第九条"],
        max_length=500,
    )
    suggestion: str = Field(
        "",
        title="建议",
        description="What to write instead, told with the finding.\n建议改写成什么，随检查结果提示。",
        examples=["优选"],
        max_length=500,
    )
    exempt_when: Items[str] = Field(
        (),
        title="豁免",
        description=(
            "Longer texts around the term that make it harmless: 最近 for 最.\n包含该词但无害的更长文字。"
        ),
        examples=[["最近"]],
    )

    @model_validator(mode="after")
    def _exemptions_hold_the_term(self) -> TermEntry:
        for number, longer in enumerate(self.exempt_when):
            if self.term.casefold() not in longer.casefold():
                message = f"'{longer}' does not contain '{self.term}', so it could never exempt it"
                raise refuse(
                    "RS055", message, "write the longer text with the term in it", at=("exempt_when", number)
                )
        return self


class LexiconFile(Head):
    """A word list that checks use; where it comes from and as of when is part of it."""

    kind: Literal["lexicon"] = Field(
        title="种类", description="Always lexicon: this file is a word list.\n固定写 lexicon：本文件是词库。"
    )
    source: str = Field(
        title="来源",
        description=(
            "Where the words come from: the law, the platform's page.\n词语的出处：法律或平台页面。"
        ),
        examples=["中华人民共和国广告法"],
        min_length=1,
        max_length=1000,
    )
    as_of: Date = Field(
        title="截至",
        description="The day on which the source was read, in quotes.\n查阅来源的日期，写在引号里。",
        examples=["2026-03-01"],
    )
    entries: Items[TermEntry] = Field(
        title="词条",
        description="The words, and what follows from each.\n词条，以及命中后的处理。",
        min_length=1,
    )
