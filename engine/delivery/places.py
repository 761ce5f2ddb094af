"""Places in caps as rows: taken and confirmed inside the transactions of reservation and hand-over."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.gate.caps import applicable_caps
from engine.gate.model import Intent
from engine.gate.state import Moment, View
from engine.store.tables import CapPlaceRow


def take_places(
    session: Session, intent: Intent, view: View, channel: str, now: Moment, lease_until: datetime
) -> None:
    """Lease one place in every cap that applies to the intent on this channel.

    Places it holds from an earlier channel are kept where the cap applies here too, and given back elsewhere.
    The caller has locked the contact and found room.
    """
    standing = view.standing
    assert standing is not None, "stage 2 stops intents without a contact"
    purpose = view.rules.purposes[intent.purpose]
    caps = applicable_caps(view.rules.caps, intent, purpose, channel, standing.tags)
    query = select(CapPlaceRow).where(col(CapPlaceRow.intent_key) == intent.key)
    own = {place.cap_id: place for place in session.scalars(query)}
    for cap in caps:
        place = own.pop(cap.id, None)
        if place is None:
            place = CapPlaceRow(
                cap_id=cap.id, intent_key=intent.key, contact_id=intent.contact_id, at=now.journey
            )
            session.add(place)
        place.state = "leased"
        place.at = now.journey
        place.lease_until = lease_until
        place.purpose = intent.purpose
        place.channel = channel
        place.journey = intent.journey
        place.tags = sorted(standing.tags)
    for place in own.values():
        place.state = "released"
        place.lease_until = None


def confirm_places(session: Session, key: str, at: datetime) -> None:
    """The intent's places count for good, dated with the hand-over (journey time)."""
    session.execute(
        update(CapPlaceRow)
        .where(col(CapPlaceRow.intent_key) == key, col(CapPlaceRow.state) == "leased")
        .values(state="confirmed", at=at, lease_until=None)
        .execution_options(synchronize_session=False)
    )
