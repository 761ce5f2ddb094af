"""Frequency caps and circuit-breakers: what holds messages back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from engine.authoring.models.fields import CapZone, Duration, Id, Items, Share
from engine.authoring.models.part import Head, Part
from engine.authoring.models.refusing import refuse

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class CountsEntry(Part):
    """Which messages a cap counts; what is not said counts everything."""

    purpose: Id | None = Field(None, title="用途", description="Only messages of this purpose.")
    channels: Items[Id] = Field((), title="渠道", description="Only messages on these channels.")
    journeys: Items[Id] = Field((), title="旅程", description="Only messages of these journeys.")
    tags: Items[str] = Field((), title="标签", description="Only contacts with one of these tags.")


class RollingEntry(Part):
    """The time just past."""

    rolling: Duration = Field(
        title="滚动窗口", description="Length of the window that ends now, as 24h or 7d."
    )


class CalendarEntry(Part):
    """A day, week or month of the calendar."""

    calendar: Literal["day", "week", "month"] = Field(title="日历窗口", description="day, week or month.")
    timezone: CapZone = Field(
        title="时区", description="Whose calendar: contact (each contact's own), workspace, or an IANA name."
    )
    week_starts: Weekday | None = Field(
        None, title="一周始于", description="First day of a week; mon when not said."
    )

    @model_validator(mode="after")
    def _only_weeks_start(self) -> CalendarEntry:
        if self.week_starts is not None and self.calendar != "week":
            raise refuse(
                "RS055", "only a calendar week has a first day", "remove 'week_starts'", at=("week_starts",)
            )
        return self


def _kind_of_window(raw: Any) -> str:
    if isinstance(raw, RollingEntry) or (isinstance(raw, dict) and "rolling" in raw):
        return "<rolling>"
    return "<calendar>"


Window = Annotated[
    Annotated[RollingEntry, Tag("<rolling>")] | Annotated[CalendarEntry, Tag("<calendar>")],
    Discriminator(_kind_of_window),
]


class CapEntry(Part):
    """A frequency limit: so many messages in a window, or a gap between two."""

    not_yet: ClassVar[Mapping[str, str]] = {
        "look_ahead": "priorities decide only among messages that are due now"
    }

    id: Id = Field(title="编号", description="The cap's name, as decisions cite it.")
    counts: CountsEntry = Field(title="计数范围", description="Which messages it counts and limits.")
    limit: int | None = Field(
        None, title="上限", description="How many messages at most in the window.", ge=1, le=10_000
    )
    window: Window | None = Field(
        None, title="窗口", description="The window: {rolling: 7d} or {calendar: day, timezone: contact}."
    )
    min_gap: Duration | None = Field(
        None, title="最小间隔", description="The least time between two messages."
    )
    when_full: Literal["skip", "defer", "next_channel"] = Field(
        title="满额时", description="skip the message, defer it until there is room, or try the next_channel."
    )
    max_defer: Duration | None = Field(
        None, title="最长推迟", description="The longest a message is deferred; then it is skipped."
    )

    @model_validator(mode="after")
    def _is_one_limit(self) -> CapEntry:
        if (self.limit is None) != (self.window is None):
            missing = "window" if self.window is None else "limit"
            raise refuse(
                "RS055", f"'{missing}' is missing: limit and window belong together", f"add '{missing}'"
            )
        if (self.limit is None) == (self.min_gap is None):
            message = "a cap is either limit and window, or min_gap"
            raise refuse("RS055", message, "keep one form; write two caps to have both")
        if self.max_defer is not None and self.when_full != "defer":
            message = "'max_defer' only means something with when_full: defer"
            raise refuse("RS055", message, "remove it", at=("max_defer",))
        return self


class CapsFile(Head):
    """Frequency caps. All that apply must have room."""

    not_yet: ClassVar[Mapping[str, str]] = {
        "tolerance": "caps scaled by a contact's tolerance come with a later version"
    }

    kind: Literal["caps"] = Field(title="种类", description="Always caps.")
    caps: Items[CapEntry] = Field(title="频次上限", description="The caps.", min_length=1)


class ThresholdEntry(Part):
    gt: Share = Field(title="大于", description="The level holds while the share is greater, as 15%.")


class LevelsEntry(Part):
    """From which figures on the breaker opens."""

    not_yet: ClassVar[Mapping[str, str]] = {"black": "use 'wayline kill on' to stop everything"}

    yellow: ThresholdEntry | None = Field(
        None, title="黄色", description="Pauses the scope and keeps evidence."
    )
    red: ThresholdEntry | None = Field(None, title="红色", description="As yellow, and is reported as red.")

    @model_validator(mode="after")
    def _rise(self) -> LevelsEntry:
        if self.yellow is None and self.red is None:
            raise refuse("RS055", "a breaker without a level would never open", "add 'yellow: {gt: 15%}'")
        if self.yellow is not None and self.red is not None and self.yellow.gt >= self.red.gt:
            raise refuse("RS055", "red must lie above yellow", "raise red or lower yellow", at=("red",))
        return self


class CloseEntry(Part):
    lt: Share = Field(title="小于", description="Share of failed probes below which the breaker closes.")


class RecoverEntry(Part):
    """How an open breaker finds out that things are well again."""

    probe_after: Duration = Field(title="试探等待", description="Time between opening and the first probes.")
    probes: int = Field(
        title="试探条数", description="How many messages are let through as probes.", ge=1, le=10_000
    )
    close_when: CloseEntry = Field(
        title="恢复条件", description="The breaker closes when fewer probes fail, as {lt: 5%}."
    )
    ramp: Items[Share] = Field(
        (),
        title="放量阶梯",
        description="Shares of traffic let through one after another, as [5%, 25%, 100%].",
    )

    @model_validator(mode="after")
    def _ramp_rises(self) -> RecoverEntry:
        for number, (one, other) in enumerate(zip(self.ramp, self.ramp[1:], strict=False), 1):
            if other <= one:
                raise refuse(
                    "RS055", "the ramp must rise from step to step", "as [5%, 25%, 100%]", at=("ramp", number)
                )
        if self.ramp and self.ramp[0] == 0:
            raise refuse(
                "RS055",
                "a ramp that begins with 0% would never let anything through",
                "begin higher",
                at=("ramp", 0),
            )
        return self


class HeldEntry(Part):
    """What becomes of messages that an open breaker holds."""

    resume_within: Duration = Field(
        title="补发时限", description="How long a held message stays worth sending."
    )
    then: Literal["drop"] = Field("drop", title="超时后", description="drop: it expires.")


class BreakerEntry(Part):
    """Watches one figure in one window, for every scope of a kind by itself."""

    not_yet: ClassVar[Mapping[str, str]] = {
        "on_red": "name the second channel in the step's 'channels'; an open breaker makes the gate try it"
    }

    id: Id = Field(title="编号", description="The breaker's name, as decisions cite it.")
    scope: Literal["channel"] = Field(title="范围", description="What it watches one by one: channel.")
    metric: Literal["send_failure_rate"] = Field(title="指标", description="The figure: send_failure_rate.")
    window: Duration = Field(
        title="窗口", description="The time just past that is looked at, as 10m; real time."
    )
    min_samples: int = Field(
        title="最少样本",
        description="With fewer messages in the window it does not judge.",
        ge=1,
        le=1_000_000,
    )
    levels: LevelsEntry = Field(title="级别", description="From which figures on it opens.")
    recover: RecoverEntry = Field(title="恢复", description="How it closes again.")
    held: HeldEntry | None = Field(
        None,
        title="被扣消息",
        description="What becomes of messages it holds; not said: as long as their purpose allows.",
    )

    @model_validator(mode="after")
    def _closes_below_where_it_opens(self) -> BreakerEntry:
        opens = min(level.gt for level in (self.levels.yellow, self.levels.red) if level is not None)
        if self.recover.close_when.lt > opens:
            message = "it would close at a failure rate at which it opens again"
            raise refuse(
                "RS055",
                message,
                "lower close_when.lt to the lowest level or below",
                at=("recover", "close_when"),
            )
        if self.window > timedelta(days=1):
            raise refuse("RS030", "a breaker looks back one day at most", "as 10m", at=("window",))
        return self


class BreakersFile(Head):
    """Circuit-breakers."""

    kind: Literal["breakers"] = Field(title="种类", description="Always breakers.")
    breakers: Items[BreakerEntry] = Field(title="熔断器", description="The breakers.", min_length=1)
