"""Someone a test is about."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from engine.authoring.models.fields import Id, Items, Locale
from engine.authoring.models.part import Part
from engine.authoring.models.zones import Zone


class PersonEntry(Part):
    """Someone the test is about, as they stand when it starts."""

    consents: Items[Id] = Field(
        (),
        title="已同意的用途",
        description=(
            "Purposes consented to, on every channel, before the start.\n测试开始前已同意的用途（所有渠道）。"
        ),
        examples=[["marketing"]],
    )
    identities: dict[Id, str] = Field(
        {},
        title="身份",
        description="Address by platform; any made-up address will do.\n各平台上的地址，可以随意编造。",
        examples=[{"wecom": "ext_1"}],
    )
    timezone: Zone | None = Field(
        None,
        title="时区",
        description="IANA time zone; the workspace's when not said.\n联系人的时区；不写则用工作区的。",
    )
    locale: Locale | None = Field(
        None,
        title="语言",
        description=(
            "Language of the contact; the workspace's first when not said.\n"
            "联系人的语言；不写则用工作区的第一种。"
        ),
    )
    tags: Items[str] = Field(
        (),
        title="标签",
        description=(
            "Tags set by hand; those that follow from rules follow by themselves.\n"
            "手工打的标签；由规则产生的会自动出现。"
        ),
        examples=[["vip"]],
    )
    attributes: dict[str, Any] = Field(
        {},
        title="属性",
        description="Values of the attributes that wayline.yaml declares.\nwayline.yaml 中声明的属性的值。",
        examples=[{"city": "上海"}],
    )
    arms: dict[Id, Id] = Field(
        {},
        title="实验分组",
        description=(
            "Arm by experiment step, as if given earlier; without it the hash of the contact's name in "
            "the test decides.\n"
            "各实验步骤中所在的组，如同之前已分好；不写则由测试中联系人名字的哈希决定。"
        ),
        examples=[{"subject_line": "short"}],
    )
    held_out: Items[Id] = Field(
        (),
        title="全局留出",
        description=(
            "Hold-outs the contact belongs to; in tests nobody else is held out.\n"
            "该联系人属于哪些全局留出；测试中其他人都不被留出。"
        ),
        examples=[["global_2026"]],
    )
