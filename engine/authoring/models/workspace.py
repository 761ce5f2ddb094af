"""The workspace itself: its zone and languages, what it knows of contacts, and its lists of tasks."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import Country, Duration, Id, Items, Locale, Region
from engine.authoring.models.money import Currency, CurrencyEntry
from engine.authoring.models.part import Head, Part
from engine.authoring.models.refusing import refuse
from engine.authoring.models.worth import ContactValueEntry
from engine.authoring.models.zones import Zone


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


class MergingEntry(Part):
    """How it is noticed that two contacts are one person."""

    by: Items[Id] = Field(
        (),
        title="依据",
        description=(
            "Identities that one person has alone: an `identify` that names one beside another identity "
            "joins the two contacts. `anonymous` is the device, which joins who has no user id yet. "
            "Left out: only an `alias` or an operator joins contacts.\n"
            "哪些身份只属于一个人：identify 消息同时带有两位联系人的身份时据此合并；anonymous 为设备标识，"
            "仅合并尚无用户编号的联系人。不写则只由 alias 消息或人工合并。"
        ),
        examples=[["email", "anonymous"]],
        min_length=1,
    )
    at_most: int = Field(
        5,
        title="上限",
        description=(
            "How many contacts may become one by messages; more are rather several people who share "
            "something. 5 when left out.\n"
            "由消息最多把几位联系人合并为一位；再多往往是多人共用。默认 5。"
        ),
        ge=2,
        le=100,
        examples=[5],
    )


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
    merging: MergingEntry = Field(
        MergingEntry(),
        title="合并联系人",
        description=(
            "When two contacts are the same person. Left out: when an `alias` or an operator says so.\n"
            "何时视两位联系人为同一人；不写则仅由 alias 消息或人工确认。"
        ),
        examples=[{"by": ["email"], "at_most": 5}],
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
    contact_value: ContactValueEntry | None = Field(
        None,
        title="联系人价值",
        description=(
            "What contacts are worth beside each other: times the journey's priority and the content's value "
            "it decides whose message goes first where contacts compete, as for a budget. Left out: all the "
            "same.\n"
            "联系人之间的相对价值：乘以旅程优先级与内容价值，决定争用（如预算）时谁的消息先发；不写则人人相同。"
        ),
        examples=[{"cases": [{"when": {"contact.stage": "valued"}, "value": 3}]}],
    )
    currencies: dict[Currency, CurrencyEntry] = Field(
        {},
        title="货币",
        description=(
            "The currencies in which budgets, channels and contents state money.\n"
            "预算、渠道与内容用来表示金额的货币。"
        ),
        examples=[{"CNY": {"decimals": 2}}],
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
