"""What all parts of a file have in common, and the head of every file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field

from engine.authoring.models.fields import Id


class Part(BaseModel):
    """A mapping in a file: unknown keys are refused, nothing is converted silently or changes later."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", populate_by_name=False)

    not_yet: ClassVar[Mapping[str, str]] = {}
    """Keys that the language has but this version does not run -> what to use instead."""


class Head(Part):
    """What every file begins with."""

    id: Id = Field(
        title="编号", description="Name of this file in the workspace: lower case letters, digits and _."
    )
    title: str = Field(
        title="标题", description="What the file is about, for people.", min_length=1, max_length=200
    )
    owner: str = Field(
        title="负责人", description="The person or team to ask about this file.", min_length=1, max_length=100
    )
    description: str = Field(
        "", title="说明", description="Why this file exists, for whoever edits it next.", max_length=5000
    )
    enabled: bool = Field(
        True, title="启用", description="false: the whole file is left out, as if it did not exist."
    )
