"""A `.test.yaml` file: people, what happens to them, and what a ruleset must make of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from engine.authoring.models.acts import ActEntry
from engine.authoring.models.fields import (
    ClockTime,
    Condition,
    Duration,
    Id,
    Items,
    Locale,
    Scalar,
    Zone,
)
from engine.authoring.models.moments import Moment, MomentSpan, StartMoment
from engine.authoring.models.part import Part
from engine.authoring.models.refusing import refuse


def _texts(raw: Any) -> Any:
    return (raw,) if isinstance(raw, str) else raw


Texts = Annotated[
    Items[str],
    BeforeValidator(_texts),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
    ),
]


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


class PastEntry(Part):
    """Something from before the start: it counts for the contact's facts and starts no journey."""

    ago: Duration = Field(
        title="多久以前",
        description="How long before the start it happened.\n在测试开始前多久发生。",
        examples=["100d"],
    )
    event: Id = Field(
        title="事件",
        description="Event type of what happened, as the events file names it.\n发生的事件类型。",
        examples=["order_paid"],
    )
    properties: dict[str, Any] = Field(
        {},
        title="属性",
        description="Properties, checked against the event's schema.\n事件属性，按事件的结构检查。",
        examples=[{"amount": 100}],
    )
    contact: Id | None = Field(
        None,
        title="联系人",
        description="Whose, when the test has several contacts.\n属于谁；测试有多位联系人时填写。",
    )


class HappeningEntry(Part):
    """Something that happens during the test."""

    at: Moment = Field(
        title="时刻",
        description=(
            'Since the start, as 0d, 20d or "1d 2h"; or "2026-03-21 10:00" on the contact\'s clock.\n'
            "发生时刻：自开始起多久，或联系人时钟上的日期时间。"
        ),
    )
    event: Id | None = Field(
        None,
        title="事件",
        description=(
            "Event type; may be left out when only traits change.\n事件类型；只改变联系人资料时可不写。"
        ),
        examples=["order_paid"],
    )
    properties: dict[str, Any] = Field(
        {},
        title="属性",
        description="Properties, checked against the event's schema.\n事件属性，按事件的结构检查。",
        examples=[{"amount": 100}],
    )
    traits: dict[str, Any] = Field(
        {},
        title="联系人变化",
        description=(
            "What becomes known: tags (added), timezone, locale, attributes, addresses.\n"
            "由此得知的联系人资料：标签、时区、语言、属性、地址。"
        ),
        examples=[{"tags": ["vip"]}],
    )
    contact: Id | None = Field(
        None,
        title="联系人",
        description="Whose, when the test has several contacts.\n属于谁；测试有多位联系人时填写。",
    )

    @model_validator(mode="after")
    def _says_something(self) -> HappeningEntry:
        if self.event is None and not self.traits:
            raise refuse("RS055", "this says neither an event nor traits", "add 'event: order_paid'")
        if self.event is None and self.properties:
            message = "properties belong to an event, and none is named"
            raise refuse("RS055", message, "add 'event: order_paid'", at=("properties",))
        return self


class AnswerEntry(Part):
    """A person's answer to a task that a journey has given."""

    at: Moment = Field(
        title="时刻",
        description=(
            'Since the start, as 2h or "1d 2h"; or "2026-03-21 10:00" on the contact\'s clock.\n'
            "回答时刻：自开始起多久，或联系人时钟上的日期时间。"
        ),
    )
    task: Id = Field(
        title="任务",
        description=(
            "Id of the step whose task is answered; it must be open then.\n"
            "被回答的任务的步骤编号；届时任务须未处理。"
        ),
        examples=["call_back"],
    )
    choice: Id = Field(
        title="选项",
        description="Id of the answer that is given.\n所选答案的编号。",
        examples=["solved"],
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


class SaidCallEntry(Part):
    """How the call of a step ends in this test; what is not said is done at once."""

    call: Id = Field(
        title="调用步骤",
        description=(
            "Id of the step; of several entries for one step each serves one call, in this order, and the "
            "last one all further calls.\n"
            "call 步骤的编号；同一步骤有多条时依次使用，最后一条用于其余。"
        ),
        examples=["give_points"],
    )
    outcome: Literal["done", "failed", "expired", "unknown"] = Field(
        "done",
        title="结果",
        description=(
            "How it ends; no action is really called, and the end comes at once.\n"
            "调用如何结束；测试中不会真正执行动作，结果立即得到。"
        ),
        examples=["failed"],
    )
    results: dict[Id, Scalar] = Field(
        {},
        title="返回值",
        description=(
            "What it answers, of the names that the step keeps; those not said stay unknown.\n"
            "动作返回的值（步骤 results 中的名称）；没写的保持未知。"
        ),
        examples=[{"balance": 150}],
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
        description=(
            "Whose, when the test has several contacts; left out: everybody's.\n"
            "属于谁；测试有多位联系人时填写，不写则对所有人有效。"
        ),
    )


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


class RuleTestEntry(Part):
    """One test: who it is about, what happens, and what must come of it."""

    name: str = Field(
        title="名称",
        description="What the ruleset promises, in a sentence.\n用一句话写明规则承诺了什么。",
        examples=["新客三天内收到两条消息"],
        min_length=1,
        max_length=200,
    )
    contact: PersonEntry | None = Field(
        None,
        title="联系人",
        description=(
            "The contact; keys that are not said here are taken from 'contact' of the file.\n"
            "测试的联系人；没写的键取自文件的 contact。"
        ),
    )
    contacts: dict[Id, PersonEntry] = Field(
        {},
        title="多个联系人",
        description=(
            "Several contacts by name, instead of 'contact'.\n多位联系人，按名字列出，代替 contact。"
        ),
        examples=[{"anna": {"tags": ["vip"]}, "ben": {}}],
    )
    start: StartMoment | None = Field(
        None,
        title="开始时刻",
        description="When this test starts, if not when the file says.\n本测试的开始时刻；不写则用文件的。",
    )
    until: Moment | None = Field(
        None,
        title="结束",
        description=(
            "How long this test lasts, if not as long as the file says.\n本测试持续多久；不写则用文件的。"
        ),
    )
    history: Items[PastEntry] = Field(
        (),
        title="历史",
        description=(
            "What happened before the start: it counts, and starts no journey.\n"
            "开始之前发生的事：计入事实，但不触发旅程。"
        ),
        examples=[[{"ago": "100d", "event": "order_paid"}]],
    )
    events: Items[HappeningEntry] = Field(
        (),
        title="事件",
        description="What happens during the test, in any order.\n测试期间发生的事。",
        examples=[[{"at": "0d", "event": "contact_added"}]],
    )
    acts: Items[ActEntry] = Field(
        (),
        title="运营操作",
        description=(
            "What operators do during the test: plans switched on and off, breakers tripped and reset.\n"
            "测试期间的运营操作：启用、关闭预案，触发、复位熔断器。"
        ),
        examples=[[{"at": "2d", "plan_on": "holiday"}]],
    )
    answers: Items[AnswerEntry] = Field(
        (),
        title="人工回答",
        description=(
            "What people answer to tasks, in any order; a task without one expires.\n"
            "人员对任务的回答；没有回答的任务到时限即过期。"
        ),
        examples=[[{"at": "2h", "task": "call_back", "choice": "solved"}]],
    )
    calls: Items[SaidCallEntry] = Field(
        (),
        title="动作结果",
        description=(
            "How calls of actions end that are not simply done.\n动作调用的结果；不写则全部视为完成。"
        ),
        examples=[[{"call": "give_points", "outcome": "failed"}]],
    )
    expect: Items[ExpectEntry] = Field(
        title="预期",
        description=(
            "Everything that is sent or given to people, and what else matters; [] when nothing is.\n"
            "预期发出的全部消息和交给人工的任务，以及其他要点；都没有时写 []。"
        ),
        examples=[[{"at": "0d", "send": "hello"}], []],
    )

    @model_validator(mode="after")
    def _is_about_somebody(self) -> RuleTestEntry:
        if self.contact is not None and self.contacts:
            message = "'contact' and 'contacts' exclude each other"
            raise refuse("RS055", message, "move the first into 'contacts'", at=("contacts",))
        return self


class RuleTestFile(Part):
    """Tests of a ruleset, beside it: `welcome.test.yaml` beside `welcome.yaml`."""

    ruleset: Texts = Field(
        title="被测文件",
        description=(
            "File under test, seen from this one: a journey runs alone (or those in a list together); "
            "any other file is tested with all journeys.\n"
            "被测文件（相对本文件）：旅程单独或与列表中的一起运行；其他文件与所有旅程一起测试。"
        ),
        examples=["welcome.yaml"],
        min_length=1,
    )
    description: str = Field(
        "",
        title="说明",
        description=(
            "Why these tests exist, for whoever edits them next.\n为什么有这些测试，写给下一位编辑者。"
        ),
        max_length=5000,
    )
    start: StartMoment = Field(
        title="开始时刻",
        description=(
            'As "2026-03-01T09:00:00+08:00"; without a zone it is read on the workspace\'s clock.\n'
            "测试开始的时刻；不带时区则以工作区时钟为准。"
        ),
    )
    until: Moment = Field(
        title="结束",
        description="How long every test lasts, from its start.\n每个测试从开始起持续多久。",
        examples=["60d"],
    )
    contact: PersonEntry = Field(
        PersonEntry(),
        title="联系人",
        description="What all contacts of this file have in common.\n本文件所有联系人共有的设置。",
        examples=[{"consents": ["marketing"], "identities": {"email": "a@example.com"}}],
    )
    tests: Items[RuleTestEntry] = Field(
        title="测试",
        description=(
            "The tests, each with a contact and a clock of its own.\n测试列表，每个都有自己的联系人与时钟。"
        ),
        min_length=1,
    )
