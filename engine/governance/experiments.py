"""What operators see of experiments and hold-outs: who was given which arm, and how many of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.errors import NotFound
from engine.experiments.assignment import Design
from engine.governance.records import LONGEST_LIST, Record, plain
from engine.journeys.program import Experiment
from engine.store.bundles import BundleShelf
from engine.store.control import read_control
from engine.store.tables import ExposureRow


def list_experiments(session: Session, shelf: BundleShelf) -> list[Record]:
    """Every experiment that is in force or has given anybody an arm, draw by draw, with people per arm.

    A draw is an experiment under one seed. `expected` is the share that the weights in force want; after a
    change of weights people keep their arms, so that it describes those who come from then on.
    """
    designs = {(each.key, each.seed): each for each in _designs(_in_force(session, shelf))}
    counted: dict[tuple[str, str], dict[str, int]] = {name: {} for name in designs}
    query = select(
        col(ExposureRow.experiment), col(ExposureRow.seed), col(ExposureRow.arm), func.count()
    ).group_by(col(ExposureRow.experiment), col(ExposureRow.seed), col(ExposureRow.arm))
    for experiment, seed, arm, count in session.execute(query):
        counted.setdefault((experiment, seed), {})[arm] = int(count)
    return [_told(*name, designs.get(name), counts) for name, counts in sorted(counted.items())]


def experiment_record(session: Session, shelf: BundleShelf, experiment: str) -> Record:
    """One experiment: its draws as `list_experiments` tells them, and people per arm and stratum.

    NotFound for one that is neither in force nor has given anybody an arm.
    """
    draws = [each for each in list_experiments(session, shelf) if each["experiment"] == experiment]
    if not draws:
        raise NotFound(f"there is no experiment {experiment[:200]!r}; they are named journey/step")
    query = (
        select(col(ExposureRow.seed), col(ExposureRow.stratum), col(ExposureRow.arm), func.count())
        .where(col(ExposureRow.experiment) == experiment, col(ExposureRow.stratum).is_not(None))
        .group_by(col(ExposureRow.seed), col(ExposureRow.stratum), col(ExposureRow.arm))
        .order_by(col(ExposureRow.seed), col(ExposureRow.stratum), col(ExposureRow.arm))
    )
    strata = [
        {"seed": seed, "stratum": stratum, "arm": arm, "contacts": int(count)}
        for seed, stratum, arm, count in session.execute(query)
    ]
    return {"experiment": experiment, "draws": draws, "strata": strata}


def list_exposures(
    session: Session,
    *,
    experiment: str | None = None,
    contact_id: str | None = None,
    arm: str | None = None,
    before: int | None = None,
    limit: int = 100,
) -> list[Record]:
    """Who was given which arm, the latest first; `before` an id continues a list."""
    query = select(ExposureRow).order_by(col(ExposureRow.id).desc())
    for name, value in (("experiment", experiment), ("contact_id", contact_id), ("arm", arm)):
        if value is not None:
            query = query.where(getattr(ExposureRow, name) == value)
    if before is not None:
        query = query.where(col(ExposureRow.id) < before)
    return [plain(row) for row in session.scalars(query.limit(max(1, min(limit, LONGEST_LIST))))]


def list_hold_outs(session: Session, shelf: BundleShelf) -> list[Record]:
    """The hold-outs of the bundle in force; who is held out follows from seed and share."""
    bundle = _in_force(session, shelf)
    return [
        {
            "hold_out": each.id,
            "share": each.share,
            "seed": each.seed,
            "starts": each.starts.isoformat(),
            "ends": each.ends.isoformat(),
            "purposes": list(each.purposes),
            "channels": list(each.channels),
            "journeys": list(each.journeys),
        }
        for each in (bundle.hold_outs if bundle is not None else ())
    ]


def _in_force(session: Session, shelf: BundleShelf) -> Bundle | None:
    """The bundle in force; None before the first is published."""
    control = read_control(session)
    return shelf.in_force(session, control) if control.live_bundle is not None else None


def _designs(bundle: Bundle | None) -> Iterator[Design]:
    for program in bundle.programs.values() if bundle is not None else ():
        yield from (step.design for step in program.steps.values() if isinstance(step, Experiment))


def _told(experiment: str, seed: str, design: Design | None, counts: dict[str, int]) -> Record:
    known: Sequence[str] = design.arms if design is not None else ()
    total = sum(design.weights) if design is not None else 0
    arms: list[dict[str, Any]] = []
    for arm in (*known, *sorted(counts.keys() - set(known))):
        weight = design.weights[design.arms.index(arm)] if design is not None and arm in known else None
        arms.append(
            {
                "arm": arm,
                "contacts": counts.get(arm, 0),
                "expected": round(weight / total, 6) if weight is not None else None,
            }
        )
    return {
        "experiment": experiment,
        "seed": seed,
        "in_force": design is not None,
        "stratify_by": list(design.stratify_by) if design is not None else [],
        "contacts": sum(counts.values()),
        "arms": arms,
    }
