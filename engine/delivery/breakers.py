"""Breakers in the store: looks at the figures, publishes states, hands out probes and wakes what was held."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.delivery.figures import figures_of, probe_figures_of, scopes_of
from engine.delivery.viewing import published
from engine.delivery.waking import held_in, wake
from engine.errors import CommandError
from engine.gate.model import Answer, Intent
from engine.gate.stages import Stage, breaker_scopes, held_by, lets_through, share_of
from engine.gate.state import Attempt, Claim, Moment, Probe
from engine.risk import machine
from engine.risk.machine import State, Status
from engine.risk.metrics import Samples, Where
from engine.risk.model import Breaker
from engine.risk.windows import ACCEPTED, Figures
from engine.store.bulk import insert_new
from engine.store.bundles import BundleShelf
from engine.store.tables import BreakerRow, IntentRow, OutboxRow

_WOKEN_AT_ONCE = 500


@dataclass(frozen=True)
class Look:
    """A breaker's published state after a look or a manual change."""

    state: str
    level: str | None
    epoch: int
    next_at: datetime | None
    """Delivery time of the next look; None: only when figures change or people act."""


def observe(session: Session, shelf: BundleShelf, breaker_id: str, scope: str, now: datetime) -> Look:
    """Look at the figures of one breaker in one scope, publish what follows and wake what may pass now.

    A breaker that the live bundle no longer defines is closed. `now` is delivery time.
    """
    bundle = shelf.live(session)
    breaker = _defined(bundle, breaker_id)
    row = _locked(session, breaker_id, scope, now)
    status = _status(row)
    if breaker is None:
        if status.state is not State.CLOSED:
            _publish(session, row, Status(State.CLOSED, now), {"because": "no longer in the ruleset"}, now)
        return Look(row.state, row.level, row.epoch, None)
    seen = figures_of(session, bundle, breaker, scope, status, now)
    probes = probe_figures_of(session, bundle, breaker, scope, status)
    after = machine.observe(breaker, status, seen, probes, now)
    if after != status:
        judged = probes if status.probes_left or probes.samples else seen
        _publish(session, row, after, _evidence(breaker, judged), now)
    elif after.state is State.HALF_OPEN:
        _wake_passing(session, row, now)
    return Look(row.state, row.level, row.epoch, machine.next_look(breaker, after, now))


def trip(
    session: Session,
    shelf: BundleShelf,
    breaker_id: str,
    scope: str,
    *,
    level: str,
    by: str,
    reason: str,
    now: datetime,
) -> Look:
    """Open a breaker by hand; it stays open until it is reset. CommandError for one that does not exist."""
    _check(shelf.live(session), breaker_id, scope)
    row = _locked(session, breaker_id, scope, now)
    _publish(session, row, machine.trip(_status(row), level, by, now), {"stated_reason": reason}, now)
    _tell(session, breaker_id, scope, now)
    return Look(row.state, row.level, row.epoch, None)


def reset(
    session: Session, shelf: BundleShelf, breaker_id: str, scope: str, *, by: str, reason: str, now: datetime
) -> Look:
    """Close a breaker by hand and wake all it holds; its figures start anew. CommandError as with `trip`."""
    _check(shelf.live(session), breaker_id, scope)
    row = _locked(session, breaker_id, scope, now)
    _publish(session, row, machine.reset(_status(row), now), {"stated_reason": reason, "reset_by": by}, now)
    _tell(session, breaker_id, scope, now)
    return Look(row.state, row.level, row.epoch, None)


def list_breakers(session: Session, bundle: Bundle) -> list[BreakerRow]:
    """Every breaker of the bundle in every scope it can have, and whatever else is published; by scope."""
    rows = {(row.breaker_id, row.scope): row for row in session.scalars(select(BreakerRow))}
    for breaker in bundle.breakers:
        for scope in scopes_of(bundle, breaker.scope):
            if (breaker.id, scope) not in rows:
                never = BreakerRow(breaker_id=breaker.id, scope=scope, since=machine.LONG_AGO)
                rows[breaker.id, scope] = never
    return [rows[key] for key in sorted(rows, key=lambda key: (key[1], key[0]))]


def read_breakers(
    session: Session, bundle: Bundle, now: datetime
) -> list[tuple[BreakerRow, Breaker | None, Figures]]:
    """`list_breakers`, each with its definition and its figures at this delivery time.

    Without a definition, which the bundle no longer has, there are no figures.
    """
    found = []
    for row in list_breakers(session, bundle):
        breaker = _defined(bundle, row.breaker_id)
        seen = Figures()
        if breaker is not None:
            seen = figures_of(session, bundle, breaker, row.scope, _status(row), now)
        found.append((row, breaker, seen))
    return found


def take_probes(session: Session, claim: Claim, channel: str, now: Moment) -> tuple[Probe, ...] | Answer:
    """One probe of each half-open breaker that concerns the intent, or the hold of one with none left."""
    scopes = breaker_scopes(claim.intent, channel)
    wanted = [
        b for b in claim.view.breakers if b.scope in scopes and b.state == "half_open" and b.ramp is None
    ]
    taken: list[tuple[BreakerRow, Probe]] = []
    for breaker in wanted:
        row = _row(session, breaker.breaker_id, breaker.scope)
        if row is None or row.state == State.CLOSED:
            continue
        current = published(row)
        if not lets_through(current, claim.intent.key):
            return held_by(current, Stage.BREAKER, claim.view, now, channel)
        if current.state == State.HALF_OPEN and current.ramp is None:
            taken.append((row, Probe(row.breaker_id, row.scope, row.epoch)))
    for row, _ in taken:
        row.probes_left -= 1
    return tuple(probe for _, probe in taken)


def give_back_probes(session: Session, probes: Iterable[Probe]) -> None:
    """Return probes that reached no provider, unless their round is over."""
    for probe in probes:
        row = _row(session, probe.breaker_id, probe.scope)
        if row is not None and row.epoch == probe.epoch:
            row.probes_left += 1


def watch_after(session: Session, bundle: Bundle, intent: Intent, attempt: Attempt, now: datetime) -> None:
    """Have breakers' workflows look, when this attempt may change their states. `now` is delivery time."""
    where = Where(attempt.channel, intent.journey or "", intent.content)
    for breaker in bundle.breakers:
        worsens = attempt.result != ACCEPTED and breaker.metric.samples is Samples.ATTEMPTS
        _watch(session, bundle, breaker, where, now, worsens=worsens)


def watch_told(session: Session, bundle: Bundle, metric: str, where: Where, now: datetime) -> None:
    """As `watch_after`, when something was told that counts in a metric."""
    for breaker in bundle.breakers:
        if breaker.metric.name == metric:
            _watch(session, bundle, breaker, where, now, worsens=True)


def _watch(
    session: Session, bundle: Bundle, breaker: Breaker, where: Where, now: datetime, *, worsens: bool
) -> None:
    scope = where.scope(breaker.scope)
    if scope is None:
        return
    row = session.get(BreakerRow, (breaker.id, scope), populate_existing=True)
    if row is not None and row.state == State.OPEN:
        return
    if row is None or row.state == State.CLOSED:
        if not worsens:
            return
        session.flush()
        status = Status(State.CLOSED, machine.LONG_AGO) if row is None else _status(row)
        if machine.level_of(breaker, figures_of(session, bundle, breaker, scope, status, now)) is None:
            return
    _tell(session, breaker.id, scope, now)


def _defined(bundle: Bundle, breaker_id: str) -> Breaker | None:
    return next((breaker for breaker in bundle.breakers if breaker.id == breaker_id), None)


def _check(bundle: Bundle, breaker_id: str, scope: str) -> None:
    breaker = _defined(bundle, breaker_id)
    if breaker is None:
        known = ", ".join(sorted(each.id for each in bundle.breakers)) or "none"
        raise CommandError(f"no breaker {breaker_id!r} in the ruleset; there are: {known}")
    known_scopes = scopes_of(bundle, breaker.scope)
    if scope not in known_scopes:
        watched = "the workspace" if breaker.scope == "workspace" else f"each {breaker.scope}"
        example = min(known_scopes, default=f"{breaker.scope}:…")
        raise CommandError(f"breaker {breaker_id!r} watches {watched}; write a scope such as {example}")


def _row(session: Session, breaker_id: str, scope: str) -> BreakerRow | None:
    return session.get(BreakerRow, (breaker_id, scope), with_for_update=True, populate_existing=True)


def _locked(session: Session, breaker_id: str, scope: str, now: datetime) -> BreakerRow:
    """The breaker's row, held by this transaction; made when there is none."""
    row = _row(session, breaker_id, scope)
    if row is None:
        # As if closed for ever: attempts from before the first look count as well.
        first = BreakerRow(breaker_id=breaker_id, scope=scope, since=machine.LONG_AGO)
        insert_new(session, BreakerRow, [first.model_dump()])
        row = _row(session, breaker_id, scope)
    assert row is not None, "it was inserted, or somebody else's is there"
    return row


def _status(row: BreakerRow) -> Status:
    return Status(State(row.state), row.since, row.level, row.probes_left, row.ramp, row.by)


def _publish(
    session: Session, row: BreakerRow, status: Status, evidence: dict[str, object], now: datetime
) -> None:
    """Write the new state, one epoch later, and wake what it lets pass."""
    row.state = status.state.value
    row.level = status.level
    row.since = status.since
    row.probes_left = status.probes_left
    row.ramp = status.ramp
    row.by = status.by
    row.evidence = evidence
    row.epoch += 1
    session.flush()
    _wake_passing(session, row, now)


def _wake_passing(session: Session, row: BreakerRow, now: datetime) -> None:
    """Plan again what the breaker's present state lets through: all, one per probe, or the ramp's share."""
    hold = f"breaker:{row.scope}"
    if row.state == State.CLOSED:
        wake(session, hold, now=now)
        return
    if row.state == State.OPEN:
        return
    query = (
        select(col(IntentRow.key))
        .where(col(IntentRow.state) == "held", held_in(hold))
        .order_by(col(IntentRow.priority).desc(), col(IntentRow.created_at), col(IntentRow.key))
    )
    if row.ramp is None:
        keys = list(session.scalars(query.limit(row.probes_left))) if row.probes_left > 0 else []
    else:
        keys = [key for key in session.scalars(query) if share_of(key) < row.ramp]
    for start in range(0, len(keys), _WOKEN_AT_ONCE):
        wake(session, hold, now=now, keys=keys[start : start + _WOKEN_AT_ONCE])


def _evidence(breaker: Breaker, figures: Figures) -> dict[str, object]:
    return {
        "metric": breaker.metric.name,
        "samples": figures.samples,
        "failed": figures.failed,
        "rate": round(figures.rate, 4),
    }


def _tell(session: Session, breaker_id: str, scope: str, now: datetime) -> None:
    """Nudge the breaker's workflow, unless a nudge is waiting already."""
    key = f"{breaker_id}/{scope}"
    waiting = select(col(OutboxRow.id)).where(
        col(OutboxRow.kind) == "breaker.watch",
        col(OutboxRow.key) == key,
        col(OutboxRow.done_at).is_(None),
        col(OutboxRow.claimed_until).is_(None),
    )
    if session.scalars(waiting.limit(1)).first() is None:
        session.add(OutboxRow(kind="breaker.watch", key=key, created_at=now))
