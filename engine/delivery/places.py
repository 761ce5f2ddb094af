"""Places in caps as rows: taken and confirmed inside the transactions of reservation and hand-over."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import bindparam, delete, insert, update
from sqlalchemy.orm import Session

from engine.gate.caps import applicable_caps
from engine.gate.model import Intent
from engine.gate.state import Moment, View
from engine.store.bulk import table_of
from engine.store.prepared import Prepared
from engine.store.tables import CapPlaceRow

# Built once: putting a statement together costs as much as running it.
_PLACE = table_of(CapPlaceRow)
_INSERT = Prepared(insert(_PLACE))
_FORGET = Prepared(delete(_PLACE).where(_PLACE.c.intent_key == bindparam("key")))
_CONFIRM = Prepared(
    update(_PLACE)
    .where(_PLACE.c.intent_key == bindparam("key"), _PLACE.c.state == "leased")
    .values(state="confirmed", at=bindparam("moment"), lease_until=None)
)


def take_places(
    session: Session,
    intent: Intent,
    view: View,
    channel: str,
    now: Moment,
    lease_until: datetime,
    *,
    is_first: bool,
) -> int:
    """Lease one place in every cap that applies to the intent on this channel; how many.

    Places it holds from an earlier channel go along where the cap applies here too, and are free elsewhere.
    The caller has locked the contact and found room. `is_first` says that the intent never had a place.
    """
    standing = view.standing
    assert standing is not None, "stage 2 stops intents without a contact"
    purpose = view.rules.purposes[intent.purpose]
    caps = applicable_caps(view.rules.caps, intent, purpose, channel, standing.tags)
    if not is_first:
        # Taken anew: an earlier attempt's may be released, or belong to caps that do not apply here.
        _FORGET.run(session, {"key": intent.key})
    rows = [
        {
            "cap_id": cap.id,
            "intent_key": intent.key,
            "contact_id": intent.contact_id,
            "state": "leased",
            "at": now.journey,
            "lease_until": lease_until,
            "purpose": intent.purpose,
            "channel": channel,
            "journey": intent.journey,
            "tags": sorted(standing.tags),
        }
        for cap in caps
    ]
    for row in rows:
        _INSERT.run(session, row)
    return len(rows)


def confirm_places(session: Session, key: str, at: datetime) -> None:
    """The intent's places count for good, dated with the hand-over (journey time)."""
    _CONFIRM.run(session, {"key": key, "moment": at})
