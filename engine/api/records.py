"""What operators look up: contacts, runs, decisions, messages, dead letters."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field

from engine.api.access import Asked, require_operator
from engine.delivery import explaining
from engine.governance import records, timeline
from engine.governance.records import LONGEST_LIST, Record
from engine.intake import deadletters
from engine.intake.carrying import Carrier
from engine.masking import mask_value

router = APIRouter(prefix="/v1", tags=["records"], dependencies=[Depends(require_operator)])

LARGEST_ID = 2**63 - 1

Limit = Annotated[int, Query(ge=1, le=LONGEST_LIST)]
Before = Annotated[
    int | None, Query(ge=1, le=LARGEST_ID, description="Continue a list: ids before this one.")
]


@router.get("/contacts/{contact}")
async def contact(contact: str, services: Asked) -> Record:
    """One contact, by id or by an identity such as `user:42`; addresses are masked."""

    def look() -> Record:
        with services.store.read() as session:
            return records.contact_record(session, records.find_contact(session, contact))

    return await services.store.run(look)


class TimelinePage(BaseModel):
    """Some entries of a timeline, and where it goes on."""

    timeline: list[Record]
    next: str | None = Field(description="Give it as `before` for the next page; null at the end.")


@router.get("/contacts/{contact}/timeline")
async def contact_timeline(
    contact: str,
    services: Asked,
    before: Annotated[str | None, Query(max_length=80, description="Continue a list: its `next`.")] = None,
    limit: Limit = 50,
) -> TimelinePage:
    """All that happened to a contact in one list, the latest first: events, decisions, tasks, consents."""

    def look() -> TimelinePage:
        with services.store.read() as session:
            page = timeline.contact_timeline(
                session, records.find_contact(session, contact), before=before, limit=limit
            )
        return TimelinePage(timeline=page.entries, next=page.next)

    return await services.store.run(look)


@router.get("/runs")
async def runs(
    services: Asked,
    journey: str | None = None,
    contact: str | None = None,
    status: Annotated[str | None, Query(pattern="^(active|ended)$")] = None,
    limit: Limit = 50,
) -> dict[str, list[Record]]:
    """Runs, the latest first."""

    def look() -> list[Record]:
        with services.store.read() as session:
            contact_id = records.find_contact(session, contact) if contact else None
            return records.list_runs(
                session, journey=journey, contact_id=contact_id, status=status, limit=limit
            )

    return {"runs": await services.store.run(look)}


@router.get("/runs/{run_id}")
async def run(run_id: str, services: Asked) -> Record:
    """One run: where it stands, what it waits for, its messages and decisions."""

    def look() -> Record:
        with services.store.read() as session:
            return records.run_record(session, run_id)

    return await services.store.run(look)


@router.get("/decisions")
async def decisions(
    services: Asked,
    contact: str | None = None,
    journey: str | None = None,
    run: str | None = None,
    intent: str | None = None,
    before: Before = None,
    limit: Limit = 100,
) -> dict[str, list[Record]]:
    """Decisions, the latest first."""

    def look() -> list[Record]:
        with services.store.read() as session:
            return records.list_decisions(
                session,
                contact_id=records.find_contact(session, contact) if contact else None,
                journey=journey,
                run_id=run,
                intent_key=intent,
                before=before,
                limit=limit,
            )

    return {"decisions": await services.store.run(look)}


@router.get("/intents/{key}")
async def intent(key: str, services: Asked) -> Record:
    """Why a message was sent, held or not sent: its entry, every decision, every call to a provider."""

    def look() -> Record:
        with services.store.read() as session:
            return explaining.as_data(explaining.explain_intent(session, services.shelf, key))

    return await services.store.run(look)


@router.get("/deadletters")
async def dead_letters(
    services: Asked,
    before: Before = None,
    limit: Limit = 100,
    resolved: Annotated[bool, Query(description="Also those that were settled since.")] = False,
) -> dict[str, list[Record]]:
    """Events that could not be used, the newest first; addresses in them are masked."""

    def look() -> list[Record]:
        with services.store.read() as session:
            found = deadletters.list_dead_letters(session, limit=limit, before=before, with_resolved=resolved)
        return [shown(letter) for letter in found]

    return {"dead_letters": await services.store.run(look)}


class RetryRequest(BaseModel):
    """Which dead letters to take in again."""

    ids: list[Annotated[int, Field(ge=1, le=LARGEST_ID)]] | None = Field(
        default=None, max_length=LONGEST_LIST, description="None: every open one."
    )


@router.post("/deadletters/retry")
async def retry_dead_letters(wanted: RetryRequest, request: Request, services: Asked) -> dict[str, Any]:
    """Drive dead letters through intake again, once the reason is gone."""

    def retry() -> deadletters.Retried:
        return deadletters.retry(services.store, services.intake, services.clock, wanted.ids)

    retried = await services.store.run(retry)
    carrier: Carrier = request.app.state.carrier
    carrier.hand(retried.run_ids)
    return {
        "resolved": list(retried.resolved),
        "still_dead": [
            {"id": letter.id, "code": letter.code, "message": letter.message} for letter in retried.still_dead
        ],
    }


def shown(letter: deadletters.DeadLetter) -> Record:
    """A dead letter as operators see it."""
    return {**asdict(letter), "raw": mask_value(letter.raw)}
