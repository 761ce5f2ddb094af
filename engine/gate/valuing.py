"""What a message is worth beside others: the contact's value times the content's times the urgency; pure.

The urgency is the priority of its journey (0 to 100).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from engine.gate.arbitration import value_of
from engine.gate.model import Intent
from engine.gate.state import View


def message_value(intent: Intent, view: View, now: datetime) -> float:
    """What the message is worth beside messages of other contacts, at journey time `now`."""
    rules = view.rules
    own = value_of(intent.priority, intent.content, rules.content_values)
    return own * rules.contact_value.of(view.facts, now) if rules.contact_value.cases else own


def goes_first(view: View, now: datetime) -> bool:
    """Whether the contact is worth more than others, so that their messages wait in no line."""
    values = view.rules.contact_value
    return bool(values.cases) and values.of(view.facts, now) > values.otherwise


def worth_told(intent: Intent, view: View, now: datetime) -> Mapping[str, Any]:
    """How the value of a message came about; empty where contacts are all worth the same."""
    rules = view.rules
    if not rules.contact_value.cases:
        return {}
    return {
        "value": message_value(intent, view, now),
        "contact_value": rules.contact_value.of(view.facts, now),
        "content_value": rules.content_values.get(intent.content, 1.0),
        "priority": intent.priority,
    }
