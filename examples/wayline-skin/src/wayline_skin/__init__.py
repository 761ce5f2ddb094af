"""What a shop for cosmetics knows of its customers: their skin's season of life, tests at the counter, and
whether its advice helped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from engine.plugin import ContactFact, EventKind, Known, Metric, hookimpl

SEASONS = ("spring", "summer", "autumn")


def season(known: Mapping[str, Known]) -> str | None:
    """By the year of birth, which the workspace declares as an attribute; nothing without it."""
    born = known.get("birth_year")
    if not isinstance(born, int | float) or not 1900 <= born <= 2100:
        return None
    return SEASONS[0 if born >= 1996 else 1 if born >= 1980 else 2]


@hookimpl
def register_facts() -> Iterable[ContactFact]:
    title = "which care the skin is likely to want, by age"
    return [ContactFact("skin_season", "text", title, ("birth_year",), season, SEASONS, personal=True)]


@hookimpl
def register_event_types() -> Iterable[EventKind]:
    schema = {
        "type": "object",
        "properties": {
            "moisture": {"type": "number", "title": "moisture in per cent", "minimum": 0, "maximum": 100},
            "counter": {"type": "string", "title": "where it was measured"},
        },
        "required": ["moisture"],
    }
    said = {"type": "object", "properties": {"helped": {"type": "boolean", "title": "whether it helped"}}}
    return [
        EventKind("skin_tested", "a test of the skin at a counter", schema),
        EventKind("advice_rated", "what somebody says of our advice", said),
    ]


def was_useless(_told: str, properties: Mapping[str, Any]) -> bool | None:
    """Whether the advice did not help; nothing where nobody says."""
    helped = properties.get("helped")
    return not helped if isinstance(helped, bool) else None


@hookimpl
def register_metrics() -> Iterable[Metric]:
    title = "advice that did not help, of all that was rated"
    return [Metric("useless_advice", title, events=("advice_rated",), counts=was_useless, of="events")]
