"""Erasing a contact: all that says who they were goes, what was decided stays, and that it was done.

Everything happens in one transaction that holds the contact; done again it finds nothing left to do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session
from sqlmodel import SQLModel, col

from engine.authoring.built_in import BUILT_IN_EVENTS
from engine.clock import Clock, Clocks, FixedClock
from engine.contacts.consent import forget_proofs
from engine.contacts.identity import survivors_of
from engine.contacts.merging import members_of
from engine.contacts.moving import forget_patterns
from engine.contacts.profile import Profile
from engine.contacts.rows import lock_profiles, write_profiles
from engine.contacts.suppressing import Blocked, block, digest_of
from engine.delivery.by_hand import withdraw_tasks
from engine.delivery.waking import begin_anew, drop_held
from engine.errors import NotFound
from engine.gate.model import Answer, Outcome, Verdict
from engine.gate.stages import Stage
from engine.gate.state import Moment
from engine.intake.repeating import until_kept
from engine.journeys.event import MESSAGE_RECEIVED
from engine.journeys.run import Ended, RunOutcome
from engine.runs.ending import Endings
from engine.runs.joining import active_runs
from engine.runs.telling import Notes
from engine.store.bulk import is_one_of, table_of
from engine.store.control import clocks_of, read_control
from engine.store.database import Store
from engine.store.tables import (
    CallRow,
    ContactRow,
    DeadLetterRow,
    DecisionRow,
    ErasureRow,
    EventRow,
    ExposureRow,
    IdentityRow,
    IntentRow,
    MergeRow,
    OutboxRow,
    ReceiptRow,
    RunRow,
    TaskRow,
    WaitRow,
    WrittenTextRow,
)

GONE = "(erased)"
_SHORTEST = 3
"""Characters of a text that can say who somebody is; a shorter one would be found everywhere."""
_EMPTIED: Mapping[str, tuple[type[SQLModel], Mapping[str, Any]]] = {
    "events": (EventRow, {"properties": {}}),
    "runs": (RunRow, {"variables": {}}),
    "messages": (IntentRow, {"variables": {}}),
    "tasks": (TaskRow, {"note": "", "message": None}),
    "calls": (CallRow, {"told": {}, "variables": {}, "results": {}, "code": ""}),
}
"""What holds what they did and said, whole."""
_NAMED = (EventRow, "event_id"), (WaitRow, "matched_event_id"), (RunRow, "entry_event_id")
"""Columns with ids that senders made: a telling one is replaced everywhere by one and the same."""


@dataclass(frozen=True)
class Erased:
    """That a contact was erased."""

    contact_id: str
    at: datetime
    by: str
    told: Mapping[str, Any]
    is_repeat: bool
    """Whether it had been done before; nothing has happened then."""


@dataclass
class _Telling:
    """The texts that say who somebody is."""

    texts: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    """Those of them that are nobody else's."""

    def add(self, value: Any) -> None:
        """Learn every text in a value."""
        if isinstance(value, str):
            if len(value) >= _SHORTEST:
                self.texts.add(value)
        elif isinstance(value, Mapping):
            for part in value.values():
                self.add(part)
        elif isinstance(value, list | tuple | set):
            for part in value:
                self.add(part)

    def is_in(self, text: str) -> bool:
        return any(each in text for each in self.texts)

    def without(self, value: Any) -> Any:
        """The value with every text gone that holds one of them."""
        if isinstance(value, str):
            return GONE if self.is_in(value) else value
        if isinstance(value, Mapping):
            return {name: self.without(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return [self.without(part) for part in value]
        return value


class Eraser:
    """Erases contacts on an operator's word."""

    def __init__(self, store: Store, clock: Clock, secret: str) -> None:
        """`secret` makes the hashes by which an address is known again."""
        self._store = store
        self._clock = clock
        self._secret = secret

    def erase(self, contact_id: str, *, by: str, reason: str) -> Erased:
        """Erase a contact, and all that was merged into them. NotFound when there is none.

        Their runs end, what waits at the gate is dropped; what is at a provider at this moment still arrives.
        Addresses that were suppressed stay so by their hashes.
        """

        def work(session: Session) -> Erased:
            named = survivors_of(session, [contact_id]).get(contact_id, contact_id)
            clocks = clocks_of(read_control(session), FixedClock(self._clock.now()))
            return _erase(session, self._secret, clocks, named, by, reason)

        return until_kept(self._store, work)


def _erase(session: Session, secret: str, clocks: Clocks, contact_id: str, by: str, reason: str) -> Erased:
    profile = lock_profiles(session, [contact_id]).get(contact_id)
    if profile is None:
        raise NotFound("there is no such contact")
    known = session.get(ErasureRow, contact_id)
    if known is not None:
        return Erased(contact_id, known.at, known.by, known.told, is_repeat=True)
    now = clocks.journey_now()
    _stop(session, contact_id, now, clocks.delivery_now())
    made_of = [contact_id, *members_of(session, contact_id)]
    telling = _told(session, profile, made_of)
    digests, told = _forget_addresses(session, secret, profile, now)
    told |= _empty(session, made_of)
    told["texts"] = _forget_texts(session, made_of)
    told["proofs"] = sum(forget_proofs(session, each) for each in made_of)
    told["event_ids"] = _rename(session, made_of, telling)
    told["decisions"] = _clean(
        session, DecisionRow, col(DecisionRow.contact_id).in_(made_of), telling, "evidence"
    )
    told["decisions"] += _clean(
        session, DecisionRow, col(DecisionRow.contact_id).in_(made_of), telling, "would_pass_if"
    )
    told["receipts"] = _clean(session, ReceiptRow, col(ReceiptRow.contact_id).in_(made_of), telling, "code")
    told["arms"] = _clean(session, ExposureRow, col(ExposureRow.contact_id).in_(made_of), telling, "stratum")
    told["runs_named"] = _clean(session, RunRow, col(RunRow.contact_id).in_(made_of), telling, "entry_key")
    runs = select(col(RunRow.id)).where(col(RunRow.contact_id).in_(made_of))
    told["errands"] = _clean(session, OutboxRow, col(OutboxRow.key).in_(runs), telling, "payload")
    told["dead_letters"] = _forget_dead_letters(session, telling)
    forget_patterns(session, made_of)
    session.execute(
        update(MergeRow)
        .where(col(MergeRow.gone).in_(made_of) | col(MergeRow.joined_to).in_(made_of))
        .values(profiles={}, reason="", undone_because=None)
        .execution_options(synchronize_session=False)
    )
    for each in made_of:
        created = lock_profiles(session, [each])[each]
        write_profiles(session, [_nobody(created, None if each == contact_id else contact_id, now)])
    row = ErasureRow(contact_id=contact_id, at=now, by=by, reason=reason, digests=digests, told=told)
    session.add(row)
    return Erased(contact_id, now, by, told, is_repeat=False)


def _stop(session: Session, contact_id: str, now: datetime, real_now: datetime) -> None:
    """End their runs, and drop what waits at the gate for them without a run."""
    endings = Endings(session, Notes(), now, real_now)
    for run in active_runs(session, [contact_id]):
        endings.end(run, Ended(RunOutcome.CANCELLED, "run.contact_deleted"))
    endings.finish()
    begin_anew(session, [contact_id], now=real_now)
    answer = Answer(
        Verdict.BLOCK,
        Stage.STANDING,
        "suppressed.erased",
        would_pass_if="nothing: the contact was erased",
        outcome=Outcome.BLOCKED,
    )
    drop_held(session, answer=answer, now=real_now, journey_now=now, contact_ids=[contact_id])
    withdraw_tasks(session, [contact_id], answer.reason, Moment(now, real_now))
    session.flush()
    session.expire_all()


def _told(session: Session, profile: Profile, made_of: Sequence[str]) -> _Telling:
    """What they told us, before it goes: what is found of it elsewhere goes as well."""
    found = _Telling()
    found.add(profile.attributes)
    found.add(profile.tags)
    for row in session.scalars(select(IdentityRow).where(col(IdentityRow.contact_id).in_(made_of))):
        found.add(row.address)
        found.addresses |= {row.address} if len(row.address) >= _SHORTEST else set()
    theirs = col(EventRow.type).not_in(BUILT_IN_EVENTS.keys() - {MESSAGE_RECEIVED})
    stated = select(col(EventRow.properties)).where(col(EventRow.contact_id).in_(made_of), theirs)
    for properties in session.scalars(stated):
        found.add(properties)
    for table, name in ((CallRow, "told"), (CallRow, "results"), (TaskRow, "note")):
        query = select(getattr(table, name)).where(table_of(table).c.contact_id.in_(made_of))
        for value in session.scalars(query):
            found.add(value)
    for variables in session.scalars(
        select(col(RunRow.variables)).where(col(RunRow.contact_id).in_(made_of))
    ):
        found.add({name: variables.get(name) for name in ("values", "entry", "events", "results")})
    for merge in session.scalars(
        select(MergeRow).where(col(MergeRow.gone).in_(made_of) | col(MergeRow.joined_to).in_(made_of))
    ):
        for document in merge.profiles.values():
            found.add(document.get("attributes"))
    # Words of the rulesets say nothing about a person.
    found.texts -= _common(session, made_of)
    return found


def _common(session: Session, made_of: Sequence[str]) -> set[str]:
    """Names of journeys, channels and kinds in the decisions about them."""
    names = (DecisionRow.journey, DecisionRow.channel, DecisionRow.kind, DecisionRow.verdict)
    query = select(*map(col, names)).where(col(DecisionRow.contact_id).in_(made_of)).distinct()
    return {word for row in session.execute(query).all() for word in row if word}


def _forget_addresses(
    session: Session, secret: str, profile: Profile, now: datetime
) -> tuple[list[str], dict[str, Any]]:
    rows = session.scalars(select(IdentityRow).where(col(IdentityRow.contact_id) == profile.id)).all()
    # Whoever must not be written to is known again by a hash, should the address ever come back.
    kept = [
        Blocked(row.platform, row.address, row.suppressed or profile.suppressed or "")
        for row in rows
        if row.suppressed or profile.suppressed
    ]
    block(session, secret, kept, source="erasure", now=now)
    digests = sorted(digest_of(secret, row.platform, row.address) for row in rows)
    session.execute(delete(IdentityRow).where(col(IdentityRow.contact_id) == profile.id))
    return digests, {"identities": len(rows), "suppressed": len(kept)}


def _empty(session: Session, made_of: Collection[str]) -> dict[str, int]:
    counted = {}
    for name, (row, values) in _EMPTIED.items():
        table = table_of(row)
        done = session.execute(
            update(table).where(is_one_of(session, table.c.contact_id, made_of)).values(values)
        )
        counted[name] = int(getattr(done, "rowcount", 0))
    return counted


def _forget_texts(session: Session, made_of: Collection[str]) -> int:
    """What generators wrote for their messages names them; that it was written, and by whom, stays."""
    texts, intents = table_of(WrittenTextRow), table_of(IntentRow)
    theirs = select(intents.c.key).where(is_one_of(session, intents.c.contact_id, made_of))
    done = session.execute(update(texts).where(texts.c.intent_key.in_(theirs)).values(text={}))
    return int(getattr(done, "rowcount", 0))


def _rename(session: Session, made_of: Sequence[str], telling: _Telling) -> int:
    """Ids of events in which a sender wrote who it was: each gets another one, everywhere the same."""
    renamed = 0
    for row, name in _NAMED:
        table = table_of(row)
        column = table.c[name]
        found = session.scalars(
            select(column).where(table.c.contact_id.in_(made_of), column.is_not(None)).distinct()
        ).all()
        for event_id in filter(telling.is_in, found):
            other = f"erased:{sha256(event_id.encode()).hexdigest()[:32]}"
            session.execute(update(table).where(column == event_id).values({name: other}))
            renamed += 1
    return renamed


def _clean(
    session: Session, row: type[SQLModel], of: ColumnElement[bool], telling: _Telling, name: str
) -> int:
    """Take what is telling out of one column of these rows; how many had something of it."""
    table = table_of(row)
    (key,) = table.primary_key.columns
    changed = []
    for id_, value in session.execute(select(key, table.c[name]).where(of)).all():
        cleaned = telling.without(value)
        if cleaned != value:
            changed.append((id_, cleaned))
    for id_, cleaned in changed:
        session.execute(update(table).where(key == id_).values({name: cleaned}))
    return len(changed)


def _forget_dead_letters(session: Session, telling: _Telling) -> int:
    """Dead letters that name them go whole: what could not be used then is of no use any more."""
    found = [
        row.id
        for row in _dead_letters(session)
        if any(address in _plain(row.raw) for address in telling.addresses)
    ]
    for id_ in found:
        session.execute(delete(DeadLetterRow).where(col(DeadLetterRow.id) == id_))
    return len(found)


def _dead_letters(session: Session) -> Iterator[Any]:
    table = table_of(DeadLetterRow)
    query = select(table.c.id, table.c.raw).order_by(table.c.id).execution_options(yield_per=1000)
    yield from session.execute(query)


def _plain(raw: Any) -> str:
    return raw if isinstance(raw, str) else orjson.dumps(raw).decode()


def _nobody(profile: Profile, part_of: str | None, now: datetime) -> Profile:
    """What stays of somebody: the id, and that they were erased."""
    return Profile(
        profile.id,
        created_at=profile.created_at,
        last_event_seq=profile.last_event_seq,
        suppressed="erased",
        erased_at=now,
        merged_into=part_of,
    )


def was_erased(session: Session, secret: str, platform: str, address: str) -> list[str]:
    """The ids of contacts that had this address when they were erased."""
    digest = digest_of(secret, platform, address)
    query = select(ErasureRow).order_by(col(ErasureRow.at))
    return [row.contact_id for row in session.scalars(query) if digest in row.digests]


def is_erased(session: Session, contact_id: str) -> bool:
    """Whether a contact was erased."""
    return (
        session.scalar(select(col(ContactRow.erased_at)).where(col(ContactRow.id) == contact_id)) is not None
    )
