"""What every workspace has without writing it: event types that the engine itself acts on."""

from __future__ import annotations

from types import MappingProxyType

from engine.authoring.bundle import EventType

_CONSENT = {
    "type": "object",
    "properties": {
        "purpose": {"type": "string", "title": "用途", "minLength": 1},
        "channel": {"type": "string", "title": "渠道；省略为全部", "minLength": 1},
        "legal_basis": {"type": "string", "title": "法律依据"},
        "notice": {"type": "string", "title": "告知文本；只保存其摘要"},
        "language": {"type": "string", "title": "告知文本的语言"},
        "mechanism": {"type": "string", "title": "表示同意或撤回的方式"},
        "actor": {"type": "string", "title": "由谁登记；省略为本人"},
    },
    "required": ["purpose"],
}

BUILT_IN_EVENTS = MappingProxyType(
    {
        kind.id: kind
        for kind in (
            EventType("contact_added", "新增联系人", {"type": "object"}, None, counts_as_activity=False),
            EventType("consent_granted", "同意", _CONSENT, "consent_granted", counts_as_activity=False),
            EventType(
                "consent_withdrawn", "撤回同意", _CONSENT, "consent_withdrawn", counts_as_activity=False
            ),
            EventType(
                "contact_deleted", "删除联系人", {"type": "object"}, "deleted", counts_as_activity=False
            ),
        )
    }
)
"""By id. A workspace may give them another title and more properties, never another effect."""
