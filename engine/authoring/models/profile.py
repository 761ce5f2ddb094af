"""What Wayline computes of contacts: scores, classes and audiences."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from engine.authoring.models.fields import Condition, Duration, Id, Items
from engine.authoring.models.part import Head, Part
from engine.authoring.models.refusing import refuse

Number = Annotated[int, Strict()] | Annotated[float, Strict()]
BAND_TESTS = ("within", "older_than", "at_least", "at_most")


class BandEntry(Part):
    """One band of a score: who falls into it, and what it is worth."""

    within: Duration | None = Field(
        None,
        title="距今不足",
        description="The moment lies less than this long ago, as 30d.\n该时刻距今不足此时长。",
        examples=["30d"],
    )
    older_than: Duration | None = Field(
        None,
        title="距今至少",
        description="The moment lies at least this long ago, as 30d.\n该时刻距今至少此时长。",
        examples=["180d"],
    )
    at_least: Number | None = Field(
        None, title="不少于", description="The number is this one or more.\n数值不小于此数。", examples=[10]
    )
    at_most: Number | None = Field(
        None, title="不多于", description="The number is this one or less.\n数值不大于此数。", examples=[1]
    )
    score: int = Field(
        title="分值", description="The score of this band, 1 to 5.\n落在本段的得分，1 到 5。", ge=1, le=5
    )

    @model_validator(mode="after")
    def _has_one_test(self) -> BandEntry:
        said = [name for name in BAND_TESTS if getattr(self, name) is not None]
        if len(said) != 1:
            hint = "write 'within: 30d' for a moment, 'at_least: 3' for a number"
            raise refuse("RS055", f"a band needs exactly one of {', '.join(BAND_TESTS)}", hint)
        return self

    @property
    def test(self) -> str:
        """Which of the four tests the band has."""
        return next(name for name in BAND_TESTS if getattr(self, name) is not None)


class ScoreEntry(Part):
    """A score from 1 to 5, read off a fact about the contact; conditions name it contact.<id>."""

    id: Id = Field(
        title="编号",
        description=(
            "The score's name; conditions ask for contact.<id>.\n评分的编号；条件中写 contact.<编号>。"
        ),
        examples=["recency"],
    )
    title: str = Field(
        "",
        title="标题",
        description=(
            "What people read in lists; left out, they read the id.\n列表中显示的名称；不写则显示编号。"
        ),
        examples=["最近购买"],
        max_length=200,
    )
    of: str = Field(
        title="依据",
        description="The fact about the contact that it is read off.\n评分所依据的联系人事实。",
        examples=["contact.last_order_at"],
        min_length=1,
    )
    bands: Items[BandEntry] = Field(
        title="分段",
        description=(
            "The most demanding one first; the first that fits counts.\n"
            "分段，要求最高的写在最前，取第一个符合的。"
        ),
        examples=[[{"within": "30d", "score": 5}, {"within": "90d", "score": 3}]],
        min_length=1,
    )
    else_: int | None = Field(
        None,
        alias="else",
        title="否则",
        description=(
            "Score of everybody else, also where the fact is not known; not said: no score.\n"
            "其他人的得分（事实未知时也是）；不写则没有得分。"
        ),
        ge=1,
        le=5,
    )


ClassName = Annotated[str, Field(min_length=1, max_length=64)]


class CaseEntry(Part):
    """One case of a class: who belongs to it."""

    is_: ClassName = Field(
        alias="is",
        title="归类",
        description="The class that these contacts get.\n这些联系人归入的类别。",
        examples=["frequent"],
    )
    when: Condition = Field(
        title="条件",
        description=(
            "Who belongs to it; sees contact facts and scores.\n谁属于这一类；可用联系人事实与评分。"
        ),
        examples=[{"contact.order_count": {"gte": 3}}],
    )


class ClassEntry(Part):
    """A division of all contacts: the first case that holds says what a contact is."""

    id: Id = Field(
        title="编号",
        description=(
            "Name of the division; conditions ask for contact.<id>. stage sets the life-cycle stage.\n"
            "分类的编号；条件中写 contact.<编号>，stage 即生命周期阶段。"
        ),
        examples=["stage"],
    )
    title: str = Field(
        "",
        title="标题",
        description=(
            "What people read in lists; left out, they read the id.\n列表中显示的名称；不写则显示编号。"
        ),
        examples=["生命周期阶段"],
        max_length=200,
    )
    cases: Items[CaseEntry] = Field(
        title="分类",
        description="The first whose condition is true counts.\n各类的条件，取第一个成立的。",
        min_length=1,
    )
    else_: ClassName | None = Field(
        None,
        alias="else",
        title="否则",
        description="Class of everybody else; not said: they have none.\n其他人的类别；不写则没有类别。",
        examples=["new"],
    )


class AudienceFile(Head):
    """A set of contacts, kept up to date by itself; entering and leaving it are events."""

    kind: Literal["audience"] = Field(
        title="种类",
        description=(
            "Always audience: a set of contacts kept up to date by itself.\n"
            "固定写 audience：一组自动更新的联系人。"
        ),
    )
    when: Condition = Field(
        title="条件",
        description=(
            "Who belongs to it; sees contact facts, scores, classes, stage and tags.\n"
            "谁属于该受众；可用联系人事实、评分、分类、阶段与标签。"
        ),
        examples=[{"contact.stage": "churned"}],
    )


class AudienceEntry(Part):
    """Coming in by entering or leaving an audience."""

    entered: Id | None = Field(
        None,
        title="进入受众",
        description="Id of the audience that contacts enter.\n联系人进入的受众编号。",
        examples=["lapsed"],
    )
    left: Id | None = Field(
        None,
        title="离开受众",
        description="Id of the audience that contacts leave.\n联系人离开的受众编号。",
        examples=["lapsed"],
    )

    @model_validator(mode="after")
    def _is_one_way(self) -> AudienceEntry:
        if (self.entered is None) == (self.left is None):
            message = "the audience is one of {entered: lapsed} or {left: lapsed}"
            raise refuse("RS055", message, "keep one of 'entered' and 'left'")
        return self
