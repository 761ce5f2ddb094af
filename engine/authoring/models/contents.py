"""Contents: the texts of messages, by language."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import Id, Items, Locale
from engine.authoring.models.money import Amount, Currency
from engine.authoring.models.part import Head, Part
from engine.authoring.models.refusing import refuse


class Text(Part):
    """What a message says in one language."""

    subject: str = Field(
        "",
        title="主题",
        description=(
            "Subject or headline, for channels that have one; left out: none.\n"
            "主题或标题，用于有标题的渠道；不写则没有。"
        ),
        examples=["欢迎加入"],
        max_length=500,
    )
    body: str = Field(
        title="正文",
        description=(
            "The message; {{ contact.… }}, {{ event.… }}, {{ journey.… }} and {{ links.… }} (unsubscribe, "
            "preferences, confirm) are filled in; {{ scripts.… }} puts in a piece of the script library.\n"
            "正文；{{ contact.… }}、{{ event.… }}、{{ journey.… }} 与 {{ links.… }}"
            "（unsubscribe 退订、preferences 偏好设置、confirm 确认同意）会被填入；"
            "{{ scripts.… }} 引用话术库中的一段。"
        ),
        examples=["您好 {{ contact.name }}"],
        min_length=1,
    )
    call_to_action: str = Field(
        "",
        title="行动号召",
        description=(
            "The one thing to do next, as the text of a button; left out: none.\n"
            "引导下一步的按钮文字；不写则没有。"
        ),
        examples=["立即查看"],
        max_length=500,
    )


class WritingEntry(Part):
    """What a generator is told that writes this content for each contact."""

    instructions: str = Field(
        title="写作要求",
        description=(
            "What to write, in plain words, as one would tell a colleague.\n"
            "用平实的话说明写什么，如同交代同事。"
        ),
        examples=["欢迎新客，提一句会员权益，不超过两句话。"],
        min_length=1,
        max_length=4000,
    )
    facts: Items[str] = Field(
        (),
        title="可告知的信息",
        description=(
            "The facts of the reader that are told, and no others: contact.…, event.… or journey.…; left "
            "out: none, and the text is about nobody.\n"
            "告知生成器的收信人信息，除此之外一概不给：contact.…、event.… 或 journey.…；"
            "不写则不告知任何信息。"
        ),
        examples=[["contact.nickname", "contact.city"]],
        max_length=30,
    )


class Variant(Part):
    """The same content, written for some channels, or for those who want nothing personal."""

    channels: Items[Id] = Field(
        (),
        title="渠道",
        description=(
            "The channels that get this text, in the languages in which it is written; left out: all.\n"
            "使用这份文字的渠道，未写的语言仍用内容本身的文字；不写则为全部。"
        ),
        min_length=1,
        examples=[["sms"]],
    )
    personal: bool = Field(
        True,
        title="个性化",
        description=(
            "false: the text for contacts who refused personalisation; it names no facts about anybody. true "
            "when left out.\n"
            "false：给关闭了个性化的联系人的文字，不得引用任何个人信息；默认 true。"
        ),
    )
    locales: dict[Locale, Text] = Field(
        title="各语言",
        description="The text of this variant by language.\n该版本各语言的文字。",
        examples=[{"zh": {"body": "您好"}}],
        min_length=1,
    )

    @model_validator(mode="after")
    def _differs_from_the_content(self) -> Variant:
        if self.personal and not self.channels:
            message = "this variant is for everybody, as the content itself is"
            raise refuse("RS055", message, "write 'personal: false', or name its channels")
        return self


class ContentEntry(Part):
    """One message in all its languages."""

    id: Id = Field(
        title="编号",
        description="The content's name, as send steps use it.\n内容的编号，发送步骤中引用它。",
        examples=["welcome_hello"],
    )
    generator: Id = Field(
        "template",
        title="生成器",
        description=(
            "Who makes the text: template (when left out) fills in variables; or one of a file of kind "
            "generators.\n"
            "由谁生成文字：默认 template，负责填入变量；也可写 generators 文件中的编号。"
        ),
        examples=["template"],
    )
    writing: WritingEntry | None = Field(
        None,
        title="写作",
        description=(
            "For a generator of a file of kind generators: what it writes and what it is told. The texts "
            "below are sent whenever it has none.\n"
            "用于 generators 文件中的生成器：写什么、告知什么。它没有写出时，发送下面的文字。"
        ),
        examples=[{"instructions": "欢迎新客，不超过两句话。", "facts": ["contact.nickname"]}],
    )
    value: float = Field(
        1.0,
        title="价值",
        description=(
            "What it is worth beside others, 1 when left out: where a cap looks ahead, the journey's "
            "priority times this decides who gets the last place.\n"
            "相对价值，默认 1；上限设有前瞻时，以旅程优先级乘以该值决定最后一个名额归谁。"
        ),
        gt=0,
        le=100,
        examples=[2.0],
    )
    costs: dict[Currency, Amount] = Field(
        {},
        title="成本",
        description=(
            "What it gives away, by currency: the worth of its coupon. Budgets of money pay it with every "
            "message; nothing when left out.\n"
            "它送出的价值（如优惠券面额），按货币填写；金额预算按条支付，不写则为零。"
        ),
        examples=[{"CNY": 20}],
    )
    locales: dict[Locale, Text] = Field(
        title="各语言",
        description=(
            "The text by language; a contact gets its own, or else the workspace's first.\n"
            "各语言的文字；联系人收到自己的语言，否则用工作区的第一种。"
        ),
        min_length=1,
        examples=[{"zh": {"body": "您好"}, "en": {"body": "Hello"}}],
    )
    variants: Items[Variant] = Field(
        (),
        title="版本",
        description=(
            "Other texts of the same content: for some channels, or for contacts who refused "
            "personalisation.\n"
            "同一内容的其他文字：用于某些渠道，或用于关闭了个性化的联系人。"
        ),
        examples=[[{"personal": False, "locales": {"zh": {"body": "新品上架"}}}]],
    )

    @model_validator(mode="after")
    def _one_text_for_each(self) -> ContentEntry:
        if self.writing is not None and self.generator == "template":
            message = "templates are filled in as they stand, and nobody reads these instructions"
            raise refuse("RS055", message, "name a generator, or remove 'writing'", at=("writing",))
        taken: set[tuple[bool, str]] = set()
        for number, variant in enumerate(self.variants):
            for place, channel in enumerate(variant.channels or ("",)):
                if (variant.personal, channel) in taken:
                    whom = "" if variant.personal else " for those who refused personalisation"
                    message = f"a second text{whom}" + (f" on '{channel}'" if channel else "")
                    at = ("variants", number, "channels", place) if channel else ("variants", number)
                    raise refuse("RS055", message, "keep one of them", at=at)
                taken.add((variant.personal, channel))
        return self


class ContentFile(Head):
    """Contents of messages."""

    kind: Literal["content"] = Field(
        title="种类",
        description=(
            "Always content: this file holds contents of messages.\n固定写 content：本文件定义消息内容。"
        ),
    )
    contents: Items[ContentEntry] = Field(
        title="内容",
        description="The contents that send steps can name.\n发送步骤可以引用的内容。",
        min_length=1,
    )
