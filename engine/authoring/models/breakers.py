"""Circuit-breakers: figures that are watched, and what holds messages back when they turn bad."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import Duration, Id, Items, Measure, Percent, Share
from engine.authoring.models.part import Head, Part, Unacted
from engine.authoring.models.refusing import refuse
from engine.plugin.declaring import RESERVED_METRICS

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
        description=(
            "The level holds while the figure is greater: a percentage, or a number for spend.\n"
            "数值大于此值时该级别成立；写百分比，花费写数字。"
        ),
        examples=["15%"],
    )
    lt: Measure | None = Field(
        None,
        title="小于",
        description=(
            "The level holds while the figure is less, for figures of which less is worse.\n"
            "数值小于此值时该级别成立，用于越低越差的指标。"
        ),
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
        description=(
            "Pauses the scope, holds its messages and keeps evidence.\n暂停该范围，扣住消息并保留证据。"
        ),
        examples=[{"gt": "15%"}],
    )
    red: ThresholdEntry | None = Field(
        None,
        title="红色",
        description=(
            "As yellow, is reported as red, and does what `on_red` says.\n同黄色，并按红色上报，执行 on_red。"
        ),
        examples=[{"gt": "40%"}],
    )
    black: ThresholdEntry | None = Field(
        None,
        title="黑色",
        description=(
            "Stops everything, as the kill switch does, and packs the evidence together.\n"
            "像总开关一样全部停止，并打包证据。"
        ),
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
        description="The channel that takes over while this one is red.\n红色期间接替本渠道的渠道。",
        examples=["sms"],
    )
    action: Literal["freeze", "safety_review", "diagnose"] | None = Field(
        None,
        title="动作",
        description=(
            "freeze the scope, have its safety reviewed, or have it diagnosed, by people.\n"
            "由人冻结（freeze）、安全审查（safety_review）或诊断（diagnose）该范围。"
        ),
    )

    @model_validator(mode="after")
    def _does_one_thing(self) -> OnRed:
        if (self.switch_to is None) == (self.action is None):
            raise refuse("RS055", "'on_red' is one of 'switch_to' and 'action'", "as {switch_to: sms}")
        return self


class CloseEntry(Part):
    """When the probes have shown that things are well."""

    lt: Share = Field(
        title="小于",
        description=(
            "Share of probes that count against it, below which the breaker closes.\n"
            "试探消息中计为不良的比例低于此值时恢复。"
        ),
        examples=["5%"],
    )


class RecoverEntry(Part):
    """How an open breaker finds out that things are well again."""

    probe_after: Duration = Field(
        title="试探等待",
        description=(
            "Time between opening and the first probes; and how long bounces, complaints and the like of "
            "probes are waited for.\n"
            "断开后多久开始试探；也是等待试探消息的退信、投诉等结果的时长。"
        ),
        examples=["5m"],
    )
    probes: int = Field(
        title="试探条数",
        description="How many messages are let through as probes.\n放行多少条消息作为试探。",
        examples=[10],
        ge=1,
        le=10_000,
    )
    close_when: CloseEntry = Field(
        title="恢复条件",
        description=(
            "When enough probes succeed: the breaker closes, or goes up the ramp.\n试探成功到什么程度算恢复。"
        ),
        examples=[{"lt": "5%"}],
    )
    ramp: Items[Share] = Field(
        (),
        title="放量阶梯",
        description=(
            "Shares of traffic let through one after another before all of it; left out: all at once.\n"
            "恢复时逐级放行的流量比例；不写则一次全部放行。"
        ),
        examples=[["5%", "25%", "100%"]],
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
        title="补发时限",
        description=(
            "How long a held message stays worth sending; later it expires.\n"
            "被扣消息多久内仍值得补发，之后过期。"
        ),
        examples=["6h"],
    )
    then: Literal["drop"] = Field(
        "drop",
        title="超时后",
        description="drop, the only way there is: the message expires.\n只能写 drop：超时后消息作废。",
    )


class BreakerEntry(Part):
    """Watches one figure in one window, for every scope of a kind by itself."""

    unacted: ClassVar[tuple[Unacted, ...]] = (
        Unacted(
            "on_red",
            "red does no more than yellow; a second channel in the steps' 'channels' is tried either way",
        ),
        Unacted("scope", "accounts are not watched", ("account",)),
        Unacted("metric", "nothing measures it", RESERVED_METRICS),
    )

    id: Id = Field(
        title="编号",
        description=(
            "The breaker's name, as decisions and `wayline breaker` cite it.\n"
            "熔断器的编号，决策记录与 wayline breaker 命令引用它。"
        ),
        examples=["email_failures"],
    )
    scope: Literal["workspace", "account", "channel", "journey", "content"] = Field(
        title="范围",
        description=(
            "What it watches one by one; with channel, each channel has a state of its own, with workspace "
            "there is one.\n"
            "逐个观察什么；channel 表示每个渠道各自判断，workspace 表示整个工作区只有一个状态。"
        ),
    )
    metric: Id = Field(
        title="指标",
        description=(
            "The figure: send_failure_rate (failed among all that were tried), bounce_rate, complaint_rate, "
            "unsubscribe_rate (of all messages sent; each counts when it is told), or a metric of a plugin.\n"
            "观察的指标：send_failure_rate（失败数占尝试发送数的比例）、bounce_rate 退信率、"
            "complaint_rate 投诉率、unsubscribe_rate 退订率（占已发送消息的比例，得知之时计入），"
            "或插件提供的指标。"
        ),
        examples=["bounce_rate"],
    )
    window: Duration = Field(
        title="窗口",
        description=(
            "The time just past that is looked at; real time, a day at most. What is told late, as bounces "
            "are, wants a long one.\n"
            "观察最近多久（真实时间），最多一天；退信等较晚得知的情况宜取较长窗口。"
        ),
        examples=["10m"],
    )
    min_samples: int = Field(
        title="最少样本",
        description=(
            "With fewer messages in the window it does not judge: two failures of three say little.\n"
            "窗口内消息少于此数时不判断。"
        ),
        ge=1,
        le=1_000_000,
        examples=[50],
    )
    levels: LevelsEntry = Field(
        title="级别",
        description="From which figures on it opens, by level.\n数值到多少时断开，按级别填写。",
        examples=[{"yellow": {"gt": "15%"}, "red": {"gt": "40%"}}],
    )
    on_red: OnRed | None = Field(
        None,
        title="红色时",
        description="What red does besides holding messages back.\n红色时除扣住消息外还做什么。",
        examples=[{"switch_to": "sms"}],
    )
    recover: RecoverEntry = Field(
        title="恢复",
        description="How it finds out that things are well, and closes.\n如何判断已经恢复正常并闭合。",
        examples=[{"probe_after": "5m", "probes": 10, "close_when": {"lt": "5%"}}],
    )
    held: HeldEntry | None = Field(
        None,
        title="被扣消息",
        description=(
            "What becomes of messages it holds; not said: as long as their purpose allows.\n"
            "被它扣住的消息如何处理；不写则以用途允许的时长为限。"
        ),
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
                "it would close at a rate at which it opens again",
                "lower close_when.lt to the lowest level or below",
                at=("recover", "close_when"),
            )
        if self.window > timedelta(days=1):
            raise refuse("RS030", "a breaker looks back one day at most", "as 10m", at=("window",))
        return self


class BreakersFile(Head):
    """Circuit-breakers."""

    kind: Literal["breakers"] = Field(
        title="种类",
        description=(
            "Always breakers: this file holds circuit-breakers.\n固定写 breakers：本文件定义熔断器。"
        ),
    )
    breakers: Items[BreakerEntry] = Field(
        title="熔断器",
        description=(
            "The breakers; each judges every scope of its kind by itself.\n"
            "熔断器列表；每个对各自范围分别判断。"
        ),
        min_length=1,
    )
