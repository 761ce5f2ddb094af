"""Why a message was sent, held or not sent: read from the store in one look-up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.bundle import Bundle
from engine.contacts.merging import members_of
from engine.delivery.reasoning import reasons
from engine.delivery.story import Heard, Story, Told, Tried
from engine.errors import NotFound, RulesetError
from engine.gate.reasons import describe
from engine.store.bundles import BundleShelf
from engine.store.tables import AttemptRow, DecisionRow, IntentRow, ReceiptRow

_AT_BRANCHES = ("run.branched", "experiment.exposed", "run.repeated", "run.repeat_over")
_AT_TASKS = ("task.decided", "task.expired")


def explain_intent(session: Session, shelf: BundleShelf, key: str) -> Story:
    """The story of an intent; NotFound when there is none with this key."""
    row = session.get(IntentRow, key)
    if row is None:
        raise NotFound(f"no intent {key!r}")
    query = select(DecisionRow).where(col(DecisionRow.intent_key) == key).order_by(col(DecisionRow.id))
    rows = list(session.scalars(query))
    before = rows[0].id if rows else None
    tried = select(AttemptRow).where(col(AttemptRow.intent_key) == key).order_by(col(AttemptRow.id))
    heard = select(ReceiptRow).where(col(ReceiptRow.intent_key) == key).order_by(col(ReceiptRow.id))
    return Story(
        intent=row.key,
        contact_id=row.contact_id,
        purpose=row.purpose,
        content=row.content,
        channels=list(row.channels),
        journey=row.journey,
        step=row.step_id,
        state=row.state,
        outcome=row.outcome,
        reason=row.reason,
        created_at=row.created_at,
        handed_over_at=row.handed_over_at,
        content_hash=row.content_hash,
        entry=_entry(session, shelf, row),
        branches=_passed_by_run(session, shelf, row, _AT_BRANCHES, before),
        tasks=_passed_by_run(session, shelf, row, _AT_TASKS, before),
        decisions=[_told(decision, session, shelf) for decision in rows],
        attempts=[
            Tried(each.at, each.channel, each.result, each.code, each.probe)
            for each in session.scalars(tried)
        ],
        receipts=[Heard(each.at, each.said, each.code) for each in session.scalars(heard)],
    )


def explain_call(session: Session, shelf: BundleShelf, key: str) -> list[Told]:
    """The decisions about a call of an action, oldest first; NotFound when there is none with this key."""
    query = select(DecisionRow).where(col(DecisionRow.intent_key) == key, col(DecisionRow.kind) == "call")
    rows = list(session.scalars(query.order_by(col(DecisionRow.id))))
    if not rows:
        raise NotFound(f"no intent and no call {key!r}")
    return [_told(row, session, shelf) for row in rows]


def explain_contact(
    session: Session, shelf: BundleShelf, contact_id: str, *, journey: str | None = None, limit: int = 50
) -> list[Told]:
    """The contact's latest decisions, of one journey or of all, oldest first."""
    made_of = [contact_id, *members_of(session, contact_id)]
    query = select(DecisionRow).where(col(DecisionRow.contact_id).in_(made_of))
    if journey is not None:
        query = query.where(col(DecisionRow.journey) == journey)
    rows = list(
        session.scalars(query.order_by(col(DecisionRow.at).desc(), col(DecisionRow.id).desc()).limit(limit))
    )
    return [_told(row, session, shelf) for row in reversed(rows)]


def tell(session: Session, shelf: BundleShelf, rows: Iterable[Any]) -> list[Told]:
    """Decisions ready to be shown, in the order given; of rows, or of results with their columns."""
    return [_told(row, session, shelf) for row in rows]


def _entry(session: Session, shelf: BundleShelf, row: IntentRow) -> Told | None:
    if row.run_id is None:
        return None
    query = select(DecisionRow).where(
        col(DecisionRow.run_id) == row.run_id,
        col(DecisionRow.kind) == "entry",
        col(DecisionRow.verdict) == "allow",
    )
    entry = session.scalars(query.order_by(col(DecisionRow.id)).limit(1)).first()
    return _told(entry, session, shelf) if entry is not None else None


def _passed_by_run(
    session: Session, shelf: BundleShelf, row: IntentRow, reasons: Sequence[str], before: int | None
) -> list[Told]:
    """The decisions of these reasons that the intent's run had behind it, of each step the latest.

    `before` is the first decision about the message itself, if there is one yet.
    """
    if row.run_id is None:
        return []
    query = select(DecisionRow).where(
        col(DecisionRow.run_id) == row.run_id,
        col(DecisionRow.reason).in_(reasons),
        col(DecisionRow.at) <= row.created_at,
    )
    if before is not None:
        query = query.where(col(DecisionRow.id) < before)
    latest: dict[str, DecisionRow] = {}
    for each in session.scalars(query.order_by(col(DecisionRow.id))):
        # What a step decided in an earlier round did not lead to this message.
        latest.pop(str(each.evidence.get("step")), None)
        latest[str(each.evidence.get("step"))] = each
    return [_told(each, session, shelf) for each in latest.values()]


def _told(row: Any, session: Session, shelf: BundleShelf) -> Told:
    try:
        reason = describe(row.reason)
        sentence, changed_by = reason.sentence, reason.changed_by
    except KeyError:
        # Written by a version that knew more reasons than this one.
        sentence, changed_by = "", ""
    evidence = dict(row.evidence)
    place, why = str(evidence.pop("place", "")), []
    asked = evidence.get("cases") or ([evidence] if "rule" in evidence else [])
    bundle = _bundle_of(row, session, shelf)
    if asked and bundle is not None:
        found = bundle.rule_places.get(asked[0]["rule"])
        place = f"{found.file}:{found.line}" if found is not None else place
        told = [reasons(bundle, each["rule"], each.get("tests", []), row.at) for each in asked]
        why = [each for each in told if each is not None]
        if len(why) == len(told):  # the trees tell it all
            for name in ("rule", "tests", "cases"):
                evidence.pop(name, None)
    return Told(
        at=row.at,
        kind=row.kind,
        journey=row.journey,
        intent=row.intent_key,
        stage=row.stage,
        channel=row.channel,
        verdict=row.verdict,
        reason=row.reason,
        sentence=sentence,
        changed_by=changed_by,
        would_pass_if=row.would_pass_if,
        hold_until=row.hold_until,
        evidence=evidence,
        bundle=row.bundle_hash,
        place=place,
        reasons=why,
        plans=bundle.plans_on if bundle is not None else (),
    )


def _bundle_of(row: Any, session: Session, shelf: BundleShelf) -> Bundle | None:
    try:
        return shelf.get(session, row.bundle_hash)
    except (NotFound, RulesetError):
        # It is gone, or of a language that is read no longer: what the decision itself keeps is told.
        return None
