"""Beginnings that editors offer while a file is written: a journey, its commonest steps, a cap.

Each body is what a complete file could hold, in the keys' usual order; `$1` and `${1:word}` are the places
through which the tab key leads.
"""

from __future__ import annotations

from typing import Any

SNIPPETS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "JourneyFile": (
        "new journey 新建旅程",
        "A whole journey: who comes in, what ends it, and its first message.",
        {
            "kind": "journey",
            "id": "${1:welcome}",
            "title": "${2:新客欢迎}",
            "owner": "${3:增长团队}",
            "purpose": "${4:marketing}",
            "enter": {"event": "${5:contact_added}"},
            "goal": {"event": "${6:order_paid}", "within": "${7:14d}"},
            "steps": [
                {"send": "${8:hello}", "content": "${9:welcome_hello}", "channels": ["${10:email}"]},
            ],
        },
    ),
    "SendStep": (
        "send 发送消息",
        "Sends one message through the first channel that can.",
        {"send": "${1:hello}", "content": "${2:welcome_hello}", "channels": ["${3:email}"]},
    ),
    "WaitStep": (
        "wait 等待",
        "Waits until a time of day, some days on, on the contact's own clock.",
        {"wait": "${1:overnight}", "days": "${2|1,2,3,7|}", "at": '"${3:10:00}"'},
    ),
    "WaitForStep": (
        "wait_for 等待事件",
        "Waits for an event, and goes another way when it does not come in time.",
        {
            "wait_for": "${1:purchase}",
            "event": "${2:order_paid}",
            "up_to": "${3:3d}",
            "then": [{"stop": "${4:bought}"}],
        },
    ),
    "BranchStep": (
        "branch 分支",
        "Goes the way of the first case that is true.",
        {
            "branch": "${1:by_value}",
            "cases": [{"when": {"contact.tags": {"has": "${2:vip}"}}, "steps": [{"stop": "${3:done}"}]}],
        },
    ),
    "ExperimentStep": (
        "experiment 实验",
        "Sends contacts different ways and keeps each of them on theirs.",
        {
            "experiment": "${1:subject_line}",
            "arms": [
                {"id": "${2:usual}", "weight": "${3:1}", "steps": [{"stop": "${4:as_before}"}]},
                {"id": "${5:new}", "weight": "${6:1}", "steps": [{"stop": "${7:otherwise}"}]},
            ],
        },
    ),
    "RepeatStep": (
        "repeat 重复",
        "Does steps again while a condition holds, so many times at most.",
        {
            "repeat": "${1:remind}",
            "while": {"contact.tags": {"lacks": "${2:answered}"}},
            "at_most": "${3|2,3,5|}",
            "steps": [{"wait": "${4:pause}", "days": "${5|1,2,3,7|}", "at": '"${6:10:00}"'}],
        },
    ),
    "CallStep": (
        "call 调用动作",
        "Has a plugin do something, and goes another way when it was not done.",
        {
            "call": "${1:give_points}",
            "action": "${2:crm_points}",
            "values": {"${3:points}": "${4:50}"},
            "deadline": "${5:1h}",
            "failed": [{"stop": "${6:not_given}"}],
        },
    ),
    "AskStep": (
        "ask 人工任务",
        "Gives a person a task, and goes the way of the answer.",
        {
            "ask": "${1:call_back}",
            "queue": "${2:support}",
            "question": "${3:请回电了解原因}",
            "choices": [
                {"id": "${4:solved}", "title": "${5:已解决}"},
                {"id": "${6:unsolved}", "title": "${7:没有解决}"},
            ],
            "deadline": "${8:24h}",
        },
    ),
    "CapEntry": (
        "cap 频次上限",
        "So many messages of a purpose in a window.",
        {
            "id": "${1:weekly}",
            "counts": {"purpose": "${2:marketing}"},
            "limit": "${3|1,2,3,5|}",
            "window": {"rolling": "${4:7d}"},
            "when_full": "${5|skip,defer,next_channel|}",
        },
    ),
}
"""Name of the part's model -> label, what it is, and what is written."""


def snippets_of(model: str) -> dict[str, Any]:
    """What the schema of a part says of beginnings; empty when there are none for it."""
    if model not in SNIPPETS:
        return {}
    label, description, body = SNIPPETS[model]
    return {"defaultSnippets": [{"label": label, "description": description, "body": body}]}
