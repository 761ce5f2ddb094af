"""Events that could not be used: shown, and driven through intake again once the reason is gone."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.clock import Clock
from engine.errors import NotFound
from engine.intake.accepting import Intake
from engine.intake.answering import Taken
from engine.intake.segment import translate
from engine.store.database import Store
from engine.store.tables import DeadLetterRow

UNREADABLE = "EV011"


@dataclass(frozen=True)
class DeadLetter:
    """One event that could not be used."""

    id: int
    received_at: datetime
    """Delivery time, as the other moments here."""
    source: str
    code: str
    message: str
    raw: Any
    """The event as it was sent; as JSON text when it holds what a database cannot."""
    retried_at: datetime | None
    resolved_at: datetime | None


@dataclass(frozen=True)
class Retried:
    """What became of dead letters that were driven through intake again."""

    resolved: tuple[int, ...]
    still_dead: tuple[DeadLetter, ...]
    """With the reason as it is now."""
    run_ids: tuple[str, ...]


def list_dead_letters(
    session: Session, *, limit: int = 100, before: int | None = None, with_resolved: bool = False
) -> list[DeadLetter]:
    """The newest first; `before` an id continues a list."""
    query = select(DeadLetterRow).order_by(col(DeadLetterRow.id).desc()).limit(limit)
    if not with_resolved:
        query = query.where(col(DeadLetterRow.resolved_at).is_(None))
    if before is not None:
        query = query.where(col(DeadLetterRow.id) < before)
    return [_value(row) for row in session.scalars(query)]


def show_dead_letter(session: Session, id_: int) -> DeadLetter:
    """One dead letter; NotFound when there is none of that id."""
    row = session.get(DeadLetterRow, id_)
    if row is None:
        raise NotFound(f"there is no dead letter {id_}")
    return _value(row)


def retry(
    store: Store, intake: Intake, clock: Clock, ids: Sequence[int] | None = None, *, limit: int = 500
) -> Retried:
    """Take dead letters in again, oldest first; `ids` None takes every open one, up to `limit`.

    One that has become good (or had been taken in meanwhile) is resolved; the others keep their place with
    the reason of today. Repeating it is harmless.
    """
    query = (
        select(DeadLetterRow)
        .where(col(DeadLetterRow.resolved_at).is_(None))
        .order_by(col(DeadLetterRow.source), col(DeadLetterRow.id))
        .limit(limit)
    )
    if ids is not None:
        query = query.where(col(DeadLetterRow.id).in_(ids))
    with store.read() as session:
        found = [_value(row) for row in session.scalars(query)]
    # A line that could not be read holds no event; its file must be mended and taken in again.
    still = [letter for letter in found if letter.code == UNREADABLE]
    open_letters = [letter for letter in found if letter.code != UNREADABLE]
    resolved: list[int] = []
    run_ids: list[str] = []
    for source, group in itertools.groupby(open_letters, key=lambda letter: letter.source):
        letters = list(group)
        batch = [translate(_sent(letter.raw)) for letter in letters]
        taken = intake.settle(batch, source=source, finish=partial(_note, letters=letters, now=clock.now()))
        run_ids += taken.run_ids
        for position, letter in enumerate(letters):
            refused = taken.refused.get(position)
            if refused is None:
                resolved.append(letter.id)
            else:
                still.append(replace(letter, code=refused.code, message=refused.message))
    return Retried(tuple(sorted(resolved)), tuple(still), tuple(run_ids))


def _note(session: Session, taken: Taken, *, letters: Sequence[DeadLetter], now: datetime) -> None:
    for position, letter in enumerate(letters):
        row = session.get_one(DeadLetterRow, letter.id)
        row.retried_at = now
        refused = taken.refused.get(position)
        if refused is None:
            row.resolved_at = now
        else:
            row.code, row.message = refused.code, refused.message


def _sent(raw: Any) -> Any:
    if isinstance(raw, str):
        try:
            return json.loads(raw)
        except ValueError:
            return raw
    return raw


def _value(row: DeadLetterRow) -> DeadLetter:
    assert row.id is not None
    return DeadLetter(
        id=row.id,
        received_at=row.received_at,
        source=row.source,
        code=row.code,
        message=row.message,
        raw=row.raw,
        retried_at=row.retried_at,
        resolved_at=row.resolved_at,
    )
