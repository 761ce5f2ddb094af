"""Time zones as files name them, with the nearest name for one that does not exist."""

from __future__ import annotations

import difflib
from functools import cache
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import BeforeValidator, WithJsonSchema

from engine.authoring.models.fields import from_text
from engine.authoring.models.refusing import refuse


@cache
def zone_names() -> frozenset[str]:
    """The IANA time zones known to this machine."""
    return frozenset(available_timezones())


_BEIJING = (
    "asia/beijing",
    "北京",
    "上海",
    "中国",
    "北京时间",
    "beijing",
    "china",
    "cst",
    "asia/peking",
    "gmt+8",
    "utc+8",
    "utc+08:00",
    "+08:00",
)


_WHOSE = ("contact", "workspace")


def zone(text: str) -> str:
    """The IANA name itself; refused with the nearest one when there is no such zone."""
    if text in zone_names():
        return text
    if text.lower() in _BEIJING or difflib.get_close_matches(text.lower(), _BEIJING[:2], cutoff=0.85):
        hint = "did you mean 'Asia/Shanghai'?"
    else:
        near = difflib.get_close_matches(text, zone_names(), n=1, cutoff=0.6)
        hint = f"did you mean '{near[0]}'?" if near else "as Asia/Shanghai or Europe/Berlin"
    raise refuse("RS050", f"'{text}' is not a known time zone", hint)


def _cap_zone(text: str) -> str:
    if text in _WHOSE:
        return text
    if difflib.get_close_matches(
        text.lower(), [*_WHOSE, "customer", "user", "recipient", "local"], cutoff=0.8
    ):
        meant = "workspace" if text.lower().startswith("work") else "contact"
        message = f"'{text}' is neither a time zone nor whose clock counts"
        raise refuse("RS050", message, f"did you mean '{meant}'?")
    return zone(text)


Zone = Annotated[
    str,
    BeforeValidator(from_text(zone, "a time zone", "Asia/Shanghai", "RS050")),
    WithJsonSchema({"type": "string", "examples": ["Asia/Shanghai", "Europe/Berlin"]}),
]
CapZone = Annotated[
    str,
    BeforeValidator(from_text(_cap_zone, "a time zone", "contact, workspace or Asia/Shanghai", "RS050")),
    WithJsonSchema({"type": "string", "examples": ["contact", "workspace", "Asia/Shanghai"]}),
]
