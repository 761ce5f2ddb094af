"""What is known of contacts' runs while a batch of their events goes by: plain values, read in bulk.

A batch touches hundreds of runs and waits; as mapped objects they would cost more than all the rest of it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, case, cast, func, select
from sqlalchemy.orm import Session

from engine.journeys.matching import History, Listener, ListenerKind
from engine.store.bulk import is_one_of, table_of
from engine.store.tables import RunRow, WaitRow


@dataclass
class KnownWait:
    """One thing a run listens for; `id` is None while its row is not written yet."""

    id: int | None
    listener: Listener
    is_heard: bool = False


@dataclass
class KnownRun:
    """One active run; fields as in `RunRow`."""

    id: str
    journey: str
    version: str
    bundle_hash: str
    contact_id: str
    entry_key: str
    outcome: str | None = None
    position: str | None = None
    waiting: str = "ready"
    variables: dict[str, Any] = field(default_factory=dict)
    due_at: datetime | None = None
    waiting_since: datetime | None = None
    durable: bool = False
    nudged_at: datetime | None = None
    waits: list[KnownWait] = field(default_factory=list)


@dataclass
class ContactRuns:
    """One contact's runs, kept current while the events of a batch go by."""

    active: dict[str, KnownRun] = field(default_factory=dict)
    history: dict[str, History] = field(default_factory=dict)


_RUN, _WAIT = table_of(RunRow), table_of(WaitRow)
# Not by its status: SQLite would take that index and read every active run there is.
_IS_ACTIVE = _RUN.c.ended_at.is_(None)

# Built once: putting statements together costs as much as running them.
_HISTORY = select(
    _RUN.c.contact_id,
    _RUN.c.journey,
    func.count(),
    func.sum(case((_IS_ACTIVE, 1), else_=0)),
    func.max(_RUN.c.ended_at),
    # Of runs that are numbered; after two contacts were parted, fewer are there than the last number says.
    func.max(case((_RUN.c.entry_key.like("n%"), cast(func.substr(_RUN.c.entry_key, 2), Integer)), else_=0)),
).group_by(_RUN.c.contact_id, _RUN.c.journey)
_ACTIVE = (
    select(*(_RUN.c[each.name] for each in fields(KnownRun) if each.name != "waits"))
    .where(_IS_ACTIVE)
    .order_by(_RUN.c.started_at, _RUN.c.journey, _RUN.c.entry_key)
)
_WAITS = select(
    _WAIT.c.run_id,
    _WAIT.c.id,
    _WAIT.c.matched_event_id,
    _WAIT.c.kind,
    _WAIT.c.name,
    _WAIT.c.event_type,
    _WAIT.c.rule,
    _WAIT.c.since_seq,
    _WAIT.c.until,
).order_by(_WAIT.c.id)


def read_known(session: Session, contact_ids: Collection[str]) -> dict[str, ContactRuns]:
    """The runs of each of these contacts, whom the caller has locked: so nobody else moves them meanwhile."""
    contacts = {contact_id: ContactRuns() for contact_id in contact_ids}
    running: dict[str, KnownRun] = {}
    history = session.execute(_HISTORY.where(is_one_of(session, _RUN.c.contact_id, contact_ids)))
    for contact_id, journey, runs, active, last_ended_at, number in history.all():
        contacts[contact_id].history[journey] = History(int(runs), int(active), last_ended_at, int(number))
    if any(each.active for known in contacts.values() for each in known.history.values()):
        rows = session.execute(_ACTIVE.where(is_one_of(session, _RUN.c.contact_id, contact_ids)))
        for row in rows.all():
            run = running[row.id] = KnownRun(*row)
            contacts[run.contact_id].active[run.id] = run
        waits = session.execute(_WAITS.where(is_one_of(session, _WAIT.c.contact_id, contact_ids)))
        for run_id, id_, matched_event_id, kind, *listener in waits.all():
            if run_id in running:
                wait = KnownWait(id_, Listener(ListenerKind(kind), *listener), matched_event_id is not None)
                running[run_id].waits.append(wait)
    return contacts


def read_history(session: Session, journey: str, contact_ids: Collection[str]) -> dict[str, History]:
    """Contact -> their runs of one journey so far; those without any are left out. Nothing is locked."""
    query = _HISTORY.where(_RUN.c.journey == journey, is_one_of(session, _RUN.c.contact_id, contact_ids))
    return {
        contact_id: History(int(runs), int(active), last_ended_at, int(number))
        for contact_id, _, runs, active, last_ended_at, number in session.execute(query).all()
    }


Asked = tuple[str, str, str]
"""A contact, a journey and an entry key."""


def read_entered(session: Session, asked: Collection[Asked]) -> set[Asked]:
    """Those of `asked` for which there is a run, ended ones included.

    By what they are about: the id of a run is made of the contact that entered, who may be part of another.
    """
    if not asked:
        return set()
    contacts, journeys, keys = (sorted({each[place] for each in asked}) for place in range(3))
    query = select(_RUN.c.contact_id, _RUN.c.journey, _RUN.c.entry_key).where(
        is_one_of(session, _RUN.c.contact_id, contacts),
        is_one_of(session, _RUN.c.journey, journeys),
        is_one_of(session, _RUN.c.entry_key, keys),
    )
    return {(contact, journey, key) for contact, journey, key in session.execute(query).all()} & set(asked)
