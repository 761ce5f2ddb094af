"""What all parts of a file have in common, and the head of every file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from engine.authoring.models.fields import Id
from engine.authoring.models.refusing import refuse


@dataclass(frozen=True)
class Unacted:
    """Something that the language has, and that this version checks but does not act upon."""

    key: str
    """As written in files; "" for the part as a whole."""
    without: str
    """What therefore does not happen, to stand after a colon: "traffic is not moved to another channel"."""
    values: tuple[str, ...] = ()
    """Only these values of the key; none named: whatever its value is."""


@dataclass(frozen=True)
class Renamed:
    """The new name of a key, and the version in which the old one stops working: two minor versions on."""

    to: str
    until: str


def _told_to_editors(schema: dict[str, Any], part: type[Any]) -> None:
    """Says in a key's hover text when nothing acts upon it yet, so that nobody waits for what never comes."""
    keys = schema.get("properties", {})
    for entry in part.unacted:
        key = entry.key or ("kind" if "kind" in keys else next(iter(keys)))
        of = f" for {', '.join(entry.values)}" if entry.values else ""
        zh = f"{'、'.join(entry.values)} 在" if entry.values else ""
        note = f"Checked, but this version does not act on it{of}: {entry.without}."
        keys[key]["description"] += f"\n{note}\n{zh}本版本只检查，尚不执行。"


class Part(BaseModel):
    """A mapping in a file: unknown keys are refused, nothing is converted silently or changes later."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        populate_by_name=False,
        defer_build=True,  # a workspace uses some kinds of files, and building all validators takes time
        json_schema_extra=_told_to_editors,
    )

    unacted: ClassVar[tuple[Unacted, ...]] = ()
    """What of it is checked and not acted upon: lint warns of it, and it cannot be published."""
    renamed: ClassVar[Mapping[str, Renamed]] = {}
    """Old name of a key -> its new one. The old one is read as the new one, with a warning."""
    for_people: ClassVar[frozenset[str]] = frozenset()
    """Keys that say something to readers of the file and change nothing that the engine does."""

    @field_validator("*", mode="before")
    @classmethod
    def _is_said(cls, raw: Any) -> Any:
        """A key that stands there says something: null would only look as if it did."""
        if raw is None:
            raise refuse("RS022", "null is no value", "give it one, or remove the key")
        return raw


class Head(Part):
    """What every file begins with."""

    for_people: ClassVar[frozenset[str]] = frozenset({"id", "title", "owner", "description"})

    id: Id = Field(
        title="编号",
        description=(
            "Name of this file in the workspace: lower case letters, digits and _; keep it once "
            "published.\n"
            "本文件在工作区内的编号：小写字母、数字和下划线；发布后请勿更改。"
        ),
    )
    title: str = Field(
        title="标题",
        description=(
            "What the file is about, for people, in any language.\n本文件的名称，供人阅读，可用任何语言。"
        ),
        examples=["新客欢迎"],
        min_length=1,
        max_length=200,
    )
    owner: str = Field(
        title="负责人",
        description="The person or team to ask about this file.\n关于本文件该找谁：人或团队。",
        examples=["增长团队"],
        min_length=1,
        max_length=100,
    )
    description: str = Field(
        "",
        title="说明",
        description=(
            "Why this file exists, for whoever edits it next.\n为什么有这个文件，写给下一位编辑者。"
        ),
        max_length=5000,
    )
    enabled: bool = Field(
        True,
        title="启用",
        description=(
            "false: the whole file is left out, as if it did not exist. true when not said.\n"
            "false：整个文件不生效，如同不存在；默认 true。"
        ),
    )
