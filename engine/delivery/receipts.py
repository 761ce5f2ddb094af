"""What is said of a message after the provider took it: accepted, delivered, bounced, read.

Receipts come late, twice, in any order, and contradict each other and the provider's own answer. Each is kept
once, and the intent's state is the furthest of all that were said: whatever the order, the same in the end. A
receipt also proves that the provider took the message; what was in doubt, refused or to be tried again is
settled by it, and counts in the caps.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.contacts.suppressing import Blocked, block, suppress_address
from engine.delivery import early
from engine.delivery.intents import IntentState, let_go
from engine.delivery.marks import mark_receipt
from engine.delivery.measuring import count_decision
from engine.delivery.progress import Progress, lock_progress, read_whole, save_progress
from engine.delivery.recording import lock_run, record_decision, tell_run
from engine.gate.model import Answer, Outcome, Verdict
from engine.gate.stages import Stage
from engine.gate.state import Moment
from engine.masking import mask_text
from engine.store.bulk import insert_new, table_of
from engine.store.bundles import BundleShelf
from engine.store.database import lock_contacts
from engine.store.prepared import Prepared
from engine.store.tables import CapPlaceRow, IdentityRow, IntentRow, ReceiptRow


class Said(StrEnum):
    """What a receipt says, in the order in which one outweighs another.

    A message bounces after a server took it in, so a bounce outweighs a delivery that is told later; who has
    read it has it, whatever bounced.
    """

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    READ = "read"
    COMPLAINED = "complained"
    """They say that it is spam: the address is closed. They have it, unless it bounced."""


class Became(StrEnum):
    """What a receipt came to."""

    SETTLED = "settled"
    """Nobody knew, or the opposite was believed: now it counts as sent."""
    FORWARD = "forward"
    """The message was known to be sent, and is further on now."""
    NOTED = "noted"
    """It is kept, and changes nothing: more was known, or nothing was ever handed over."""
    REPEATED = "repeated"
    """The same was said of the message before."""
    KEPT = "kept"
    """No message has this id at the provider yet; it waits for one, for some days."""
    UNKNOWN = "unknown"
    """No message has this key, or several have this id."""


@dataclass(frozen=True)
class Receipt:
    """What a provider says of one message, named by its key or by the provider's own id on a channel."""

    said: Said
    at: datetime
    """Delivery time, as the provider says it."""
    intent: str | None = None
    channel: str | None = None
    provider_id: str | None = None
    code: str = ""
    permanent: bool = False
    """Of a bounce: nothing will ever arrive at this address, as a mail system's 5.1.1 says."""

    @property
    def closes(self) -> str | None:
        """For which reason the address must not be written to again; None when it may."""
        if self.said is Said.COMPLAINED:
            return "complaint"
        return "hard_bounce" if self.said is Said.BOUNCED and self.permanent else None


@dataclass(frozen=True)
class Closing:
    """What it takes to close addresses."""

    platforms: Mapping[str, str]
    """Channel -> the platform whose addresses it reaches."""
    secret: str | None
    """Keys the list that outlives contacts; without it only the address itself is closed."""
    source: str
    """Who told."""


_STATES: Mapping[Said, IntentState] = {
    Said.ACCEPTED: IntentState.ACCEPTED,
    Said.DELIVERED: IntentState.DELIVERED,
    Said.BOUNCED: IntentState.BOUNCED,
    Said.READ: IntentState.READ,
    # Who complains of it has it in hand; an operator that lets nothing through to who has complained of an
    # earlier one says that it bounced as well.
    Said.COMPLAINED: IntentState.DELIVERED,
}
_ORDER = tuple(dict.fromkeys(_STATES.values()))
_REFUSED = (IntentState.REJECTED, IntentState.ENDED)

_PLACE = table_of(CapPlaceRow)
_COUNT_AFTER_ALL = Prepared(
    update(_PLACE)
    .where(_PLACE.c.intent_key == bindparam("key"))
    .values(state="confirmed", at=bindparam("moment"), lease_until=None)
)


def state_after(state: IntentState, was_handed_over: bool, said: Collection[Said]) -> IntentState:
    """What an intent is after all that receipts have `said` of it so far, in whatever order."""
    if not was_handed_over or not said:
        return state
    if state in _REFUSED and set(said) == {Said.BOUNCED}:
        return state  # both say that it reached nobody
    known = [state] if state in _ORDER else []
    return max([*known, *(_STATES[each] for each in said)], key=_ORDER.index)


def receive(
    session: Session,
    receipt: Receipt,
    now: Moment,
    closing: Closing | None = None,
    *,
    shelf: BundleShelf | None,
) -> Became:
    """Write a receipt down and bring its intent as far as it says, in the caller's transaction.

    Breakers of the bundle in force, which `shelf` has, count it; None where it is no word of the world's.

    With `closing`, an address that does not exist, or whose owner complained, is suppressed as by a mail
    that came back; its journeys hear of it soon.
    """
    found = _named(session, receipt)
    if not found and receipt.intent is None and receipt.provider_id is not None:
        # A receipt may overtake the answer to the send.
        early.keep(
            session,
            channel=receipt.channel,
            provider_id=receipt.provider_id,
            said=receipt.said.value,
            at=receipt.at,
            code=receipt.code,
            permanent=receipt.permanent,
            source="" if closing is None else closing.source,
            now=now.delivery,
        )
        return Became.KEPT
    if len(found) != 1:
        return Became.UNKNOWN
    key, contact_id, run_id = found[0]
    lock_contacts(session, [contact_id])
    run = lock_run(session, run_id)
    progress = lock_progress(session, key)
    if progress is None:
        return Became.UNKNOWN
    return _bring(session, shelf, key, run, progress, receipt, now, closing)


def hear_early(
    session: Session,
    shelf: BundleShelf,
    sent: Mapping[str, Progress],
    platforms: Mapping[str, str],
    secret: str | None,
    now: Moment,
) -> None:
    """Bring messages that have just become known by their providers' ids as far as was said of them before.

    By key, each with its progress, which is written down already; the transaction holds their rows.
    `platforms` and `secret` as in `Closing`.
    """
    named = {
        (progress.channel or "", progress.provider_id): key
        for key, progress in sent.items()
        if progress.provider_id is not None
    }
    for name, many in early.take(session, sorted(named)).items():
        key = named[name]
        for each in many:
            closing = Closing(platforms, secret, each.source)
            _bring(session, shelf, key, None, sent[key], _receipt(each), now, closing)


def receive_kept(
    session: Session, kept: early.Early, now: Moment, closing: Closing, *, shelf: BundleShelf
) -> Became:
    """Receive what was kept once more, and keep it no longer, unless its message is still not known."""
    became = receive(session, _receipt(kept), now, replace(closing, source=kept.source), shelf=shelf)
    # Last, as whoever records a send locks its message before what was kept of it.
    if became is not Became.KEPT:
        early.forget(session, [kept.id])
    return became


def _receipt(kept: early.Early) -> Receipt:
    said, channel = Said(kept.said), kept.channel or None
    return Receipt(said, kept.at, None, channel, kept.provider_id, kept.code, kept.permanent)


def _bring(
    session: Session,
    shelf: BundleShelf | None,
    key: str,
    run: Any | None,
    progress: Progress,
    receipt: Receipt,
    now: Moment,
    closing: Closing | None,
) -> Became:
    """Write a receipt down and bring its intent, whose row is held, as far as it says."""
    contact_id = progress.contact_id
    if closing is not None and (reason := receipt.closes) is not None:
        _close(session, contact_id, receipt.channel or progress.channel, progress, reason, closing, now)
    row = {
        "intent_key": key,
        "contact_id": contact_id,
        "said": receipt.said.value,
        "channel": receipt.channel or progress.channel or "",
        "code": mask_text(receipt.code),
        "at": receipt.at,
        "received_at": now.journey,
    }
    if not insert_new(session, ReceiptRow, [row], returning=("intent_key",)):
        return Became.REPEATED
    if shelf is not None and progress.handed_over_at is not None:
        mark_receipt(session, shelf.live(session), key, receipt.said.value, receipt.code, now)
    said = session.scalars(select(col(ReceiptRow.said)).where(col(ReceiptRow.intent_key) == key))
    before = IntentState(progress.state)
    after = state_after(before, progress.handed_over_at is not None, [Said(each) for each in said])
    if after is before:
        return Became.NOTED
    was = progress.outcome
    let_go(progress)
    progress.state, progress.outcome = after.value, Outcome.SENT.value
    progress.provider_id = progress.provider_id or receipt.provider_id
    progress.updated_at = now.delivery
    if was == Outcome.SENT.value:
        save_progress(session, key, progress)
        return Became.FORWARD
    answer = Answer(
        Verdict.ALLOW,
        Stage.HAND_OVER,
        "sent.receipt",
        channel=progress.channel,
        evidence={"said": receipt.said.value, "was": was or before.value, "attempts": progress.attempts},
        outcome=Outcome.SENT,
    )
    progress.reason = answer.reason
    save_progress(session, key, progress)
    assert progress.handed_over_at is not None, "what never left is not settled"
    _COUNT_AFTER_ALL.run(session, {"key": key, "moment": progress.handed_over_at})
    count_decision(answer)
    whole = read_whole(session, key, lock=False)
    assert whole is not None, "its row is held"
    record_decision(session, whole, answer, now.journey)
    if was is None:
        tell_run(session, run, key, now.delivery)
    return Became.SETTLED


def _close(
    session: Session,
    contact_id: str,
    channel: str | None,
    progress: Progress,
    reason: str,
    closing: Closing,
    now: Moment,
) -> None:
    """Suppress the address that the message went to: the latest that the contact had there at that moment."""
    platform = closing.platforms.get(channel or "")
    if platform is None or progress.handed_over_at is None:
        return
    query = (
        select(col(IdentityRow.address))
        .where(
            col(IdentityRow.contact_id) == contact_id,
            col(IdentityRow.platform) == platform,
            col(IdentityRow.suppressed).is_(None),
            col(IdentityRow.added_at) <= progress.handed_over_at,
        )
        .order_by(col(IdentityRow.added_at).desc(), col(IdentityRow.address))
    )
    address = session.scalars(query.limit(1)).first()
    if address is None:
        return
    if closing.secret is None:
        suppress_address(session, platform, address, reason)
        return
    found = [Blocked(platform, address, reason)]
    block(session, closing.secret, found, source=closing.source, now=now.journey)


def _named(session: Session, receipt: Receipt) -> list[tuple[str, str, str | None]]:
    """The messages that a receipt names, at most two: key, contact and run of each."""
    query = select(col(IntentRow.key), col(IntentRow.contact_id), col(IntentRow.run_id))
    if receipt.intent is not None:
        query = query.where(col(IntentRow.key) == receipt.intent)
    elif receipt.provider_id is not None:
        query = query.where(col(IntentRow.provider_id) == receipt.provider_id)
        if receipt.channel is not None:
            query = query.where(col(IntentRow.channel) == receipt.channel)
    else:
        return []
    # An id that two providers gave names nobody.
    return [(row[0], row[1], row[2]) for row in session.execute(query.limit(2))]
