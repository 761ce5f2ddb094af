"""Why an event becomes a dead letter: every code, each explained in rulesets/ERRORS.md, never reused."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CODES: Mapping[str, str] = MappingProxyType(
    {
        "EV001": "not a JSON object where one is wanted",
        "EV002": "no kind of message that is known",
        "EV003": "the event has no name",
        "EV004": "nobody is named",
        "EV005": "an event type the workspace does not declare",
        "EV006": "properties that do not satisfy their schema",
        "EV007": "a timestamp that is not a moment",
        "EV008": "a timestamp too far in the future",
        "EV009": "something a database cannot hold",
        "EV010": "contacts that cannot be joined",
        "EV011": "a line or a cell that cannot be read",
        "EV012": "an id that is too long, or no text",
    }
)
