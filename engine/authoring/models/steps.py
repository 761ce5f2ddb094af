"""The steps of a journey. Each is written `<kind>: <id>` and then its settings."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from engine.authoring.models.fields import ClockTime, Condition, Duration, Id, Items, OneOrMore, Scalar
from engine.authoring.models.limits import Weekday
from engine.authoring.models.part import Part
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
    """Wait for an event, or until `up_to` has passed."""

    wait_for: Id = Field(title="等待事件", description="Id of this step.")
    event: OneOrMore = Field(title="事件", description="Event type, or a list of them.", min_length=1)
    when: Condition | None = Field(
        None, title="条件", description="Which of these events count; sees event, contact and journey facts."
    )
    up_to: Duration | None = Field(
        None, title="最长等待", description="Then the run goes on with 'otherwise'."
    )
    then: Items[Step] = Field((), title="等到时", description="Steps after the event.")
    otherwise: Items[Step] = Field((), title="未等到时", description="Steps when the time has passed.")

    @model_validator(mode="after")
    def _otherwise_can_happen(self) -> WaitForStep:
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


STEP_KINDS: dict[str, type[Part]] = {
    "send": SendStep,
    "wait": WaitStep,
    "wait_for": WaitForStep,
    "branch": BranchStep,
    "set": SetStep,
    "tag": TagStep,
    "stop": StopStep,
}
STEPS_NOT_YET = ("experiment", "ask", "call", "start", "repeat")


def kind_of_step(raw: Any) -> str | None:
    """The union tag of a step; None when it has no kind, several, or one that this version does not run."""
    if isinstance(raw, Part):
        return next((f"<{kind}>" for kind, model in STEP_KINDS.items() if isinstance(raw, model)), None)
    if not isinstance(raw, dict):
        return None
    found = [kind for kind in STEP_KINDS if kind in raw]
    return f"<{found[0]}>" if len(found) == 1 and not any(kind in raw for kind in STEPS_NOT_YET) else None


Step = Annotated[
    Annotated[SendStep, Tag("<send>")]
    | Annotated[WaitStep, Tag("<wait>")]
    | Annotated[WaitForStep, Tag("<wait_for>")]
    | Annotated[BranchStep, Tag("<branch>")]
    | Annotated[SetStep, Tag("<set>")]
    | Annotated[TagStep, Tag("<tag>")]
    | Annotated[StopStep, Tag("<stop>")],
    Discriminator(kind_of_step, custom_error_type="wayline_step", custom_error_message="step"),
]

for _model in (SendStep, WaitForStep, Case, BranchStep):
    _model.model_rebuild()
