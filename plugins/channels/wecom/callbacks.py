"""Reads WeCom's callbacks: the address tried out, customers who come and go."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import Field, SecretStr

from engine.plugin import Callback, Happened, Refused
from plugins.channels.http.asking import LineSettings
from plugins.channels.tencent.envelope import SealedSettings, fields_of, moment, opened, tree_of

ADDED = frozenset({"add_external_contact", "add_half_external_contact"})
LOST = "del_follow_user"


class WeComAppSettings(LineSettings):
    """Which corporation, and by which of its apps."""

    corp_id: str = Field(min_length=1)
    secret: SecretStr = Field(min_length=1, description="Of the app that may reach customers.")
    base: str = Field(default="https://qyapi.weixin.qq.com", description="Where the platform listens.")


class WeComSettings(WeComAppSettings, SealedSettings):
    """Which corporation, by which of its apps; and what it signs callbacks with."""

    lost_event: str | None = Field(
        default=None,
        description="The type of event that a customer who deletes the member is; left out: it is none.",
    )


def read_callback(
    settings: WeComSettings | None, raw_body: bytes, query: Mapping[str, str], now: datetime
) -> tuple[Callback, Mapping[str, str]] | Refused:
    """What is told, and the event's fields as the platform names them; none where an address is tried."""
    sealed = fields_of(tree_of(raw_body)).get("Encrypt", "") if raw_body else query.get("echostr", "")
    text = opened(settings, sealed, "" if settings is None else settings.corp_id, query, now)
    if isinstance(text, Refused):
        return text
    if not raw_body:
        return Callback(reply=text), {}
    fields = fields_of(tree_of(text))
    if not fields:
        return Refused("malformed", "it is no flat XML")
    assert settings is not None, "nothing is opened without"
    try:
        told = _told(fields, settings)
    except ValueError:
        return Refused("malformed", "CreateTime is no time")
    return Callback(told, id=told[0].id if told else ""), fields


def _told(fields: Mapping[str, str], settings: WeComSettings) -> tuple[Happened, ...]:
    change, whom, member = fields.get("ChangeType"), fields.get("ExternalUserID"), fields.get("UserID", "")
    if fields.get("Event") != "change_external_contact" or not whom:
        return ()
    created = fields.get("CreateTime", "")
    at = moment(created)
    name = f"{change}:{member}:{whom}:{created}"
    said = {"member": member, **({"state": fields["State"]} if fields.get("State") else {})}
    if change in ADDED:
        return (Happened("contact_added", whom, at, name, said),)
    if change == LOST and settings.lost_event is not None:
        return (Happened(settings.lost_event, whom, at, name, said),)
    return ()
