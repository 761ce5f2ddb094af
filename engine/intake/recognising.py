"""The patterns that the events of one batch complete, and what is kept of their contacts' pasts for that."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.authoring.bundle import Bundle
from engine.contacts.remembering import past_events
from engine.journeys.event import Event
from engine.journeys.recognising import Recogniser
from engine.rules.matcher import Matcher
from engine.store.bulk import insert_rows, is_one_of, table_of, update_rows
from engine.store.tables import PatternRow

MOST_REPLAYED = 5_000
"""How many of a contact's latest events are looked at again when what was kept is missing or out of date."""

_PASTS = table_of(PatternRow)


class Recognising:
    """Looks at a batch's events, whose contacts the caller has locked, in their order.

    What is kept of each contact is read in one statement and written in one by `finish`. It is rebuilt from
    the event store where it is missing or belongs to other definitions. `newcomers` are those to whom nothing
    had happened before this batch.
    """

    def __init__(
        self,
        session: Session,
        bundle: Bundle,
        matcher: Matcher,
        events: Sequence[Event],
        newcomers: Collection[str] = (),
    ) -> None:
        self._session = session
        self._recogniser = Recogniser(bundle.patterns, matcher)
        kinds = self._recogniser.events
        touched = {event.contact_id for event in events if event.type in kinds}
        self._stored: dict[str, dict[str, Any]] = {}
        self._pasts: dict[str, dict[str, Any]] = {}
        if not touched:
            return
        query = select(_PASTS.c.id, _PASTS.c.pasts).where(is_one_of(session, _PASTS.c.id, touched))
        self._stored = {id_: pasts for id_, pasts in session.execute(query)}  # noqa: C416
        before = min(event.seq for event in events)
        behind: list[str] = []
        for contact_id in sorted(touched):
            pasts = self._stored.get(contact_id)
            if pasts is None and contact_id in newcomers:
                pasts = self._recogniser.begin()
            if pasts is not None and self._recogniser.is_current(pasts):
                self._pasts[contact_id] = pasts
            else:
                behind.append(contact_id)
        self._rebuild(behind, before)

    def look(self, event: Event) -> Event:
        """The event with the patterns it completes."""
        pasts = self._pasts.get(event.contact_id)
        if pasts is None:
            return event
        event, self._pasts[event.contact_id] = self._recogniser.look(event, pasts)
        return event

    def finish(self) -> None:
        """Write what has changed."""
        changed = {id_: pasts for id_, pasts in self._pasts.items() if pasts != self._stored.get(id_)}
        rows = [{"id": id_, "pasts": pasts} for id_, pasts in sorted(changed.items())]
        insert_rows(self._session, PatternRow, [row for row in rows if row["id"] not in self._stored])
        update_rows(self._session, PatternRow, [row for row in rows if row["id"] in self._stored])

    def _rebuild(self, contact_ids: Sequence[str], before_seq: int) -> None:
        found = past_events(
            self._session,
            contact_ids,
            self._recogniser.events,
            most=MOST_REPLAYED,
            before_seq=before_seq,
        )
        happened = dict(found) if contact_ids else {}
        for contact_id in contact_ids:
            known = self._stored.get(contact_id, {})
            self._pasts[contact_id] = self._recogniser.rebuilt(happened.get(contact_id, ()), known)
