"""What Temporal's SDK counts, among what we count: requests, latencies, slots, cached workflows.

The SDK counts in its own threads and shows the sums on a port of its own; a registry that is asked fetches
them from there. Its buffer in memory would hold every single update until somebody turns it into a sum.
"""

from __future__ import annotations

from collections.abc import Iterable
from http.client import HTTPConnection

from prometheus_client import REGISTRY, CollectorRegistry, Metric
from prometheus_client.parser import text_string_to_metric_families
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig

from workflows.devserver import LOOPBACK, free_port

ATTEMPTS = 5
"""To take a port that was free a moment before."""
WITHIN = 2.0
"""Seconds; it is this process that answers."""


def measure(registry: CollectorRegistry = REGISTRY) -> None:
    """Let this process's connections be counted under Temporal's own names, `temporal_...`, in the registry.

    To be called once, before the first connection; RuntimeError after it. Labels tell the namespace, the task
    queue, the journey's id and the kind of call, and nothing about people.
    """
    for left in reversed(range(ATTEMPTS)):
        port = free_port()
        shown = PrometheusConfig(
            f"{LOOPBACK}:{port}", counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True
        )
        try:
            runtime = Runtime(telemetry=TelemetryConfig(metrics=shown))
        except ValueError:
            if not left:
                raise
        else:
            break
    Runtime.set_default(runtime)
    registry.register(Counted(port))


class Counted:
    """Metrics that another registry in this process shows on a port."""

    def __init__(self, port: int) -> None:
        self._port = port

    def describe(self) -> Iterable[Metric]:
        """Nothing: their names are known when the first one was counted."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Their present values."""
        asking = HTTPConnection(LOOPBACK, self._port, timeout=WITHIN)
        try:
            asking.request("GET", "/metrics")
            told = asking.getresponse().read().decode()
        finally:
            asking.close()
        return text_string_to_metric_families(told)
