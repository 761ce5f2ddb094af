"""Words by which people end messages to an address."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import Date, Id, Items
from engine.authoring.models.part import Head, Part
from engine.authoring.models.refusing import refuse
from engine.gate.opt_outs import LONGEST_WORD, plain


class OptOutEntry(Part):
    """Words that withdraw consent when somebody writes one of them, and nothing else."""

    id: Id = Field(
        title="编号",
        description="The list's name, as consents cite it.\n词表的编号，同意台账中引用它。",
        examples=["sms_en"],
    )
    words: Items[Annotated[str, Field(min_length=1, max_length=LONGEST_WORD)]] = Field(
        title="退订词",
        description=(
            "Each is a whole message; width, case, spaces and punctuation make no difference.\n"
            "整条消息就是这个词才算；全角半角、大小写、空格与标点不计。"
        ),
        examples=[["STOP", "退订"]],
        min_length=1,
    )
    identities: Items[Id] = Field(
        (),
        title="身份平台",
        description=(
            "Only in messages from addresses of these platforms; without it everywhere.\n"
            "只限从这些平台的地址发来的消息；不写则不限。"
        ),
        examples=[["phone"]],
    )
    source: str = Field(
        title="来源",
        description=(
            "Where the words stand: the law or the provider's page.\n这些词的出处：法律或服务商页面。"
        ),
        min_length=1,
        max_length=1000,
        examples=["twilio.com/docs/messaging"],
    )
    as_of: Date = Field(
        title="截至",
        description="The day on which the source was read.\n查阅来源的日期。",
        examples=["2026-03-01"],
    )

    @model_validator(mode="after")
    def _are_words(self) -> OptOutEntry:
        for number, word in enumerate(self.words):
            if not plain(word):
                message = f"'{word}' has no letter and no digit, so no message could be it"
                raise refuse("RS055", message, "remove it", at=("words", number))
        return self


class OptOutsFile(Head):
    """Lists of words by which people end messages."""

    kind: Literal["opt_outs"] = Field(
        title="种类",
        description=(
            "Always opt_outs: words by which people end messages.\n固定写 opt_outs：本文件定义退订词。"
        ),
    )
    opt_outs: Items[OptOutEntry] = Field(
        title="退订词",
        description=(
            "The lists. Who writes one of the words withdraws every consent for the channels that reach "
            "the address.\n"
            "退订词表；整条消息是其中一个词，即撤回发往该地址的各渠道的全部同意。"
        ),
        min_length=1,
    )
