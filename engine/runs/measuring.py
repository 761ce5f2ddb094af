"""What runs count, for `/metrics`."""

from __future__ import annotations

from prometheus_client import Gauge

from engine.delivery.measuring import TASKS as TASKS

OPEN_TASKS = Gauge("wayline_tasks_open", "Tasks that wait for an answer.", ["queue"])
OLDEST_TASK = Gauge(
    "wayline_tasks_oldest_seconds",
    "Age of the oldest task that waits for an answer (journey time).",
    ["queue"],
)
