"""How far an intent has come: its row read as a plain value and written in one statement.

Every send reads and writes its row in three transactions; mapped objects would cost more than all the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from engine.gate.state import Claim, LeaseLost
from engine.store.bulk import table_of
from engine.store.prepared import Prepared
from engine.store.tables import IntentRow


@dataclass
class Progress:
    """All of an intent's row that changes after it was planned; fields as in `IntentRow`."""

    state: str
    outcome: str | None
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


def save_progress(session: Session, key: str, progress: Progress) -> None:
    """Write the row of an intent that this transaction has locked."""
    _SAVE.run(session, {**vars(progress), "of_key": key})


def read_whole(session: Session, key: str, *, lock: bool) -> Any | None:
    """Every column of the intent's row, under their names; None for one that does not exist."""
    return (_LOCK_WHOLE if lock else _WHOLE).row(session, {"of_key": key})


def save_lease(session: Session, key: str, owner: str | None, until: datetime | None) -> None:
    """Name who works on an intent that this transaction has locked, and until when (delivery time)."""
    _SAVE.run(session, {"of_key": key, "lease_owner": owner, "lease_until": until})
