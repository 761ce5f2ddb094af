"""`decision.v1`: the public form of one decision, as it is stored, given out and read again for ever.

Stored rows are never rewritten, so every form that was ever written is read here: a key is added with a
default, none is renamed, removed or given another meaning. See `engine/adr` on what a record must not lose.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA: Literal["decision.v1"] = "decision.v1"
"""What new records are marked with."""

Kind = Literal["entry", "branch", "experiment", "message", "task", "call", "wait", "run"]
"""What a decision can be about."""


class Decision(BaseModel):
    """What became of an intent, of an entry, or of a run at one of its steps; once per exit and per hold.
    意图、进入或旅程某一步的处理结果；每次离开闸门或被暂缓都有一条。
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", title="Wayline: decision.v1", populate_by_name=True
    )

    schema_: Annotated[
        Literal["decision.v1"],
        Field(
            alias="schema",
            title="格式",
            description="The form of this record. Keys may be added to a form; none changes its meaning.\n"
            "本记录的格式；同一格式只会增加字段，已有字段含义不变。",
        ),
    ] = SCHEMA
    id: Annotated[
        int,
        Field(
            title="编号",
            description="Grows with every decision of an installation; with `at` it orders a list.\n"
            "每条决定递增；与 at 一起决定列表顺序。",
        ),
    ]
    at: Annotated[
        datetime,
        Field(
            title="时刻",
            description="When it was decided, in journey time, UTC.\n作出决定的旅程时间（UTC）。",
        ),
    ]
    kind: Annotated[
        Kind,
        Field(
            title="种类",
            description="What was decided: entry, branch, experiment, message, task, call, wait or run.\n"
            "决定的对象：进入、分支、实验、消息、任务、调用、等待或运行。",
        ),
    ]
    contact_id: Annotated[
        str, Field(title="联系人", description="About whom it was decided.\n决定所涉及的联系人。")
    ]
    journey: Annotated[
        str | None,
        Field(
            title="旅程",
            description="The journey that asked; null for a manual send.\n发起的旅程；手动发送为空。",
        ),
    ] = None
    run_id: Annotated[
        str | None,
        Field(title="运行", description="The run that asked, where there is one.\n发起的运行（如有）。"),
    ] = None
    intent_key: Annotated[
        str | None,
        Field(
            title="意图",
            description="The message or call it is about; `wayline explain` takes it.\n"
            "所涉及的消息或调用，可用于 wayline explain。",
        ),
    ] = None
    stage: Annotated[
        str,
        Field(
            title="阶段",
            description="The stage of the gate that decided; for the rest the kind once more.\n"
            "作出决定的闸门阶段；其余情况与种类相同。",
        ),
    ]
    channel: Annotated[
        str | None,
        Field(
            title="渠道",
            description="The channel it is about, where it is about one.\n所涉及的渠道（如有）。",
        ),
    ] = None
    verdict: Annotated[
        Literal["allow", "hold", "skip", "block", "fail"],
        Field(
            title="结论",
            description="allow: it went on; hold: it waits; skip, block, fail: it did not.\n"
            "allow 放行；hold 暂缓；skip、block、fail 未执行。",
        ),
    ]
    reason: Annotated[
        str,
        Field(
            title="原因代码",
            description="`family.detail`; every code stands in rulesets/REASONS.md.\n"
            "“类别.细节”；全部代码见 rulesets/REASONS.md。",
            pattern=r"^[a-z]+\.[A-Za-z0-9_.-]+$",
            examples=["cap.full", "consent.unknown"],
        ),
    ]
    outcome: Annotated[
        Literal["sent", "capped", "blocked", "failed", "expired", "unknown"] | None,
        Field(
            title="结局",
            description="How the message ended, where this decision ended it; null in holds, in other "
            "kinds, and where its message was gone before outcomes were kept.\n"
            "若此决定使消息终结，则为其结局；暂缓、其他种类，以及消息先于本字段消失的记录为空。",
        ),
    ] = None
    evidence: Annotated[
        dict[str, Any],
        Field(
            title="依据",
            description="What was found then, by names that hang on the reason; addresses are masked.\n"
            "当时所见的依据，字段随原因而定；地址已脱敏。",
        ),
    ] = Field(default_factory=dict)
    would_pass_if: Annotated[
        str,
        Field(
            title="怎样才会通过",
            description="What would have had to be otherwise, in words; empty where it passed.\n"
            "怎样的情况下会通过；已通过时为空。",
        ),
    ] = ""
    hold_until: Annotated[
        datetime | None,
        Field(
            title="暂缓至",
            description="Journey time at which a hold is looked at again; null: when what holds it changes.\n"
            "再次检查的旅程时间；为空表示等待暂缓的原因发生变化。",
        ),
    ] = None
    bundle_hash: Annotated[
        str,
        Field(
            title="规则版本",
            description="The version of all rules together under which it was decided.\n"
            "作出决定时全部规则的版本。",
        ),
    ] = ""

    @property
    def family(self) -> str:
        """What stands before the dot of its reason."""
        return self.reason.partition(".")[0]

    def as_data(self) -> dict[str, Any]:
        """The record as it is given out: plain values, moments as ISO 8601 text."""
        return self.model_dump(mode="json", by_alias=True)
