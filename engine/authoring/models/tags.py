"""What is computed of every contact: tags, and in one file with them counts, scores and classes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from engine.authoring.models.counts import CountEntry
from engine.authoring.models.fields import Condition, Items
from engine.authoring.models.part import Head, Part
from engine.authoring.models.profile import ClassEntry, ScoreEntry
from engine.authoring.models.refusing import refuse


class TagEntry(Part):
    """A tag that a contact carries exactly while a condition is true."""

    tag: str = Field(
        title="标签",
        description="The tag that contacts carry, in any language.\n标签，可用任何语言。",
        examples=["高价值"],
        min_length=1,
        max_length=64,
    )
    level: Literal["basic", "behaviour", "value"] = Field(
        title="层级",
        description=(
            "basic (who it is), behaviour (what it does) or value (what it is worth).\n"
            "层级：basic 基础属性、behaviour 行为、value 价值。"
        ),
    )
    when: Condition = Field(
        title="条件",
        description=(
            "Who carries it, exactly as long as this is true; sees the contact's facts.\n"
            "谁带此标签（条件成立期间）；可用联系人事实。"
        ),
        examples=[{"contact.total_spent": {"gte": 5000}}],
    )


class TagsFile(Head):
    """What Wayline computes of every contact, in this order: counts, scores, classes, tags."""

    kind: Literal["tags"] = Field(
        title="种类",
        description=(
            "Always tags: what is computed of every contact.\n固定写 tags：本文件定义为每位联系人计算的内容。"
        ),
    )
    counts: Items[CountEntry] = Field(
        (),
        title="窗口统计",
        description=(
            "Numbers over a moving window, asked for as contact.<id>.\n"
            "滑动窗口内的统计数，条件中写 contact.<编号>。"
        ),
        examples=[[{"id": "orders_90d", "of": {"event": "order_paid"}, "within": "90d"}]],
        min_length=1,
    )
    scores: Items[ScoreEntry] = Field(
        (),
        title="评分",
        description="Scores from 1 to 5, as for RFM.\n1 到 5 的评分，例如 RFM。",
        min_length=1,
    )
    classes: Items[ClassEntry] = Field(
        (),
        title="分类",
        description=(
            "Divisions of all contacts, as by activity; stage is the life-cycle stage.\n"
            "对全体联系人的划分，如活跃度；stage 为生命周期阶段。"
        ),
        min_length=1,
    )
    tags: Items[TagEntry] = Field(
        (),
        title="标签",
        description=(
            "Tags that follow from facts; they come and go by themselves.\n由事实产生的标签，会自动增减。"
        ),
        min_length=1,
    )

    @model_validator(mode="after")
    def _computes_something(self) -> TagsFile:
        if not (self.counts or self.scores or self.classes or self.tags):
            raise refuse("RS004", "'tags' is missing", "tags: Tags that follow from facts.")
        return self
