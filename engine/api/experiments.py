"""Experiments and hold-outs: how many contacts each arm has, and who was given which."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from engine.api.access import Asked, require_operator
from engine.api.records import Before, Limit
from engine.governance import experiments
from engine.governance.records import Record, find_contact

router = APIRouter(prefix="/v1", tags=["experiments"], dependencies=[Depends(require_operator)])

Arm = Annotated[str | None, Query(description="Only contacts of this arm.")]


@router.get("/experiments")
async def list_experiments(services: Asked) -> dict[str, list[Record]]:
    """Experiments in force or with contacts, draw by draw with the contacts of each arm; and hold-outs."""

    def look() -> dict[str, list[Record]]:
        with services.store.read() as session:
            return {
                "experiments": experiments.list_experiments(session, services.shelf),
                "hold_outs": experiments.list_hold_outs(session, services.shelf),
            }

    return await services.store.run(look)


@router.get("/experiments/{journey}/{step}")
async def experiment(journey: str, step: str, services: Asked) -> Record:
    """One experiment: contacts per arm, and per stratum where arms are balanced by strata."""

    def look() -> Record:
        with services.store.read() as session:
            return experiments.experiment_record(session, services.shelf, f"{journey}/{step}")

    return await services.store.run(look)


@router.get("/exposures")
async def exposures(
    services: Asked,
    experiment: Annotated[str | None, Query(description="As welcome/subject_line.")] = None,
    contact: str | None = None,
    arm: Arm = None,
    before: Before = None,
    limit: Limit = 100,
) -> dict[str, list[Record]]:
    """Who was given which arm of which experiment, when and why; the latest first."""

    def look() -> list[Record]:
        with services.store.read() as session:
            return experiments.list_exposures(
                session,
                experiment=experiment,
                contact_id=find_contact(session, contact) if contact else None,
                arm=arm,
                before=before,
                limit=limit,
            )

    return {"exposures": await services.store.run(look)}
