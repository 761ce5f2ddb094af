"""The rule book of platforms: what each takes and shows of a text, with source and date."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import Date, Id, Items
from engine.authoring.models.part import Head, Part
from engine.authoring.models.refusing import refuse


class SourcedPart(Part):
    """Something that a platform's page says, where it is another page than the entry's."""

    source: str | None = Field(
        None,
        title="来源",
        description=(
            "Where this very rule stands; left out: where the whole entry is from.\n"
            "这一条规则的出处；不写则同整个条目。"
        ),
        min_length=1,
        max_length=1000,
        examples=["平台帮助中心"],
    )
    as_of: Date | None = Field(
        None,
        title="截至",
        description=(
            "The day on which that was read; left out: the entry's.\n查阅这一条的日期；不写则同整个条目。"
        ),
        examples=["2026-03-01"],
    )


class LengthEntry(SourcedPart):
    """How long one part of a message may be."""

    least: int = Field(
        0,
        title="最短",
        description=(
            "What a shorter text falls short of, as a warning; 0 when left out.\n少于该长度时提醒；默认 0。"
        ),
        ge=0,
        le=1_000_000,
        examples=[150],
    )
    most: int | None = Field(
        None,
        title="最长",
        description="What no text may exceed; left out: nothing is too long.\n最长多少；不写则不限。",
        ge=1,
        le=1_000_000,
        examples=[200],
    )
    unit: Literal["characters", "bytes", "utf16"] = Field(
        "characters",
        title="单位",
        description=(
            "What the platform counts: characters (when left out), bytes of UTF-8, or units of UTF-16.\n"
            "平台的计数单位：characters 字符（默认）、bytes UTF-8 字节、utf16 UTF-16 单元。"
        ),
    )
    beyond: Literal["warn", "block"] = Field(
        "block",
        title="超长时",
        description=(
            "What follows from a text that is too long: it is not sent (block, when left out), or the "
            "warning is recorded with it.\n"
            "超长时：block 不发送（默认），warn 只随消息记录提醒。"
        ),
    )

    @model_validator(mode="after")
    def _leaves_room(self) -> LengthEntry:
        if self.most is not None and self.least > self.most:
            message = f"no text has at least {self.least} and at most {self.most}"
            raise refuse("RS055", message, "make 'least' smaller than 'most'", at=("least",))
        if self.most is None and not self.least:
            raise refuse("RS055", "this limits nothing", "add 'most', or 'least'")
        if self.most is None and "beyond" in self.model_fields_set:
            raise refuse("RS055", "without 'most' nothing is too long", "add 'most'", at=("beyond",))
        return self


class LineEntry(Part):
    """A line that messages on this platform have."""

    text: str = Field(
        title="文字",
        description=(
            "What is said; it is added to messages that do not say it.\n要有的文字；消息里没有时自动加上。"
        ),
        min_length=1,
        max_length=500,
        examples=["拒收请回复R"],
    )
    at: Literal["first", "last"] = Field(
        "last",
        title="位置",
        description=(
            "Where it is added: first, ahead of the text, or last (when left out).\n"
            "加在哪里：first 开头，last 末尾（默认）。"
        ),
    )
    apart: bool = Field(
        True,
        title="单独一行",
        description=(
            "Whether on a line of its own: true when left out; false puts it directly beside the text.\n"
            "是否单独成行，默认 true；false 表示直接接在正文旁。"
        ),
    )
    others: Items[str] = Field(
        (),
        title="其他说法",
        description=(
            "Other wordings that will do: a message with one of them gets nothing added.\n"
            "也可以的其他说法：已有其中之一就不再添加。"
        ),
        min_length=1,
        examples=[["回复TD退订"]],
    )
    purposes: Items[Id] = Field(
        (),
        title="用途",
        description=(
            "Only in messages for these purposes; left out: in all.\n只加在这些用途的消息里；不写则全部。"
        ),
        min_length=1,
        examples=[["marketing"]],
    )


class FactEntry(SourcedPart):
    """A figure that people should know of and that no text can break."""

    name: Id = Field(
        title="名称",
        description="What is counted, for readers: images, links, kinds of messages.\n数的是什么，供人查阅。",
        examples=["images"],
    )
    value: str = Field(
        title="内容",
        description="The figure, or what is allowed, in words.\n数值，或允许的内容。",
        min_length=1,
        max_length=300,
        examples=["最多 9 张"],
    )


class PlatformEntry(Part):
    """What one platform takes and shows of a text."""

    id: Id = Field(
        title="编号",
        description=(
            "The platform's name. Channels name it with `platform`; without that, a channel keeps to the "
            "rules called as its plugin is.\n"
            "平台编号。渠道用 platform 引用它；不写则采用与其插件同名的规则。"
        ),
        examples=["sms"],
    )
    title: str = Field(
        title="名称",
        description="What people call the platform.\n平台的名称。",
        min_length=1,
        max_length=100,
        examples=["短信"],
    )
    source: str = Field(
        title="来源",
        description="Where the rules stand: the platform's page.\n规则的出处：平台页面。",
        min_length=1,
        max_length=1000,
        examples=["平台帮助中心"],
    )
    as_of: Date = Field(
        title="截至",
        description="The day on which the source was read.\n查阅来源的日期。",
        examples=["2026-03-01"],
    )
    basis: Literal["official", "third_party", "unverified"] = Field(
        title="依据",
        description=(
            "official: the platform's own page; third_party: somebody else's; unverified: as it is commonly "
            "known.\n"
            "official 平台官方页面；third_party 第三方；unverified 通行说法，未查到出处。"
        ),
    )
    check_again: Date | None = Field(
        None,
        title="复核日期",
        description=(
            "From this day on lint asks to look the rules up anew; left out: a year after 'as_of'.\n"
            "从这一天起 lint 会提醒复核；不写则为查阅一年之后。"
        ),
        examples=["2026-09-01"],
    )
    subject: LengthEntry | None = Field(
        None,
        title="主题长度",
        description="How long subjects may be; left out: as they are.\n主题的长度；不写则不限。",
        examples=[{"most": 64}],
    )
    body: LengthEntry | None = Field(
        None,
        title="正文长度",
        description=(
            "How long the text may be, with all that is added to it; left out: what the channel's plugin "
            "takes.\n"
            "正文的长度，包含自动添加的文字；不写则以渠道插件为准。"
        ),
        examples=[{"least": 150, "most": 200}],
    )
    call_to_action: LengthEntry | None = Field(
        None,
        title="行动号召长度",
        description="How long the text of a button may be; left out: as it is.\n按钮文字的长度；不写则不限。",
        examples=[{"most": 20}],
    )
    subject_as: Literal["subject", "first_line", "left_out"] = Field(
        "subject",
        title="主题放在哪里",
        description=(
            "Where the platform shows subjects: as such (when left out), as the text's first line, or "
            "nowhere.\n"
            "主题如何呈现：subject 单独显示（默认）、first_line 作为正文第一行、left_out 不显示。"
        ),
    )
    call_to_action_as: Literal["button", "last_line", "left_out"] = Field(
        "button",
        title="行动号召放在哪里",
        description=(
            "Where the platform shows calls to action: as a button (when left out), as the text's last line, "
            "or nowhere.\n"
            "行动号召如何呈现：button 按钮（默认）、last_line 作为正文最后一行、left_out 不显示。"
        ),
    )
    markup: Literal["kept", "markdown", "none"] = Field(
        "kept",
        title="标记",
        description=(
            "What the platform understands: kept (when left out) changes nothing, markdown takes HTML out, "
            "none takes out both; what links lead to stays.\n"
            "平台能显示的标记：kept 原样（默认）、markdown 去掉 HTML、none 两者都去掉；链接地址保留。"
        ),
    )
    links: Literal["anywhere", "own_line", "refused"] = Field(
        "anywhere",
        title="链接",
        description=(
            "Where links may stand: anywhere (when left out), on a line of their own, or refused.\n"
            "链接：anywhere 任意位置（默认）、own_line 单独成行、refused 不允许。"
        ),
    )
    emoji: Literal["kept", "left_out", "refused"] = Field(
        "kept",
        title="表情符号",
        description=(
            "kept (when left out), left_out of the text, or refused.\n"
            "表情符号：kept 保留（默认）、left_out 去掉、refused 不允许。"
        ),
    )
    lines: Items[LineEntry] = Field(
        (),
        title="必有的文字",
        description=(
            "Lines that messages have, as a signature or how to opt out; added in this order.\n"
            "消息必须带有的文字，如签名、退订方式；按顺序添加。"
        ),
        min_length=1,
        examples=[[{"text": "拒收请回复R", "purposes": ["marketing"]}]],
    )
    facts: Items[FactEntry] = Field(
        (),
        title="其他规定",
        description=(
            "What else the platform documents, for people: `wayline facts --platforms` lists it.\n"
            "平台的其他规定，供人查阅；wayline facts --platforms 会列出。"
        ),
        min_length=1,
        examples=[[{"name": "images", "value": "最多 9 张"}]],
    )

    @model_validator(mode="after")
    def _asks_for_what_it_shows(self) -> PlatformEntry:
        for part, place, shown in (
            ("subject", self.subject_as, "subject"),
            ("call_to_action", self.call_to_action_as, "button"),
        ):
            if getattr(self, part) is not None and place != shown:
                message = f"'{part}' has a length, and the platform shows none by itself"
                raise refuse("RS055", message, f"remove it, or '{part}_as'", at=(part,))
        if self.check_again is not None and self.check_again <= self.as_of:
            message = "this lies before the rules were read"
            raise refuse("RS055", message, "write a later day", at=("check_again",))
        return self


class PlatformsFile(Head):
    """The rule book of platforms."""

    kind: Literal["platforms"] = Field(
        title="种类",
        description=(
            "Always platforms: this file is a rule book of platforms.\n"
            "固定写 platforms：本文件是平台规则手册。"
        ),
    )
    platforms: Items[PlatformEntry] = Field(
        title="平台",
        description="The platforms, each with its rules.\n各平台及其规则。",
        min_length=1,
    )
