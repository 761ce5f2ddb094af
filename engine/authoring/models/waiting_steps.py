"""Steps that wait for somebody: for what a contact does, or for the answer of a colleague."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from engine.authoring.models.fields import Condition, Duration, Id, Items, OneOrMore
from engine.authoring.models.part import Part
from engine.authoring.models.refusing import refuse
from engine.journeys.run import NO_ANSWER

if TYPE_CHECKING:  # what steps hold is any step: `steps` knows all kinds and completes these models
    from engine.authoring.models.steps import Step


class WaitForStep(Part):
    """Wait for an event, or until a condition holds, at most for the time of `up_to`."""

    wait_for: Id = Field(
        title="等待事件",
        description=(
            "Name of this step, one of its kind in the journey; decisions and tests cite it.\n"
            "本步骤的编号，在旅程内唯一；决策记录与测试引用它。"
        ),
        examples=["first_browse"],
    )
    event: OneOrMore | None = Field(
        None,
        title="事件",
        description=(
            "Event type that is waited for, or a list of them. Without it the condition alone is "
            "waited for: it is asked at once, at every later event of the contact, and when `up_to` "
            "has passed.\n"
            "等待的事件类型，可写一组；不写则只等条件成立："
            "立即、该联系人之后的每个事件、以及 up_to 到时都会检查。"
        ),
        examples=["product_viewed"],
    )
    when: Condition | None = Field(
        None,
        title="条件",
        description=(
            "Which of these events count; sees event, contact and journey facts. Without `event`: "
            "what must come true of the contact.\n"
            "哪些事件算数；可用事件、联系人与旅程事实。没有 event 时：联系人须满足的条件。"
        ),
        examples=[{"event.amount": {"gte": 100}}],
    )
    up_to: Duration | None = Field(
        None,
        title="最长等待",
        description=(
            "The longest time to wait; then the run goes on with `otherwise`. Left out: until it "
            "comes, however long.\n"
            "最长等待时间，之后执行 otherwise；不写则一直等。"
        ),
        examples=["2d"],
    )
    then: Items[Step] = Field(
        (),
        title="等到时",
        description="Steps when what was waited for has come.\n等到之后执行的步骤。",
        examples=[[{"send": "thanks", "content": "thanks", "channels": ["sms"]}]],
    )
    otherwise: Items[Step] = Field(
        (),
        title="未等到时",
        description="Steps when the time has passed in vain.\n超时未等到时执行的步骤；须写 up_to。",
        examples=[[{"stop": "gave_up"}]],
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


class Choice(Part):
    """One answer that a person can give."""

    id: Id = Field(
        title="编号",
        description="The answer's name, as records cite it.\n选项编号，记录中引用它。",
        examples=["solved"],
        json_schema_extra={"not": {"const": NO_ANSWER}},
    )
    title: str = Field(
        title="标题",
        description="What stands on the button of this answer.\n按钮上显示的文字。",
        examples=["已解决"],
        min_length=1,
        max_length=100,
    )
    steps: Items[Step] = Field(
        (),
        title="步骤",
        description=(
            "Steps after this answer; left out: the run goes on.\n选此项后执行的步骤；不写则直接继续。"
        ),
    )


class AskStep(Part):
    """Give a task to a person and go on with the answer; later conditions read journey.answers.<step>."""

    ask: Id = Field(
        title="人工任务",
        description=(
            "Name of this step, one of its kind in the journey; the task carries it.\n"
            "本步骤的编号，在旅程内唯一。"
        ),
        examples=["call_back"],
    )
    queue: Id = Field(
        title="队列",
        description=(
            "Whose list the task appears on: a queue of wayline.yaml.\n"
            "任务出现在谁的列表：wayline.yaml 的队列。"
        ),
        examples=["support"],
    )
    question: str = Field(
        title="问题",
        description="What is to be decided, for the person who does it.\n需要人来决定的问题。",
        min_length=1,
        max_length=1000,
        examples=["请回电了解不满的原因"],
    )
    choices: Items[Choice] = Field(
        title="选项",
        description="The answers that a person can give.\n可以选择的答案。",
        examples=[[{"id": "solved", "title": "已解决"}]],
        min_length=1,
    )
    deadline: Duration = Field(
        title="时限",
        description=(
            "How long the task may lie there; then `otherwise`.\n任务最多停留多久，之后执行 otherwise。"
        ),
        examples=["24h"],
    )
    calendar: Id | None = Field(
        None,
        title="工作日历",
        description=(
            "Only the working time of this calendar counts towards the deadline; left out: all time.\n"
            "时限只计该日历的工作时间；不写则按自然时间。"
        ),
        examples=["office"],
    )
    priority: int | None = Field(
        None,
        title="优先级",
        description=(
            "0 to 100: of the tasks of a queue the greater comes first; left out: the journey's.\n"
            "0 到 100：同一队列中数值大的先处理；不写则用旅程的优先级。"
        ),
        ge=0,
        le=100,
        examples=[90],
    )
    otherwise: Items[Step] = Field(
        (),
        title="超时后",
        description=(
            "Steps when nobody answered in time; left out: the run goes on.\n"
            "超时无人处理时的步骤；不写则直接继续。"
        ),
    )

    @model_validator(mode="after")
    def _answers_differ(self) -> AskStep:
        seen: set[str] = set()
        for number, choice in enumerate(self.choices):
            if choice.id == NO_ANSWER:
                message = f"'{NO_ANSWER}' is what a task says that nobody answered in time"
                hint = "call this answer otherwise; what happens without one stands in 'otherwise'"
                raise refuse("RS116", message, hint, at=("choices", number, "id"))
            if choice.id in seen:
                at = ("choices", number, "id")
                raise refuse("RS042", f"two answers are called '{choice.id}'", "rename one of them", at=at)
            seen.add(choice.id)
        return self
