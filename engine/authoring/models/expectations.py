"""What a test expects to come to pass."""

from __future__ import annotations

from pydantic import Field, model_validator

from engine.authoring.models.fields import ClockTime, Condition, Id, Texts
from engine.authoring.models.moments import MomentSpan
from engine.authoring.models.part import Part
from engine.authoring.models.refusing import refuse

_MESSAGE = {"at", "journey", "contact", "channel", "local_time"}
_ALLOWED = {
    "send": _MESSAGE | {"content", "contains"},
    "held": _MESSAGE | {"reason"},
    "not_sent": _MESSAGE | {"reason"},
    "task": {"at", "journey", "contact", "local_time", "queue"},
    "called": {"at", "journey", "contact", "local_time", "reason"},
    "entered": {"at", "contact", "local_time"},
    "not_entered": {"at", "contact", "reason"},
    "ended": {"at", "contact", "local_time", "reason"},
    "facts": {"at", "contact"},
}
"""What an entry expects -> the keys that may stand beside it."""


class ExpectEntry(Part):
    """One thing that must come to pass: a message, a task, a journey's beginning or end, or a fact."""

    at: MomentSpan | None = Field(
        None,
        title="时刻",
        description=(
            '31d after the start, a range "30d..31d", a day "2026-03-31" or a moment; to the minute.\n'
            "何时：开始后多久、一个范围、某一天或某一时刻，精确到分钟。"
        ),
    )
    send: Id | None = Field(
        None,
        title="发送",
        description="Id of the step whose message is sent.\n发出消息的步骤。",
        examples=["hello"],
    )
    held: Id | None = Field(
        None,
        title="暂缓",
        description=(
            "Step whose message has to wait, for instance for a cap.\n消息需要等待的步骤，例如因频次上限。"
        ),
        examples=["hello"],
    )
    not_sent: Id | None = Field(
        None,
        title="未发送",
        description="Step whose message comes to its end without being sent.\n消息最终没有发出的步骤。",
        examples=["hello"],
    )
    task: Id | None = Field(
        None,
        title="人工任务",
        description=(
            "Step that gives its task to a person. A task that is neither named here nor answered fails the "
            "test.\n"
            "交给人工的任务的步骤；既未在此写明又未回答的任务会使测试失败。"
        ),
        examples=["call_back"],
    )
    called: Id | None = Field(
        None,
        title="调用",
        description=(
            "Id of the step whose call comes to its end; 'reason' says how, as call.failed.\n"
            "调用结束的 call 步骤；reason 说明结果，例如 call.failed。"
        ),
        examples=["give_points"],
    )
    entered: Id | None = Field(
        None,
        title="进入旅程",
        description="Journey that takes the contact in.\n接收该联系人的旅程。",
        examples=["welcome"],
    )
    not_entered: Id | None = Field(
        None,
        title="未进入旅程",
        description="Journey that does not take the contact in.\n没有接收该联系人的旅程。",
        examples=["welcome"],
    )
    ended: Id | None = Field(
        None,
        title="旅程结束",
        description="Journey whose run comes to its end.\n结束的旅程。",
        examples=["welcome"],
    )
    facts: Condition | None = Field(
        None,
        title="事实",
        description=(
            "A condition on the contact that is true then; needs 'at'.\n届时应成立的联系人条件；须写 at。"
        ),
        examples=[{"contact.stage": "churned"}],
    )
    journey: Id | None = Field(
        None,
        title="旅程",
        description=(
            "Journey of the step, when several are tested together.\n步骤所属的旅程；同时测试多个旅程时填写。"
        ),
    )
    contact: Id | None = Field(
        None,
        title="联系人",
        description="Whose, when the test has several contacts.\n属于谁；测试有多位联系人时填写。",
    )
    channel: Id | None = Field(
        None,
        title="渠道",
        description="Channel by which the message goes; left out: any.\n消息所走的渠道；不写则不检查。",
        examples=["sms"],
    )
    queue: Id | None = Field(
        None,
        title="队列",
        description="Queue on which the task appears; left out: any.\n任务所在的队列；不写则不检查。",
        examples=["support"],
    )
    content: Id | None = Field(
        None,
        title="内容",
        description="Content that is sent; left out: any.\n发送的内容；不写则不检查。",
        examples=["welcome_hello"],
    )
    local_time: ClockTime | None = Field(
        None,
        title="当地时刻",
        description=(
            "Time on the contact's own clock, in quotes; left out: any.\n"
            "联系人当地的时刻，写在引号里；不写则不检查。"
        ),
        examples=["10:00"],
    )
    contains: Texts = Field(
        (),
        title="包含文字",
        description=(
            "Text that the message contains, in any of its parts; or a list.\n"
            "消息任意部分应包含的文字，可写一组。"
        ),
        examples=["优惠"],
    )
    reason: str | None = Field(
        None,
        title="原因",
        description=(
            "Reason code that the decision gives; left out: any.\n决策给出的原因代码；不写则不检查。"
        ),
        examples=["cap.full", "content.check_blocked", "run.goal"],
    )

    @property
    def kind(self) -> str:
        """Which of these it is."""
        return next(kind for kind in _ALLOWED if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _expects_one_thing(self) -> ExpectEntry:
        kinds = [kind for kind in _ALLOWED if getattr(self, kind) is not None]
        if not kinds:
            message = f"this expects nothing; name one of {', '.join(_ALLOWED)}"
            raise refuse("RS055", message, "as {at: 31d, send: benefit}")
        if len(kinds) > 1:
            message = f"'{kinds[0]}' and '{kinds[1]}' are two expectations"
            raise refuse("RS055", message, "begin each with '- ' on its own", at=(kinds[1],))
        kind = kinds[0]
        for key in sorted(self.model_fields_set - {kind} - _ALLOWED[kind]):
            fitting = ", ".join(sorted(_ALLOWED[kind]))
            message = f"'{key}' says nothing about '{kind}'"
            raise refuse("RS055", message, f"beside '{kind}' may stand {fitting}", at=(key,))
        if kind == "facts" and self.at is None:
            raise refuse("RS055", "facts change with time: say when", "add 'at: 31d'", at=("facts",))
        return self
