"""The contract with plugins: what authors implement and import.

The engine's own side is in `registry` and `calling`.
"""

from __future__ import annotations

from engine.clock import Clock, SystemClock
from engine.plugin.actions import Action, ActionResult, Call, Done, Failed
from engine.plugin.contracts import (
    Accepted,
    Capabilities,
    Channel,
    Check,
    CheckContext,
    ContentSpec,
    Draft,
    Finding,
    GenerateRequest,
    Generator,
    GeneratorFailed,
    Lexicon,
    LexiconEntry,
    Message,
    Preflight,
    Provenance,
    Rejected,
    Retry,
    SendResult,
    Severity,
    Unknown,
)
from engine.plugin.duration import Duration
from engine.plugin.hookspecs import hookimpl

__all__ = [
    "Accepted",
    "Action",
    "ActionResult",
    "Call",
    "Capabilities",
    "Channel",
    "Check",
    "CheckContext",
    "Clock",
    "ContentSpec",
    "Done",
    "Draft",
    "Duration",
    "Failed",
    "Finding",
    "GenerateRequest",
    "Generator",
    "GeneratorFailed",
    "Lexicon",
    "LexiconEntry",
    "Message",
    "Preflight",
    "Provenance",
    "Rejected",
    "Retry",
    "SendResult",
    "Severity",
    "SystemClock",
    "Unknown",
    "hookimpl",
]
