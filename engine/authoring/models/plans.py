"""Plans: prepared sets of overrides that are switched on and off as one act."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import Date, Duration, Id, Items
from engine.authoring.models.limits import LevelsEntry
from engine.authoring.models.part import Head, Part
from engine.authoring.models.refusing import refuse


class PauseEntry(Part):
    """What rests while the plan is on: nobody enters, and messages are held until it is off."""

    purposes: Items[Id] = Field(
        (), title="用途", description="All journeys and messages of these marketing purposes."
    )
    journeys: Items[Id] = Field((), title="旅程", description="These journeys and their messages.")


class CapOverride(Part):
    """Other figures for a cap; what is not said stays."""

    limit: int | None = Field(None, title="上限", description="How many messages at most.", ge=1, le=10_000)
    min_gap: Duration | None = Field(
        None, title="最小间隔", description="The least time between two messages."
    )
    when_full: Literal["skip", "defer", "next_channel"] | None = Field(
        None, title="满额时", description="skip, defer or next_channel."
    )
    max_defer: Duration | None = Field(
        None, title="最长推迟", description="The longest a message is deferred."
    )


class BreakerOverride(Part):
    """Other thresholds for a breaker; what is not said stays."""

    levels: LevelsEntry | None = Field(None, title="级别", description="From which figures on it opens.")
    min_samples: int | None = Field(
        None, title="最少样本", description="With fewer messages it does not judge.", ge=1, le=1_000_000
    )


class PlanFile(Head):
    """A prepared set of overrides: for a holiday, a hot topic, a crisis. Off until it is switched on."""

    kind: Literal["plan"] = Field(title="种类", description="Always plan.")
    at_most: Duration = Field(
        title="最长启用", description="How long it may be on at most (real time); then it ends by itself."
    )
    until: Date | None = Field(
        None, title="截止日期", description="The last day on which it may be on, in the workspace's zone."
    )
    together_with: Items[Id] = Field(
        (), title="可同时启用", description="Plans that may be on beside it; not said: it is on alone."
    )
    pause: PauseEntry | None = Field(None, title="暂停", description="What rests while it is on.")
    enable: Items[Id] = Field(
        (), title="启用旅程", description="Journeys with 'enabled: false' that run while it is on."
    )
    priorities: dict[Id, int] = Field(
        {}, title="优先级", description="Journey and its priority, 0 to 100, for those who enter meanwhile."
    )
    caps: dict[Id, CapOverride] = Field({}, title="频次上限", description="Caps with other figures.")
    contents: dict[Id, Id] = Field(
        {}, title="内容替换", description="Content, and the one that is sent instead of it."
    )
    channels: Items[Id] = Field(
        (), title="渠道顺序", description="Channels to try first, in this order, where a step names them."
    )
    breakers: dict[Id, BreakerOverride] = Field(
        {}, title="熔断器", description="Breakers with other thresholds."
    )

    @model_validator(mode="after")
    def _changes_something(self) -> PlanFile:
        keys = ("pause", "enable", "priorities", "caps", "contents", "channels", "breakers")
        if not any(getattr(self, key) for key in keys):
            raise refuse("RS055", "the plan changes nothing", f"add one of {', '.join(keys)}")
        for name, priority in self.priorities.items():
            if not 0 <= priority <= 100:
                message = f"must be 0 to 100; this is {priority}"
                raise refuse("RS030", message, at=("priorities", name))
        return self
