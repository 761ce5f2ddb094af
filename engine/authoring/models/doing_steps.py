"""Steps that do something and go on by what became of it: messages and calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from engine.authoring.models.fields import Duration, Id, Items, Scalar
from engine.authoring.models.part import Part

if TYPE_CHECKING:  # what steps hold is any step: `steps` knows all kinds and completes these models
    from engine.authoring.models.steps import Step

OutcomeName = Literal["sent", "capped", "blocked", "failed", "expired", "unknown"]


class SendStep(Part):
    """Send one message through the first channel that can; the run waits for the outcome."""

    send: Id = Field(
        title="发送",
        description=(
            "Name of this step, one of its kind in the journey; decisions and tests cite it.\n"
            "本步骤的编号，在旅程内唯一；决策记录与测试引用它。"
        ),
        examples=["hello"],
    )
    content: Id = Field(
        title="内容",
        description="Id of the content to send, as the content files name it.\n要发送的内容编号。",
        examples=["welcome_hello"],
    )
    channels: Items[Id] = Field(
        title="渠道",
        description="Channels in order; the first that can is used.\n按顺序尝试的渠道，用第一个可用的。",
        examples=[["wecom", "sms"]],
        min_length=1,
    )
    purpose: Id | None = Field(
        None,
        title="用途",
        description=(
            "Consent purpose of this message; left out: the journey's.\n本消息的同意用途；不写则用旅程的。"
        ),
        examples=["service"],
    )
    deadline: Duration | None = Field(
        None,
        title="时限",
        description=(
            "The message must leave within this time (real time), or it expires; left out: as long as "
            "its purpose allows.\n"
            "消息须在此时间内（真实时间）发出，否则过期；不写则以用途允许的时长为限。"
        ),
        examples=["20s"],
    )
    outcomes: dict[OutcomeName, Items[Step]] = Field(
        {},
        title="按结果",
        description=(
            "Steps after single outcomes; without any for it, the run simply goes on.\n"
            "按发送结果执行的步骤；没写的结果则直接继续。"
        ),
        examples=[{"failed": [{"stop": "give_up"}]}],
    )


class CallStep(Part):
    """Have a plugin do something, as giving points, and go on when it is done."""

    call: Id = Field(
        title="调用",
        description=(
            "Name of this step, one of its kind in the journey; decisions cite it.\n"
            "本步骤的编号，在旅程内唯一。"
        ),
        examples=["give_points"],
    )
    action: Id = Field(
        title="动作",
        description=(
            "What is to be done: the id of an action in a file of kind actions.\n"
            "要执行的动作编号，见 actions 文件。"
        ),
        examples=["crm_points"],
    )
    values: dict[Id, Scalar] = Field(
        {},
        title="参数",
        description="What the action is told, by name.\n传给动作的参数。",
        examples=[{"points": 50}],
    )
    results: dict[Id, Literal["text", "number", "boolean"]] = Field(
        {},
        title="结果",
        description=(
            "What of its answer is kept, and of which type; later conditions and texts read it as "
            "journey.results.<step>.<name>.\n"
            "保留动作返回的哪些值及其类型，之后写 journey.results.<步骤>.<名称> 读取。"
        ),
        examples=[{"balance": "number"}],
    )
    deadline: Duration | None = Field(
        None,
        title="时限",
        description=(
            "How long it may take in all, with repetitions (real time); left out: 1d.\n"
            "最多可用多久（真实时间，含重试）；不写则 1d。"
        ),
        examples=["10m"],
    )
    failed: Items[Step] = Field(
        (),
        title="失败时",
        description=(
            "Steps when it was not done, or nobody can tell; journey.calls.<step> says which. Left "
            "out: the run goes on.\n"
            "未完成或无法确认时执行的步骤，journey.calls.<步骤> 说明是哪种；不写则直接继续。"
        ),
    )
