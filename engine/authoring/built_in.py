"""What every workspace has without writing it: event types that the engine itself acts on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType

from engine.authoring.bundle import EventType
from engine.journeys.event import (
    AUDIENCE_ENTERED,
    AUDIENCE_LEFT,
    CONTACT_ADDED,
    CONTACT_MERGED,
    CONTACT_PARTED,
    JOURNEY_REQUESTED,
    MARKETING_RESUMED,
    MARKETING_STOPPED,
    MESSAGE_BOUNCED,
    MESSAGE_COMPLAINED,
    MESSAGE_RECEIVED,
    SCHEDULE_FIRED,
)

_CONSENT = {
    "type": "object",
    "properties": {
        "purpose": {"type": "string", "title": "用途", "minLength": 1},
        "channel": {"type": "string", "title": "渠道；省略为全部", "minLength": 1},
        "legal_basis": {"type": "string", "title": "法律依据"},
        "notice": {"type": "string", "title": "告知文本；只保存其摘要"},
        "language": {"type": "string", "title": "告知文本的语言"},
        "notice_hash": {"type": "string", "title": "告知文本的摘要（SHA-256）", "pattern": "^[0-9a-f]{64}$"},
        "version": {"type": "string", "title": "告知书版本；省略为现行版本", "minLength": 1, "maxLength": 50},
        "mechanism": {"type": "string", "title": "表示同意或撤回的方式"},
        "actor": {"type": "string", "title": "由谁登记；省略为本人"},
        "jurisdiction": {"type": "string", "title": "适用法域", "maxLength": 20},
        "valid_until": {"type": "string", "title": "同意的截止时刻（带时区）", "format": "date-time"},
        "proof": {"type": "string", "title": "凭证的出处；台账只封存其摘要", "maxLength": 1000},
    },
    "required": ["purpose"],
}

_ASKED = {
    "type": "object",
    "properties": {
        "purpose": {"type": "string", "title": "用途"},
        "channel": {"type": "string", "title": "渠道；* 为全部"},
        "confirm_by": {"type": "string", "title": "确认截止时刻（UTC）"},
    },
    "required": ["purpose", "channel", "confirm_by"],
}
_CONFIRMED = {
    "type": "object",
    "properties": {
        "purpose": {"type": "string", "title": "用途"},
        "channel": {"type": "string", "title": "渠道；* 为全部"},
        "over": {"type": "string", "title": "确认链接所经的渠道"},
    },
    "required": ["purpose", "channel"],
}
RECEIVED = "received"
"""The effect of what somebody wrote to us: a word of opting out withdraws consent."""
CONSENT_PENDING, CONSENT_CONFIRMED = "consent_pending", "consent_confirmed"

_AUDIENCE = {
    "type": "object",
    "properties": {
        "audience": {"type": "string", "title": "受众"},
        "because": {
            "type": "string",
            "title": "起因：事件、时间流逝，或规则变更",
            "enum": ["event", "time", "rules"],
        },
    },
    "required": ["audience", "because"],
}

AUDIENCE_EVENTS = (AUDIENCE_ENTERED, AUDIENCE_LEFT)

_FIRED = {
    "type": "object",
    "properties": {
        "journey": {"type": "string", "title": "旅程"},
        "fires_at": {"type": "string", "title": "触发时刻（UTC）"},
        "local_time": {"type": "string", "title": "触发时刻（定时所用的时钟）"},
    },
    "required": ["journey", "fires_at", "local_time"],
}
_REQUESTED = {
    "type": "object",
    "properties": {"journey": {"type": "string", "title": "旅程"}},
    "required": ["journey"],
}
_MERGED = {
    "type": "object",
    "properties": {
        "contact": {"type": "string", "title": "并入的联系人"},
        "because": {
            "type": "string",
            "title": "起因：alias 消息、共有的身份，或人工",
            "enum": ["alias", "identity", "operator"],
        },
    },
    "required": ["contact", "because"],
}
OPT_OUT = "opt_out"
"""The property that says of which list of opt-out words a message is one; only Wayline writes it."""
LONGEST_TEXT = 10_000
_RECEIVED = {
    "type": "object",
    "properties": {
        "channel": {"type": "string", "title": "渠道", "maxLength": 64},
        "text": {"type": "string", "title": "内容", "maxLength": LONGEST_TEXT},
        "answers": {"type": "string", "title": "所回复的消息（意图的键）", "maxLength": 300},
        OPT_OUT: {"type": "string", "title": "退订词表的编号；由系统判定", "maxLength": 64},
    },
}
STOPPED = "stopped"
"""The effect of what somebody told a platform: they want no more marketing, which withdraws consent to it."""
_PREFERENCE = {
    "type": "object",
    "properties": {
        "channel": {"type": "string", "title": "渠道；省略为全部", "maxLength": 64},
        "said": {"type": "string", "title": "平台的原话", "maxLength": 300},
    },
}
_CAME_BACK = {
    "type": "object",
    "properties": {"platform": {"type": "string", "title": "身份平台"}},
    "required": ["platform"],
}
_PARTED = {
    "type": "object",
    "properties": {"contact": {"type": "string", "title": "被拆分出的另一位联系人"}},
    "required": ["contact"],
}

BUILT_IN_EVENTS = MappingProxyType(
    {
        kind.id: kind
        for kind in (
            EventType(CONTACT_ADDED, "新增联系人", {"type": "object"}, None, counts_as_activity=False),
            EventType("consent_granted", "同意", _CONSENT, "consent_granted", counts_as_activity=False),
            EventType(
                "consent_withdrawn", "撤回同意", _CONSENT, "consent_withdrawn", counts_as_activity=False
            ),
            EventType("consent_denied", "不同意", _CONSENT, "consent_denied", counts_as_activity=False),
            EventType(CONSENT_PENDING, "同意待确认", _ASKED, None, counts_as_activity=False, is_own=True),
            EventType(
                CONSENT_CONFIRMED,
                "同意已确认",
                _CONFIRMED,
                "consent_confirmed",
                counts_as_activity=False,
            ),
            EventType(
                "contact_deleted", "删除联系人", {"type": "object"}, "deleted", counts_as_activity=False
            ),
            EventType(CONTACT_MERGED, "合并联系人", _MERGED, None, counts_as_activity=False, is_own=True),
            EventType(MESSAGE_RECEIVED, "收到消息", _RECEIVED, RECEIVED),
            EventType(MARKETING_STOPPED, "停止接收营销消息", _PREFERENCE, STOPPED, counts_as_activity=False),
            EventType(MARKETING_RESUMED, "恢复接收营销消息", _PREFERENCE, None, counts_as_activity=False),
            EventType(MESSAGE_BOUNCED, "硬退信", _CAME_BACK, None, counts_as_activity=False, is_own=True),
            EventType(MESSAGE_COMPLAINED, "投诉", _CAME_BACK, None, counts_as_activity=False, is_own=True),
            EventType(CONTACT_PARTED, "拆分联系人", _PARTED, None, counts_as_activity=False, is_own=True),
            EventType(SCHEDULE_FIRED, "定时触发", _FIRED, None, counts_as_activity=False, is_own=True),
            EventType(
                JOURNEY_REQUESTED, "请求进入旅程", _REQUESTED, None, counts_as_activity=False, is_own=True
            ),
            EventType(AUDIENCE_ENTERED, "进入受众", _AUDIENCE, None, counts_as_activity=False, is_own=True),
            EventType(AUDIENCE_LEFT, "离开受众", _AUDIENCE, None, counts_as_activity=False, is_own=True),
        )
    }
)
"""By id. A workspace may give them another title and more properties, never another effect."""


def with_choices(kind: EventType, name: str, choices: Iterable[str]) -> EventType:
    """The event type with a property that takes only these texts; as it is when there are none."""
    options = list(choices)
    if not options:
        return kind
    properties = {**kind.schema["properties"]}
    properties[name] = {**properties[name], "enum": options}
    return replace(kind, schema={**kind.schema, "properties": properties})
