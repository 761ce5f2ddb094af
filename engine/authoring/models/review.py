"""Review policies: who approves which contents before they may be sent."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from engine.authoring.models.fields import Duration, Id, Items
from engine.authoring.models.part import Head, Part, Unacted
from engine.authoring.models.refusing import refuse
from engine.rules.condition import YamlPath


class StageEntry(Part):
    """One pair of eyes."""

    id: Id = Field(title="编号", description="The stage's name, as records of reviews cite it.")
    queue: Id | None = Field(
        None,
        title="队列",
        description="Whose list the content appears on: a queue of wayline.yaml. Without it: its creator's.",
        examples=["legal"],
    )
    deadline: Duration = Field(title="时限", description="How long it may lie there.", examples=["4h"])
    when_late: Literal["remind", "escalate", "reject"] = Field(
        "remind",
        title="超时",
        description="What happens then: remind, escalate to the next stage, or reject.",
    )
    on_urgent: Literal["keep", "leave_out"] = Field(
        "keep", title="加急时", description="Whether an urgent content goes through this stage too."
    )


class PolicyEntry(Part):
    """Which contents take which stages. The first policy that fits a content is its own."""

    id: Id = Field(title="编号", description="The policy's name, as records of reviews cite it.")
    contents: Items[Id] = Field(
        (), title="内容", description="Only these contents; without it all.", examples=[["welcome_hello"]]
    )
    purposes: Items[Id] = Field(
        (), title="用途", description="Only contents sent for these purposes.", examples=[["marketing"]]
    )
    channels: Items[Id] = Field((), title="渠道", description="Only contents sent on these channels.")
    risk: Literal["low", "high"] | None = Field(
        None,
        title="风险",
        description="high: a check found something to warn of. low: none did. Without it: both.",
    )
    stages: Items[Id] = Field(
        title="环节",
        description="Stages in order; an empty list lets it pass without anyone.",
        examples=[["self_check", "operations", "legal"]],
    )
    four_eyes: bool = Field(
        True, title="四眼原则", description="true: nobody approves what they wrote themselves."
    )


class ReviewFile(Head):
    """Who approves contents."""

    unacted: ClassVar[tuple[Unacted, ...]] = (Unacted("", "contents are sent without anyone's approval"),)

    kind: Literal["review"] = Field(title="种类", description="Always review.")
    stages: Items[StageEntry] = Field(title="环节", description="The stages there are.", min_length=1)
    policies: Items[PolicyEntry] = Field(
        title="策略", description="Which contents take which of them.", min_length=1
    )

    @model_validator(mode="after")
    def _names_its_stages(self) -> ReviewFile:
        for key, ids in (
            ("stages", [stage.id for stage in self.stages]),
            ("policies", [policy.id for policy in self.policies]),
        ):
            for number, name in enumerate(ids):
                if name in ids[:number]:
                    at = (key, number, "id")
                    raise refuse("RS042", f"'{name}' stands here twice", "rename one of them", at=at)
        known = sorted(stage.id for stage in self.stages)
        for number, policy in enumerate(self.policies):
            for place, name in enumerate(policy.stages):
                if name not in known:
                    where: YamlPath = ("policies", number, "stages", place)
                    hint = f"known are {', '.join(known)}"
                    raise refuse("RS055", f"'{name}' is not a stage of this file", hint, at=where)
        return self
