"""Putting a bundle in force, and going back to an earlier one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.authoring.definitions import WORKSPACE_FILE
from engine.authoring.loading import bundle_to_publish
from engine.delivery.gate_rules import gate_rules
from engine.delivery.waking import wake_capped, wake_unapproved
from engine.errors import NotFound, Place, Problem, RulesetError
from engine.governance.in_flight import place_orders, refuse_to_strand
from engine.governance.outlook import JourneyOutlook, look_ahead
from engine.governance.overlays import check_kept_on, kept_on
from engine.governance.reviews import note_texts
from engine.journeys.program import InFlight
from engine.plugin.registry import Registry
from engine.rules.proving import Unproved, prove
from engine.store.bundles import BundleShelf
from engine.store.control import change_control, ensure_control, lock_control, read_control
from engine.store.in_flight import as_document
from engine.store.tables import BundleRow, ControlRow


@dataclass(frozen=True)
class Published:
    """A bundle as it stands in the history."""

    number: int
    hash: str
    people: tuple[JourneyOutlook, ...] = ()
    """What this means for people on their way in other bundles."""


def publish(
    session: Session,
    files: Mapping[str, str],
    *,
    by: str,
    now: datetime,
    registry: Registry | None = None,
    policies: Mapping[str, InFlight] = MappingProxyType({}),
    shelf: BundleShelf | None = None,
) -> Published:
    """Put these files in force: the next number in the history, or the present one when nothing changed.

    RulesetError when they hold a mistake (with a registry, also one in what they say to plugins), something
    that this version does not act upon, or rules that the matcher cannot be trusted with; nothing is changed
    then, nor when somebody would be stranded (RS128). `now` is delivery time. Every process takes the new
    bundle up with its next transaction. Runs in flight stay with theirs, unless `policies` or their journey's
    file say otherwise; `engine.governance.in_flight` does what they say. What caps and quiet hours hold goes
    through the gate again when those, or anything else that the gate is told, have changed. A `shelf` spares
    compiling earlier bundles again.
    """
    bundle = bundle_to_publish(files, registry)
    prove_rules(bundle)
    ensure_control(session, now)
    with _shelved(shelf) as bundles:
        return _put_in_force(session, bundle, bundles, policies, by=by, now=now)


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


def rollback(
    session: Session,
    number: int,
    *,
    by: str,
    now: datetime,
    policies: Mapping[str, InFlight] = MappingProxyType({}),
    shelf: BundleShelf | None = None,
) -> Published:
    """Put an earlier bundle in force again, as the next number, so that the history says who did it and when.

    NotFound when there is no such number. It was clean when it was published and is not checked again: going
    back must not fail because today's version would refuse yesterday's file. Policies are those of `publish`.
    """
    row = bundle_row(session, number)
    with _shelved(shelf) as bundles:
        return _put_in_force(session, bundles.get(session, row.hash), bundles, policies, by=by, now=now)


def bundle_row(session: Session, number: int) -> BundleRow:
    """One entry of the history; NotFound when there is no such number."""
    row = session.get(BundleRow, number)
    if row is None:
        raise NotFound(f"no bundle has the number {number}")
    return row


def list_bundles(session: Session, *, limit: int = 50) -> list[BundleRow]:
    """The history, the latest first."""
    return list(session.scalars(select(BundleRow).order_by(col(BundleRow.number).desc()).limit(limit)))


@contextmanager
def _shelved(shelf: BundleShelf | None) -> Iterator[BundleShelf]:
    """The shelf that was given, or one for this call."""
    if shelf is not None:
        yield shelf
        return
    own = BundleShelf()
    try:
        yield own
    finally:
        own.close()


def _put_in_force(
    session: Session,
    bundle: Bundle,
    shelf: BundleShelf,
    policies: Mapping[str, InFlight],
    *,
    by: str,
    now: datetime,
) -> Published:
    wanted, files = bundle.hash, dict(bundle.files)
    # While the control row is held nobody can send or stop anything, so what takes long comes before.
    checked = check_kept_on(read_control(session), wanted, lambda: bundle)
    people = look_ahead(session, shelf, read_control(session), bundle, policies, told=False)
    alike = _judged_alike(session, shelf, read_control(session), bundle)
    control = lock_control(session)  # two who publish at once take turns
    latest = session.scalar(select(func.max(col(BundleRow.number)))) or 0
    if wanted == (control.published_bundle or control.live_bundle) and not policies:
        return Published(latest, wanted)
    check_kept_on(control, wanted, lambda: bundle, checked)
    moving = [each.journey for each in people if each.policy is not InFlight.PIN]
    if moving:
        # Somebody may have come to a step meanwhile, and another bundle into force.
        anew = look_ahead(session, shelf, control, bundle, policies, told=False, only=moving)
        people = [each for each in people if each.journey not in moving] + anew
    refuse_to_strand(people, files)
    live, plans = kept_on(session, control, wanted)
    before = control.published_bundle or control.live_bundle
    if wanted != before:
        latest += 1
        session.add(BundleRow(number=latest, hash=wanted, files=files, published_at=now, published_by=by))
    orders = place_orders(session, control, wanted, live, people, latest, now)
    change_control(
        session, live_bundle=live, published_bundle=wanted, plans=plans, in_flight=as_document(orders)
    )
    if wanted != before:
        note_texts(session, bundle, by=by, now=now)
        if plans or before != alike:
            wake_capped(session, now=now)
        elif bundle.reviews:
            wake_unapproved(session, now=now)
    return Published(latest, wanted, tuple(people))


def _judged_alike(session: Session, shelf: BundleShelf, control: ControlRow, bundle: Bundle) -> str | None:
    """The hash of the published bundle, if messages are judged by it as by this one; else None.

    None also when an earlier version of Wayline published it and this one cannot read it any more.
    """
    published = control.published_bundle or control.live_bundle
    if published is None:
        return None
    try:
        known = shelf.get(session, published)
    except RulesetError:
        return None
    return published if gate_rules(bundle).judges_as(gate_rules(known)) else None
