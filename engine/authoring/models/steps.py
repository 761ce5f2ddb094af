"""The steps of a journey. Each is written `<kind>: <id>` and then its settings."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from engine.authoring.models.fields import ClockTime, Condition, Duration, Id, Items, OneOrMore, Scalar
from engine.authoring.models.limits import Weekday
from engine.authoring.models.part import Part, Unacted
from engine.authoring.models.refusing import refuse

OutcomeName = Literal["sent", "capped", "blocked", "failed", "expired", "unknown"]


class SendStep(Part):
    """Send one message through the first channel that can; the run waits for the outcome."""

    send: Id = Field(title="发送", description="Id of this step.")
    content: Id = Field(title="内容", description="Id of the content to send.")
    channels: Items[Id] = Field(
        title="渠道", description="Channels in order; the first that can is used.", min_length=1
    )
    purpose: Id | None = Field(
        None, title="用途", description="Consent purpose, when it is not the journey's."
    )
    deadline: Duration | None = Field(
        None, title="时限", description="The message must leave within this time (real time), or it expires."
    )
    outcomes: dict[OutcomeName, Items[Step]] = Field(
        {}, title="按结果", description="Steps for single outcomes; otherwise the run simply goes on."
    )


class WaitStep(Part):
    """Wait for a time; the parts apply in the order for, days, at, weekdays, calendar."""

    wait: Id = Field(title="等待", description="Id of this step.")
    for_: Duration | None = Field(
        None, alias="for", title="时长", description="Exact time, as 1d for 24 hours."
    )
    days: int | None = Field(None, title="天数", description="Calendar days; 1 is tomorrow.", ge=1, le=3650)
    at: ClockTime | None = Field(
        None, title="时刻", description='Then the first such time on the contact\'s own clock, as "10:00".'
    )
    weekdays: Items[Weekday] = Field((), title="星期", description="Only on these days, as [mon, tue].")
    until: str | None = Field(
        None,
        title="直到",
        description="Path of a fact that is a moment, as contact.trial_ends_at; only calendar may follow.",
        min_length=1,
    )
    calendar: Id | None = Field(
        None, title="工作日历", description="Then the next working time of this calendar."
    )

    @model_validator(mode="after")
    def _waits_for_something(self) -> WaitStep:
        timed = self.for_ is not None or self.days is not None or self.at is not None or bool(self.weekdays)
        if not timed and self.until is None and self.calendar is None:
            raise refuse(
                "RS055",
                "the step does not say how long to wait",
                "add 'for: 1d', 'days: 1', 'at: \"10:00\"' or 'calendar'",
            )
        if timed and self.until is not None:
            raise refuse("RS055", "'until' stands alone", "remove for, days, at and weekdays", at=("until",))
        return self


class WaitForStep(Part):
    """Wait for an event, or until a condition holds, at most for the time of `up_to`."""

    wait_for: Id = Field(title="等待事件", description="Id of this step.")
    event: OneOrMore | None = Field(
        None,
        title="事件",
        description=(
            "Event type that is waited for, or a list of them. Without it the condition alone is waited for: "
            "it is asked at once, at every later event of the contact, and when `up_to` has passed."
        ),
        examples=["product_viewed"],
    )
    when: Condition | None = Field(
        None,
        title="条件",
        description=(
            "Which of these events count; sees event, contact and journey facts. Without `event`: what must "
            "come true of the contact."
        ),
        examples=[{"event.amount": {"gte": 100}}],
    )
    up_to: Duration | None = Field(
        None,
        title="最长等待",
        description="The longest time to wait; then the run goes on with `otherwise`.",
        examples=["2d"],
    )
    then: Items[Step] = Field((), title="等到时", description="Steps when it has come.")
    otherwise: Items[Step] = Field(
        (), title="未等到时", description="Steps when the time has passed in vain."
    )

    @model_validator(mode="after")
    def _waits_for_something(self) -> WaitForStep:
        if self.event is None and self.when is None:
            message = "the step does not say what it waits for"
            raise refuse("RS055", message, "add 'event' or 'when'")
        if self.event is not None and not self.event:
            raise refuse("RS005", "must not be empty", "name at least one event type", at=("event",))
        if self.otherwise and self.up_to is None:
            message = "without 'up_to' the wait never ends by itself, so 'otherwise' can never happen"
            raise refuse("RS055", message, "add 'up_to: 2d'", at=("otherwise",))
        return self


class Case(Part):
    when: Condition = Field(title="条件", description="Sees contact and journey facts.")
    steps: Items[Step] = Field(title="步骤", description="Steps when the condition is true.")


class BranchStep(Part):
    """Go the way of the first case that is true."""

    branch: Id = Field(title="分支", description="Id of this step.")
    cases: Items[Case] = Field(
        title="情形", description="The cases in order; the first that is true is taken.", min_length=1
    )
    else_: Items[Step] = Field(
        (), alias="else", title="否则", description="Steps when no case is true, or the facts do not say."
    )


class SetStep(Part):
    """Keep values with the run; later conditions and texts read them as journey.values.<name>."""

    set: Id = Field(title="赋值", description="Id of this step.")
    values: dict[Id, Scalar] = Field(title="值", description="Names and values.", min_length=1)


class TagStep(Part):
    """Add tags to the contact or remove them."""

    tag: Id = Field(title="打标签", description="Id of this step.")
    add: Items[str] = Field((), title="添加", description="Tags to add.")
    remove: Items[str] = Field((), title="移除", description="Tags to remove.")

    @model_validator(mode="after")
    def _does_something(self) -> TagStep:
        if not self.add and not self.remove:
            raise refuse("RS055", "the step neither adds nor removes a tag", "add 'add: [vip]'")
        if both := sorted(set(self.add) & set(self.remove)):
            raise refuse(
                "RS055", f"'{both[0]}' is both added and removed", "keep one of them", at=("remove",)
            )
        return self


class StopStep(Part):
    """End the run here."""

    stop: Id = Field(title="结束", description="Id of this step.")


class Arm(Part):
    """One way of an experiment."""

    id: Id = Field(title="编号", description="The arm's name, as results cite it.", examples=["short_text"])
    weight: int = Field(
        title="权重",
        description="Its share of the contacts, relative to the other arms: 1 and 1 are half each.",
        ge=1,
        le=10_000,
        examples=[1],
    )
    steps: Items[Step] = Field((), title="步骤", description="What its contacts get; none: nothing here.")


class ExperimentStep(Part):
    """Send contacts different ways and see which does better; a contact keeps its arm for good."""

    unacted: ClassVar[tuple[Unacted, ...]] = (Unacted("", "its journey is not run at all"),)

    experiment: Id = Field(title="实验", description="Id of this step.")
    arms: Items[Arm] = Field(title="实验组", description="The ways, two at least.", min_length=2)
    seed: str = Field(
        "",
        title="种子",
        description="Any word; a new one draws the arms anew. Without it: the ids of journey and step.",
        max_length=100,
        examples=["2026-spring"],
    )
    stratify_by: Items[str] = Field(
        (),
        title="分层",
        description="Facts of contacts by which the arms are balanced.",
        max_length=3,
        examples=[["contact.stage"]],
    )

    @model_validator(mode="after")
    def _names_differ(self) -> ExperimentStep:
        seen: set[str] = set()
        for number, arm in enumerate(self.arms):
            if arm.id in seen:
                at = ("arms", number, "id")
                raise refuse("RS042", f"two arms are called '{arm.id}'", "rename one of them", at=at)
            seen.add(arm.id)
        return self


class Choice(Part):
    """One answer that a person can give."""

    id: Id = Field(title="编号", description="The answer's name.", examples=["solved"])
    title: str = Field(title="标题", description="What stands on the button.", min_length=1, max_length=100)
    steps: Items[Step] = Field((), title="步骤", description="Steps after this answer.")


class AskStep(Part):
    """Give a task to a person and go on with what they decide."""

    unacted: ClassVar[tuple[Unacted, ...]] = (Unacted("", "its journey is not run at all"),)

    ask: Id = Field(title="人工任务", description="Id of this step.")
    queue: Id = Field(
        title="队列",
        description="Whose list the task appears on: a queue of wayline.yaml.",
        examples=["support"],
    )
    question: str = Field(
        title="问题",
        description="What is to be decided, for the person who does it.",
        min_length=1,
        max_length=1000,
        examples=["请回电了解不满的原因"],
    )
    choices: Items[Choice] = Field(title="选项", description="The answers that are possible.", min_length=1)
    deadline: Duration = Field(
        title="时限", description="How long the task may lie there; then `otherwise`.", examples=["24h"]
    )
    otherwise: Items[Step] = Field((), title="超时后", description="Steps when nobody answered in time.")

    @model_validator(mode="after")
    def _answers_differ(self) -> AskStep:
        seen: set[str] = set()
        for number, choice in enumerate(self.choices):
            if choice.id in seen:
                at = ("choices", number, "id")
                raise refuse("RS042", f"two answers are called '{choice.id}'", "rename one of them", at=at)
            seen.add(choice.id)
        return self


class CallStep(Part):
    """Have a plugin do something, as giving points, and go on when it is done."""

    unacted: ClassVar[tuple[Unacted, ...]] = (Unacted("", "its journey is not run at all"),)

    call: Id = Field(title="调用", description="Id of this step.")
    action: Id = Field(title="动作", description="The plugin's action.", examples=["grant_points"])
    values: dict[Id, Scalar] = Field(
        {}, title="参数", description="What the action is told.", examples=[{"points": 50}]
    )
    deadline: Duration | None = Field(
        None, title="时限", description="How long it may take in all, with repetitions.", examples=["10m"]
    )
    failed: Items[Step] = Field((), title="失败时", description="Steps when it could not be done.")


class StartStep(Part):
    """Let the contact into another journey too; this one goes on at once."""

    unacted: ClassVar[tuple[Unacted, ...]] = (Unacted("", "its journey is not run at all"),)

    start: Id = Field(title="启动旅程", description="Id of this step.")
    journey: Id = Field(title="旅程", description="The other journey.", examples=["repurchase"])
    values: dict[Id, Scalar] = Field(
        {}, title="参数", description="What the other journey is told.", examples=[{"reason": "vip"}]
    )


class RepeatStep(Part):
    """Do steps several times: a fixed number of times, or while a condition holds."""

    unacted: ClassVar[tuple[Unacted, ...]] = (Unacted("", "its journey is not run at all"),)

    repeat: Id = Field(title="重复", description="Id of this step.")
    times: int | None = Field(None, title="次数", description="How many times.", ge=2, le=1000, examples=[3])
    while_: Condition | None = Field(
        None,
        alias="while",
        title="条件",
        description="Asked before each time; sees contact and journey facts. Needs `at_most`.",
        examples=[{"contact.tags": {"lacks": "answered"}}],
    )
    at_most: int | None = Field(
        None, title="最多次数", description="The bound of `while`.", ge=1, le=1000, examples=[5]
    )
    steps: Items[Step] = Field(title="步骤", description="What is repeated.", min_length=1)

    @model_validator(mode="after")
    def _is_bounded(self) -> RepeatStep:
        if (self.times is None) == (self.while_ is None):
            raise refuse("RS055", "a repeat needs one of 'times' and 'while'", "add 'times: 3'")
        if (self.at_most is None) != (self.while_ is None):
            message = "'at_most' and 'while' belong together: a repeat always has a bound"
            raise refuse("RS055", message, "add 'at_most: 5'" if self.at_most is None else "remove 'at_most'")
        return self


STEP_KINDS: dict[str, type[Part]] = {
    "send": SendStep,
    "wait": WaitStep,
    "wait_for": WaitForStep,
    "branch": BranchStep,
    "experiment": ExperimentStep,
    "ask": AskStep,
    "set": SetStep,
    "tag": TagStep,
    "call": CallStep,
    "start": StartStep,
    "repeat": RepeatStep,
    "stop": StopStep,
}


def kind_of_step(raw: Any) -> str | None:
    """The union tag of a step; None when it has no kind or several."""
    if isinstance(raw, Part):
        return next((f"<{kind}>" for kind, model in STEP_KINDS.items() if isinstance(raw, model)), None)
    if not isinstance(raw, dict):
        return None
    found = [kind for kind in STEP_KINDS if kind in raw]
    return f"<{found[0]}>" if len(found) == 1 else None


Step = Annotated[
    Annotated[SendStep, Tag("<send>")]
    | Annotated[WaitStep, Tag("<wait>")]
    | Annotated[WaitForStep, Tag("<wait_for>")]
    | Annotated[BranchStep, Tag("<branch>")]
    | Annotated[ExperimentStep, Tag("<experiment>")]
    | Annotated[AskStep, Tag("<ask>")]
    | Annotated[SetStep, Tag("<set>")]
    | Annotated[TagStep, Tag("<tag>")]
    | Annotated[CallStep, Tag("<call>")]
    | Annotated[StartStep, Tag("<start>")]
    | Annotated[RepeatStep, Tag("<repeat>")]
    | Annotated[StopStep, Tag("<stop>")],
    Discriminator(kind_of_step, custom_error_type="wayline_step", custom_error_message="step"),
]

for _model in (
    SendStep,
    WaitForStep,
    Case,
    BranchStep,
    Arm,
    ExperimentStep,
    Choice,
    AskStep,
    CallStep,
    RepeatStep,
):
    _model.model_rebuild()
