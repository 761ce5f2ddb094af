"""What operators look up: contacts, runs, decisions, messages, dead letters; and runs that they cancel."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from pydantic import AwareDatetime, BaseModel, Field

from engine.api.access import Asked, Operator, require_operator
from engine.api.problems import ProblemError
from engine.delivery import explaining
from engine.delivery.story import as_data
from engine.gate.decision import Decision, Kind
from engine.gate.model import Outcome, Verdict
from engine.gate.reasons import FAMILIES
from engine.governance import records, timeline
from engine.governance.consents import journey_now
from engine.governance.decisions import TOKEN, Wanted, decision_of, list_decisions
from engine.governance.records import LONGEST_LIST, Record
from engine.intake import deadletters
from engine.intake.carrying import Carrier
from engine.masking import mask_value
from engine.runs.cancelling import cancel

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
            now = journey_now(session, services.clock.now())
            contact_id = records.find_contact(session, contact)
            return records.contact_record(session, contact_id, bundle=services.shelf.live(session), now=now)

    return await services.store.run(look)


class TimelinePage(BaseModel):
    """Some entries of a timeline, and where it goes on."""

    timeline: list[Record]
    next: str | None = Field(description="Give it as `before` for the next page; null at the end.")


@router.get("/contacts/{contact}/timeline")
async def contact_timeline(
    contact: str,
    services: Asked,
    before: Annotated[str | None, Query(max_length=160, description="Continue a list: its `next`.")] = None,
    limit: Limit = 50,
) -> TimelinePage:
    """All that happened to a contact in one list, the latest first: events, decisions, sends, tasks,
    consents, addresses that were closed; each with a title in English and Chinese."""

    def look() -> TimelinePage:
        with services.store.read() as session:
            page = timeline.contact_timeline(
                session,
                records.find_contact(session, contact),
                shelf=services.shelf,
                secret=services.secret_key,
                before=before,
                limit=limit,
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


class CancelRequest(BaseModel):
    """Why."""

    reason: str = Field(default="", max_length=500)


class CancelAnswer(BaseModel):
    """What became of it."""

    run_id: str
    changed: bool = Field(description="False when the run had ended already.")


@router.post("/runs/{run_id}/cancel")
async def cancel_run(run_id: str, wanted: CancelRequest, services: Asked, operator: Operator) -> CancelAnswer:
    """End a run where it stands: its open task is withdrawn, a message that has not left is not sent."""

    def act() -> bool:
        with services.store.begin() as session:
            return cancel(session, run_id, by=operator, reason=wanted.reason, now=services.clock.now())

    return CancelAnswer(run_id=run_id, changed=await services.store.run(act))


class DecisionPage(BaseModel):
    """Some decisions, the latest first, and where the list goes on."""

    decisions: list[Decision]
    next: str | None = Field(
        description="Give it as `before` for the next page; null at the end. A page may hold less than "
        "was asked for, even nothing, and still go on: it looks at a bounded number of decisions."
    )


@router.get("/decisions", response_model_by_alias=True)
async def decisions(
    services: Asked,
    contact: Annotated[str | None, Query(description="An id, or an identity as `user:42`.")] = None,
    journey: str | None = None,
    run: str | None = None,
    intent: Annotated[str | None, Query(description="The key of a message or of a call.")] = None,
    reason: Annotated[
        str | None,
        Query(pattern=r"^[a-z]+(\.[A-Za-z0-9_.-]+)?$", max_length=100, description="A code or a family."),
    ] = None,
    outcome: Outcome | None = None,
    verdict: Verdict | None = None,
    kind: Annotated[Kind | None, Query(description="What was decided.")] = None,
    channel: str | None = None,
    since: Annotated[
        AwareDatetime | None, Query(alias="from", description="Journey time, from then on.")
    ] = None,
    until: Annotated[
        AwareDatetime | None, Query(alias="to", description="Journey time, before then.")
    ] = None,
    before: Annotated[
        str | None, Query(pattern=TOKEN, description="Continue a list: the `next` of its page before.")
    ] = None,
    limit: Limit = 100,
) -> DecisionPage:
    """Decisions, the latest first, as `decision.v1` records (`schemas/decision.v1.json`)."""
    family = reason.partition(".")[0] if reason is not None else None
    if family is not None and family not in FAMILIES:
        raise ProblemError(
            422, "unknown_family", "there is no such family of reasons", known_families=list(FAMILIES)
        )

    def look() -> DecisionPage:
        with services.store.read() as session:
            wanted = Wanted(
                contact_id=records.find_contact(session, contact) if contact else None,
                journey=journey,
                run_id=run,
                intent_key=intent,
                reason=reason,
                outcome=outcome,
                verdict=verdict,
                kind=kind,
                channel=channel,
                since=since,
                until=until,
            )
            page = list_decisions(session, wanted, before=before, limit=limit)
            return DecisionPage(decisions=[decision_of(row) for row in page.rows], next=page.next)

    return await services.store.run(look)


@router.get("/intents/{key}")
async def intent(key: str, services: Asked) -> Record:
    """Why a message was sent, held or not sent: its entry, every decision, every call to a provider."""

    def look() -> Record:
        with services.store.read() as session:
            return as_data(explaining.explain_intent(session, services.shelf, key))

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
