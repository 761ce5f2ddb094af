"""What is told of messages, as metrics count it: by receipts, and by events that are about a message.

Whatever is told, in whatever order and however often, a message counts once in each metric.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.delivery.breakers import watch_told
from engine.gate.model import Outcome
from engine.gate.state import Moment
from engine.journeys.event import Event
from engine.risk.metrics import Aim, Metric, Samples, Touch, Where, aim_of, message_before
from engine.store.bulk import insert_new, table_of
from engine.store.prepared import Prepared
from engine.store.tables import AttemptRow, IntentRow, MetricMarkRow

_ATTEMPT = table_of(AttemptRow)
_INTENT = table_of(IntentRow)
_LAST_ATTEMPT = Prepared(
    select(_ATTEMPT.c.at, _ATTEMPT.c.channel, _ATTEMPT.c.journey, _ATTEMPT.c.content, _ATTEMPT.c.probe)
    .where(_ATTEMPT.c.intent_key == bindparam("key"))
    .order_by(_ATTEMPT.c.id.desc())
    .limit(1)
)
_SENT = Prepared(
    select(_INTENT.c.key, _INTENT.c.handed_over_at, _INTENT.c.channel, _INTENT.c.purpose).where(
        _INTENT.c.contact_id == bindparam("contact"),
        _INTENT.c.outcome == Outcome.SENT.value,
        _INTENT.c.handed_over_at >= bindparam("since"),
    )
)


def mark_receipt(session: Session, bundle: Bundle, key: str, said: str, code: str, now: Moment) -> None:
    """Count what a receipt says of a message; the receipt is written down already, and was not before."""
    for metric in bundle.metrics_told_by_receipt(said):
        against = bundle.counting.counts(metric, said, {"code": code})
        if against is not None:
            _mark(session, bundle, metric, key, key, against=against, now=now.delivery)


def mark_events(session: Session, bundle: Bundle, events: Iterable[Event], now: datetime) -> None:
    """Count what has just been reported, each event for the first time. `now` is delivery time."""
    for event in events:
        for metric in bundle.metrics_told_by_event(event.type):
            against = bundle.counting.counts(metric, event.type, event.properties)
            if against is None:
                continue
            about = _message_before(session, event, metric)
            if about is not None or metric.samples is Samples.EVENTS:
                key = event.event_id if metric.samples is Samples.EVENTS else about
                assert key is not None, "an event samples itself"
                _mark(session, bundle, metric, key, about, against=against, now=now)


def mark_returned(
    session: Session, bundle: Bundle, contacts: Mapping[str, Collection[str]], platform: str, now: Moment
) -> None:
    """Count what mails that came back say, for no receipt does: of each contact the latest message there.

    `contacts` are those whose addresses they name, each with what was said, as a receipt would say it.
    """
    channels = {name for name, each in bundle.channels.items() if each.identity == platform}
    for contact_id, saying in sorted(contacts.items()):
        for said in sorted(saying):
            for metric in bundle.metrics_told_by_receipt(said):
                touches = _touches(session, contact_id, now.journey, metric)
                there = [touch for touch in touches if touch.channel in channels]
                key = message_before(Aim(now.journey), there, metric.within)
                against = bundle.counting.counts(metric, said, {"code": ""})
                if key is not None and against is not None:
                    _mark(session, bundle, metric, key, key, against=against, now=now.delivery)


def _mark(
    session: Session,
    bundle: Bundle,
    metric: Metric,
    key: str,
    about: str | None,
    *,
    against: bool,
    now: datetime,
) -> None:
    if metric.samples is Samples.MESSAGES and not against:
        return  # every message is a sample already
    sent: Any = None if about is None else _LAST_ATTEMPT.row(session, {"key": about})
    if sent is None and metric.samples is Samples.MESSAGES:
        return  # it never left by an attempt of ours
    where = Where() if sent is None else Where(sent.channel, sent.journey or "", sent.content or "")
    row = {
        "metric": metric.name,
        "key": key,
        "told_at": now,
        "is_against": against,
        "sent_at": None if sent is None else sent.at,
        **where._asdict(),
        "probe": sent is not None and sent.probe,
    }
    if insert_new(session, MetricMarkRow, [row], returning=("key",)):
        watch_told(session, bundle, metric.name, where, now)


def _message_before(session: Session, event: Event, metric: Metric) -> str | None:
    aim = aim_of(event.occurred_at, event.properties)
    return message_before(aim, _touches(session, event.contact_id, event.occurred_at, metric), metric.within)


def _touches(session: Session, contact_id: str, at: datetime, metric: Metric) -> Sequence[Touch]:
    rows = _SENT.rows(session, {"contact": contact_id, "since": at - metric.within})
    return [Touch(row.key, row.handed_over_at, row.channel or "", row.purpose) for row in rows]
