"""The workspace itself, its consent purposes, its event types and its tags."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from engine.authoring.models.counts import CountEntry
from engine.authoring.models.fields import Condition, Duration, Id, Items, Locale, Zone
from engine.authoring.models.part import Head, Part, Unacted
from engine.authoring.models.profile import ClassEntry, ScoreEntry
from engine.authoring.models.refusing import refuse


class Attribute(Part):
    """A fact about contacts that the workspace itself declares."""

    type: Literal["text", "number", "boolean", "instant", "labels"] = Field(
        title="类型",
        description="Its values: text, number, boolean, instant (a moment) or labels (a set of words).",
    )
    title: str = Field("", title="标题", description="What people read in lists.", max_length=200)
    choices: Items[str] = Field(
        (), title="可选值", description="The values that conditions may ask for, when the set is closed."
    )

    @model_validator(mode="after")
    def _choices_are_for_text(self) -> Attribute:
        if self.choices and self.type != "text":
            raise refuse(
                "RS055", "only an attribute of type text has choices", "remove 'choices'", at=("choices",)
            )
        return self


class Queue(Part):
    """A list of tasks that people of one team work off."""

    title: str = Field(
        title="标题",
        description="What people read above the list.",
        min_length=1,
        max_length=200,
        examples=["客服"],
    )


class WorkspaceFile(Head):
    """wayline.yaml: what holds for the whole workspace."""

    unacted: ClassVar[tuple[Unacted, ...]] = (Unacted("queues", "no task is given to anyone"),)

    kind: Literal["workspace"] = Field(
        title="种类", description="Always workspace, in the file wayline.yaml."
    )
    timezone: Zone = Field(
        title="时区", description="IANA time zone used for contacts whose own is not known."
    )
    locales: Items[Locale] = Field(
        title="语言",
        description="Languages of the contents, as zh or en; the first is the default.",
        min_length=1,
    )
    identities: Items[Id] = Field(
        title="身份平台",
        description="Platforms on which contacts have addresses, as email or wecom.",
        min_length=1,
    )
    attributes: dict[Id, Attribute] = Field(
        {},
        title="联系人属性",
        description="Facts about contacts beyond the built-in ones; conditions name them contact.<name>.",
    )
    queues: dict[Id, Queue] = Field(
        {},
        title="任务队列",
        description="Lists of tasks for people; `ask` steps and reviews name them.",
        examples=[{"support": {"title": "客服"}}],
    )
    late_after: Duration = Field(
        timedelta(days=7),
        title="迟到界限",
        description="An event that happened longer ago than this is counted but starts no journey.",
    )
    ahead_by: Duration = Field(
        timedelta(days=1),
        title="超前界限",
        description="How far a sender's clock may run ahead; later events become dead letters.",
    )


class PurposeEntry(Part):
    """One reason for which contacts may be written to."""

    id: Id = Field(title="编号", description="The purpose's name, as journeys and caps use it.")
    title: str = Field(
        title="标题",
        description="What people read, also where they unsubscribe.",
        min_length=1,
        max_length=200,
    )
    version: str = Field(
        title="版本",
        description="Version of the notice people consent to, in quotes; recorded with every consent.",
        min_length=1,
        max_length=50,
    )
    kind: Literal["marketing", "transactional", "legal"] = Field(
        title="性质",
        description="marketing needs consent and obeys caps; transactional and legal are exempt from caps.",
    )
    max_hold: Duration = Field(
        title="最长等待", description="How long a message may be held back before it expires."
    )
    repeat_unknown: bool = Field(
        False,
        title="未知时重发",
        description="true: a message of unknown fate is sent again and may arrive twice; never marketing.",
    )

    @model_validator(mode="after")
    def _marketing_is_never_repeated(self) -> PurposeEntry:
        if self.repeat_unknown and self.kind == "marketing":
            message = "marketing is never repeated when its fate is unknown"
            raise refuse("RS055", message, "set it to false, or use another kind", at=("repeat_unknown",))
        return self


class PurposesFile(Head):
    """The consent purposes of the workspace."""

    kind: Literal["purposes"] = Field(title="种类", description="Always purposes.")
    purposes: Items[PurposeEntry] = Field(title="用途", description="The purposes.", min_length=1)


class EventEntry(Part):
    """One type of event: what it is called and which properties it carries."""

    id: Id = Field(title="编号", description="The type's name, as senders and journeys use it.")
    title: str = Field(
        title="标题", description="What people read in lists of events.", min_length=1, max_length=200
    )
    schema_: dict[str, Any] = Field(
        {},
        alias="schema",
        title="属性结构",
        description="JSON Schema of the properties; events that do not fit become dead letters.",
    )
    effect: Literal["order", "consent_granted", "consent_withdrawn", "deleted"] | None = Field(
        None,
        title="系统效果",
        description="What the engine itself does with it: order counts a paid order of property amount.",
    )
    counts_as_activity: bool = Field(
        True,
        title="算作活跃",
        description="Whether it shows that the contact did something (moves contact.last_active_at).",
    )


class EventsFile(Head):
    """Event types."""

    kind: Literal["events"] = Field(title="种类", description="Always events.")
    events: Items[EventEntry] = Field(title="事件类型", description="The event types.", min_length=1)


class TagEntry(Part):
    """A tag that a contact carries exactly while a condition is true."""

    tag: str = Field(title="标签", description="The tag, in any language.", min_length=1, max_length=64)
    level: Literal["basic", "behaviour", "value"] = Field(
        title="层级", description="basic (who it is), behaviour (what it does) or value (what it is worth)."
    )
    when: Condition = Field(title="条件", description="Who carries it; sees the contact's facts.")


class TagsFile(Head):
    """What Wayline computes of every contact, in this order: counts, scores, classes, tags."""

    kind: Literal["tags"] = Field(title="种类", description="Always tags.")
    counts: Items[CountEntry] = Field(
        (),
        title="窗口统计",
        description="Numbers over a moving window, as orders in the last 90 days.",
        min_length=1,
    )
    scores: Items[ScoreEntry] = Field(
        (), title="评分", description="Scores from 1 to 5, as for RFM.", min_length=1
    )
    classes: Items[ClassEntry] = Field(
        (),
        title="分类",
        description="Divisions of all contacts, as by activity; stage is the life-cycle stage.",
        min_length=1,
    )
    tags: Items[TagEntry] = Field((), title="标签", description="Tags that follow from facts.", min_length=1)

    @model_validator(mode="after")
    def _computes_something(self) -> TagsFile:
        if not (self.counts or self.scores or self.classes or self.tags):
            raise refuse("RS004", "'tags' is missing", "tags: Tags that follow from facts.")
        return self
