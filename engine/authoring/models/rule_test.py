"""A `.test.yaml` file: people, what happens to them, and what a ruleset must make of it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from engine.authoring.models.fields import ClockTime, Condition, Duration, Id, Items, Locale, Zone
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
        (), title="已同意的用途", description="Purposes consented to, on every channel, before the start."
    )
    identities: dict[Id, str] = Field(
        {}, title="身份", description="Platform and address, as {wecom: ext_1}; any made-up address will do."
    )
    timezone: Zone | None = Field(
        None, title="时区", description="IANA time zone; the workspace's when not said."
    )
    locale: Locale | None = Field(
        None, title="语言", description="Language, as zh; the workspace's first when not said."
    )
    tags: Items[str] = Field(
        (), title="标签", description="Tags set by hand; those that follow from rules follow by themselves."
    )
    attributes: dict[str, Any] = Field(
        {}, title="属性", description="Values of the attributes that wayline.yaml declares."
    )


class PastEntry(Part):
    """Something from before the start: it counts for the contact's facts and starts no journey."""

    ago: Duration = Field(title="多久以前", description="How long before the start, as 100d.")
    event: Id = Field(title="事件", description="Event type.")
    properties: dict[str, Any] = Field(
        {}, title="属性", description="Properties, checked against the event's schema."
    )
    contact: Id | None = Field(None, title="联系人", description="Whose, when the test has several contacts.")


class HappeningEntry(Part):
    """Something that happens during the test."""

    at: Moment = Field(
        title="时刻",
        description='Since the start, as 0d, 20d or "1d 2h"; or "2026-03-21 10:00" on the contact\'s clock.',
    )
    event: Id | None = Field(
        None, title="事件", description="Event type; may be left out when only traits change."
    )
    properties: dict[str, Any] = Field(
        {}, title="属性", description="Properties, checked against the event's schema."
    )
    traits: dict[str, Any] = Field(
        {},
        title="联系人变化",
        description="What becomes known: tags (added), timezone, locale, attributes, addresses.",
    )
    contact: Id | None = Field(None, title="联系人", description="Whose, when the test has several contacts.")

    @model_validator(mode="after")
    def _says_something(self) -> HappeningEntry:
        if self.event is None and not self.traits:
            raise refuse("RS055", "this says neither an event nor traits", "add 'event: order_paid'")
        if self.event is None and self.properties:
            message = "properties belong to an event, and none is named"
            raise refuse("RS055", message, "add 'event: order_paid'", at=("properties",))
        return self


_MESSAGE = {"at", "journey", "contact", "channel", "local_time"}
_ALLOWED = {
    "send": _MESSAGE | {"content", "contains"},
    "held": _MESSAGE | {"reason"},
    "not_sent": _MESSAGE | {"reason"},
    "entered": {"at", "contact", "local_time"},
    "not_entered": {"at", "contact", "reason"},
    "ended": {"at", "contact", "local_time", "reason"},
    "facts": {"at", "contact"},
}
"""What an entry expects -> the keys that may stand beside it."""


class ExpectEntry(Part):
    """One thing that must come to pass: a message, a journey's beginning or end, or a fact."""

    at: MomentSpan | None = Field(
        None,
        title="时刻",
        description='31d after the start, a range "30d..31d", a day "2026-03-31" or a moment; to the minute.',
    )
    send: Id | None = Field(None, title="发送", description="Step whose message is sent.")
    held: Id | None = Field(
        None, title="暂缓", description="Step whose message has to wait, for instance for a cap."
    )
    not_sent: Id | None = Field(
        None, title="未发送", description="Step whose message comes to its end without being sent."
    )
    entered: Id | None = Field(None, title="进入旅程", description="Journey that takes the contact in.")
    not_entered: Id | None = Field(
        None, title="未进入旅程", description="Journey that does not take the contact in."
    )
    ended: Id | None = Field(None, title="旅程结束", description="Journey whose run ends.")
    facts: Condition | None = Field(
        None,
        title="事实",
        description="A condition on the contact that is true then, as {contact.stage: churned}; needs 'at'.",
    )
    journey: Id | None = Field(
        None, title="旅程", description="Journey of the step, when several are tested together."
    )
    contact: Id | None = Field(None, title="联系人", description="Whose, when the test has several contacts.")
    channel: Id | None = Field(None, title="渠道", description="Channel it goes by.")
    content: Id | None = Field(None, title="内容", description="Content that is sent.")
    local_time: ClockTime | None = Field(
        None, title="当地时刻", description='Time on the contact\'s own clock, as "10:00".'
    )
    contains: Texts = Field(
        (), title="包含文字", description="Text that the message contains, in any of its parts; or a list."
    )
    reason: str | None = Field(
        None, title="原因", description="Reason code, as cap.full, content.check_blocked or run.goal."
    )

    @property
    def kind(self) -> str:
        """Which of the seven it is."""
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
        title="名称", description="What the ruleset promises, in a sentence.", min_length=1, max_length=200
    )
    contact: PersonEntry | None = Field(
        None,
        title="联系人",
        description="The contact; keys that are not said here are taken from 'contact' of the file.",
    )
    contacts: dict[Id, PersonEntry] = Field(
        {}, title="多个联系人", description="Several contacts by name, instead of 'contact'."
    )
    start: StartMoment | None = Field(
        None, title="开始时刻", description="When this test starts, if not when the file says."
    )
    until: Moment | None = Field(
        None, title="结束", description="How long this test lasts, if not as long as the file says."
    )
    history: Items[PastEntry] = Field(
        (), title="历史", description="What happened before the start: it counts, and starts no journey."
    )
    events: Items[HappeningEntry] = Field((), title="事件", description="What happens during the test.")
    expect: Items[ExpectEntry] = Field(
        title="预期", description="Everything that is sent, and what else matters; [] when nothing is sent."
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
            "any other file is tested with all journeys."
        ),
        min_length=1,
    )
    description: str = Field("", title="说明", description="Why these tests exist.", max_length=5000)
    start: StartMoment = Field(
        title="开始时刻",
        description='As "2026-03-01T09:00:00+08:00"; without a zone it is read on the workspace\'s clock.',
    )
    until: Moment = Field(title="结束", description="How long every test lasts, as 60d.")
    contact: PersonEntry = Field(
        PersonEntry(),
        title="联系人",
        description="What all contacts of this file have in common.",
    )
    tests: Items[RuleTestEntry] = Field(title="测试", description="The tests.", min_length=1)
