"""What intake and the dispatcher count, for `/metrics`."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("wayline_events", "Events taken in, by what became of them.", ["result"])
BATCH_SECONDS = Histogram(
    "wayline_intake_batch_seconds",
    "Time from a batch's hand-in to its commit.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
OUTBOX_LAG = Gauge("wayline_outbox_lag_seconds", "Age of the oldest outbox row not yet dispatched.")
OUTBOX_OPEN = Gauge("wayline_outbox_open", "Outbox rows not yet dispatched.")
DISPATCHED = Counter("wayline_dispatched", "Outbox rows handed to the driver.", ["kind", "result"])
ROUNDS = Counter("wayline_dispatcher_work", "Pieces of work done by the dispatcher's rounds.", ["job"])
BROKEN = Counter("wayline_dispatcher_broken", "Rounds of the dispatcher that a mistake ended.", ["job"])
CARRIED = Counter(
    "wayline_runs_carried", "Runs carried right after intake, by what became of it.", ["result"]
)
