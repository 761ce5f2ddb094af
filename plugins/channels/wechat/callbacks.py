"""Reads what WeChat posts: messages of people, what they did, and what became of notices.

Only sealed callbacks are believed (the safe mode, or the compatible one): the signature of plain ones leaves
their text out, so whoever has seen one could post any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Literal
from xml.etree.ElementTree import Element

from pydantic import Field, field_validator

from engine.plugin import Callback, Happened, Inbound, Preference, Receipt, Refused, Told
from plugins.channels.platforms.taxonomy import taxonomy
from plugins.channels.tencent.crypto import is_signed
from plugins.channels.tencent.envelope import SealedSettings, fields_of, is_stale, moment, opened, tree_of
from plugins.channels.told_events import check_names, names_in
from plugins.channels.wechat.api import PLATFORM, WeChatAppSettings

UNFOLLOWED, SCANNED, PRESSED = "wechat_unfollowed", "wechat_scanned", "wechat_menu_pressed"
ALLOWED, REFUSED = "wechat_notice_allowed", "wechat_notice_refused"
EVENTS = (UNFOLLOWED, SCANNED, PRESSED, ALLOWED, REFUSED)
"""Types of events that are told where the account's settings name them; who begins to follow always is."""
_HAPPENED = {
    "subscribe": "contact_added",
    "unsubscribe": UNFOLLOWED,
    "SCAN": SCANNED,
    # A link in the menu (VIEW) opens no window and is left alone.
    "CLICK": PRESSED,
    "scancode_push": PRESSED,
    "scancode_waitmsg": PRESSED,
}
_SCENE = "qrscene_"
_LONGEST_CODE = 100


class WeChatCallbackSettings(WeChatAppSettings, SealedSettings):
    """Which account, what it signs callbacks with, and which events they become."""

    events: str = Field(
        title="告知的事件",
        default="",
        description=f"Which of {', '.join(EVENTS)} the ruleset declares and is told, separated by commas.",
    )

    @field_validator("events")
    @classmethod
    def _are_ours(cls, value: str) -> str:
        return check_names(value, EVENTS)

    @property
    def told(self) -> frozenset[str]:
        """Types of events that the ruleset wants to hear of."""
        return names_in(self.events)


def read_callback(
    settings: WeChatCallbackSettings | None, raw_body: bytes, query: Mapping[str, str], now: datetime
) -> Callback | Refused:
    """What is told; the platform's own word where it tries the address out."""
    if not raw_body:
        return _tried_out(settings, query, now)
    sealed = fields_of(tree_of(raw_body)).get("Encrypt", "")
    text = opened(settings, sealed, "" if settings is None else settings.app_id, query, now)
    if isinstance(text, Refused):
        return text
    root = tree_of(text)
    if root is None:
        return Refused("malformed", "it is no plain XML")
    assert settings is not None, "nothing is opened without"
    try:
        told = tuple(_told(root, settings))
    except (KeyError, ValueError) as error:
        return Refused("malformed", f"not as documented: {type(error).__name__}")
    return Callback(told, id=_name(fields_of(root)) if told else "")


def _tried_out(
    settings: WeChatCallbackSettings | None, query: Mapping[str, str], now: datetime
) -> Callback | Refused:
    if settings is None or settings.token is None:
        return Refused("signature", "token is not set")
    timestamp, nonce = query.get("timestamp", ""), query.get("nonce", "")
    if not is_signed(query.get("signature", ""), settings.token.get_secret_value(), timestamp, nonce):
        return Refused("signature", "signature does not fit")
    if is_stale(timestamp, now):
        return Refused("stale", "timestamp is too far away")
    return Callback(reply=query.get("echostr", "").encode("utf-8", "replace"))


def _told(root: Element, settings: WeChatCallbackSettings) -> Iterator[Told]:
    said = fields_of(root)
    whom, at = said["FromUserName"], moment(said["CreateTime"])
    if said.get("MsgType") != "event":
        yield _inbound(said, whom, at)
        return
    match said.get("Event", ""):
        case "TEMPLATESENDJOBFINISH":
            status = said["Status"]
            receipt = _receipt(said["MsgID"], at, "" if status == "success" else _code(status))
            yield receipt
            if taxonomy(PLATFORM).stops_marketing(receipt.code):
                yield Preference(whom, False, at, f"{receipt.code}:{said['MsgID']}", receipt.code)
        case "subscribe_msg_sent_event":
            for each in map(fields_of, root.iterfind("SubscribeMsgSentEvent/List")):
                went = each.get("ErrorCode") == "0"
                code = "" if went else _code(each.get("ErrorStatus") or each.get("ErrorCode", ""))
                yield _receipt(each["MsgID"], at, code)
        case "subscribe_msg_popup_event" | "subscribe_msg_change_event":
            # What people change later stands below the same name in some callbacks, below its own in others.
            rows = [row for part in root if part.tag.startswith("SubscribeMsg") for row in part]
            for each in map(fields_of, rows):
                kind = ALLOWED if each["SubscribeStatusString"] == "accept" else REFUSED
                if kind in settings.told:
                    name = f"{_name(said)}:{each['TemplateId']}:{kind}"
                    yield Happened(kind, whom, at, name, {"template": each["TemplateId"]})
        case event if (happened := _HAPPENED.get(event)) in settings.told | {"contact_added"}:
            yield Happened(str(happened), whom, at, _name(said), _of_key(said.get("EventKey", "")))


def _receipt(message: str, at: datetime, code: str) -> Receipt:
    """What became of a notice; without a code it arrived."""
    said: Literal["delivered", "bounced"] = "bounced" if code else "delivered"
    return Receipt(said, at, message, code=code, permanent=taxonomy(PLATFORM).closes(code))


def _of_key(key: str) -> dict[str, str]:
    """Which of our codes was scanned, or which key of the menu was pressed."""
    found = key.removeprefix(_SCENE)
    return {"key": found} if found else {}


def _inbound(said: Mapping[str, str], whom: str, at: datetime) -> Inbound:
    kind = said["MsgType"]
    chosen = {"menu": said["bizmsgmenuid"]} if said.get("bizmsgmenuid") else {}
    # What a person said aloud comes as text where the account has that turned on.
    text = said.get("Content") or said.get("Recognition", "")
    return Inbound(whom, text, at, said["MsgId"], properties={"kind": kind, **chosen})


def _name(said: Mapping[str, str]) -> str:
    """Names a callback as the platform says to: a message by its id, an event by whom and when."""
    if said.get("MsgType") != "event":
        return said["MsgId"]
    parts = ("Event", "FromUserName", "CreateTime", "EventKey", "MsgID")
    return ":".join(said.get(part, "") for part in parts)


def _code(status: str) -> str:
    """`failed:user block` as a code: user_block."""
    reason = status.lower().removeprefix("failed").strip(" :")
    return "_".join(reason.split())[:_LONGEST_CODE] or "failed"
