"""From Segment's message shapes (track, identify, page, screen, group, alias) to incoming events.

Ids that are numbers are taken as text, as many client libraries send them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from engine.intake.incoming import (
    MAX_ID,
    Identity,
    Incoming,
    IncomingEvent,
    Unusable,
    as_text,
    content_id,
    is_too_long,
    unstorable,
)

KINDS = ("track", "identify", "page", "screen", "group", "alias")

IDENTIFY = "identify"
"""The event type of a message that only states who somebody is."""
ALIAS = "alias"
"""The event type of a message that says that two ids are one person."""


class _RefusedError(Exception):
    """Leaves the translation of one message; becomes its `Unusable`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def translate(message: Any) -> Incoming:
    """The event that a Segment message is, or why it is none."""
    fault = unstorable(message)
    if fault is not None:
        # The text is kept in ASCII: with these characters in it the document itself could not be stored.
        return Unusable("EV009", fault, as_text(message))
    if not isinstance(message, dict):
        return Unusable("EV001", "an event must be a JSON object", message)
    try:
        return _event(message)
    except _RefusedError as refused:
        return Unusable(refused.code, str(refused), message)


def _event(message: dict[str, Any]) -> IncomingEvent:
    named = message.get("type")
    if named not in KINDS:
        raise _RefusedError("EV002", f"type must be one of {', '.join(KINDS)}")
    previous = None
    if named == ALIAS:
        previous = _address(message, "previousId")
        if previous is None or _address(message, "userId") is None:
            raise _RefusedError(
                "EV010", "an alias needs userId, who somebody is, and previousId, who they were"
            )
    context = _mapping(message, "context")
    event_type = _event_name(message) if named == "track" else str(named)
    traits = {**_mapping(context, "traits", "context."), **_mapping(message, "traits")}
    properties = dict(_mapping(message, "properties"))
    if named == "group":
        # A group's traits describe the group, not the person.
        properties, traits = {**traits, **properties, "groupId": message.get("groupId")}, {}
    elif named in {"page", "screen"} and isinstance(message.get("name"), str):
        properties.setdefault("name", message["name"])
    return IncomingEvent(
        message_id=_message_id(message),
        type=event_type,
        identities=tuple(_identities(message, context)),
        properties=properties,
        traits=traits,
        occurred_at=_moment(message),
        timezone=_text(context, "timezone"),
        locale=_text(context, "locale"),
        previous_id=previous,
        raw=message,
    )


def _event_name(message: Mapping[str, Any]) -> str:
    name = message.get("event")
    if not isinstance(name, str) or not name.strip():
        raise _RefusedError("EV003", "event must name the event type")
    return name.strip()


def _message_id(message: Mapping[str, Any]) -> str:
    given = message.get("messageId")
    if given is None or given == "":
        return content_id(message)
    text = _id_text(given)
    if text is None or len(text) > MAX_ID:
        raise _RefusedError("EV012", f"messageId must be text of at most {MAX_ID} characters")
    return text


def _identities(message: Mapping[str, Any], context: Mapping[str, Any]) -> list[Identity]:
    found: list[Identity] = []
    if (user := _address(message, "userId")) is not None:
        found.append(("user", user))
    external = context.get("externalIds")
    for item in external if isinstance(external, list) else []:
        if not isinstance(item, dict):
            continue
        platform, address = item.get("type"), _id_text(item.get("id"))
        if isinstance(platform, str) and address is not None and not is_too_long(address):
            found.append(({"user_id": "user", "anonymous_id": "anonymous"}.get(platform, platform), address))
    if (anonymous := _address(message, "anonymousId")) is not None:
        found.append(("anonymous", anonymous))
    return found


def _address(message: Mapping[str, Any], name: str) -> str | None:
    given = message.get(name)
    if given is None or given == "":
        return None
    text = _id_text(given)
    if text is None or len(text) > MAX_ID:
        raise _RefusedError("EV012", f"{name} must be text of at most {MAX_ID} characters")
    return text


def _id_text(value: Any) -> str | None:
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def _moment(message: Mapping[str, Any]) -> datetime | None:
    for name in ("timestamp", "originalTimestamp"):
        given = message.get(name)
        if given is None:
            continue
        wanted = f"{name} must be a moment with its time zone, as 2026-03-01T10:00:00+08:00"
        if not isinstance(given, str):
            raise _RefusedError("EV007", wanted)
        try:
            moment = datetime.fromisoformat(given.strip())
            if moment.tzinfo is None:
                raise _RefusedError("EV007", wanted)
            return moment.astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise _RefusedError("EV007", wanted) from error
    return None


def _mapping(message: Mapping[str, Any], name: str, above: str = "") -> Mapping[str, Any]:
    given = message.get(name)
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise _RefusedError("EV001", f"{above}{name} must be a JSON object")
    return given


def _text(message: Mapping[str, Any], name: str) -> str | None:
    given = message.get(name)
    return given.strip() or None if isinstance(given, str) else None
