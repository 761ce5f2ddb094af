"""Reads what Douyin posts: what people write, that they came into the conversation, what they allow.

The signature covers the body and no time: a delivery that comes again is known by its signature, and what it
tells by names that stand in the signed text; the header Msg-Id, which is not signed, is not needed for it.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha1
from typing import Any

from pydantic import Field, field_validator

from engine.plugin import Callback, Happened, Inbound, Refused, Told
from plugins.channels.douyin.api import DouyinAppSettings
from plugins.channels.told_events import check_names, names_in

SIGNATURE = "x-douyin-signature"
ENTERED, AUTHORIZED, UNAUTHORIZED = "douyin_entered", "douyin_authorized", "douyin_unauthorized"
EVENTS = (ENTERED, AUTHORIZED, UNAUTHORIZED)
"""Types of events that are told where the account's settings name them."""
CONVERSATION, ANSWERED = "conversation", "message"
"""What an answer has to name, as it is kept with the person's address."""
_STATUS = {1: AUTHORIZED, 2: UNAUTHORIZED}


class DouyinCallbackSettings(DouyinAppSettings):
    """Which account, and what the ruleset is told of."""

    events: str = Field(
        title="告知的事件",
        default="",
        description=f"Which of {', '.join(EVENTS)} the ruleset declares and is told, separated by commas.",
    )

    @field_validator("events")
    @classmethod
    def _are_ours(cls, value: str) -> str:
        return check_names(value, EVENTS)


def read_callback(
    settings: DouyinCallbackSettings | None, raw_body: bytes, headers: Mapping[str, str]
) -> Callback | Refused:
    """What is told."""
    if settings is None or not raw_body:
        return Refused("signature", "there is nothing signed")
    secret = settings.client_secret.get_secret_value().encode()
    expected = sha1(secret + raw_body, usedforsecurity=False).hexdigest()
    if not hmac.compare_digest(
        headers.get(SIGNATURE, "").encode("utf-8", "surrogatepass"), expected.encode()
    ):
        return Refused("signature", f"{SIGNATURE} does not fit")
    document = _object(raw_body)
    if document is None:
        return Refused("malformed", "the body is no JSON object")
    if document.get("event") == "verify_webhook":
        challenge = (_object(document.get("content")) or {}).get("challenge")
        reply = json.dumps({"challenge": challenge}).encode()
        return Callback(reply=reply, media_type="application/json")
    if document.get("to_user_id") != settings.open_id or document.get("client_key") != settings.client_key:
        # One address may hear for all accounts of a mini-program.
        return Callback(id=expected)
    try:
        told = _told(document, names_in(settings.events))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        return Refused("malformed", f"not as documented: {type(error).__name__}")
    return Callback(told, id=expected)


def _told(document: Mapping[str, Any], wanted: frozenset[str]) -> tuple[Told, ...]:
    whom = str(document["from_user_id"])
    content = _object(document["content"])
    if content is None:
        raise ValueError("content")
    match document.get("event"):
        case "im_receive_msg":
            message, at = str(content["server_message_id"]), _moment(content["create_time"])
            kind = str(content.get("message_type") or "other")
            return (
                Inbound(
                    whom,
                    _text_in(content, kind),
                    at,
                    message,
                    properties={"kind": kind},
                    reply_to=_named(content),
                ),
            )
        case "im_enter_direct_msg":
            message, at = str(content["server_message_id"]), _moment(content["create_time"])
            entered = Happened(ENTERED, whom, at, f"{ENTERED}:{message}", reply_to=_named(content))
            # Who is not told of it has no open window, and nothing that it would set off.
            return (entered,) if ENTERED in wanted else ()
        case "im_authorize":
            kind = _STATUS[int(content["auth_status"])]
            at = _moment(content.get("update_time") or content["create_time"])
            source = {"scene": str(content["source"])} if content.get("source") else {}
            changed = Happened(kind, whom, at, f"{kind}:{whom}:{int(at.timestamp())}", source)
            return (changed,) if kind in wanted else ()
    return ()


def _named(content: Mapping[str, Any]) -> dict[str, str]:
    return {
        CONVERSATION: str(content["conversation_short_id"]),
        ANSWERED: str(content["server_message_id"]),
    }


def _text_in(content: Mapping[str, Any], kind: str) -> str:
    found = content.get("text")
    if isinstance(found, Mapping):
        found = found.get("text")
    return found if kind in ("text", "emoji") and isinstance(found, str) else ""


def _object(found: object) -> dict[str, Any] | None:
    """A JSON object, however deep the platform has packed it."""
    if isinstance(found, bytes | str):
        try:
            found = json.loads(found)
        except (ValueError, RecursionError):
            return None
    return found if isinstance(found, dict) else None


def _moment(stamp: object) -> datetime:
    """Seconds, or milliseconds as messages have them."""
    number = int(str(stamp))
    return datetime.fromtimestamp(number / 1000 if number > 10**11 else number, UTC)
