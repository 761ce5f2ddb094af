"""Reviews over HTTP: texts that people approve before they are sent, and their decisions."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from engine.api.access import Asked, Operator, require_operator
from engine.api.problems import ProblemError
from engine.governance import reviews
from engine.governance.records import LONGEST_LIST, Record

router = APIRouter(prefix="/v1/reviews", tags=["reviews"], dependencies=[Depends(require_operator)])


class ReviewList(BaseModel):
    """Texts of the bundle in force that a policy asks about."""

    reviews: list[Record]


class ReviewRequest(BaseModel):
    """What is said of a text."""

    decision: reviews.Verdict
    stage: str | None = Field(
        default=None, max_length=64, description="In which stage; left out: the first that is missing."
    )
    why: str = Field(default="", max_length=reviews.LONGEST_WHY)
    by: str = Field(
        default="",
        max_length=200,
        examples=["ana"],
        description="The person, where one token stands for several; kept beside the token's own name.",
    )


class ReviewAnswer(BaseModel):
    """What the decision has come to."""

    id: str
    stage: str
    decision: str
    state: str = Field(examples=["pending", "approved", "rejected", "withdrawn"])
    missing: list[str] = Field(description="Stages that have still to approve.")
    woken: int = Field(description="Messages that waited for it and are looked at again.")


@router.get("")
async def list_reviews(
    services: Asked,
    state: Literal["pending", "approved", "rejected", "withdrawn", "all"] = "pending",
    queue: str | None = None,
    content: str | None = None,
    limit: Annotated[int, Query(ge=1, le=LONGEST_LIST)] = 50,
) -> ReviewList:
    """Texts in force that a review policy asks about; those that hold messages come first."""

    def look() -> ReviewList:
        with services.store.read() as session:
            found = reviews.list_reviews(
                session,
                services.shelf,
                state=None if state == "all" else state,
                queue=queue,
                content=content,
                limit=limit,
            )
        return ReviewList(reviews=found)

    return await services.store.run(look)


@router.get("/{review_id}")
async def review(review_id: str, services: Asked) -> Record:
    """One text as it goes out, with every decision over it. The id may be the beginning of the hash."""

    def look() -> Record:
        with services.store.read() as session:
            return reviews.review_record(session, services.shelf, review_id)

    return await services.store.run(look)


@router.post("/{review_id}/decide")
async def decide(review_id: str, wanted: ReviewRequest, services: Asked, operator: Operator) -> ReviewAnswer:
    """Approve exactly this text, reject it, or take an approval back.

    409 when it cannot be said: `review_four_eyes` for who published the text first,
    `review_nothing_to_approve`, `review_nothing_to_withdraw`, `review_unknown_stage`.
    """

    def act() -> reviews.Decided:
        with services.store.begin() as session:
            return reviews.decide(
                session,
                services.shelf,
                review_id,
                wanted.decision,
                by=f"{operator}:{wanted.by}" if wanted.by else operator,
                now=services.clock.now(),
                stage=wanted.stage,
                why=wanted.why,
            )

    try:
        decided = await services.store.run(act)
    except reviews.ReviewRefusedError as error:
        raise ProblemError(409, f"review_{error.code}", str(error)) from error
    return ReviewAnswer(
        id=decided.hash,
        stage=decided.stage,
        decision=decided.decision,
        state=decided.state,
        missing=list(decided.missing),
        woken=decided.woken,
    )
