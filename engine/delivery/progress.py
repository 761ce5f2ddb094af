"""How far an intent has come: its row read as a plain value and written in one statement.

Every send reads and writes its row in three transactions; mapped objects would cost more than all the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from engine.gate.model import Outcome
from engine.gate.state import Claim, LeaseLost
from engine.store.bulk import table_of
from engine.store.prepared import Prepared
from engine.store.tables import IntentRow


@dataclass
class Progress:
    """All of an intent's row that changes after it was planned; fields as in `IntentRow`."""

    contact_id: str
    """Another one than the claim's once that one has become part of it."""
    state: str
    outcome: str | None
    value: float
    reason: str | None
    channel: str | None
    content_hash: str | None
    provider_id: str | None
    attempts: int
    handed_over_at: datetime | None
    wake_at: datetime | None
    retry_at: datetime | None
    deadline_at: datetime | None
    expires_at: datetime | None
    hold_scope: str | None
    lease_owner: str | None
    lease_until: datetime | None
    updated_at: datetime


_NAMES = tuple(field.name for field in fields(Progress))

# Built once: putting a statement together costs as much as running it.
_INTENT = table_of(IntentRow)
_LOCK = Prepared(
    select(*(_INTENT.c[name] for name in _NAMES))
    .where(_INTENT.c.key == bindparam("of_key"))
    .with_for_update()
)
_OF_KEY = select(_INTENT).where(_INTENT.c.key == bindparam("of_key"))
_WHOLE = Prepared(_OF_KEY)
_LOCK_WHOLE = Prepared(_OF_KEY.with_for_update())
_SAVE = Prepared(update(_INTENT).where(_INTENT.c.key == bindparam("of_key")))


def outcome_in(progress: Progress | None) -> Outcome | None:
    """How the intent ended; None while it has not, and for one that does not exist."""
    return Outcome(progress.outcome) if progress is not None and progress.outcome is not None else None


def lock_progress(session: Session, key: str) -> Progress | None:
    """How far the intent has come, its row held by this transaction; None for one that does not exist."""
    found = _LOCK.row(session, {"of_key": key})
    return None if found is None else Progress(*found)


def owned_progress(session: Session, claim: Claim) -> Progress:
    """How far a claimed intent has come, as `lock_progress`; LeaseLost when the claim's lease is over."""
    progress = lock_progress(session, claim.intent.key)
    if progress is None or progress.lease_owner != claim.lease:
        raise LeaseLost(claim.intent.key)
    return progress


def lock_progress_of(session: Session, keys: Iterable[str]) -> dict[str, Progress]:
    """`lock_progress` of many at once, in the order of their keys; those that do not exist are left out."""
    asked = [{"of_key": key} for key in sorted(keys)]
    found = _LOCK.rows_for(session, asked)
    return {each["of_key"]: Progress(*rows[0]) for each, rows in zip(asked, found, strict=True) if rows}


def save_progress_of(session: Session, progress: Mapping[str, Progress]) -> None:
    """`save_progress` of many at once, by their keys."""
    _SAVE.run_for(session, [{**vars(each), "of_key": key} for key, each in sorted(progress.items())])


def save_progress(session: Session, key: str, progress: Progress) -> None:
    """Write the row of an intent that this transaction has locked."""
    _SAVE.run(session, {**vars(progress), "of_key": key})


def read_whole(session: Session, key: str, *, lock: bool) -> Any | None:
    """Every column of the intent's row, under their names; None for one that does not exist."""
    return (_LOCK_WHOLE if lock else _WHOLE).row(session, {"of_key": key})


def read_whole_of(session: Session, keys: Sequence[str]) -> list[Any | None]:
    """`read_whole` of many at once, in this order, without locks."""
    found = _WHOLE.rows_for(session, [{"of_key": key} for key in keys])
    return [rows[0] if rows else None for rows in found]


def save_lease(session: Session, key: str, owner: str | None, until: datetime | None) -> None:
    """Name who works on an intent that this transaction has locked, and until when (delivery time)."""
    _SAVE.run(session, {"of_key": key, "lease_owner": owner, "lease_until": until})


def save_leases(session: Session, leases: Sequence[tuple[str, str]], until: datetime) -> None:
    """`save_lease` of many at once: keys, each with its owner."""
    rows = [{"of_key": key, "lease_owner": owner, "lease_until": until} for key, owner in leases]
    _SAVE.run_for(session, rows)
