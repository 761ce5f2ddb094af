"""A journey: who enters, what ends it, and its steps."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from engine.authoring.models.fields import Condition, Duration, Id, Items, OneOrMore
from engine.authoring.models.part import Head, Part
from engine.authoring.models.patterns import PatternEntry
from engine.authoring.models.profile import AudienceEntry
from engine.authoring.models.refusing import refuse
from engine.authoring.models.schedules import ApiEntry, ScheduleEntry
from engine.authoring.models.steps import Step


class ReentryEntry(Part):
    """When a contact may enter again: a while after the last run, or once for every value of a fact."""

    after: Duration | None = Field(
        None,
        title="间隔",
        description=(
            "How long after the end of the last run a contact may enter again.\n"
            "上次旅程结束多久后可以再次进入。"
        ),
        examples=["90d"],
    )
    once_per: str | None = Field(
        None,
        title="每个值一次",
        description=(
            "A fact of the event, as event.order_id: once for every value of it; runs then stand side "
            "by side.\n"
            "事件的一个事实：每个值进入一次，多个旅程可并行。"
        ),
        examples=["event.order_id"],
        min_length=1,
    )

    @model_validator(mode="after")
    def _is_one_rule(self) -> ReentryEntry:
        if (self.after is None) == (self.once_per is None):
            message = "reentry is one of never, always, {after: 90d} or {once_per: event.order_id}"
            raise refuse("RS055", message, "keep one of 'after' and 'once_per'")
        return self


def _kind_of_reentry(raw: Any) -> str:
    return "<rule>" if isinstance(raw, dict | ReentryEntry) else "<word>"


ReentryRule = Annotated[
    Annotated[Literal["never", "always"], Tag("<word>")] | Annotated[ReentryEntry, Tag("<rule>")],
    Discriminator(_kind_of_reentry),
]


class AlsoEntry(Part):
    """A further way in, beside the one of `enter`: an event with a condition of its own, or a request."""

    event: OneOrMore | None = Field(
        None,
        title="事件",
        description=(
            "Event type that lets a contact in too, or a list of them; none that lets in already.\n"
            "同样让联系人进入的事件类型，可写一组；不能与其他进入方式重复。"
        ),
        examples=["order_paid"],
    )
    api: ApiEntry | None = Field(
        None,
        title="接口",
        description=(
            "Contacts also enter when a system or a start step asks for it: {} or with parameters.\n"
            "也可由外部系统或 start 步骤请求进入：写 {} 或带参数。"
        ),
        examples=[{}, {"parameters": {"reason": {"type": "text"}}}],
    )
    when: Condition | None = Field(
        None,
        title="条件",
        description=(
            "Which of them come in this way, whatever `enter.when` says; sees event and contact facts. Left "
            "out: all of them.\n"
            "以此方式进入的条件，与 enter.when 无关；可用事件与联系人事实，不写则全部。"
        ),
        examples=[{"contact.tags": {"has": "vip"}}],
    )

    @model_validator(mode="after")
    def _is_one_way_in(self) -> AlsoEntry:
        if (self.event is None) == (self.api is None):
            message = "a further way in is one of 'event' and 'api'"
            raise refuse("RS055", message, "write each as an entry of its own, as '- api: {}'")
        if self.event is not None and not self.event:
            raise refuse("RS005", "must not be empty", "name at least one event type", at=("event",))
        return self


WAYS_IN = ("event", "pattern", "schedule", "audience", "api")
"""The keys of `enter` of which exactly one says what brings a contact in."""


class EnterEntry(Part):
    """Who comes in: one way in and who of them, further ways under `also`, and how often."""

    event: OneOrMore | None = Field(
        None,
        title="事件",
        description=(
            "Event type that lets a contact in, or a list of them: any of these.\n"
            "让联系人进入的事件类型；一组时任意一个即可。"
        ),
        examples=["contact_added"],
    )
    pattern: PatternEntry | None = Field(
        None,
        title="行为模式",
        description=(
            "Several events that together let a contact in: enough of one kind, or some in order.\n"
            "多个事件合起来才进入：次数足够，或按顺序发生。"
        ),
        examples=[{"count": {"event": "feedback_given"}, "at_least": 3, "within": "24h"}],
    )
    audience: AudienceEntry | None = Field(
        None,
        title="受众",
        description="Contacts that enter or leave an audience.\n进入或离开某个受众的联系人。",
        examples=[{"entered": "lapsed"}],
    )
    schedule: ScheduleEntry | None = Field(
        None,
        title="定时",
        description=(
            "Contacts enter at fixed times, all of them or those of `audience` and `when`.\n"
            "在固定时间让联系人进入，可用 audience 和 when 限定。"
        ),
        examples=[{"cron": "0 10 * * *", "timezone": "contact"}],
    )
    api: ApiEntry | None = Field(
        None,
        title="接口",
        description=(
            "Contacts enter when a system asks for it: {} or with parameters.\n"
            "由外部系统请求进入：写 {} 或带参数。"
        ),
        examples=[{}, {"parameters": {"reason": {"type": "text"}}}],
    )
    when: Condition | None = Field(
        None,
        title="条件",
        description=(
            "Which of them come in; sees event and contact facts. Left out: all of them.\n"
            "其中哪些人可以进入；可用事件与联系人事实，不写则全部。"
        ),
        examples=[{"contact.tags": {"has": "vip"}}],
    )
    reentry: ReentryRule = Field(
        "never",
        title="重复进入",
        description=(
            "never (when left out), always (once the last run has ended), {after: 90d} since its end, "
            "or {once_per: event.order_id}.\n"
            "never（默认）不重复；always 上次结束后即可；也可间隔一段时间或按事实的值。"
        ),
        examples=[{"after": "90d"}, {"once_per": "event.order_id"}],
    )
    also: Items[AlsoEntry] = Field(
        (),
        title="其他进入方式",
        description=(
            "Further ways in, each with its own condition: other events, or a request by a system or a start "
            "step. `reentry` holds for all of them together.\n"
            "其他进入方式，各有自己的条件：其他事件，或外部系统、start 步骤的请求；"
            "reentry 对所有方式共同生效。"
        ),
        examples=[[{"api": {}}]],
    )

    @model_validator(mode="after")
    def _has_one_way_in(self) -> EnterEntry:
        said = [way for way in WAYS_IN if getattr(self, way, None) is not None]
        if not said:
            raise refuse("RS004", "the journey does not say who comes in", "add 'event: contact_added'")
        if len(said) > 1:
            message = f"'{said[0]}' and '{said[1]}' are two ways in, and 'enter' names one"
            hint = "put the other under 'also', as 'also: [{api: {}}]', or write a journey for each"
            raise refuse("RS055", message, hint, at=(said[1],))
        if sum(api is not None for api in (self.api, *(way.api for way in self.also))) > 1:
            raise refuse("RS055", "contacts enter by request twice", "keep one 'api'", at=("also",))
        if self.event is not None and not self.event:
            raise refuse("RS005", "must not be empty", "name at least one event type", at=("event",))
        return self

    @property
    def asked_for(self) -> ApiEntry | None:
        """What a request may bring along, wherever it stands; None: nobody enters by request."""
        return next((api for api in (self.api, *(way.api for way in self.also)) if api is not None), None)


class LeaveEntry(Part):
    """One reason to leave, from anywhere in the journey."""

    event: OneOrMore | None = Field(
        None,
        title="事件",
        description=(
            "Event type at which contacts leave, or a list of them; not said: any event.\n"
            "触发离开的事件类型；不写则任何事件都会检查条件。"
        ),
        examples=["order_paid"],
    )
    when: Condition | None = Field(
        None,
        title="条件",
        description=(
            "What must be true then; sees event, contact and journey facts. Left out: the event is "
            "enough.\n"
            "离开的条件；可用事件、联系人与旅程事实，不写则事件发生即离开。"
        ),
        examples=[{"contact.tags": {"has": "vip"}}],
    )

    @model_validator(mode="after")
    def _has_a_reason(self) -> LeaveEntry:
        if self.event is None and self.when is None:
            raise refuse(
                "RS055", "a leave entry needs an event, a condition or both", "add 'event' or 'when'"
            )
        if self.event is not None and not self.event:
            raise refuse("RS005", "must not be empty", "name at least one event type", at=("event",))
        return self


class GoalEntry(Part):
    """What the journey is for; reaching it is recorded and ends the run."""

    event: OneOrMore = Field(
        title="事件",
        description=(
            "Event type that reaches the goal, or a list of them.\n达成目标的事件类型，可写一个或一组。"
        ),
        examples=["order_paid"],
        min_length=1,
    )
    when: Condition | None = Field(
        None,
        title="条件",
        description=(
            "Which of these events count; sees event, contact and journey facts. Left out: all of "
            "them.\n"
            "哪些事件算达成；可用事件、联系人与旅程事实，不写则全部。"
        ),
        examples=[{"event.amount": {"gte": 100}}],
    )
    within: Duration | None = Field(
        None,
        title="时限",
        description=(
            "Counts only this long after entering; left out: as long as the run lasts.\n"
            "进入后多久之内才算；不写则整个旅程期间都算。"
        ),
        examples=["14d"],
    )


class JourneyFile(Head):
    """One journey."""

    kind: Literal["journey"] = Field(
        title="种类",
        description="Always journey: this file is one journey.\n固定写 journey：本文件定义一个旅程。",
    )
    purpose: Id = Field(
        title="用途",
        description=(
            "Consent purpose that its messages need, as the purposes file names it.\n其消息所依据的同意用途。"
        ),
        examples=["marketing"],
    )
    priority: int = Field(
        50,
        title="优先级",
        description=(
            "0 to 100, 50 when left out; when room for one message is left, the higher goes first.\n"
            "0 到 100，默认 50；名额不足时数字大的优先。"
        ),
        ge=0,
        le=100,
    )
    revival: bool = Field(
        False,
        title="唤醒旅程",
        description=(
            "true: it is for contacts who fell silent, so the caps' pause after silence spares it.\n"
            "true：面向沉默联系人，不受静默后暂停的限制。"
        ),
    )
    enter: EnterEntry = Field(
        title="进入",
        description="Who comes in, at what, and how often.\n谁、因何、多久可进入一次。",
        examples=[{"event": "contact_added"}],
    )
    leave: Items[LeaveEntry] = Field(
        (),
        title="离开",
        description=(
            "Reasons to leave at any time; any one of them ends the run.\n"
            "随时离开的理由，满足任意一条即结束。"
        ),
        examples=[[{"event": "order_paid"}]],
    )
    goal: GoalEntry | None = Field(
        None,
        title="目标",
        description=(
            "What the journey is for; reaching it is recorded and ends the run.\n"
            "旅程的目标；达成后记录并结束旅程。"
        ),
        examples=[{"event": "order_paid", "within": "14d"}],
    )
    steps: Items[Step] = Field(
        title="步骤",
        description="What happens to a contact, one step after another.\n依次执行的步骤。",
        min_length=1,
    )
    in_flight: Literal["pin", "migrate", "drain"] = Field(
        "pin",
        title="在途处理",
        description=(
            "What publishing another version does about people on their way: pin (when left out) lets them "
            "finish on theirs, migrate takes them over to the new one, drain lets nobody in before they have "
            "finished. `wayline publish --policy` overrides it.\n"
            "发布新版本时如何处理在途联系人：pin（默认）按原版本走完；migrate 转到新版本；"
            "drain 等他们走完才让新人进入。发布命令的 --policy 优先。"
        ),
        examples=["migrate"],
    )
    was: dict[Id, Id] = Field(
        {},
        title="步骤去向",
        description=(
            "Steps of earlier versions that are gone or have another name -> the step where people who stand "
            "there go on, or end.\n"
            "旧版本中已删除或改名的步骤 -> 停在那里的人接着走的步骤，或 end 表示结束。"
        ),
        examples=[{"overnight": "second_day", "last_offer": "end"}],
    )
