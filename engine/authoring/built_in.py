"""What every workspace has without writing it: event types that the engine itself acts on."""

from __future__ import annotations

from types import MappingProxyType

from engine.authoring.bundle import EventType

_CONSENT = {
    "type": "object",
    "properties": {
        "purpose": {"type": "string", "minLength": 1},
        "channel": {"type": "string", "minLength": 1},
        "legal_basis": {"type": "string"},
        "notice": {"type": "string"},
        "language": {"type": "string"},
        "mechanism": {"type": "string"},
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
