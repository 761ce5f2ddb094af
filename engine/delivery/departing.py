"""Stages 10 and 11 inside a transaction: places and probes taken, the hand-over written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Integer, bindparam, case, update
from sqlalchemy.orm import Session

from engine.contacts.computing import OWN_DOING
from engine.contacts.consent import consent_records
from engine.delivery.breakers import give_back_probes, take_probes
from engine.delivery.budgets import read_books, take_spendings
from engine.delivery.intents import IntentState, move, waits_in_line
from engine.delivery.places import confirm_places, have_lapsed, read_places, take_places
from engine.delivery.progress import Progress, owned_progress, save_progress
from engine.delivery.returns import read_halts
from engine.delivery.reviews import read_reviews
from engine.delivery.rivals import read_rivals
from engine.delivery.viewing import Situation, lock_contact, lock_standing, read_situation
from engine.gate.budgeting import refusal_answer, spendings
from engine.gate.concerning import budgets_of
from engine.gate.judging import confirm, confirm_again
from engine.gate.model import Answer, Intent, Verdict
from engine.gate.stages import Stage, check_hand_over
from engine.gate.state import Claim, Departure, LeaseLost, Moment, Passage, RulesChanged, Standing, View
from engine.gate.tolerance import after_send
from engine.rules.facts import Facts
from engine.store.bulk import table_of
from engine.store.bundles import BundleShelf
from engine.store.prepared import Prepared
from engine.store.tables import ContactRow

# Built once: putting a statement together costs as much as running it.
_CONTACT = table_of(ContactRow)
_NOTE_SEND = (
    update(_CONTACT)
    .where(_CONTACT.c.id == bindparam("contact_id"))
    .values(
        last_send_at=bindparam("moment", type_=_CONTACT.c.last_send_at.type),
        sends_since_active=_CONTACT.c.sends_since_active + bindparam("more", type_=Integer),
        silent_since=bindparam("owed_since", type_=_CONTACT.c.silent_since.type),
    )
)
_DATE_LAST_SEND = Prepared(_NOTE_SEND)
_AND_MAKE_DUE = Prepared(
    _NOTE_SEND.values(
        profile_due_at=case(
            (_CONTACT.c.profile_due_at < bindparam("due_at"), _CONTACT.c.profile_due_at),
            else_=bindparam("due_at", type_=_CONTACT.c.profile_due_at.type),
        )
    )
)


@dataclass
class _Reserved:
    """What stage 10 leaves to stage 11."""

    passage: Passage
    progress: Progress
    take: Callable[[datetime | None], None] | None = None
    """Takes its places, leased until then or confirmed at once; None where they are leased already."""


def reserve(
    session: Session, shelf: BundleShelf, claim: Claim, passage: Passage, now: Moment, lease: timedelta
) -> Answer | Passage:
    """`GateState.reserve` in the caller's transaction."""
    standing, facts = _lock(session, shelf, claim, now)
    found = _reserve(session, shelf, claim, passage, now, lease, standing, facts)
    if isinstance(found, Answer):
        return found
    assert found.take is not None, "nothing is reserved yet"
    found.take(found.progress.lease_until)
    save_progress(session, claim.intent.key, found.progress)
    return found.passage


def hand_over(
    session: Session, claim: Claim, passage: Passage, now: Moment, lease: timedelta
) -> Answer | None:
    """`GateState.hand_over` in the caller's transaction."""
    standing = lock_standing(session, claim.intent.contact_id)
    situation = _same_rules(read_situation(session, share=True), claim)
    progress = owned_progress(session, claim)
    if progress.state == IntentState.RESERVED and have_lapsed(session, claim.intent.key, now.delivery):
        # Its places ended with their lease, and may be others' by now.
        raise LeaseLost(claim.intent.key)
    if claim.in_doubt_on is not None:
        consents = tuple(consent_records(session, claim.intent.contact_id))
        view = replace(claim.view, standing=standing, consents=consents)
        answer = confirm_again(claim.intent, view, now, passage.channel)
        if answer.verdict is not Verdict.ALLOW:
            return answer
    reserved = _Reserved(passage, progress)
    stopped = _hand_over(session, claim, reserved, now, lease, standing, situation)
    if stopped is None:
        save_progress(session, claim.intent.key, progress)
    return stopped


def depart(
    session: Session, shelf: BundleShelf, claim: Claim, passage: Passage, now: Moment, lease: timedelta
) -> Answer | Departure:
    """`GateState.depart` in the caller's transaction."""
    standing, facts = _lock(session, shelf, claim, now)
    situation = _same_rules(read_situation(session, share=True), claim)
    found = _reserve(session, shelf, claim, passage, now, lease, standing, facts)
    if isinstance(found, Answer):
        return found
    stopped = _hand_over(session, claim, found, now, lease, standing, situation)
    if stopped is not None and found.take is not None:
        found.take(found.progress.lease_until)
    save_progress(session, claim.intent.key, found.progress)
    return Departure(found.passage, stopped)


def _lock(session: Session, shelf: BundleShelf, claim: Claim, now: Moment) -> tuple[Standing | None, Facts]:
    """The contact as they stand now, their row held by this transaction."""
    rules = claim.view.rules
    bundle = shelf.get(session, rules.version)
    return lock_contact(session, claim.intent.contact_id, bundle, rules, now.journey)


def _same_rules(situation: Situation, claim: Claim) -> Situation:
    """The situation, if the claim was judged by the bundle in force; a plan that pauses is another bundle."""
    if situation.live_bundle != claim.view.rules.version:
        raise RulesChanged(claim.intent.key)
    return situation


def _reserve(
    session: Session,
    shelf: BundleShelf,
    claim: Claim,
    passage: Passage,
    now: Moment,
    lease: timedelta,
    standing: Standing | None,
    facts: Facts,
) -> Answer | _Reserved:
    """Stage 10 over a contact that is locked; the intent's row is still to be saved."""
    intent, rules = claim.intent, claim.view.rules
    books, paid = read_books(session, intent, rules, now.journey)
    view = replace(
        claim.view,
        standing=standing,
        facts=facts,
        books=books,
        paid=paid,
        halts=read_halts(session, intent, rules),
        rivals=read_rivals(session, shelf, intent, rules, now.journey),
        consents=tuple(consent_records(session, intent.contact_id)),
        places=read_places(session, intent, rules, now),
    )
    answer = confirm(intent, view, now, passage.channel, within=passage.within)
    if answer.verdict is not Verdict.ALLOW:
        return answer
    probes = take_probes(session, claim, passage.channel, now)
    if isinstance(probes, Answer):
        return probes
    progress = owned_progress(session, claim)
    if budgets_of(intent, rules):
        wanted = spendings(intent, view, now.journey, passage.channel)
        waited = waits_in_line(progress.reason)
        refusals = take_spendings(session, intent, wanted, now.journey, waited=waited)
        if refusals:
            give_back_probes(session, probes)
            return refusal_answer(refusals, intent, view, now, passage.channel, Stage.RESERVE)
    lease_until = now.delivery + lease
    is_first = progress.channel is None

    def take(until: datetime | None) -> None:
        take_places(session, intent, view, passage, now, until, is_first=is_first)

    move(progress, IntentState.RESERVED)
    progress.channel = passage.channel
    progress.content_hash = passage.content_hash
    progress.lease_until = lease_until
    progress.updated_at = now.delivery
    return _Reserved(replace(passage, probes=probes), progress, take)


def _hand_over(
    session: Session,
    claim: Claim,
    reserved: _Reserved,
    now: Moment,
    lease: timedelta,
    standing: Standing | None,
    situation: Situation,
) -> Answer | None:
    """Stage 11 over a contact, a control row and an intent that are locked; the row is still to be saved."""
    intent, progress = claim.intent, reserved.progress
    view = replace(
        claim.view, standing=standing, kill_reason=situation.kill_reason, breakers=situation.breakers
    )
    if reserved.passage.sealed is not None:
        view = replace(view, reviewed=read_reviews(session, intent, view.rules))
    answer = check_hand_over(intent, view, now, reserved.passage)
    if answer.verdict is not Verdict.ALLOW:
        return answer
    is_first = progress.state != IntentState.HANDED_OVER
    move(progress, IntentState.HANDED_OVER)
    progress.attempts += 1
    progress.lease_until = now.delivery + lease
    progress.updated_at = now.delivery
    if is_first:
        more = int(progress.handed_over_at is None)
        progress.handed_over_at = now.journey
        if reserved.take is not None:
            reserved.take(None)
        else:
            confirm_places(session, intent.key, now.journey)
        note_send(session, intent, view, now, more=more)
    return None


def note_send(session: Session, intent: Intent, view: View, now: Moment, *, more: int) -> None:
    """Date the contact's last message, and count it (`more` is 1) unless it was counted before."""
    note_sends(session, [(intent, view)], now, more=more)


def note_sends(session: Session, sent: Sequence[tuple[Intent, View]], now: Moment, *, more: int) -> None:
    """`note_send` of messages to different contacts, under the same rules."""
    if not sent:
        return
    rules = sent[0][1].rules
    noted = [
        {
            "contact_id": intent.contact_id,
            "moment": now.journey,
            "more": more,
            "owed_since": after_send(
                None if view.standing is None else view.standing.silent_since,
                rules.purposes.get(intent.purpose),
                rules.silence,
                now.journey,
            ),
        }
        for intent, view in sent
    ]
    if rules.recomputes_on_send:
        _AND_MAKE_DUE.run_for(session, [{**each, "due_at": now.journey + OWN_DOING} for each in noted])
    else:
        _DATE_LAST_SEND.run_for(session, noted)
