"""Tasks over HTTP: what journeys have given to people, and their decisions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query
from pydantic import BaseModel, Field

from engine.api.access import Asked, Operator, require_operator
from engine.api.problems import ProblemError
from engine.governance import tasks
from engine.governance.records import LONGEST_LIST, Record, find_contact
from engine.journeys.run import TaskState
from engine.runs import deciding

router = APIRouter(prefix="/v1/tasks", tags=["tasks"], dependencies=[Depends(require_operator)])

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=200,
        description="Names the decision: the same one again gives the same answer and does nothing.",
    ),
]


class TaskPage(BaseModel):
    """Some tasks, and where the list goes on."""

    tasks: list[Record]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


class DecideRequest(BaseModel):
    """What is decided."""

    choice: str = Field(min_length=1, max_length=64, examples=["solved"])
    note: str = Field(default="", max_length=deciding.LONGEST_NOTE)
    by: str = Field(
        default="",
        max_length=deciding.LONGEST_NAME,
        examples=["ana"],
        description="The person, where one token stands for several; kept beside the token's own name.",
    )


class DecideAnswer(BaseModel):
    """The decision as it stands."""

    task_id: str
    run_id: str | None = Field(description="Null for a message that no run wished.")
    choice: str
    title: str
    decided_by: str
    decided_at: datetime
    repeated: bool = Field(description="It was decided before under this key; nothing new has happened.")


@router.get("")
async def list_tasks(
    services: Asked,
    state: TaskState = TaskState.OPEN,
    queue: str | None = None,
    journey: str | None = None,
    contact: str | None = None,
    after: Annotated[str | None, Query(max_length=64, description="Continue a list: its `next`.")] = None,
    limit: Annotated[int, Query(ge=1, le=LONGEST_LIST)] = 50,
) -> TaskPage:
    """Tasks: open ones in the order in which they are to be worked off, closed ones the latest first."""

    def look() -> TaskPage:
        with services.store.read() as session:
            page = tasks.list_tasks(
                session,
                services.shelf,
                services.clock.now(),
                state=state,
                queue=queue,
                journey=journey,
                contact_id=find_contact(session, contact) if contact else None,
                after=after,
                limit=limit,
            )
        return TaskPage(tasks=page.tasks, next=page.next)

    return await services.store.run(look)


@router.get("/{task_id}")
async def task(task_id: str, services: Asked) -> Record:
    """One task: the question with its answers, the contact, what brought them in, what was decided before; of
    an open one to bring a message, whom it goes to and its text."""

    def look() -> Record:
        with services.store.read() as session:
            return tasks.task_record(session, services.shelf, task_id, services.clock.now())

    return await services.store.run(look)


@router.post("/{task_id}/decide")
async def decide(
    task_id: str, wanted: DecideRequest, services: Asked, operator: Operator, key: Key = None
) -> DecideAnswer:
    """Decide a task; its run goes on that way, or its message is said to be delivered or not.

    409 when it takes no answer any more, with who decided what: `task_decided`, `task_expired`,
    `task_withdrawn`; `task_key_taken` when the key has decided something else. 422 for a choice it lacks.
    """

    def act() -> deciding.Decision:
        with services.store.begin() as session:
            return deciding.decide(
                session,
                task_id,
                wanted.choice,
                by=f"{operator}:{wanted.by}" if wanted.by else operator,
                now=services.clock.now(),
                key=key,
                note=wanted.note,
                secret=services.secret_key,
                shelf=services.shelf,
            )

    try:
        decision = await services.store.run(act)
    except deciding.UnknownChoiceError as error:
        raise ProblemError(422, "choice_unknown", str(error)) from error
    except deciding.TaskClosedError as error:
        raise ProblemError(409, f"task_{error.code}", str(error), task=dict(error.told)) from error
    return DecideAnswer(
        task_id=decision.task_id,
        run_id=decision.run_id,
        choice=decision.choice,
        title=decision.title,
        decided_by=decision.decided_by,
        decided_at=decision.decided_at,
        repeated=decision.is_repeat,
    )
