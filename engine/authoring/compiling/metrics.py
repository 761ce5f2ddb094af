"""What a workspace's breakers can watch: the built-in metrics, and those that plugins declare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from engine.authoring.bundle import DeclaredMetric
from engine.authoring.checking.references import References
from engine.authoring.definitions import Definitions
from engine.authoring.reading.validating import known_list, nearest
from engine.errors import Problem
from engine.plugin.declaring import RESERVED_METRICS
from engine.risk.metrics import BUILT_IN_METRICS, SCOPES, Metric, Samples
from engine.rules.spelling import only_meant


def metrics_of(found: Definitions) -> Mapping[str, Metric]:
    """By name; a built-in metric keeps its meaning, whatever a plugin declares."""
    return {each.name: _metric(each) for each in found.declared.metrics} | dict(BUILT_IN_METRICS)


def check_metrics(found: Definitions, references: References) -> Iterator[Problem]:
    """Breakers that watch what is not there, or what their metric cannot say of their scope."""
    known = metrics_of(found)
    for breaker in found.breakers.values():
        name, scope = breaker.item.metric, breaker.item.scope
        if name in RESERVED_METRICS or scope not in SCOPES:
            continue  # lint says of these that nothing acts upon them
        metric = known.get(name)
        if metric is None:
            meant = only_meant(name, known)
            hint = (
                nearest(name, known) or f"{known_list(known)}; a plugin's metric needs its plugin installed"
            )
            problem = breaker.problem("RS260", f"'{name}' is no metric", hint, at=("metric",))
            yield replace(problem, swap=(name, meant) if meant is not None else ())
            continue
        if scope not in metric.scopes:
            message = f"'{name}' says nothing of each {scope}"
            yield breaker.problem("RS261", message, f"watch {' or '.join(metric.scopes)}", at=("scope",))
        for event in metric.events:
            if not metric.is_plugins:
                continue
            for problem in references.check("event type", event, breaker, ("metric",)):
                message = (
                    f"the metric '{name}' listens to '{event}', which is no event type of this workspace"
                )
                yield replace(problem, message=message, swap=())


def _metric(declared: DeclaredMetric) -> Metric:
    return Metric(
        declared.name,
        declared.title,
        Samples(declared.of),
        declared.receipts,
        declared.events,
        declared.within,
        declared.scopes,
        is_plugins=True,
    )
