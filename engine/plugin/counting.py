"""Asks plugins whether what was told of a message counts in the metrics they declare; never for long.

A metric whose plugin is not there, raises, hangs or answers something else than yes, no or nothing counts
nothing: its figure stands still, and no breaker opens by it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Any

from engine.plugin.calling import where, within
from engine.plugin.declaring import Metric
from engine.plugin.patience import TooSlow
from engine.plugin.tallying import tally
from engine.risk.metrics import Metric as Watched

PATIENCE = timedelta(milliseconds=250)
"""How long one answer may take; contacts are held meanwhile."""


class Counting:
    """The metrics of this installation's plugins, as functions; used from several threads."""

    def __init__(self, metrics: Callable[[], Mapping[str, Metric]]) -> None:
        """`metrics` is called when one is asked for: to load plugins takes its time."""
        self._load = metrics

    @cached_property
    def _metrics(self) -> Mapping[str, Metric]:
        return self._load()

    def counts(self, watched: Watched, told: str, properties: Mapping[str, Any]) -> bool | None:
        """Whether what was told counts against; None when it does not count at all.

        `told` is what a receipt says, or the type of an event.
        """
        if not watched.is_plugins:
            return True
        metric = self._metrics.get(watched.name)
        if metric is None:
            return None
        if metric.counts is None:
            return True
        counts, given = metric.counts, MappingProxyType(dict(properties))
        try:
            answer: object = within(PATIENCE, lambda: counts(told, given), f"metric {metric.name}")
        except TooSlow:
            tally("metric", metric.name, "slow", f"did not answer within {PATIENCE.total_seconds():g} s")
            return None
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises, its metric stands still
            tally("metric", metric.name, "raised", f"raised {where(error)}")
            return None
        fault = fault_of_count(answer)
        tally("metric", metric.name, "nonsense" if fault else "", fault)
        return answer if isinstance(answer, bool) else None


def fault_of_count(answer: object) -> str:
    """What is wrong with an answer, as the end of a sentence; nothing when it is as declared."""
    if answer is None or isinstance(answer, bool):
        return ""
    return f"returned {type(answer).__name__}, not True, False or None"
