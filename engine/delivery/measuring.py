"""What delivery counts, for `/metrics`: as it is written, so a transaction that is repeated counts twice."""

from __future__ import annotations

import structlog
from prometheus_client import Counter

from engine.gate.model import Answer
from engine.gate.state import Attempt

DECISIONS = Counter("wayline_decisions", "What the gate said of messages.", ["verdict", "reason", "channel"])
ATTEMPTS = Counter("wayline_attempts", "Calls to providers, by what they answered.", ["channel", "result"])
TASKS = Counter("wayline_tasks", "Tasks for people, by what became of them.", ["queue", "state"])

_log = structlog.get_logger(__name__)


def count_decision(answer: Answer) -> None:
    """One decision about a message."""
    DECISIONS.labels(answer.verdict.value, answer.reason, answer.channel or "").inc()


def count_attempt(attempt: Attempt) -> None:
    """One call to a provider; whoever reads the log hears of the ones that did not go well."""
    ATTEMPTS.labels(attempt.channel, attempt.result).inc()
    if attempt.result != "accepted":
        _log.warning(
            "a provider did not take a message",
            channel=attempt.channel,
            result=attempt.result,
            code=attempt.code,
        )
