"""Plans over HTTP: which there are, and one request to put one in force or take it out again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from engine.api.access import Asked, Operator, require_operator
from engine.governance import plans

router = APIRouter(prefix="/v1/plans", tags=["operating"], dependencies=[Depends(require_operator)])


class PlanRecord(BaseModel):
    """A plan of the bundle in force."""

    plan: str
    title: str
    state: str = Field(examples=["on", "off"])
    since: datetime | None
    until: datetime | None = Field(description="When it ends by itself; null while it is off.")
    by: str | None
    reason: str | None


class PlanList(BaseModel):
    """Every plan, by id."""

    plans: list[PlanRecord]


class PlanOn(BaseModel):
    """Until when, and why."""

    until: Annotated[
        str | None,
        Field(
            max_length=40,
            examples=["2d", "2026-10-08T00:00:00+08:00"],
            description="A length from now or a moment with its zone; left out: as long as its file allows.",
        ),
    ] = None
    reason: str = Field(default="", max_length=500)


class PlanOff(BaseModel):
    """Why."""

    reason: str = Field(default="", max_length=500)


class PlanAnswer(BaseModel):
    """The plan as it stands now."""

    plan: str
    state: str = Field(examples=["on", "off"])
    until: datetime | None = Field(description="When it ends by itself.")
    changed: bool = Field(description="False: it stood like this before, but for its end perhaps.")


@router.get("")
async def list_plans(services: Asked) -> PlanList:
    """Every plan of the bundle in force, and which are on, since when and until when."""

    def look() -> PlanList:
        with services.store.read() as session:
            found = plans.list_plans(session, services.shelf)
        return PlanList(plans=[_record(state) for state in found])

    return await services.store.run(look)


@router.post("/{plan}/on")
async def switch_on(plan: str, wanted: PlanOn, services: Asked, operator: Operator) -> PlanAnswer:
    """Put a plan in force everywhere at once; one that is on already gets the new end."""

    def act() -> PlanAnswer:
        now = services.clock.now()
        until = plans.end_said(wanted.until, now) if wanted.until is not None else None
        with services.store.begin() as session:
            was_on = any(state.is_on for state in _named(plans.list_plans(session, services.shelf), plan))
            ends = plans.switch_on(
                session, services.shelf, plan, until=until, by=operator, reason=wanted.reason, now=now
            )
        return PlanAnswer(plan=plan, state="on", until=ends, changed=not was_on)

    return await services.store.run(act)


@router.post("/{plan}/off")
async def switch_off(plan: str, wanted: PlanOff, services: Asked, operator: Operator) -> PlanAnswer:
    """Take a plan out of force; messages that it held are looked at again."""

    def act() -> PlanAnswer:
        with services.store.begin() as session:
            known = plans.list_plans(session, services.shelf)
            if not _named(known, plan):
                raise plans.unknown(plan, (state.id for state in known))
            changed = plans.switch_off(
                session,
                services.shelf,
                plan,
                by=operator,
                reason=wanted.reason,
                now=services.clock.now(),
            )
        return PlanAnswer(plan=plan, state="off", until=None, changed=changed)

    return await services.store.run(act)


def _named(states: list[plans.PlanState], name: str) -> list[plans.PlanState]:
    return [state for state in states if state.id == name]


def _record(state: plans.PlanState) -> PlanRecord:
    return PlanRecord(
        plan=state.id,
        title=state.title,
        state="on" if state.is_on else "off",
        since=state.since,
        until=state.until,
        by=state.by,
        reason=state.reason,
    )
