"""What somebody wrote to us or told a platform: whether it is a refusal, and which withdrawals it is; pure.

It counts by whichever way the event came in, and in virtual time the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from engine.authoring.built_in import OPT_OUT, RECEIVED, STOPPED
from engine.authoring.bundle import Bundle, EventType
from engine.changing import changed
from engine.gate.consent import ANY
from engine.gate.opt_outs import opted_out
from engine.journeys.event import Event

MECHANISM = "opt_out_word"
PREFERENCE = "platform_preference"
"""How somebody refused who told the platform, and not us."""
_WITHDRAWN, _SOURCE = "consent_withdrawn", "wayline"


def understood(event: Event, kind: EventType, bundle: Bundle) -> Event:
    """The event; a message that is a word of opting out says so in `opt_out`, and nothing else does."""
    if kind.effect != RECEIVED:
        return event
    channel = bundle.channels.get(str(event.properties.get("channel")))
    platform = channel.identity if channel is not None else None
    found = opted_out(event.properties.get("text"), platform, bundle.opt_outs)
    told = {name: value for name, value in event.properties.items() if name != OPT_OUT}
    if found is not None:
        told[OPT_OUT] = found.id
    return event if told == event.properties else changed(event, properties=told)


def withdrawals(event: Event, kind: EventType, bundle: Bundle) -> Iterator[Event]:
    """The withdrawals that an understood event is.

    A word of opting out is one of everything, for each channel to the same addresses; for every channel there
    is, where it came by none that is known. Who told a platform to stop marketing withdraws every purpose of
    marketing, on the channel that told of it alone: it is the platform's switch, and says nothing of letters
    to the same number. The proof names the event, which holds what was said.
    """
    if kind.effect == STOPPED:
        yield from _of_marketing(event, bundle)
        return
    if kind.effect != RECEIVED or OPT_OUT not in event.properties:
        return
    listed = next(each for each in bundle.opt_outs if each.id == event.properties[OPT_OUT])
    by = bundle.channels.get(str(event.properties.get("channel")))
    same = [name for name, each in bundle.channels.items() if by is not None and each.identity == by.identity]
    proof = f"event {event.event_id}, a word of '{listed.id}' ({listed.as_of}: {listed.source})"
    for channel in sorted(same) or [ANY]:
        yield _withdrawal(event, channel, ANY, channel, MECHANISM, proof)


def _of_marketing(event: Event, bundle: Bundle) -> Iterator[Event]:
    """Nothing where it names a channel that is not there (any more): nobody is written to on it."""
    named = event.properties.get("channel")
    if named is not None and named not in bundle.channels:
        return
    channel = str(named) if named is not None else ANY
    said = event.properties.get("said")
    proof = f"event {event.event_id}" + (f": {said}" if isinstance(said, str) and said else "")
    for purpose in sorted(each.id for each in bundle.purposes.values() if each.needs_consent):
        yield _withdrawal(event, f"{channel} {purpose}", purpose, channel, PREFERENCE, proof)


def _withdrawal(cause: Event, part: str, purpose: str, channel: str, mechanism: str, proof: str) -> Event:
    """One of the withdrawals that an event is; `part` tells it from its others."""
    named = hashlib.sha256(f"{cause.event_id} {part}".encode()).hexdigest()[:32]
    return Event(
        event_id=f"optout:{named}",
        type=_WITHDRAWN,
        contact_id=cause.contact_id,
        occurred_at=cause.occurred_at,
        received_at=cause.received_at,
        source=_SOURCE,
        seq=cause.seq,
        properties={
            "purpose": purpose,
            "channel": channel,
            "mechanism": mechanism,
            "proof": proof[:1000],
        },
    )


def is_withdrawal(event_type: str, source: str) -> bool:
    """Whether such an event was made here of another: whoever lives the other again makes it again."""
    return (event_type, source) == (_WITHDRAWN, _SOURCE)
