"""The workspace itself, its consent purposes, its event types and its tags."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from pydantic import Field, model_validator

from engine.authoring.models.counts import CountEntry
from engine.authoring.models.fields import Condition, Country, Duration, Id, Items, Locale, Region, Zone
from engine.authoring.models.part import Head, Part
from engine.authoring.models.profile import ClassEntry, ScoreEntry
from engine.authoring.models.refusing import refuse


class Attribute(Part):
    """A fact about contacts that the workspace itself declares."""

    type: Literal["text", "number", "boolean", "instant", "labels"] = Field(
        title="类型",
        description=(
            "Its values: text, number, boolean, instant (a moment) or labels (a set of words).\n"
            "值的类型：text 文本、number 数字、boolean 布尔、instant 时刻、labels 一组词。"
        ),
    )
    title: str = Field(
        "",
        title="标题",
        description=(
            "What people read in lists; left out, they read its name.\n列表中显示的名称；不写则显示属性名。"
        ),
        examples=["城市"],
        max_length=200,
    )
    choices: Items[str] = Field(
        (),
        title="可选值",
        description=(
            "The values that conditions may ask for, when the set is closed; only for text. Left out: "
            "any.\n"
            "条件中允许的取值（仅限文本）；不写则不限。"
        ),
        examples=[["上海", "北京"]],
    )

    @model_validator(mode="after")
    def _choices_are_for_text(self) -> Attribute:
        if self.choices and self.type != "text":
            raise refuse(
                "RS055", "only an attribute of type text has choices", "remove 'choices'", at=("choices",)
            )
        return self


PHONES = ("phone", "sms", "whatsapp")
"""Platforms that are phone numbers in a workspace that does not say which are."""


class NumberPlatform(Part):
    """An identity platform whose addresses are phone numbers."""

    country: Country | None = Field(
        None,
        title="默认国家",
        description=(
            "Whose numbers those without + are, as CN; left out: such numbers are kept as their digits "
            "and tell no time zone.\n"
            "不带 + 的号码属于哪个国家，如 CN；不写则只按数字保存，也无法得知时区。"
        ),
        examples=["CN"],
    )


class Queue(Part):
    """A list of tasks that people of one team work off."""

    title: str = Field(
        title="标题",
        description="What people read above the list.\n列表上方显示的名称。",
        min_length=1,
        max_length=200,
        examples=["客服"],
    )


class ResidenceEntry(Part):
    """How it is known in which country a contact lives; some rules hold only there."""

    attribute: Id | None = Field(
        None,
        title="属性",
        description=(
            "The attribute, of type text, that holds it: CN, US or US-FL. Without a value the countries of "
            "their phone numbers count.\n"
            "存放国家或地区代码的文本属性：CN、US 或 US-FL；没有值则按电话号码所属国家。"
        ),
        examples=["country"],
    )
    otherwise: Region | None = Field(
        None,
        title="未知时",
        description=(
            "Where contacts are taken to live of whom it is not known; left out, the rules of all countries "
            "hold for them.\n"
            "居住地未知的联系人按哪里算；不写则各国规则对他们全部有效。"
        ),
        examples=["CN"],
    )

    @model_validator(mode="after")
    def _says_something(self) -> ResidenceEntry:
        if self.attribute is None and self.otherwise is None:
            raise refuse("RS055", "this says nothing", "add 'attribute' or 'otherwise', or remove it")
        return self


class WorkspaceFile(Head):
    """wayline.yaml: what holds for the whole workspace."""

    kind: Literal["workspace"] = Field(
        title="种类",
        description="Always workspace, in the file wayline.yaml.\n固定写 workspace：即文件 wayline.yaml。",
    )
    timezone: Zone = Field(
        title="时区",
        description=(
            "IANA time zone used for contacts whose own is not known, neither stated nor from their device "
            "or phone number.\n联系人时区未知（未声明，也无法由设备或电话号码得知）时使用的时区。"
        ),
    )
    locales: Items[Locale] = Field(
        title="语言",
        description=(
            "Languages of the contents, as zh or en; the first is the default.\n"
            "内容使用的语言，第一种为默认。"
        ),
        examples=[["zh", "en"]],
        min_length=1,
    )
    identities: Items[Id] = Field(
        title="身份平台",
        description=(
            "Platforms on which contacts have addresses, as email or wecom.\n联系人拥有地址的平台。"
        ),
        examples=[["email", "wecom"]],
        min_length=1,
    )
    numbers: dict[Id, NumberPlatform] = Field(
        {},
        title="电话号码平台",
        description=(
            "Which identities are phone numbers: they are written one way, and tell the time zone of "
            "contacts who have stated none. Left out: those called phone, sms or whatsapp.\n"
            "哪些身份平台的地址是电话号码：统一写法，并为未声明时区的联系人推断时区；不写则为名为 phone、"
            "sms、whatsapp 的平台。"
        ),
        examples=[{"sms": {"country": "CN"}}],
    )
    attributes: dict[Id, Attribute] = Field(
        {},
        title="联系人属性",
        description=(
            "Facts about contacts beyond the built-in ones; conditions name them contact.<name>.\n"
            "内置之外的联系人事实；条件中写 contact.<名称>。"
        ),
        examples=[{"city": {"type": "text", "choices": ["上海", "北京"]}}],
    )
    residence: ResidenceEntry | None = Field(
        None,
        title="居住地",
        description=(
            "How it is known where a contact lives, for quiet hours with `countries`. Left out: it is not "
            "known, and the rules of all countries hold.\n"
            "如何得知联系人的居住地，用于限定 countries 的免打扰规则；不写则视为未知，各国规则全部有效。"
        ),
        examples=[{"attribute": "country", "otherwise": "CN"}],
    )
    queues: dict[Id, Queue] = Field(
        {},
        title="任务队列",
        description=(
            "Lists of tasks for people; `ask` steps and reviews name them.\n"
            "供人处理的任务列表；ask 步骤与审核引用它。"
        ),
        examples=[{"support": {"title": "客服"}}],
    )
    late_after: Duration = Field(
        timedelta(days=7),
        title="迟到界限",
        description=(
            "An event that happened longer ago than this is counted but starts no journey; 7d when "
            "left out.\n"
            "早于此时长的事件仍计入统计，但不再触发旅程；默认 7d。"
        ),
        examples=["7d"],
    )
    ahead_by: Duration = Field(
        timedelta(days=1),
        title="超前界限",
        description=(
            "How far a sender's clock may run ahead; later events become dead letters. 1d when left "
            "out.\n"
            "发送方时钟最多可超前多久，再晚的事件进入死信；默认 1d。"
        ),
        examples=["1d"],
    )


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


class EventEntry(Part):
    """One type of event: what it is called and which properties it carries."""

    id: Id = Field(
        title="编号",
        description=(
            "The type's name, as senders and journeys use it.\n事件类型的编号，发送方与旅程使用它。"
        ),
        examples=["order_paid"],
    )
    title: str = Field(
        title="标题",
        description="What people read in lists of events.\n事件列表中显示的名称。",
        examples=["支付订单"],
        min_length=1,
        max_length=200,
    )
    schema_: dict[str, Any] = Field(
        {},
        alias="schema",
        title="属性结构",
        description=(
            "JSON Schema of the properties; events that do not fit become dead letters. Left out: any "
            "properties.\n"
            "属性的 JSON Schema；不符合的事件进入死信，不写则不限。"
        ),
        examples=[{"type": "object", "properties": {"amount": {"type": "number"}}}],
    )
    effect: Literal["order", "consent_granted", "consent_denied", "consent_withdrawn", "deleted"] | None = (
        Field(
            None,
            title="系统效果",
            description=(
                "What the engine itself does with it: order counts an order and adds its `amount`; "
                "consent_granted, consent_denied and consent_withdrawn write the consent ledger; deleted "
                "stops all messages and ends what is under way.\n"
                "系统处理：order 计入订单及 amount；"
                "consent_granted、consent_denied、consent_withdrawn 记入同意台账；"
                "deleted 停发一切消息并结束进行中的旅程。不写则无。"
            ),
        )
    )
    counts_as_activity: bool = Field(
        True,
        title="算作活跃",
        description=(
            "Whether it shows that the contact did something (moves contact.last_active_at); true "
            "when left out.\n"
            "是否表示联系人有所行动（更新最近活跃时间）；默认 true。"
        ),
    )


class EventsFile(Head):
    """Event types."""

    kind: Literal["events"] = Field(
        title="种类",
        description="Always events: this file holds event types.\n固定写 events：本文件定义事件类型。",
    )
    events: Items[EventEntry] = Field(
        title="事件类型",
        description="The event types; others become dead letters.\n事件类型列表；未列出的进入死信。",
        min_length=1,
    )


class TagEntry(Part):
    """A tag that a contact carries exactly while a condition is true."""

    tag: str = Field(
        title="标签",
        description="The tag that contacts carry, in any language.\n标签，可用任何语言。",
        examples=["高价值"],
        min_length=1,
        max_length=64,
    )
    level: Literal["basic", "behaviour", "value"] = Field(
        title="层级",
        description=(
            "basic (who it is), behaviour (what it does) or value (what it is worth).\n"
            "层级：basic 基础属性、behaviour 行为、value 价值。"
        ),
    )
    when: Condition = Field(
        title="条件",
        description=(
            "Who carries it, exactly as long as this is true; sees the contact's facts.\n"
            "谁带此标签（条件成立期间）；可用联系人事实。"
        ),
        examples=[{"contact.total_spent": {"gte": 5000}}],
    )


class TagsFile(Head):
    """What Wayline computes of every contact, in this order: counts, scores, classes, tags."""

    kind: Literal["tags"] = Field(
        title="种类",
        description=(
            "Always tags: what is computed of every contact.\n固定写 tags：本文件定义为每位联系人计算的内容。"
        ),
    )
    counts: Items[CountEntry] = Field(
        (),
        title="窗口统计",
        description=(
            "Numbers over a moving window, asked for as contact.<id>.\n"
            "滑动窗口内的统计数，条件中写 contact.<编号>。"
        ),
        examples=[[{"id": "orders_90d", "of": {"event": "order_paid"}, "within": "90d"}]],
        min_length=1,
    )
    scores: Items[ScoreEntry] = Field(
        (),
        title="评分",
        description="Scores from 1 to 5, as for RFM.\n1 到 5 的评分，例如 RFM。",
        min_length=1,
    )
    classes: Items[ClassEntry] = Field(
        (),
        title="分类",
        description=(
            "Divisions of all contacts, as by activity; stage is the life-cycle stage.\n"
            "对全体联系人的划分，如活跃度；stage 为生命周期阶段。"
        ),
        min_length=1,
    )
    tags: Items[TagEntry] = Field(
        (),
        title="标签",
        description=(
            "Tags that follow from facts; they come and go by themselves.\n由事实产生的标签，会自动增减。"
        ),
        min_length=1,
    )

    @model_validator(mode="after")
    def _computes_something(self) -> TagsFile:
        if not (self.counts or self.scores or self.classes or self.tags):
            raise refuse("RS004", "'tags' is missing", "tags: Tags that follow from facts.")
        return self
