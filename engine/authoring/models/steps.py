"""The steps of a journey, each `<kind>: <id>` and then its settings; here those that can hold others."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from engine.authoring.models.fields import Condition, Duration, Id, Items, OneOrMore, Scalar
from engine.authoring.models.part import Part
from engine.authoring.models.refusing import refuse
from engine.authoring.models.single_steps import SetStep, StartStep, StopStep, TagStep, WaitStep
from engine.journeys.run import NO_ANSWER

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


class Case(Part):
    """One way of a branch, and when it is taken."""

    when: Condition = Field(
        title="条件",
        description=(
            "When this way is taken; sees contact and journey facts.\n走这条路的条件；可用联系人与旅程事实。"
        ),
        examples=[{"contact.tags": {"has": "vip"}}],
    )
    steps: Items[Step] = Field(
        title="步骤",
        description="Steps when the condition is true.\n条件成立时执行的步骤；[] 表示什么都不做。",
    )


class BranchStep(Part):
    """Go the way of the first case that is true."""

    branch: Id = Field(
        title="分支",
        description=(
            "Name of this step, one of its kind in the journey; decisions and tests cite it.\n"
            "本步骤的编号，在旅程内唯一；决策记录与测试引用它。"
        ),
        examples=["by_value"],
    )
    cases: Items[Case] = Field(
        title="情形",
        description=(
            "The cases in order; the first that is true is taken.\n各种情形，按顺序取第一个成立的。"
        ),
        examples=[[{"when": {"contact.tags": {"has": "vip"}}, "steps": []}]],
        min_length=1,
    )
    else_: Items[Step] = Field(
        (),
        alias="else",
        title="否则",
        description=(
            "Steps when no case is true, or the facts do not say; left out: the run goes on.\n"
            "没有情形成立或事实不明时的步骤；不写则直接继续。"
        ),
    )


class Arm(Part):
    """One way of an experiment."""

    id: Id = Field(
        title="编号",
        description="The arm's name, as results cite it.\n实验组编号，结果中引用它。",
        examples=["short_text"],
    )
    weight: int = Field(
        title="权重",
        description=(
            "Its share of the contacts, relative to the other arms: 1 and 1 are half each. Changing it "
            "moves nobody who has an arm already.\n"
            "相对其他组的份额：1 和 1 各占一半。修改后，已分组的人不变。"
        ),
        ge=1,
        le=10_000,
        examples=[1],
    )
    steps: Items[Step] = Field(
        (),
        title="步骤",
        description=(
            "What its contacts get; left out: nothing here.\n该组联系人执行的步骤；不写则什么都不做。"
        ),
    )


class ExperimentStep(Part):
    """Send contacts different ways and see which does better; a contact keeps its arm for good."""

    experiment: Id = Field(
        title="实验",
        description=(
            "Name of this step, one of its kind in the journey; results cite it.\n"
            "本步骤的编号，在旅程内唯一。"
        ),
        examples=["subject_line"],
    )
    arms: Items[Arm] = Field(
        title="实验组",
        description="The ways between which contacts are split, two at least.\n各实验组，至少两个。",
        examples=[[{"id": "short", "weight": 1}, {"id": "long", "weight": 1}]],
        min_length=2,
    )
    seed: str = Field(
        "",
        title="种子",
        description=(
            "Any word; a new one draws the arms anew. Without it: the ids of journey and step, as "
            "welcome/subject_line.\n"
            "任意一个词；换一个就重新分组。不写则用旅程和步骤的编号。"
        ),
        max_length=100,
        examples=["2026-spring"],
    )
    stratify_by: Items[str] = Field(
        (),
        title="分层",
        description=(
            "Facts of contacts by which the arms are balanced, three at most; those of whom one is not "
            "known are balanced among themselves. Then the order of arrival decides, not the hash.\n"
            "用哪些联系人事实平衡各组，最多三个；事实未知的人自成一层。此时按到达顺序分组，不用哈希。"
        ),
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


class RepeatStep(Part):
    """Do steps several times: a fixed number of times, or while a condition holds."""

    repeat: Id = Field(
        title="重复",
        description=(
            "Name of this step, one of its kind in the journey; decisions cite it.\n"
            "本步骤的编号，在旅程内唯一。"
        ),
        examples=["remind"],
    )
    times: int | None = Field(
        None,
        title="次数",
        description="How many times its steps are done; instead of `while`.\n重复多少次；与 while 二选一。",
        ge=2,
        le=1000,
        examples=[3],
    )
    while_: Condition | None = Field(
        None,
        alias="while",
        title="条件",
        description=(
            "Asked before each time; sees contact and journey facts. Needs `at_most`.\n"
            "每次之前检查的条件；可用联系人与旅程事实，须写 at_most。"
        ),
        examples=[{"contact.tags": {"lacks": "answered"}}],
    )
    at_most: int | None = Field(
        None,
        title="最多次数",
        description="How many times at most, however long `while` holds.\n配合 while：最多重复多少次。",
        ge=1,
        le=1000,
        examples=[5],
    )
    steps: Items[Step] = Field(
        title="步骤", description="The steps that are done each time.\n每次重复执行的步骤。", min_length=1
    )

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
