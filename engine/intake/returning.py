"""What came back from an address, as an event of its contact: once, whoever found it out."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from sqlalchemy import select, text, update
from sqlmodel import col

from engine.intake.accepting import Intake
from engine.intake.incoming import IncomingEvent
from engine.journeys.event import MESSAGE_BOUNCED, MESSAGE_COMPLAINED
from engine.store.database import Store
from engine.store.tables import IdentityRow

if TYPE_CHECKING:
    from engine.runs.service import Runs

SOURCE = "wayline"
_TYPES = {"hard_bounce": MESSAGE_BOUNCED, "complaint": MESSAGE_COMPLAINED}
_UNTOLD = (
    select(
        col(IdentityRow.platform),
        col(IdentityRow.address),
        col(IdentityRow.contact_id),
        col(IdentityRow.added_at),
        col(IdentityRow.suppressed),
    )
    # As the index has it: there are few such rows among all the addresses there are.
    .where(text("NOT is_told"))
    .order_by(col(IdentityRow.platform), col(IdentityRow.address))
)


class Returns:
    """Tells journeys of bounces and complaints; any number may do so on one database."""

    def __init__(self, store: Store, intake: Intake, runs: Runs) -> None:
        self._store = store
        self._intake = intake
        self._runs = runs

    async def tell(self, limit: int) -> int:
        """Tell of up to `limit` addresses, and carry the runs that start; how many addresses."""
        told, run_ids = await self._store.run(self.tell_page, limit)
        await self._runs.carry_found(run_ids)
        return told

    def tell_page(self, limit: int) -> tuple[int, tuple[str, ...]]:
        """How many were told of, and the runs that this started, leased to this process."""
        with self._store.read() as session:
            found = session.execute(_UNTOLD.limit(limit)).all()
        if not found:
            return 0, ()
        # Told twice it is the same event: after a crash in between nothing happens a second time.
        events = [
            IncomingEvent(
                _event_id(row.platform, row.address, row.added_at.isoformat(), row.suppressed),
                _TYPES[row.suppressed],
                properties={"platform": row.platform},
                contact_id=row.contact_id,
            )
            for row in found
            if row.suppressed in _TYPES
        ]
        receipt = self._intake.accept(events, source=SOURCE)
        with self._store.begin() as session:
            for row in found:
                session.execute(
                    update(IdentityRow)
                    .where(col(IdentityRow.platform) == row.platform, col(IdentityRow.address) == row.address)
                    .values(is_told=True)
                    .execution_options(synchronize_session=False)
                )
        return len(found), receipt.run_ids


def _event_id(*parts: str) -> str:
    """Names no address: only who knows it can tell that it is meant."""
    return f"returned:{sha256(chr(0).join(parts).encode()).hexdigest()[:32]}"
