"""Steps that choose the way: by conditions, by the arms of an experiment, round after round."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from engine.authoring.models.fields import Condition, Id, Items
from engine.authoring.models.part import Part
from engine.authoring.models.refusing import refuse

if TYPE_CHECKING:  # what steps hold is any step: `steps` knows all kinds and completes these models
    from engine.authoring.models.steps import Step


class Case(Part):
    """One way of a branch, and when it is taken."""

    when: Condition = Field(
        title="条件",
        description=(
            "When this way is taken; sees contact and journey facts.\n走这条路的条件；可用联系人与旅程事实。"
        ),
        examples=[{"contact.tags": {"has": "vip"}}],
    )
    steps: Items[Step] = Field(
        title="步骤",
        description="Steps when the condition is true.\n条件成立时执行的步骤；[] 表示什么都不做。",
    )


class BranchStep(Part):
    """Go the way of the first case that is true."""

    branch: Id = Field(
        title="分支",
        description=(
            "Name of this step, one of its kind in the journey; decisions and tests cite it.\n"
            "本步骤的编号，在旅程内唯一；决策记录与测试引用它。"
        ),
        examples=["by_value"],
    )
    cases: Items[Case] = Field(
        title="情形",
        description=(
            "The cases in order; the first that is true is taken.\n各种情形，按顺序取第一个成立的。"
        ),
        examples=[[{"when": {"contact.tags": {"has": "vip"}}, "steps": []}]],
        min_length=1,
    )
    else_: Items[Step] = Field(
        (),
        alias="else",
        title="否则",
        description=(
            "Steps when no case is true, or the facts do not say; left out: the run goes on.\n"
            "没有情形成立或事实不明时的步骤；不写则直接继续。"
        ),
    )


class Arm(Part):
    """One way of an experiment."""

    id: Id = Field(
        title="编号",
        description="The arm's name, as results cite it.\n实验组编号，结果中引用它。",
        examples=["short_text"],
    )
    weight: int = Field(
        title="权重",
        description=(
            "Its share of the contacts, relative to the other arms: 1 and 1 are half each. Changing it "
            "moves nobody who has an arm already.\n"
            "相对其他组的份额：1 和 1 各占一半。修改后，已分组的人不变。"
        ),
        ge=1,
        le=10_000,
        examples=[1],
    )
    steps: Items[Step] = Field(
        (),
        title="步骤",
        description=(
            "What its contacts get; left out: nothing here.\n该组联系人执行的步骤；不写则什么都不做。"
        ),
    )


class ExperimentStep(Part):
    """Send contacts different ways and see which does better; a contact keeps its arm for good."""

    experiment: Id = Field(
        title="实验",
        description=(
            "Name of this step, one of its kind in the journey; results cite it.\n"
            "本步骤的编号，在旅程内唯一。"
        ),
        examples=["subject_line"],
    )
    arms: Items[Arm] = Field(
        title="实验组",
        description="The ways between which contacts are split, two at least.\n各实验组，至少两个。",
        examples=[[{"id": "short", "weight": 1}, {"id": "long", "weight": 1}]],
        min_length=2,
    )
    seed: str = Field(
        "",
        title="种子",
        description=(
            "Any word; a new one draws the arms anew. Without it: the ids of journey and step, as "
            "welcome/subject_line.\n"
            "任意一个词；换一个就重新分组。不写则用旅程和步骤的编号。"
        ),
        max_length=100,
        examples=["2026-spring"],
    )
    stratify_by: Items[str] = Field(
        (),
        title="分层",
        description=(
            "Facts of contacts by which the arms are balanced, three at most; those of whom one is not "
            "known are balanced among themselves. Then the order of arrival decides, not the hash.\n"
            "用哪些联系人事实平衡各组，最多三个；事实未知的人自成一层。此时按到达顺序分组，不用哈希。"
        ),
        max_length=3,
        examples=[["contact.stage"]],
    )

    @model_validator(mode="after")
    def _names_differ(self) -> ExperimentStep:
        seen: set[str] = set()
        for number, arm in enumerate(self.arms):
            if arm.id in seen:
                at = ("arms", number, "id")
                raise refuse("RS042", f"two arms are called '{arm.id}'", "rename one of them", at=at)
            seen.add(arm.id)
        return self


class RepeatStep(Part):
    """Do steps several times: a fixed number of times, or while a condition holds."""

    repeat: Id = Field(
        title="重复",
        description=(
            "Name of this step, one of its kind in the journey; decisions cite it.\n"
            "本步骤的编号，在旅程内唯一。"
        ),
        examples=["remind"],
    )
    times: int | None = Field(
        None,
        title="次数",
        description="How many times its steps are done; instead of `while`.\n重复多少次；与 while 二选一。",
        ge=2,
        le=1000,
        examples=[3],
    )
    while_: Condition | None = Field(
        None,
        alias="while",
        title="条件",
        description=(
            "Asked before each time; sees contact and journey facts. Needs `at_most`.\n"
            "每次之前检查的条件；可用联系人与旅程事实，须写 at_most。"
        ),
        examples=[{"contact.tags": {"lacks": "answered"}}],
    )
    at_most: int | None = Field(
        None,
        title="最多次数",
        description="How many times at most, however long `while` holds.\n配合 while：最多重复多少次。",
        ge=1,
        le=1000,
        examples=[5],
    )
    steps: Items[Step] = Field(
        title="步骤", description="The steps that are done each time.\n每次重复执行的步骤。", min_length=1
    )

    @model_validator(mode="after")
    def _is_bounded(self) -> RepeatStep:
        if (self.times is None) == (self.while_ is None):
            raise refuse("RS055", "a repeat needs one of 'times' and 'while'", "add 'times: 3'")
        if (self.at_most is None) != (self.while_ is None):
            message = "'at_most' and 'while' belong together: a repeat always has a bound"
            raise refuse("RS055", message, "add 'at_most: 5'" if self.at_most is None else "remove 'at_most'")
        return self
