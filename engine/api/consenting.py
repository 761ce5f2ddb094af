"""What the pages have in common: the link's contact as they stand, and their wishes taken in as events."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Request

from engine.api.problems import ProblemError
from engine.api.services import Services
from engine.authoring.bundle import Bundle
from engine.contacts.consent import consent_records
from engine.contacts.identity import addresses_of, survivors_of
from engine.delivery.viewing import read_situation
from engine.errors import NotFound
from engine.gate.consent import ConsentRecord
from engine.intake.answering import Receipt
from engine.intake.carrying import Carrier
from engine.intake.incoming import IncomingEvent
from engine.store.tables import ContactRow

Wish = tuple[str, Mapping[str, Any]]
"""An event's type and properties."""


@dataclass(frozen=True)
class Standing:
    """What a page shows of one contact; never a name or an address."""

    contact_id: str
    records: Sequence[ConsentRecord]
    platforms: frozenset[str]
    """On which there are addresses."""
    bundle: Bundle
    now: datetime
    """Journey time."""


async def standing_of(services: Services, contact_id: str) -> Standing | None:
    """The contact as they stand; None when there is none any more."""

    def look() -> Standing | None:
        with services.store.read() as session:
            # A link outlives the contact it was made for, who may be part of another one by now.
            named = survivors_of(session, [contact_id]).get(contact_id, contact_id)
            row = session.get(ContactRow, named)
            if row is None or row.erased_at is not None:
                return None
            return Standing(
                named,
                consent_records(session, named),
                frozenset(each.platform for each in addresses_of(session, [named]).get(named, [])),
                services.shelf.live(session),
                read_situation(session).time.at(services.clock.now()),
            )

    try:
        return await services.store.run(look)
    except NotFound as error:
        raise not_set_up(error) from error


async def take_in(
    request: Request, services: Services, contact_id: str, wishes: Sequence[Wish], *, source: str
) -> Receipt:
    """Take a contact's wishes in, all in one transaction, and let the journeys hear of them at once."""
    # Each click is an event of its own: between two of them the person may have changed their mind.
    events = [_event(contact_id, kind, properties, source) for kind, properties in wishes]

    def accept() -> Receipt:
        return services.intake.accept(events, source=source)

    try:
        receipt = await services.store.run(accept)
    except NotFound as error:
        raise not_set_up(error) from error
    carrier: Carrier = request.app.state.carrier
    carrier.hand(receipt.run_ids)
    return receipt


def not_set_up(error: NotFound) -> ProblemError:
    """What a page answers before anything is published."""
    return ProblemError(503, "not_set_up", str(error), headers={"Retry-After": "30"})


def _event(contact_id: str, kind: str, properties: Mapping[str, Any], source: str) -> IncomingEvent:
    message_id = f"{source}:{uuid.uuid4().hex}"
    return IncomingEvent(
        message_id=message_id,
        type=kind,
        contact_id=contact_id,
        properties=properties,
        raw={
            "type": "track",
            "event": kind,
            "messageId": message_id,
            "properties": dict(properties),
            "context": {"contact_id": contact_id},
        },
    )
