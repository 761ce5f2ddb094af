"""A journey: who enters, what ends it, and its steps."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from engine.authoring.models.fields import Condition, Duration, Id, Items, OneOrMore
from engine.authoring.models.part import Head, Part, Unacted
from engine.authoring.models.patterns import PatternEntry
from engine.authoring.models.profile import AudienceEntry
from engine.authoring.models.refusing import refuse
from engine.authoring.models.schedules import ApiEntry, ScheduleEntry
from engine.authoring.models.steps import Step


class ReentryEntry(Part):
    """When a contact may enter again: a while after the last run, or once for every value of a fact."""

    after: Duration | None = Field(None, title="间隔", description="Time since the end of the last run.")
    once_per: str | None = Field(
        None,
        title="每个值一次",
        description="A fact of the event, as event.order_id; runs then stand side by side.",
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


WAYS_IN = ("event", "pattern", "schedule", "audience", "api")
"""The keys of `enter` of which exactly one says what brings a contact in."""


class EnterEntry(Part):
    """Who comes in: exactly one way in, who of them, and how often."""

    event: OneOrMore | None = Field(
        None, title="事件", description="Event type that lets a contact in, or a list of them."
    )
    pattern: PatternEntry | None = Field(
        None,
        title="行为模式",
        description="Several events that together let a contact in: enough of one kind, or some in order.",
    )
    audience: AudienceEntry | None = Field(
        None, title="受众", description="Contacts that enter or leave an audience, as {entered: lapsed}."
    )
    schedule: ScheduleEntry | None = Field(
        None,
        title="定时",
        description='Contacts enter at fixed times, as {cron: "0 10 * * *", timezone: contact}.',
    )
    api: ApiEntry | None = Field(
        None, title="接口", description="Contacts enter when a system asks for it: {} or with parameters."
    )
    when: Condition | None = Field(
        None, title="条件", description="Which of them; sees event and contact facts."
    )
    reentry: ReentryRule = Field(
        "never",
        title="重复进入",
        description="never, always, {after: 90d} since the last run's end, or {once_per: event.order_id}.",
    )

    @model_validator(mode="after")
    def _has_one_way_in(self) -> EnterEntry:
        said = [way for way in WAYS_IN if getattr(self, way, None) is not None]
        if not said:
            raise refuse("RS004", "the journey does not say who comes in", "add 'event: contact_added'")
        if len(said) > 1:
            message = f"'{said[0]}' and '{said[1]}' are two ways in, and a journey has one"
            raise refuse("RS055", message, "write a journey for each", at=(said[1],))
        if self.event is not None and not self.event:
            raise refuse("RS005", "must not be empty", "name at least one event type", at=("event",))
        return self


class LeaveEntry(Part):
    """One reason to leave, from anywhere in the journey."""

    event: OneOrMore | None = Field(
        None, title="事件", description="Event type, or a list of them; not said: any event."
    )
    when: Condition | None = Field(None, title="条件", description="Sees event, contact and journey facts.")

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
        title="事件", description="Event type that reaches it, or a list of them.", min_length=1
    )
    when: Condition | None = Field(
        None, title="条件", description="Which of them; sees event, contact and journey facts."
    )
    within: Duration | None = Field(None, title="时限", description="Counts only this long after entering.")


class JourneyFile(Head):
    """One journey."""

    unacted: ClassVar[tuple[Unacted, ...]] = (
        Unacted("revival", "no pause after silence exists that it could be exempt from"),
    )

    kind: Literal["journey"] = Field(title="种类", description="Always journey.")
    purpose: Id = Field(title="用途", description="Consent purpose that its messages need.")
    priority: int = Field(
        50, title="优先级", description="0 to 100; decides when a cap has one place left.", ge=0, le=100
    )
    revival: bool = Field(
        False,
        title="唤醒旅程",
        description="true: it is for contacts who fell silent, so the caps' pause after silence spares it.",
    )
    enter: EnterEntry = Field(title="进入", description="Who comes in, and how often.")
    leave: Items[LeaveEntry] = Field((), title="离开", description="Reasons to leave at any time.")
    goal: GoalEntry | None = Field(None, title="目标", description="What the journey is for.")
    steps: Items[Step] = Field(title="步骤", description="What happens, in order.", min_length=1)
