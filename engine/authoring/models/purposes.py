"""The purposes for which contacts may be written to, and what a consent to one has to be."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import Duration, Id, Items, Locale
from engine.authoring.models.part import Head, Part
from engine.authoring.models.refusing import refuse


class DoubleOptInEntry(Part):
    """That a consent counts only once it was confirmed by a link sent to the address."""

    within: Duration = Field(
        title="确认期限",
        description=(
            "How long a consent waits to be confirmed; it lapses then.\n等待确认的时长，逾期未确认即失效。"
        ),
        examples=["7d"],
    )
    channels: Items[Id] = Field(
        (),
        title="渠道",
        description=(
            "Channels on which a consent must be confirmed; left out: on all.\n"
            "须经确认的渠道；不写则为全部渠道。"
        ),
        examples=[["email"]],
        min_length=1,
    )


class ConsentEntry(Part):
    """What a consent to a purpose has to be, to count."""

    valid_for: Duration | None = Field(
        None,
        title="有效期",
        description=(
            "How long a consent counts; left out: until it is withdrawn.\n"
            "同意的有效时长；不写则直到撤回为止。"
        ),
        examples=["730d"],
    )
    honours: Items[str] | None = Field(
        None,
        title="仍有效的版本",
        description=(
            "Earlier versions of the notice whose consents still count; [] after a material change: none. "
            "Left out: all.\n"
            "仍承认其同意的早期告知书版本；告知书有实质变更时写 []，即旧同意全部失效；不写则全部承认。"
        ),
        examples=[["2025-06"]],
    )
    double_opt_in: DoubleOptInEntry | None = Field(
        None,
        title="二次确认",
        description=(
            "A consent counts only once it was confirmed by a link sent to the address; a journey that is "
            "entered by consent_pending sends it. Left out: it counts at once.\n"
            "同意须经发往该地址的链接确认后才生效，确认消息由以 consent_pending 进入的旅程发送；"
            "不写则立即生效。"
        ),
        examples=[{"within": "7d", "channels": ["email"]}],
    )


class PurposeEntry(Part):
    """One reason for which contacts may be written to."""

    id: Id = Field(
        title="编号",
        description=(
            "The purpose's name, as journeys and caps use it.\n用途的编号，旅程与频次上限中引用它。"
        ),
        examples=["marketing"],
    )
    title: str = Field(
        title="标题",
        description="What people read, also where they unsubscribe.\n用途名称，退订页上也会显示。",
        examples=["优惠与活动"],
        min_length=1,
        max_length=200,
    )
    version: str = Field(
        title="版本",
        description=(
            "Version of the notice people consent to, in quotes; recorded with every consent.\n"
            "所同意告知书的版本，写在引号里；随每次同意记录。"
        ),
        examples=["2026-03"],
        min_length=1,
        max_length=50,
    )
    kind: Literal["marketing", "transactional", "legal"] = Field(
        title="性质",
        description=(
            "marketing needs consent and obeys caps; transactional and legal are exempt from caps. A "
            "refusal still stops transactional, never legal.\n"
            "marketing 须同意并受频次限制；transactional、legal 不受限；明确拒绝可阻止 transactional，"
            "但不能阻止 legal。"
        ),
    )
    max_hold: Duration = Field(
        title="最长等待",
        description=(
            "How long a message may be held back before it expires.\n消息最多可被扣住多久，之后过期。"
        ),
        examples=["3d"],
    )
    repeat_unknown: bool = Field(
        False,
        title="未知时重发",
        description=(
            "true: a message of unknown fate is sent again and may arrive twice; never marketing. "
            "false when left out.\n"
            "true：发送结果不明时重发，可能重复；营销不可用。默认 false。"
        ),
    )

    titles: dict[Locale, str] = Field(
        {},
        title="各语言标题",
        description=(
            "The title in other languages, for the page where people choose.\n"
            "其他语言的名称，用于偏好设置页。"
        ),
        examples=[{"en": "Offers and news"}],
    )
    consent: ConsentEntry | None = Field(
        None,
        title="同意要求",
        description=(
            "What a consent has to be, to count; only for marketing. Left out: any counts until it is "
            "withdrawn.\n"
            "同意须满足的条件，仅限 marketing；不写则同意在撤回前一直有效。"
        ),
        examples=[{"valid_for": "730d"}],
    )

    @model_validator(mode="after")
    def _only_marketing_rests_on_consent(self) -> PurposeEntry:
        if self.consent is not None and self.kind != "marketing":
            message = f"{self.kind} does not rest on consent, so it says nothing of it"
            raise refuse("RS055", message, "remove it, or make the purpose marketing", at=("consent",))
        return self

    @model_validator(mode="after")
    def _marketing_is_never_repeated(self) -> PurposeEntry:
        if self.repeat_unknown and self.kind == "marketing":
            message = "marketing is never repeated when its fate is unknown"
            raise refuse("RS055", message, "set it to false, or use another kind", at=("repeat_unknown",))
        return self


class PurposesFile(Head):
    """The consent purposes of the workspace."""

    kind: Literal["purposes"] = Field(
        title="种类",
        description=(
            "Always purposes: this file holds consent purposes.\n固定写 purposes：本文件定义同意用途。"
        ),
    )
    purposes: Items[PurposeEntry] = Field(
        title="用途",
        description="The purposes for which contacts may be written to.\n可以联系客户的各种用途。",
        min_length=1,
    )
