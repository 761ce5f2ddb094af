"""What people write to us on a channel, as events of whoever has the address; each once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session
from sqlmodel import col

from engine.authoring.built_in import LONGEST_TEXT, OPT_OUT
from engine.authoring.bundle import Bundle, Workspace
from engine.clock import FixedClock
from engine.errors import CommandError
from engine.intake.accepting import Intake
from engine.intake.answering import Taken, receipt_of
from engine.intake.identifying import normalised
from engine.intake.incoming import Incoming
from engine.intake.segment import translate
from engine.intake.writing import insert_dead_letters, known_event_ids
from engine.journeys.event import MESSAGE_RECEIVED
from engine.store.bundles import BundleShelf
from engine.store.control import clocks_of, read_control
from engine.store.database import Store
from engine.store.tables import IdentityRow, IntentRow


class Heard(StrEnum):
    """What became of a message that somebody wrote."""

    TAKEN = "taken"
    """It is an event of theirs."""
    REPEATED = "repeated"
    """It was taken before."""
    REFUSED = "refused"
    """It is a dead letter."""


@dataclass(frozen=True)
class Inbound:
    """One message that somebody wrote to us."""

    channel: str
    """The channel of the workspace it came by, which says what kind of address `address` is."""
    address: str
    """Whose it is; an address nobody has yet makes a new contact, as it does with every event."""
    provider_id: str
    """The provider's own id of it on this channel: the same again changes nothing."""
    text: str = ""
    """What was written; a longer one than the event holds (10,000 characters) is cut."""
    at: datetime | None = None
    """Delivery time at which it was written, as the provider says; None: now."""
    answers: str | None = None
    """The message it answers, by its key or by the provider's id; left aside when it is none of theirs."""
    properties: Mapping[str, Any] = field(default_factory=dict)
    """Further properties of the event `message_received`, as the workspace declares them."""


@dataclass(frozen=True)
class Hearing:
    """What became of each message, in the order given, and the runs to carry on."""

    heard: tuple[Heard, ...]
    run_ids: tuple[str, ...]
    """Leased to this process until their lease ends."""


def hear(
    store: Store,
    shelf: BundleShelf,
    intake: Intake,
    messages: Sequence[Inbound],
    *,
    source: str,
    now: datetime,
) -> Hearing:
    """Take in what people wrote, in one transaction; a word of opting out withdraws their consent in it.

    `now` is delivery time. What cannot be used becomes a dead letter. CommandError, with nothing kept, for a
    channel that the workspace does not have; NotFound when nothing is published.
    """
    events = _events(store, shelf, messages, now)

    def keep_refused(session: Session, taken: Taken) -> None:
        insert_dead_letters(session, taken.refused.values(), source=source, now=now)

    with store.read() as session:
        before = known_event_ids(session, (event_id(each) for each in messages))
    taken = intake.settle(events, source=source, finish=keep_refused)
    accepted, heard = set(taken.accepted), list[Heard]()
    for position, each in enumerate(messages):
        name = event_id(each)
        if position in taken.refused:
            heard.append(Heard.REFUSED)
        elif name in accepted and name not in before:
            heard.append(Heard.TAKEN)
            before.add(name)
        else:
            heard.append(Heard.REPEATED)
    return Hearing(tuple(heard), receipt_of(taken).run_ids)


def event_id(message: Inbound) -> str:
    """The id of the event that a message is, made of its channel and the provider's id."""
    named = f"{message.channel}\x00{message.provider_id}".encode("utf-8", "surrogatepass")
    return f"inbound:{hashlib.sha256(named).hexdigest()[:32]}"


def _events(store: Store, shelf: BundleShelf, messages: Sequence[Inbound], now: datetime) -> list[Incoming]:
    with store.read() as session:
        control = read_control(session)
        bundle = shelf.in_force(session, control)
        clocks = clocks_of(control, FixedClock(now))
        return [as_event(session, bundle, each, journey=clocks.time.at(each.at or now)) for each in messages]


def as_event(session: Session, bundle: Bundle, message: Inbound, *, journey: datetime) -> Incoming:
    """The message as a sender of events would have put it; it was written at that moment of journey time.

    CommandError for a channel that the workspace does not have.
    """
    platform = _platform(message, bundle)
    answered = _answered(session, message, platform, bundle.workspace)
    return translate(_track(message, platform, journey, answered))


def _platform(message: Inbound, bundle: Bundle) -> str:
    channel = bundle.channels.get(message.channel)
    if channel is None:
        known = ", ".join(sorted(bundle.channels)) or "none"
        raise CommandError(f"no channel {message.channel[:64]!r} in this workspace; there are: {known}")
    return channel.identity


def _track(message: Inbound, platform: str, at: datetime, answered: str | None) -> dict[str, Any]:
    """As a sender of events would have put it, so that a dead letter can be tried again like any other."""
    properties = {
        **{name: value for name, value in message.properties.items() if name != OPT_OUT},
        "channel": message.channel,
        "text": message.text.replace("\x00", "\ufffd")[:LONGEST_TEXT],
    }
    if answered is not None:
        properties["answers"] = answered
    return {
        "type": "track",
        "event": MESSAGE_RECEIVED,
        "messageId": event_id(message),
        "timestamp": at.astimezone(UTC).isoformat(),
        "properties": properties,
        "context": {"externalIds": [{"type": platform, "id": message.address}]},
    }


def _answered(session: Session, message: Inbound, platform: str, workspace: Workspace) -> str | None:
    """The key of the one message to this address's contact that this one answers; None when there is none."""
    address = normalised(platform, message.address, workspace.numbers)
    if message.answers is None or address is None:
        return None
    theirs = select(col(IdentityRow.contact_id)).where(
        col(IdentityRow.platform) == platform, col(IdentityRow.address) == address
    )
    query = select(col(IntentRow.key)).where(
        col(IntentRow.contact_id).in_(theirs),
        or_(
            col(IntentRow.key) == message.answers,
            (col(IntentRow.provider_id) == message.answers) & (col(IntentRow.channel) == message.channel),
        ),
    )
    found = session.scalars(query.limit(2)).all()
    return found[0] if len(found) == 1 else None
