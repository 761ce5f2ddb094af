"""Budgets over HTTP: what there is, what is spent, and what may be spent now."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from engine.api.access import Asked, Operator, require_operator
from engine.gate.budgets import OTHERS
from engine.governance import budgets

router = APIRouter(prefix="/v1/budgets", tags=["operating"], dependencies=[Depends(require_operator)])

_AMOUNT = "A number of messages, or money with its currency."


class WindowRecord(BaseModel):
    """The present window, half-open, in journey time."""

    starts_at: datetime
    ends_at: datetime


class ShareRecord(BaseModel):
    """One share of the present window; `others` is of all messages that no other one is for."""

    share: str
    weight: float
    allocated: int | str = Field(description=_AMOUNT)
    spent: int | str = Field(description=f"{_AMOUNT} What messages on their way out have taken included.")
    held: int | str = Field(description=f"{_AMOUNT} What messages would take that wait, about.")
    allowed_now: int | str = Field(description=_AMOUNT)
    state: str | None = Field(
        default=None, examples=["going", "halted"], description="Of a budget that names a `return`."
    )
    halted_since: datetime | None = Field(default=None, description="In journey time.")
    halted_by: str | None = Field(default=None, description="`rule`, or the operator.")
    return_: float | None = Field(
        default=None,
        alias="return",
        description="What came back for one spent, on average of the periods that are judged together.",
    )
    volatility: float | None = Field(
        default=None, description="Standard deviation of that over the periods, in parts of its mean."
    )
    periods: int | None = Field(default=None, description="How many ripe periods say anything by now.")


class ShareRequest(BaseModel):
    """Which share is halted or goes on, and why."""

    share: str = Field(default=OTHERS, description="`others`: that of all messages no other one is for.")
    reason: str = Field(default="", max_length=1000, description="Kept with the change.")


class ShareAnswer(BaseModel):
    """What a share is from now on."""

    budget: str
    share: str
    state: str = Field(examples=["going", "halted"])
    changed: bool = Field(description="False when it was so already.")


class BudgetRecord(BaseModel):
    """A budget of the bundle in force, as it stands now."""

    budget: str
    unit: str = Field(examples=["CNY", "messages"])
    limit: int | str = Field(description=_AMOUNT, examples=["50000.00 CNY"])
    pace: str = Field(examples=["even", "front", "free"])
    place: str = Field(description="File and line.")
    state: str = Field(examples=["open", "coming", "over"])
    opens_at: datetime | None = Field(default=None, description="While it is coming.")
    window: WindowRecord | None = None
    spent: int | str | None = Field(default=None, description=_AMOUNT)
    held: int | str | None = Field(default=None, description=_AMOUNT)
    allowed_now: int | str | None = Field(default=None, description=_AMOUNT)
    next_at: datetime | None = Field(
        default=None, description="When more is allowed, and what is left is shared out again."
    )
    judged_next_at: datetime | None = Field(
        default=None, description="When its return is judged next; only with a `return`."
    )
    shares: list[ShareRecord]


class BudgetList(BaseModel):
    """Every budget, by id."""

    budgets: list[BudgetRecord]


@router.get("")
async def list_budgets(services: Asked) -> BudgetList:
    """Every budget of the bundle in force: spent, held, allowed now, and when more is allowed."""

    def look() -> BudgetList:
        with services.store.read() as session:
            found = budgets.list_budgets(session, services.shelf, services.clock)
        return BudgetList(budgets=[BudgetRecord(**record) for record in found])

    return await services.store.run(look)


@router.get("/{name}")
async def show_budget(name: str, services: Asked) -> BudgetRecord:
    """One budget with its shares."""

    def look() -> BudgetRecord:
        with services.store.read() as session:
            return BudgetRecord(**budgets.budget_record(session, services.shelf, services.clock, name))

    return await services.store.run(look)


@router.post("/{name}/halt")
async def halt(name: str, wanted: ShareRequest, services: Asked, operator: Operator) -> ShareAnswer:
    """Spend nothing of a share until somebody resumes it: its messages are held."""
    return await _say_of_share(name, wanted, services, operator, halted=True)


@router.post("/{name}/resume")
async def resume(name: str, wanted: ShareRequest, services: Asked, operator: Operator) -> ShareAnswer:
    """Let a halted share go on: what it held is looked at again, and what is spent from now on is judged."""
    return await _say_of_share(name, wanted, services, operator, halted=False)


async def _say_of_share(
    name: str, wanted: ShareRequest, services: Asked, operator: str, *, halted: bool
) -> ShareAnswer:
    def act() -> ShareAnswer:
        with services.store.begin() as session:
            changed = budgets.say_of_share(
                session,
                services.shelf,
                services.clock,
                name,
                wanted.share,
                halted=halted,
                by=operator,
                reason=wanted.reason,
            )
        state = "halted" if halted else "going"
        return ShareAnswer(budget=name, share=wanted.share, state=state, changed=changed)

    return await services.store.run(act)
