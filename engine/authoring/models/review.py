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

    unacted: ClassVar[tuple[Unacted, ...]] = (
        Unacted("deadline", "texts lie there until somebody decides"),
        Unacted("when_late", "nobody is reminded"),
        Unacted("on_urgent", "no text is urgent"),
    )

    id: Id = Field(
        title="编号",
        description="The stage's name, as records of reviews cite it.\n环节编号，审核记录中引用它。",
        examples=["legal"],
    )
    queue: Id | None = Field(
        None,
        title="队列",
        description=(
            "Whose list the content appears on: a queue of wayline.yaml. Without it: its creator's.\n"
            "内容出现在谁的任务列表：wayline.yaml 的队列；不写则为作者本人。"
        ),
        examples=["legal"],
    )
    deadline: Duration | None = Field(
        None,
        title="时限",
        description=(
            "How long a content may lie there unanswered; left out: as long as it takes.\n"
            "内容最多可停留多久；不写则不限。"
        ),
        examples=["4h"],
    )
    when_late: Literal["remind", "escalate", "reject"] = Field(
        "remind",
        title="超时",
        description=(
            "What happens then: remind (when left out), escalate to the next stage, or reject.\n"
            "超时后：remind 提醒（默认）、escalate 升级到下一环节或 reject 驳回。"
        ),
    )
    on_urgent: Literal["keep", "leave_out"] = Field(
        "keep",
        title="加急时",
        description=(
            "Whether an urgent content goes through this stage too: keep (when left out) or "
            "leave_out.\n"
            "加急内容是否也走本环节：keep 走（默认），leave_out 跳过。"
        ),
    )


class PolicyEntry(Part):
    """Which contents take which stages. The first policy that fits a content is its own."""

    unacted: ClassVar[tuple[Unacted, ...]] = (
        Unacted("risk", "texts are asked about whatever checks find in them"),
    )

    id: Id = Field(
        title="编号",
        description="The policy's name, as records of reviews cite it.\n策略编号，审核记录中引用它。",
        examples=["marketing_texts"],
    )
    contents: Items[Id] = Field(
        (),
        title="内容",
        description="Only these contents; without it all of them.\n只针对这些内容；不写则全部。",
        examples=[["welcome_hello"]],
    )
    purposes: Items[Id] = Field(
        (),
        title="用途",
        description=(
            "Only contents sent for these purposes; without it, for any.\n"
            "只针对用于这些用途的内容；不写则不限。"
        ),
        examples=[["marketing"]],
    )
    channels: Items[Id] = Field(
        (),
        title="渠道",
        description=(
            "Only contents sent on these channels; without it, on any.\n"
            "只针对在这些渠道发送的内容；不写则不限。"
        ),
        examples=[["sms"]],
    )
    risk: Literal["low", "high"] | None = Field(
        None,
        title="风险",
        description=(
            "high: a check found something to warn of. low: none did. Without it: both.\n"
            "high：检查发现需提醒的问题；low：没有；不写则两者都算。"
        ),
    )
    stages: Items[Id] = Field(
        title="环节",
        description=(
            "Stages in order; an empty list lets it pass without anyone.\n"
            "依次经过的环节；空列表表示无需人工。"
        ),
        examples=[["self_check", "operations", "legal"]],
    )
    four_eyes: bool = Field(
        True,
        title="四眼原则",
        description=(
            "true (when left out): nobody approves what they published first themselves, but in a stage "
            "without a queue beside which others look.\n"
            "true（默认）：不能审批自己最先发布的内容；仅当另有他人审核时，可在没有队列的环节自查。"
        ),
    )


class ReviewFile(Head):
    """Who approves contents."""

    kind: Literal["review"] = Field(
        title="种类",
        description="Always review: who approves which contents.\n固定写 review：本文件定义审核策略。",
    )
    stages: Items[StageEntry] = Field(
        title="环节",
        description="The stages that policies can name.\n策略可以引用的审核环节。",
        examples=[[{"id": "legal", "queue": "legal"}]],
        min_length=1,
    )
    policies: Items[PolicyEntry] = Field(
        title="策略",
        description=(
            "Which contents take which stages; the first that fits counts.\n"
            "哪些内容走哪些环节，取第一个符合的。"
        ),
        examples=[[{"id": "all_texts", "stages": ["legal"]}]],
        min_length=1,
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
