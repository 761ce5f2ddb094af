"""Generators that ask somebody else for texts: which plugins, how they are set, whom they may be told of."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.authoring.models.channels import Setting
from engine.authoring.models.fields import Country, Date, Id, Items
from engine.authoring.models.money import Amount, Currency
from engine.authoring.models.part import Head, Part


class PriceEntry(Part):
    """What texts cost, and how much money a day may go for them."""

    currency: Currency = Field(
        title="货币",
        description=(
            "One of `currencies` in wayline.yaml; here it is counted in millionths.\n"
            "wayline.yaml 中 currencies 之一；此处按百万分之一计。"
        ),
        examples=["CNY"],
    )
    asked: Amount = Field(
        title="提问单价",
        description="For a million tokens that are asked.\n每百万提问（输入）令牌的价格。",
        examples=[0.8],
    )
    answered: Amount = Field(
        title="回答单价",
        description="For a million tokens that are answered.\n每百万回答（输出）令牌的价格。",
        examples=[2],
    )
    as_of: Date = Field(
        title="截至",
        description=(
            "The day on which the prices were read, in quotes; decisions cite it.\n"
            "查阅价格的日期，写在引号里；决策记录中引用它。"
        ),
        examples=["2026-11-22"],
    )
    a_day: Amount = Field(
        title="每日金额",
        description=(
            "Money it may cost in a day of the workspace's zone; when it is spent, contents are sent in "
            "their own texts.\n"
            "每天（工作区时区）最多花费的金额；用完后改发内容自带的文字。"
        ),
        examples=[20],
    )


class TransferEntry(Part):
    """Whose facts may be taken to where the generator is without a consent of its own, and why."""

    residents: Items[Country] = Field(
        title="居民",
        description="Countries whose residents it is about.\n适用于哪些国家的居民。",
        min_length=1,
        examples=[["DE"]],
    )
    ground: str = Field(
        title="依据",
        description=(
            "What the transfer rests on; decisions cite it.\n跨境提供所依据的文件或条款；决策记录中引用它。"
        ),
        min_length=1,
        max_length=200,
        examples=["standard contractual clauses of 2026-01"],
    )


class GeneratorEntry(Part):
    """One way to have texts written: which plugin, its settings, and its limits."""

    id: Id = Field(
        title="编号",
        description=(
            "The generator's name, as `generator` of contents uses it.\n生成器编号，内容的 generator 中使用。"
        ),
        examples=["copywriter"],
    )
    plugin: Id = Field(
        title="插件",
        description=(
            "The plugin that asks, as llm; `wayline plugins` lists them.\n"
            "负责请求的插件，如 llm；用 wayline plugins 查看。"
        ),
        examples=["llm"],
    )
    settings: dict[str, Setting] = Field(
        {},
        title="设置",
        description=(
            "The plugin's settings; a secret is written {env: NAME}. `wayline plugins` lists them.\n"
            "插件的设置；密钥写成 {env: 变量名}。"
        ),
        examples=[{"base_url": {"env": "LLM_URL"}, "model": "qwen-plus", "api_key": {"env": "LLM_KEY"}}],
    )
    residents: Items[Country] = Field(
        (),
        title="可告知的居民",
        description=(
            "Countries whose residents it may be told facts of: asking it hands their data over. Of others, "
            "and of people whose country is not known, it is told nothing, and they get the content's own "
            "text; left out: nobody's.\n"
            "可以把哪些国家居民的信息告知它（调用即为提供个人信息）。"
            "其他人或国家不明者不告知，改发内容自带的文字；不写则一律不告知。"
        ),
        examples=[["CN"]],
    )
    located: Country | None = Field(
        None,
        title="所在地",
        description=(
            "The country in which it reads what it is told. Facts of residents of another one are told only "
            "with their separate consent (purpose `cross_border`), or on a ground of `transfers`; left out: "
            "everybody lives in another one.\n"
            "它在哪个国家处理收到的信息。其他国家居民的信息，须本人单独同意（用途 cross_border）"
            "或有 transfers 中的依据才告知；不写则视为都在境外。"
        ),
        examples=["CN"],
    )
    transfers: Items[TransferEntry] = Field(
        (),
        title="跨境依据",
        description=(
            "Grounds on which facts cross the border without the contact's separate consent.\n"
            "无须本人单独同意即可跨境提供的依据。"
        ),
    )
    price: PriceEntry | None = Field(
        None,
        title="价格",
        description=(
            "What its texts cost, and the most a day; left out: money is not counted.\n"
            "文字的价格与每日最高金额；不写则不计金额。"
        ),
    )
    tokens_a_day: int = Field(
        title="每日令牌数",
        description=(
            "Tokens it may use in a day of the workspace's zone, asked and answered together; when they are "
            "spent, contents are sent in their own texts.\n"
            "每天（工作区时区）最多使用的令牌数，提问与回答合计；用完后改发内容自带的文字。"
        ),
        ge=1,
        le=10_000_000_000,
        examples=[200000],
    )


class GeneratorsFile(Head):
    """Who writes texts, beside the templates."""

    kind: Literal["generators"] = Field(
        title="种类",
        description=(
            "Always generators: this file says who writes texts.\n固定写 generators：本文件定义文字生成器。"
        ),
    )
    generators: Items[GeneratorEntry] = Field(
        title="生成器",
        description="The generators that contents may name.\n内容可以使用的生成器。",
        min_length=1,
    )
