"""What calls count, for `/metrics`."""

from __future__ import annotations

import structlog
from prometheus_client import Counter

CALLS = Counter("wayline_calls", "Calls of plugins' actions, by what came of them.", ["action", "result"])

_log = structlog.get_logger(__name__)


def count_call(action: str, reason: str, code: str) -> None:
    """One answer of an action; whoever reads the log hears of the ones that did not go well."""
    result = reason.partition(".")[2]
    CALLS.labels(action, result).inc()
    if result != "done":
        _log.warning("an action was not done", action=action, result=result, code=code)
