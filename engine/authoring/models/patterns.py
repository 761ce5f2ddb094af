"""Patterns over a contact's events: enough of one kind, or several in order, within a time."""

from __future__ import annotations

from pydantic import Field, model_validator

from engine.authoring.models.fields import Condition, Duration, Id, Items, OneOrMore
from engine.authoring.models.part import Part
from engine.authoring.models.refusing import refuse
from engine.rules.duration import format_duration
from engine.rules.sequences.pattern import LONGEST, MOST_COUNTED, MOST_STEPS

RESERVED = ("event", "contact", "journey", "metric")
"""Families of facts, which no event of a sequence can be called."""


class CountedEvent(Part):
    """Which events are counted."""

    event: OneOrMore = Field(
        title="事件",
        description="Event type that is counted, or a list of them.\n要计数的事件类型，可写一个或一组。",
        examples=["feedback_given"],
        min_length=1,
    )
    when: Condition | None = Field(
        None,
        title="条件",
        description=(
            "Which of them count; sees the event's own facts only. Left out: all of them.\n"
            "哪些事件计入；只能用事件自身的事实，不写则全部。"
        ),
        examples=[{"event.amount": {"lte": 2}}],
    )


class SequenceEvent(Part):
    """One event of a sequence."""

    event: OneOrMore = Field(
        title="事件",
        description=(
            "Event type of this place in the sequence, or a list: any of these.\n"
            "序列中这一位的事件类型；一组时任意一个即可。"
        ),
        examples=["product_viewed"],
        min_length=1,
    )
    as_: Id | None = Field(
        None,
        alias="as",
        title="称为",
        description=(
            "A name by which conditions ask for its facts, as first in first.product_id.\n"
            "给该事件起名，后面的条件可引用其事实，如 first.product_id。"
        ),
        examples=["first"],
    )
    when: Condition | None = Field(
        None,
        title="条件",
        description=(
            "Which of them; sees its own facts and those of earlier events by name, as "
            "{second.product_id: {fact: first.product_id}}.\n"
            "哪些事件算数；可用自身及之前已命名事件的事实。"
        ),
    )


class PatternEntry(Part):
    """What a contact's events must amount to: `count` with `at_least`, or `sequence`.

    Events are put in the order in which they happened, also when they arrive late or out of order, and each
    is used once: a completed pattern starts anew. At most the latest 100 events that matter are remembered.
    """

    count: CountedEvent | None = Field(
        None,
        title="计数",
        description=(
            "Contacts enter when enough such events happened: see at_least.\n"
            "这类事件次数足够时进入，见 at_least。"
        ),
        examples=[{"event": "feedback_given"}],
    )
    at_least: int | None = Field(
        None,
        title="至少几次",
        description=(
            "With count: how many events complete the pattern, from 2 on.\n配合 count：多少次算完成，至少 2。"
        ),
        examples=[3],
        ge=2,
    )
    in_a_row: bool = Field(
        False,
        title="连续",
        description=(
            "With count: an event of these types for which 'when' is not true (or cannot be told) "
            "breaks the row, and counting starts over after it. Other event types break nothing.\n"
            "配合 count：必须连续；同类事件不满足 when 就重新计数，其他类型不影响。默认 false。"
        ),
    )
    sequence: Items[SequenceEvent] | None = Field(
        None,
        title="序列",
        description=(
            "Events that happen one after the other; others may happen in between.\n"
            "依次发生的事件；中间可以有其他事件。"
        ),
        examples=[[{"event": "product_viewed"}, {"event": "cart_updated"}]],
    )
    within: Duration = Field(
        title="时间窗口",
        description=(
            "From the first to the last of these events passes less than this, as 24h.\n"
            "从第一个到最后一个事件所用时间须小于此值。"
        ),
        examples=["24h"],
    )

    @model_validator(mode="after")
    def _is_one_form(self) -> PatternEntry:
        if (self.count is None) == (self.sequence is None):
            raise refuse("RS120", "a pattern is one of 'count' or 'sequence'", "keep one of the two")
        for key, said in (("at_least", self.at_least is not None), ("in_a_row", self.in_a_row)):
            if said and self.sequence is not None:
                raise refuse("RS120", f"'{key}' belongs to 'count'", "remove it", at=(key,))
        if self.count is not None and self.at_least is None:
            raise refuse("RS120", "'count' does not say how many", "add 'at_least: 3'", at=("count",))
        if self.sequence is not None and len(self.sequence) < 2:
            message = "a sequence has two events or more"
            raise refuse("RS120", message, "enter by 'event' for a single one", at=("sequence",))
        return self

    @model_validator(mode="after")
    def _is_bounded(self) -> PatternEntry:
        if (self.at_least or 0) > MOST_COUNTED:
            message = f"a pattern counts up to {MOST_COUNTED} events of a contact, not {self.at_least}"
            raise refuse("RS121", message, "use a count of kind tags for more", at=("at_least",))
        if len(self.sequence or ()) > MOST_STEPS:
            message = f"a sequence has at most {MOST_STEPS} events, not {len(self.sequence or ())}"
            raise refuse("RS121", message, "use wait_for in the journey for the rest", at=("sequence",))
        if self.within > LONGEST:
            message = f"a pattern looks back {format_duration(LONGEST)} at most"
            raise refuse("RS121", message, "as 24h; use a count of kind tags for more", at=("within",))
        return self

    @model_validator(mode="after")
    def _can_be_broken(self) -> PatternEntry:
        if self.in_a_row and self.count is not None and self.count.when is None:
            message = "without 'when' every event fits, so nothing could break the row"
            raise refuse("RS122", message, "add 'when' to count, or remove 'in_a_row'", at=("in_a_row",))
        return self

    @model_validator(mode="after")
    def _is_named_well(self) -> PatternEntry:
        seen: set[str] = set()
        for number, event in enumerate(self.sequence or ()):
            if event.as_ in RESERVED:
                message = f"'{event.as_}' is a family of facts; no event can be called so"
                raise refuse("RS123", message, "as first or second", at=("sequence", number, "as"))
            if event.as_ in seen:
                message = f"two events of the sequence are called '{event.as_}'"
                raise refuse("RS123", message, "give each its own name", at=("sequence", number, "as"))
            if event.as_ is not None:
                seen.add(event.as_)
        return self
