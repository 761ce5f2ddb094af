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
        description="Name of the environment variable.",
        pattern="^[A-Za-z_][A-Za-z0-9_]*$",
        max_length=100,
    )
    default: Scalar | None = Field(
        None, title="默认值", description="Used when the variable is not set; never for secrets."
    )


def _is_reference(raw: Any) -> str:
    return "<env>" if isinstance(raw, dict | FromEnvironment) else "<value>"


Setting = Annotated[
    Annotated[Scalar, Tag("<value>")] | Annotated[FromEnvironment, Tag("<env>")], Discriminator(_is_reference)
]


class RateEntry(Part):
    """How fast a provider takes messages."""

    limit: int = Field(
        title="条数", description="How many messages at most.", ge=1, le=1_000_000, examples=[20]
    )
    per: Duration = Field(title="每", description="In which time; real time.", examples=["1m"])
    source: str = Field(
        title="来源",
        description="Where the provider says so: its page or the contract.",
        min_length=1,
        max_length=1000,
    )
    as_of: Date = Field(title="截至", description="The day on which it was read.", examples=["2026-03-01"])


class RouteEntry(Part):
    """Contacts whose messages take another channel."""

    when: Condition = Field(
        title="条件",
        description="Whose; sees the contact's facts. The first that is true counts.",
        examples=[{"contact.locale": "en"}],
    )
    to: Id = Field(title="改走", description="The channel that their messages take.", examples=["email"])


class ChannelEntry(Part):
    """One way out: which plugin, whose addresses, which settings."""

    unacted: ClassVar[tuple[Unacted, ...]] = (
        Unacted("mirror", "no other channel takes its place; name a second one in the steps' 'channels'"),
        Unacted("rates", "messages go out as fast as they come"),
        Unacted("routes", "every contact's messages take the channel that the step names"),
    )

    id: Id = Field(
        title="编号",
        description="The channel's name, as `channels` of send steps use it.",
        examples=["email"],
    )
    plugin: Id = Field(
        title="插件",
        description="The plugin that sends, as email, webhook or file; `wayline plugins` lists them.",
        examples=["email"],
    )
    identity: Id = Field(
        title="身份平台",
        description="Whose addresses it writes to: one of `identities` in wayline.yaml.",
        examples=["email"],
    )
    settings: dict[str, Setting] = Field(
        {},
        title="设置",
        description="The plugin's settings; a secret is written {env: NAME}. `wayline plugins` lists them.",
        examples=[{"host": {"env": "WAYLINE_SMTP_HOST"}}],
    )
    mirror: Id | None = Field(
        None,
        title="镜像渠道",
        description="The channel that takes its place while a breaker holds it.",
        examples=["email_backup"],
    )
    rates: Items[RateEntry] = Field(
        (),
        title="速率限制",
        description="How fast the provider takes messages; all of them hold.",
        examples=[[{"limit": 20, "per": "1m", "source": "平台文档", "as_of": "2026-03-01"}]],
    )
    routes: Items[RouteEntry] = Field(
        (), title="路由", description="Contacts whose messages take another channel instead."
    )


class ChannelsFile(Head):
    """The ways out."""

    kind: Literal["channels"] = Field(title="种类", description="Always channels.")
    channels: Items[ChannelEntry] = Field(title="渠道", description="The channels.", min_length=1)


class Text(Part):
    """What a message says in one language."""

    subject: str = Field(
        "", title="主题", description="Subject or headline, for channels that have one.", max_length=500
    )
    body: str = Field(
        title="正文",
        description="The message; {{ contact.… }}, {{ event.… }} and {{ journey.… }} are filled in.",
        min_length=1,
    )
    call_to_action: str = Field(
        "", title="行动号召", description="The one thing to do next, as the text of a button.", max_length=500
    )


class Variant(Part):
    """The same content, written for some channels."""

    channels: Items[Id] = Field(
        title="渠道", description="The channels it is for.", min_length=1, examples=[["sms"]]
    )
    locales: dict[Locale, Text] = Field(title="各语言", description="The text by language.", min_length=1)


class ContentEntry(Part):
    """One message in all its languages."""

    unacted: ClassVar[tuple[Unacted, ...]] = (
        Unacted("variants", "every channel gets the text in 'locales'"),
    )

    id: Id = Field(title="编号", description="The content's name, as steps use it.")
    generator: Id = Field(
        "template", title="生成器", description="The plugin that makes the text; template fills in variables."
    )
    locales: dict[Locale, Text] = Field(
        title="各语言",
        description="The text by language; a contact gets its own, or else the workspace's first.",
        min_length=1,
        examples=[{"zh": {"body": "您好"}, "en": {"body": "Hello"}}],
    )
    variants: Items[Variant] = Field(
        (), title="渠道版本", description="Other texts of the same content for some channels."
    )


class ContentFile(Head):
    """Contents of messages."""

    kind: Literal["content"] = Field(title="种类", description="Always content.")
    contents: Items[ContentEntry] = Field(title="内容", description="The contents.", min_length=1)


class CheckEntry(Part):
    """One check that every matching message must pass before it leaves."""

    id: Id = Field(title="编号", description="The check's name, as decisions cite it.")
    plugin: Id = Field(title="插件", description="The plugin that checks, as lexicon.")
    lexicons: Items[Id] = Field((), title="词库", description="Word lists it uses.")
    purposes: Items[Id] = Field(
        (), title="适用用途", description="Only messages of these purposes; empty: all."
    )
    channels: Items[Id] = Field(
        (), title="适用渠道", description="Only messages on these channels; empty: all."
    )
    settings: dict[str, Scalar] = Field({}, title="设置", description="The plugin's settings.")


class ChecksFile(Head):
    """Which checks run."""

    kind: Literal["checks"] = Field(title="种类", description="Always checks.")
    checks: Items[CheckEntry] = Field(
        title="检查", description="The checks, in the order in which they run.", min_length=1
    )


class TermEntry(Part):
    """One word or phrase and what follows from it."""

    term: str = Field(
        title="词", description="The word or phrase, in its normal writing.", min_length=1, max_length=200
    )
    severity: Literal["info", "warn", "block"] = Field(
        title="严重程度", description="block stops the message; warn and info are recorded with it."
    )
    law: str = Field("", title="依据", description="The law or platform rule behind it.", max_length=500)
    suggestion: str = Field("", title="建议", description="What to write instead.", max_length=500)
    exempt_when: Items[str] = Field(
        (), title="豁免", description="Longer texts around the term that make it harmless: 最近 for 最."
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

    kind: Literal["lexicon"] = Field(title="种类", description="Always lexicon.")
    source: str = Field(
        title="来源",
        description="Where the words come from: the law, the platform's page.",
        min_length=1,
        max_length=1000,
    )
    as_of: Date = Field(title="截至", description='The day on which the source was read, as "2026-03-01".')
    entries: Items[TermEntry] = Field(title="词条", description="The words.", min_length=1)
