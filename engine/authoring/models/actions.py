"""Actions: what journeys can have plugins do, and how the plugins are set."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from engine.authoring.models.channels import Setting
from engine.authoring.models.fields import Id, Items
from engine.authoring.models.part import Head, Part


class ActionEntry(Part):
    """One thing that `call` steps can have done: which plugin does it, and its settings."""

    id: Id = Field(
        title="编号",
        description=(
            "The action's name, as `action` of call steps uses it.\n动作编号，call 步骤的 action 中使用。"
        ),
        examples=["crm_points"],
    )
    plugin: Id = Field(
        title="插件",
        description=(
            "The plugin that does it, as webhook_call; `wayline plugins` lists them.\n"
            "执行动作的插件；用 wayline plugins 查看。"
        ),
        examples=["webhook_call"],
    )
    identity: Id | None = Field(
        None,
        title="身份平台",
        description=(
            "The platform whose address of the contact the action is told, for what is done there, as with "
            "the tags of WeCom; a contact without one fails the step. Left out: it is told none.\n"
            "告知动作联系人在哪个平台上的地址，例如打企业微信标签；联系人没有该地址则步骤失败。不写则不告知。"
        ),
        examples=["wecom"],
    )
    settings: dict[str, Setting] = Field(
        {},
        title="设置",
        description=(
            "The plugin's settings; a secret is written {env: NAME}. `wayline plugins` lists them.\n"
            "插件的设置；密钥写成 {env: 变量名}。"
        ),
        examples=[{"url": {"env": "CRM_URL"}}],
    )


class ActionsFile(Head):
    """What journeys can have done outside Wayline."""

    kind: Literal["actions"] = Field(
        title="种类",
        description=(
            "Always actions: this file holds what steps can call.\n固定写 actions：本文件定义可调用的动作。"
        ),
    )
    actions: Items[ActionEntry] = Field(
        title="动作",
        description="The actions that call steps may name.\ncall 步骤可以调用的动作。",
        min_length=1,
    )
