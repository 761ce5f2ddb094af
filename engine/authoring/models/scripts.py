"""Scripts: short pieces of text for a situation, which contents put into theirs."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.authoring.models.fields import Id, Items, Locale
from engine.authoring.models.part import Head, Part

MOST_OF_A_PIECE = 2_000
"""Characters."""


class ScriptEntry(Part):
    """One piece of text in all its languages."""

    for_people: ClassVar[frozenset[str]] = frozenset({"title", "situation"})

    id: Id = Field(
        title="编号",
        description=(
            "The script's name; contents put it in with {{ scripts.… }}.\n"
            "话术编号；内容中用 {{ scripts.… }} 引用。"
        ),
        examples=["too_dear"],
    )
    title: str = Field(
        title="标题",
        description=(
            "What it says, in a few words, for whoever looks for it.\n用几个字概括它说什么，方便查找。"
        ),
        examples=["嫌贵时的回应"],
        min_length=1,
        max_length=200,
    )
    situation: str = Field(
        title="使用场景",
        description=(
            "When to say it, for whoever writes a content: a first greeting, somebody finds it too dear, the "
            "last line.\n"
            "什么时候用它，写给编写内容的人：首次问候、客户嫌贵、结尾。"
        ),
        examples=["客户嫌贵"],
        min_length=1,
        max_length=200,
    )
    locales: dict[Locale, Annotated[str, Field(min_length=1, max_length=MOST_OF_A_PIECE)]] = Field(
        title="各语言",
        description=(
            "The piece by language, with variables as contents have them; a content gets the one in its own "
            "language. A line break at its end is not part of it.\n"
            "各语言的文字，可用内容中的变量；内容使用与自己语言相同的一份，末尾的换行不计入。"
        ),
        min_length=1,
        examples=[{"zh": "价格按用量计，先用小份试试也行。", "en": "A small one will do for a start."}],
    )


class ScriptsFile(Head):
    """The script library, or a part of it."""

    kind: Literal["scripts"] = Field(
        title="种类",
        description=(
            "Always scripts: this file holds pieces of text that contents put into theirs.\n"
            "固定写 scripts：本文件是话术库，供各内容引用。"
        ),
    )
    scripts: Items[ScriptEntry] = Field(
        title="话术",
        description="The pieces that contents can name.\n内容可以引用的话术。",
        min_length=1,
    )
