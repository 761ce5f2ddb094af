"""Putting a bundle in force, and going back to an earlier one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.authoring.definitions import WORKSPACE_FILE
from engine.authoring.loading import bundle_to_publish, published_bundle
from engine.errors import NotFound, Place, Problem, RulesetError
from engine.governance.overlays import check_kept_on, kept_on
from engine.plugin.registry import Registry
from engine.rules.proving import Unproved, prove
from engine.store.control import change_control, ensure_control, lock_control, read_control
from engine.store.tables import BundleRow


@dataclass(frozen=True)
class Published:
    """A bundle as it stands in the history."""

    number: int
    hash: str


def publish(
    session: Session,
    files: Mapping[str, str],
    *,
    by: str,
    now: datetime,
    registry: Registry | None = None,
) -> Published:
    """Put these files in force: the next number in the history, or the present one when nothing changed.

    RulesetError when they hold a mistake (with a registry, also one in what they say to plugins), something
    that this version does not act upon, or rules that the matcher cannot be trusted with; nothing is changed
    then. `now` is delivery time. Every process takes the new bundle up with its next transaction; runs in
    flight stay with theirs.
    """
    bundle = bundle_to_publish(files, registry)
    prove_rules(bundle)
    ensure_control(session, now)
    return _put_in_force(session, bundle.hash, dict(files), lambda: bundle, by=by, now=now)


def prove_rules(bundle: Bundle) -> None:
    """Return when the matcher decides the bundle's rules rightly, as a process of its own found.

    RulesetError with the place of the rule when not. What was proved once costs nothing again in this
    process, so that who is about to publish can do this before a transaction is open.
    """
    try:
        prove(bundle.rules)
    except Unproved as doubt:
        place = bundle.rule_places.get(doubt.rule, Place(WORKSPACE_FILE))
        message = f"this rule, or one compiled together with it, was not decided safely: {doubt.why}"
        hint = "nothing was published; say it in another way, and report it: the fault is not in your file"
        raise RulesetError([Problem(place, "RS066", doubt.rule, message, hint)]) from doubt


def rollback(session: Session, number: int, *, by: str, now: datetime) -> Published:
    """Put an earlier bundle in force again, as the next number, so that the history says who did it and when.

    NotFound when there is no such number. It was clean when it was published and is not checked again: going
    back must not fail because today's version would refuse yesterday's file.
    """
    row = session.get(BundleRow, number)
    if row is None:
        raise NotFound(f"no bundle has the number {number}")
    files = row.files
    return _put_in_force(session, row.hash, files, lambda: published_bundle(files), by=by, now=now)


def list_bundles(session: Session, *, limit: int = 50) -> list[BundleRow]:
    """The history, the latest first."""
    return list(session.scalars(select(BundleRow).order_by(col(BundleRow.number).desc()).limit(limit)))


def _put_in_force(
    session: Session,
    wanted: str,
    files: dict[str, str],
    bundle: Callable[[], Bundle],
    *,
    by: str,
    now: datetime,
) -> Published:
    # While the control row is held nobody can send or stop anything, so what takes long comes before.
    checked = check_kept_on(read_control(session), wanted, bundle)
    control = lock_control(session)  # two who publish at once take turns
    latest = session.scalar(select(func.max(col(BundleRow.number)))) or 0
    if wanted == (control.published_bundle or control.live_bundle):
        return Published(latest, wanted)
    check_kept_on(control, wanted, bundle, checked)
    live, plans = kept_on(session, control, wanted)
    session.add(BundleRow(number=latest + 1, hash=wanted, files=files, published_at=now, published_by=by))
    change_control(session, live_bundle=live, published_bundle=wanted, plans=plans)
    return Published(latest + 1, wanted)
