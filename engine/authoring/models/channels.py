"""Channels: the ways out, which plugin carries each, and its settings."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from engine.authoring.models.fields import Condition, Date, Duration, Id, Items, Scalar
from engine.authoring.models.money import Amount, Currency
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

    @model_validator(mode="after")
    def _is_no_cap(self) -> RateEntry:
        if self.per > timedelta(days=1):
            raise refuse("RS055", "a provider's rate is for a day at most", "use 1d or less", at=("per",))
        return self


class CircuitEntry(Part):
    """When a provider that keeps failing is left alone, and for how long."""

    failures: int = Field(
        title="连续失败",
        description=(
            "After how many failures in a row: no answer, a time-out, or 'come back later'.\n"
            "连续失败多少次之后：没有回答、超时或要求稍后再来。"
        ),
        ge=1,
        le=1000,
        examples=[5],
    )
    pause: Duration = Field(
        title="暂停",
        description=(
            "For how long, real time, before one message tries whether it is well again; an hour at most.\n"
            "暂停多久（真实时间）之后用一条消息试探是否恢复；最长一小时。"
        ),
        examples=["30s"],
    )

    @model_validator(mode="after")
    def _is_short(self) -> CircuitEntry:
        if self.pause > timedelta(hours=1):
            message = "a circuit is for minutes; what lasts longer is a breaker's business"
            raise refuse("RS055", message, "use at most 1h, or a breaker", at=("pause",))
        return self


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
    platform: Id | None = Field(
        None,
        title="平台规则",
        description=(
            "Whose rules its texts keep to: an entry of the rule book (kind: platforms). Left out: the entry "
            "called as the plugin is, where there is one.\n"
            "文字遵守哪个平台的规则：平台规则手册（kind: platforms）的条目；不写则采用与插件同名的条目。"
        ),
        examples=["sms"],
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
    account: Id | None = Field(
        None,
        title="服务商账户",
        description=(
            "The account at the provider, where several channels use the same: they share its rates and its "
            "circuit. Left out: the channel has one of its own.\n"
            "服务商处的账户；几个渠道共用同一账户时，速率与熔断合并计算。不写则各自独立。"
        ),
        examples=["aliyun_main"],
    )
    circuit: CircuitEntry | None = Field(
        None,
        title="短路保护",
        description=(
            "When the provider keeps failing: messages wait, or take the step's next channel, and one tries "
            "now and then. Left out: each message finds out for itself.\n"
            "服务商连续失败时：消息等待或改走步骤的下一个渠道，隔一段时间用一条试探；不写则每条消息各自尝试。"
        ),
        examples=[{"failures": 5, "pause": "30s"}],
    )
    costs: dict[Currency, Amount] = Field(
        {},
        title="成本",
        description=(
            "What one message on it costs, by currency; budgets of money pay it. Nothing when left out.\n"
            "该渠道每条消息的成本，按货币填写，由金额预算支付；不写则为零。"
        ),
        examples=[{"CNY": 0.05}],
    )
    rates: Items[RateEntry] = Field(
        (),
        title="速率限制",
        description=(
            "How fast the provider takes messages, from all processes together; all of them hold.\n"
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
