"""The figures of breakers, counted in the store: attempts at providers, and what was told later."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.risk.machine import State, Status, counted_after
from engine.risk.metrics import Metric, Samples
from engine.risk.model import Breaker
from engine.risk.windows import ACCEPTED, Figures, send_failures
from engine.store.bulk import is_one_of
from engine.store.tables import AttemptRow, MetricMarkRow

_COLUMNS = {
    "channel": (AttemptRow.channel, MetricMarkRow.channel),
    "journey": (AttemptRow.journey, MetricMarkRow.journey),
    "content": (AttemptRow.content, MetricMarkRow.content),
}


def figures_of(
    session: Session, bundle: Bundle, breaker: Breaker, scope: str, status: Status, now: datetime
) -> Figures:
    """What the window holds since the last change of state. `now` is delivery time."""
    since = counted_after(status)
    after = max(now - breaker.window, since)
    return _count(session, bundle, breaker.metric, scope, after, since, only_probes=False)


def probe_figures_of(
    session: Session, bundle: Bundle, breaker: Breaker, scope: str, status: Status
) -> Figures:
    """What came of the probes of the present round; nothing outside of one."""
    if status.state is not State.HALF_OPEN or status.ramp is not None:
        return Figures()
    since = counted_after(status)
    return _count(session, bundle, breaker.metric, scope, since, since, only_probes=True)


def scopes_of(bundle: Bundle, kind: str) -> list[str]:
    """Every scope of a kind that a bundle has, as `channel:email`."""
    if kind == "workspace":
        return [kind]
    known: Iterable[str] = {
        "channel": bundle.channels,
        "journey": bundle.programs,
        "content": bundle.contents,
    }.get(kind, ())
    return [f"{kind}:{name}" for name in known]


def _count(
    session: Session,
    bundle: Bundle,
    metric: Metric,
    scope: str,
    after: datetime,
    since: datetime,
    *,
    only_probes: bool,
) -> Figures:
    attempts = _attempts(session, bundle, scope, after, only_probes=only_probes)
    if metric.samples is Samples.ATTEMPTS:
        return send_failures(attempts)
    sent = attempts.get(ACCEPTED, 0)
    told = _told(session, metric, scope, after, since, only_probes=only_probes)
    if metric.samples is Samples.MESSAGES:
        return Figures(sent, told.get(True, 0))
    return Figures(sum(told.values()), told.get(True, 0), messages=sent)


def _attempts(
    session: Session, bundle: Bundle, scope: str, after: datetime, *, only_probes: bool
) -> dict[str, int]:
    """Attempts since a moment, by their result."""
    query = select(col(AttemptRow.result), func.count()).where(col(AttemptRow.at) > after)
    if not scope.startswith("channel:"):
        # Of all channels there are: the index begins with the channel.
        query = query.where(is_one_of(session, AttemptRow.channel, sorted(bundle.channels)))
    query = query.where(*_within(scope, of_marks=False)).group_by(col(AttemptRow.result))
    if only_probes:
        query = query.where(col(AttemptRow.probe).is_(True))
    return {row[0]: row[1] for row in session.execute(query)}


def _told(
    session: Session, metric: Metric, scope: str, after: datetime, since: datetime, *, only_probes: bool
) -> dict[bool, int]:
    """What was told since a moment of messages that were sent since the last change: against, and not."""
    query = (
        select(col(MetricMarkRow.is_against), func.count())
        .where(
            col(MetricMarkRow.metric) == metric.name,
            col(MetricMarkRow.told_at) > after,
            # A clean sheet: what is told now of a message from before the change says nothing new.
            col(MetricMarkRow.sent_at).is_(None) | (col(MetricMarkRow.sent_at) > since),
        )
        .where(*_within(scope, of_marks=True))
        .group_by(col(MetricMarkRow.is_against))
    )
    if only_probes:
        query = query.where(col(MetricMarkRow.probe).is_(True))
    return {row[0]: row[1] for row in session.execute(query)}


def _within(scope: str, *, of_marks: bool) -> list[ColumnElement[bool]]:
    kind, _, name = scope.partition(":")
    if kind not in _COLUMNS:
        return []
    return [col(_COLUMNS[kind][of_marks]) == name]
