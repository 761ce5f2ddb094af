"""Frequency caps and circuit-breakers: what holds messages back."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from engine.authoring.models.fields import (
    CapZone,
    Condition,
    Date,
    Duration,
    Id,
    Items,
    Measure,
    Percent,
    Share,
)
from engine.authoring.models.part import Head, Part, Unacted
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


class QuotaEntry(Part):
    """Where a platform's own limit stands."""

    source: str = Field(
        title="来源", description="The platform's page or contract.", min_length=1, max_length=1000
    )
    as_of: Date = Field(title="截至", description="The day on which it was read.", examples=["2026-03-01"])


class CapEntry(Part):
    """A frequency limit: so many messages in a window, or a gap between two."""

    unacted: ClassVar[tuple[Unacted, ...]] = (
        Unacted("look_ahead", "priorities decide only among messages that are due now"),
        Unacted("quota", "transactional messages stay exempt from it"),
    )

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
        None,
        title="最长推迟",
        description="With when_full: defer, the longest a message is deferred; then it is skipped.",
        examples=["36h"],
    )
    look_ahead: Duration | None = Field(
        None,
        title="前瞻",
        description="A message yields the last place to one of higher priority that is due within this time.",
        examples=["6h"],
    )
    quota: QuotaEntry | None = Field(
        None,
        title="平台配额",
        description="Marks a limit that the platform itself sets: nobody is exempt from it.",
        examples=[{"source": "平台公告", "as_of": "2026-03-01"}],
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


class SilencePause(Part):
    """A rest for contacts who never answer."""

    after: Duration = Field(
        title="静默时长",
        description="How long a contact gave no sign of life since the oldest message without an answer.",
        examples=["3d"],
    )
    for_: Duration = Field(
        alias="for",
        title="暂停时长",
        description="How long marketing then leaves them alone.",
        examples=["14d"],
    )


class ScaleEntry(Part):
    """Contacts who bear more, or less, than the caps say."""

    when: Condition = Field(
        title="条件",
        description="Whose limits are scaled; sees the contact's facts. The first that is true counts.",
        examples=[{"contact.order_count": {"gte": 10}}],
    )
    factor: float = Field(
        title="系数",
        description="1.5 allows half as many again, 0.5 half; at least one message is always allowed.",
        gt=0,
        le=10,
        examples=[1.5],
    )


class ToleranceEntry(Part):
    """How much more or less single contacts are written to than the caps say. Never loosens a `min_gap`."""

    pause_after_silence: SilencePause | None = Field(
        None,
        title="静默后暂停",
        description="Leaves contacts alone for a while who show no sign of life.",
        examples=[{"after": "3d", "for": "14d"}],
    )
    scale: Items[ScaleEntry] = Field(
        (),
        title="缩放",
        description="Whose limits are larger or smaller; everybody else has them as they stand.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> ToleranceEntry:
        if self.pause_after_silence is None and not self.scale:
            raise refuse("RS055", "it changes nothing", "add 'scale' or 'pause_after_silence'")
        return self


class CapsFile(Head):
    """Frequency caps. All that apply must have room."""

    unacted: ClassVar[tuple[Unacted, ...]] = (
        Unacted("tolerance", "every contact has the limits as they stand, and silence pauses nothing"),
    )

    kind: Literal["caps"] = Field(title="种类", description="Always caps: this file holds frequency caps.")
    caps: Items[CapEntry] = Field(
        title="频次上限",
        description="The caps. A message leaves when every cap that counts it has room.",
        min_length=1,
    )
    tolerance: ToleranceEntry | None = Field(
        None,
        title="耐受度",
        description="Scales the caps by how much a contact bears.",
        examples=[{"pause_after_silence": {"after": "3d", "for": "14d"}}],
    )


Metric = Literal[
    "send_failure_rate",
    "complaint_rate",
    "unsubscribe_rate",
    "bounce_rate",
    "play_rate_3s",
    "cpm_over_baseline",
    "account_health",
    "spend",
]
_FALLING = {"play_rate_3s", "account_health"}
"""Metrics of which less is worse."""
_PLAIN = {"account_health", "spend"}
"""Metrics that are plain numbers, not shares."""


class ThresholdEntry(Part):
    """From where on a level holds."""

    unacted: ClassVar[tuple[Unacted, ...]] = (Unacted("lt", "only figures that rise are watched"),)

    gt: Measure | None = Field(
        None,
        title="大于",
        description="The level holds while the figure is greater: a percentage, or a number for spend.",
        examples=["15%"],
    )
    lt: Measure | None = Field(
        None,
        title="小于",
        description="The level holds while the figure is less, for figures of which less is worse.",
        examples=["50%"],
    )

    @model_validator(mode="after")
    def _has_one_side(self) -> ThresholdEntry:
        if (self.gt is None) == (self.lt is None):
            raise refuse("RS055", "a level has one of 'gt' and 'lt'", "as {gt: 15%}")
        return self


class LevelsEntry(Part):
    """From which figures on the breaker opens."""

    unacted: ClassVar[tuple[Unacted, ...]] = (
        Unacted("black", "nothing stops everything by itself; 'wayline kill on' does"),
    )

    yellow: ThresholdEntry | None = Field(
        None,
        title="黄色",
        description="Pauses the scope, holds its messages and keeps evidence.",
        examples=[{"gt": "15%"}],
    )
    red: ThresholdEntry | None = Field(
        None,
        title="红色",
        description="As yellow, is reported as red, and does what `on_red` says.",
        examples=[{"gt": "40%"}],
    )
    black: ThresholdEntry | None = Field(
        None,
        title="黑色",
        description="Stops everything, as the kill switch does, and packs the evidence together.",
        examples=[{"gt": "80%"}],
    )

    @model_validator(mode="after")
    def _get_worse(self) -> LevelsEntry:
        if not (said := self.said()):
            raise refuse("RS055", "a breaker without a level would never open", "add 'yellow: {gt: 15%}'")
        for (mild, one), (grave, other) in pairwise(said):
            if one.gt is not None and other.gt is not None and one.gt >= other.gt:
                message, hint = f"{grave} must lie above {mild}", f"raise {grave} or lower {mild}"
                raise refuse("RS055", message, hint, at=(grave,))
            if one.lt is not None and other.lt is not None and one.lt <= other.lt:
                message, hint = f"{grave} must lie below {mild}", f"lower {grave} or raise {mild}"
                raise refuse("RS055", message, hint, at=(grave,))
        return self

    def said(self) -> list[tuple[str, ThresholdEntry]]:
        """The levels that are set, the mildest first."""
        named = (("yellow", self.yellow), ("red", self.red), ("black", self.black))
        return [(name, level) for name, level in named if level is not None]


class OnRed(Part):
    """What a red breaker does besides holding messages back."""

    switch_to: Id | None = Field(
        None,
        title="切换到",
        description="The channel that takes over while this one is red.",
        examples=["sms"],
    )
    action: Literal["freeze", "safety_review", "diagnose"] | None = Field(
        None,
        title="动作",
        description="freeze the scope, have its safety reviewed, or have it diagnosed, by people.",
    )

    @model_validator(mode="after")
    def _does_one_thing(self) -> OnRed:
        if (self.switch_to is None) == (self.action is None):
            raise refuse("RS055", "'on_red' is one of 'switch_to' and 'action'", "as {switch_to: sms}")
        return self


class CloseEntry(Part):
    lt: Share = Field(
        title="小于",
        description="Share of failed probes below which the breaker closes.",
        examples=["5%"],
    )


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

    # It has one value, and is there so that the file says in words what happens.
    for_people: ClassVar[frozenset[str]] = frozenset({"then"})

    resume_within: Duration = Field(
        title="补发时限", description="How long a held message stays worth sending."
    )
    then: Literal["drop"] = Field("drop", title="超时后", description="drop: it expires.")


class BreakerEntry(Part):
    """Watches one figure in one window, for every scope of a kind by itself."""

    unacted: ClassVar[tuple[Unacted, ...]] = (
        Unacted(
            "on_red",
            "red does no more than yellow; a second channel in the steps' 'channels' is tried either way",
        ),
        Unacted("scope", "only channels are watched", ("workspace", "account", "journey", "content")),
        Unacted(
            "metric",
            "only send_failure_rate is measured",
            (
                "complaint_rate",
                "unsubscribe_rate",
                "bounce_rate",
                "play_rate_3s",
                "cpm_over_baseline",
                "account_health",
                "spend",
            ),
        ),
    )

    id: Id = Field(
        title="编号", description="The breaker's name, as decisions and `wayline breaker` cite it."
    )
    scope: Literal["workspace", "account", "channel", "journey", "content"] = Field(
        title="范围",
        description="What it watches one by one; with channel, each channel has a state of its own.",
    )
    metric: Metric = Field(
        title="指标",
        description="The figure. send_failure_rate: failed messages among all that were tried.",
    )
    window: Duration = Field(
        title="窗口",
        description="The time just past that is looked at; real time, a day at most.",
        examples=["10m"],
    )
    min_samples: int = Field(
        title="最少样本",
        description="With fewer messages in the window it does not judge: two failures of three say little.",
        ge=1,
        le=1_000_000,
        examples=[50],
    )
    levels: LevelsEntry = Field(
        title="级别",
        description="From which figures on it opens.",
        examples=[{"yellow": {"gt": "15%"}, "red": {"gt": "40%"}}],
    )
    on_red: OnRed | None = Field(
        None,
        title="红色时",
        description="What red does besides holding messages back.",
        examples=[{"switch_to": "sms"}],
    )
    recover: RecoverEntry = Field(
        title="恢复", description="How it finds out that things are well, and closes."
    )
    held: HeldEntry | None = Field(
        None,
        title="被扣消息",
        description="What becomes of messages it holds; not said: as long as their purpose allows.",
        examples=[{"resume_within": "6h", "then": "drop"}],
    )

    @model_validator(mode="after")
    def _levels_fit_the_metric(self) -> BreakerEntry:
        side = "lt" if self.metric in _FALLING else "gt"
        example, wanted = ("70", "a plain number") if self.metric in _PLAIN else ("15%", "a percentage")
        for name, level in self.levels.said():
            measure = getattr(level, side)
            if measure is None:
                worse = "less" if side == "lt" else "more"
                message = f"of {self.metric}, {worse} is worse: the level needs '{side}'"
                raise refuse("RS055", message, f"as {{{side}: {example}}}", at=("levels", name))
            if isinstance(measure, Percent) is (self.metric in _PLAIN):
                message = f"a level of {self.metric} is {wanted}"
                raise refuse("RS055", message, f"as {example}", at=("levels", name, side))
        lowest = self.levels.said()[0][1].gt
        if lowest is not None and self.metric not in _PLAIN and self.recover.close_when.lt > lowest:
            raise refuse(
                "RS055",
                "it would close at a failure rate at which it opens again",
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
