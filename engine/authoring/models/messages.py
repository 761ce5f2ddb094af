"""Channels, contents, checks and word lists: what a message says and how it goes out."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from engine.authoring.models.fields import Condition, Date, Duration, Id, Items, Locale, Scalar
from engine.authoring.models.part import Head, Part, Unacted
from engine.authoring.models.refusing import refuse


class FromEnvironment(Part):
    """A value read from the environment where the channel is built, so that no secret stands in a file."""

    env: str = Field(
        title="环境变量",
        description="Name of the environment variable that holds the value.\n存放该值的环境变量名。",
        examples=["WAYLINE_SMTP_PASSWORD"],
        pattern="^[A-Za-z_][A-Za-z0-9_]*$",
        max_length=100,
    )
    default: Scalar | None = Field(
        None,
        title="默认值",
        description=(
            "Used when the variable is not set; never for secrets. Left out: the variable must be "
            "set.\n"
            "变量未设置时的值，切勿写密钥；不写则变量必须设置。"
        ),
        examples=["localhost"],
    )


def _is_reference(raw: Any) -> str:
    return "<env>" if isinstance(raw, dict | FromEnvironment) else "<value>"


Setting = Annotated[
    Annotated[Scalar, Tag("<value>")] | Annotated[FromEnvironment, Tag("<env>")], Discriminator(_is_reference)
]


class RateEntry(Part):
    """How fast a provider takes messages."""

    limit: int = Field(
        title="条数",
        description="How many messages the provider takes at most.\n服务商最多接受多少条。",
        ge=1,
        le=1_000_000,
        examples=[20],
    )
    per: Duration = Field(
        title="时间单位",
        description="In which time the limit holds; real time.\n在多长时间内（真实时间）。",
        examples=["1m"],
    )
    source: str = Field(
        title="来源",
        description="Where the provider says so: its page or the contract.\n出处：服务商页面或合同。",
        min_length=1,
        max_length=1000,
    )
    as_of: Date = Field(
        title="截至",
        description="The day on which the source was read.\n查阅来源的日期。",
        examples=["2026-03-01"],
    )


class RouteEntry(Part):
    """Contacts whose messages take another channel."""

    when: Condition = Field(
        title="条件",
        description=(
            "Whose; sees the contact's facts. The first that is true counts.\n"
            "哪些联系人；可用联系人事实，取第一个成立的。"
        ),
        examples=[{"contact.locale": "en"}],
    )
    to: Id = Field(
        title="改走",
        description="The channel that their messages take instead.\n他们的消息改走的渠道。",
        examples=["email"],
    )


class ChannelEntry(Part):
    """One way out: which plugin, whose addresses, which settings."""

    unacted: ClassVar[tuple[Unacted, ...]] = (
        Unacted("mirror", "no other channel takes its place; name a second one in the steps' 'channels'"),
        Unacted("rates", "messages go out as fast as they come"),
        Unacted("routes", "every contact's messages take the channel that the step names"),
    )

    id: Id = Field(
        title="编号",
        description=(
            "The channel's name, as `channels` of send steps use it.\n渠道编号，发送步骤的 channels 中使用。"
        ),
        examples=["email"],
    )
    plugin: Id = Field(
        title="插件",
        description=(
            "The plugin that sends, as email, webhook or file; `wayline plugins` lists them.\n"
            "负责发送的插件；用 wayline plugins 查看。"
        ),
        examples=["email"],
    )
    identity: Id = Field(
        title="身份平台",
        description=(
            "Whose addresses it writes to: one of `identities` in wayline.yaml.\n"
            "写给哪个平台的地址：wayline.yaml 中 identities 之一。"
        ),
        examples=["email"],
    )
    settings: dict[str, Setting] = Field(
        {},
        title="设置",
        description=(
            "The plugin's settings; a secret is written {env: NAME}. `wayline plugins` lists them.\n"
            "插件的设置；密钥写成 {env: 变量名}。"
        ),
        examples=[{"host": {"env": "WAYLINE_SMTP_HOST"}}],
    )
    mirror: Id | None = Field(
        None,
        title="镜像渠道",
        description="The channel that takes its place while a breaker holds it.\n被熔断时接替它的渠道。",
        examples=["email_backup"],
    )
    rates: Items[RateEntry] = Field(
        (),
        title="速率限制",
        description=(
            "How fast the provider takes messages; all of them hold.\n"
            "服务商接受消息的速度，所有限制同时有效。"
        ),
        examples=[[{"limit": 20, "per": "1m", "source": "平台文档", "as_of": "2026-03-01"}]],
    )
    routes: Items[RouteEntry] = Field(
        (),
        title="路由",
        description="Contacts whose messages take another channel instead.\n哪些联系人的消息改走其他渠道。",
        examples=[[{"when": {"contact.locale": "en"}, "to": "email"}]],
    )


class ChannelsFile(Head):
    """The ways out."""

    kind: Literal["channels"] = Field(
        title="种类",
        description="Always channels: this file holds ways out.\n固定写 channels：本文件定义渠道。",
    )
    channels: Items[ChannelEntry] = Field(
        title="渠道", description="The channels by which messages go out.\n消息发出的各个渠道。", min_length=1
    )


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
            "The message; {{ contact.… }}, {{ event.… }} and {{ journey.… }} are filled in.\n"
            "正文；{{ contact.… }}、{{ event.… }}、{{ journey.… }} 会被填入。"
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


class Variant(Part):
    """The same content, written for some channels."""

    channels: Items[Id] = Field(
        title="渠道",
        description="The channels that get this text.\n使用这份文字的渠道。",
        min_length=1,
        examples=[["sms"]],
    )
    locales: dict[Locale, Text] = Field(
        title="各语言",
        description="The text of this variant by language.\n该版本各语言的文字。",
        examples=[{"zh": {"body": "您好"}}],
        min_length=1,
    )


class ContentEntry(Part):
    """One message in all its languages."""

    unacted: ClassVar[tuple[Unacted, ...]] = (
        Unacted("variants", "every channel gets the text in 'locales'"),
    )

    id: Id = Field(
        title="编号",
        description="The content's name, as send steps use it.\n内容的编号，发送步骤中引用它。",
        examples=["welcome_hello"],
    )
    generator: Id = Field(
        "template",
        title="生成器",
        description=(
            "The plugin that makes the text; template (when left out) fills in variables.\n"
            "生成文字的插件；默认 template，负责填入变量。"
        ),
        examples=["template"],
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
        title="渠道版本",
        description=(
            "Other texts of the same content for some channels.\n同一内容为某些渠道准备的其他文字。"
        ),
    )


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
