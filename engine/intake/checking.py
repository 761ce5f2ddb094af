"""Whether an incoming event can be used in a workspace: its type, its properties, its moment; pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from engine.authoring.bundle import Bundle, EventType
from engine.gate.consent import ANY, OF_EVERY_WORKSPACE
from engine.intake.consenting import CONFIRMED, DECISIONS, moment_of
from engine.intake.identifying import identify
from engine.intake.incoming import Identity, IncomingEvent, Unusable
from engine.intake.schemas import EventSchemas
from engine.intake.segment import ALIAS, IDENTIFY

_STATED = {
    name: EventType(id=name, title="", schema={}, effect=None, counts_as_activity=False)
    for name in (IDENTIFY, ALIAS)
}
"""Where the workspace declares no event type of such a name: it only says who somebody is."""


@dataclass(frozen=True)
class Usable:
    """An event that fits the workspace, with everything that was found out about it."""

    event: IncomingEvent
    kind: EventType
    identities: tuple[Identity, ...]
    occurred_at: datetime
    locale: str | None
    """One of the workspace's locales, from the device."""
    notes: tuple[str, ...]


def check(event: IncomingEvent, bundle: Bundle, schemas: EventSchemas, now: datetime) -> Usable | Unusable:
    """The event as the workspace sees it at journey time `now`, or why it cannot be used."""
    kind = kind_of(event.type, bundle)
    if kind is None:
        return _refuse(event, "EV005", _unknown_type(event.type, bundle))
    if (kind.is_own or kind.effect == CONFIRMED) and event.contact_id is None:
        # Who can send one in could start journeys for anybody, whatever their conditions say.
        return _refuse(event, "EV005", f"{event.type!r} is written by Wayline itself and cannot be sent in")
    fault = schemas.fault(event.type, event.properties)
    if fault is not None:
        return _refuse(event, "EV006", fault)
    if kind.effect in DECISIONS and not _names_an_end(event):
        return _refuse(event, "EV006", "properties.valid_until: not a moment with its zone")
    if kind.effect == "consent_granted" and not _names_purpose(event, bundle):
        return _refuse(event, "EV006", "properties.purpose: not a purpose of this workspace")
    identified = identify(event, bundle.workspace)
    if not identified.identities and event.contact_id is None:
        return _refuse(event, "EV004", _nobody(bundle, identified.notes))
    occurred_at = event.occurred_at or now
    if occurred_at - now > bundle.workspace.ahead_by:
        return _refuse(event, "EV008", "timestamp lies further in the future than the workspace allows")
    return Usable(
        event=event,
        kind=kind,
        identities=identified.identities,
        occurred_at=occurred_at,
        locale=_locale(event.locale, bundle),
        notes=(*identified.notes, *_without_effect(event, kind, bundle)),
    )


def kind_of(event_type: str, bundle: Bundle) -> EventType | None:
    """What the workspace knows of events of a type; None when it takes none of them."""
    return bundle.events.get(event_type) or _STATED.get(event_type)


def _locale(stated: str | None, bundle: Bundle) -> str | None:
    """`zh-Hans-CN` is `zh-CN` or `zh`, whichever the workspace speaks; None when it speaks neither."""
    if stated is None:
        return None
    spoken = {name.lower().replace("_", "-"): name for name in bundle.workspace.locales}
    parts = stated.lower().replace("_", "-").split("-")
    candidates = ("-".join(parts), f"{parts[0]}-{parts[-1]}", parts[0])
    return next((spoken[name] for name in candidates if name in spoken), None)


def _refuse(event: IncomingEvent, code: str, message: str) -> Unusable:
    return Unusable(code, message, event.raw)


def _names_purpose(event: IncomingEvent, bundle: Bundle) -> bool:
    # A withdrawal is kept whatever it names; a grant of something unknown would look like a permission.
    return event.properties.get("purpose") in {*bundle.purposes, *OF_EVERY_WORKSPACE, ANY}


def _without_effect(event: IncomingEvent, kind: EventType, bundle: Bundle) -> Iterator[str]:
    """What a consent names that nothing here is called: it is kept, and neither allows nor stops anything."""
    if kind.effect not in DECISIONS:
        return
    for noun, known in (("purpose", {*bundle.purposes, *OF_EVERY_WORKSPACE}), ("channel", bundle.channels)):
        named = event.properties.get(noun, ANY)
        if named != ANY and named not in known:
            close = difflib.get_close_matches(str(named), known, n=1, cutoff=0.6)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            yield f"properties.{noun} is no {noun} of this workspace: kept, and without effect as it is{hint}"


def _names_an_end(event: IncomingEvent) -> bool:
    stated = event.properties.get("valid_until")
    return stated is None or moment_of(stated) is not None


def _unknown_type(name: str, bundle: Bundle) -> str:
    close = difflib.get_close_matches(name, bundle.events, n=1, cutoff=0.6)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"the workspace declares no event type {name[:80]!r}{hint}"


def _nobody(bundle: Bundle, notes: tuple[str, ...]) -> str:
    wanted = ", ".join(["userId", "anonymousId", *(f"traits.{name}" for name in bundle.workspace.identities)])
    why = f" ({'; '.join(notes)})" if notes else ""
    return f"nobody is named: an event needs one of {wanted}{why}"
