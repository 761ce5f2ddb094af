"""Notices of a WeChat account: which approved one a finished message is, and whether it may go out as one.

A template reaches whoever follows the account; a subscription, whoever allowed this notice, as often as they
allowed it, or until they take it back where it is a long-term one. All are for service only: the platform
takes them away from accounts that advertise with them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from engine.plugin import Message, Preflight
from plugins.channels.platforms.taxonomy import taxonomy
from plugins.channels.platforms.templates import Filled, Template, filled
from plugins.channels.wechat.api import PLATFORM

TEMPLATE, SUBSCRIPTION, LASTING = "template", "subscription", "lasting"
"""Kinds of notices; the last two are named as their windows are: open for as many notices of a template as a
person allowed, or until they refuse it."""
_KIND = re.compile(r"([a-z_]+?)[0-9]*")
_LONGEST_KEY = 32


@dataclass(frozen=True)
class Notice:
    """A message as one of the account's notices."""

    found: Filled
    kind: str
    """template | subscription | lasting"""
    link: str
    """What opens when the notice is pressed; empty: nothing does."""

    def preflight(self, message: Message, *, counted: bool) -> Preflight:
        """Whether the platform's rules for notices let it go.

        `counted`: we hear of what people allow, so that a subscription needs one that is left. Where we do
        not, the platform alone knows (43101).
        """
        if message.is_marketing:
            return Preflight(
                False, "service_only", "templates and subscriptions carry notices of service only"
            )
        is_counted = counted and self.kind != TEMPLATE
        for name, value in self.found.values.items():
            most = _most_of(name)
            if most is not None and len(value) > most:
                return Preflight(False, "value_too_long", f"{name} takes {most} characters")
        return Preflight(True, within=(f"{self.kind}:{self.found.template.code}",) if is_counted else ())

    def request(self, whom: str, key: str) -> tuple[str, dict[str, Any]]:
        """Where it is posted, and what."""
        asked: dict[str, Any] = {
            "touser": whom,
            "template_id": self.found.template.code,
            "data": {name: {"value": value} for name, value in self.found.values.items()},
        }
        if self.kind != TEMPLATE:
            return "/cgi-bin/message/subscribe/bizsend", asked | ({"page": self.link} if self.link else {})
        # For some minutes the platform itself turns a repeated one into one message.
        asked["client_msg_id"] = sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:_LONGEST_KEY]
        return "/cgi-bin/message/template/send", asked | ({"url": self.link} if self.link else {})


def notice_of(message: Message, approved: Mapping[str, tuple[Template, ...]]) -> Notice | None:
    """The notice, of those `approved` by their kinds, that the finished message is; None: it is none of them.

    A call to action that is an address is what opens when the notice is pressed; any other is part of it.
    """
    is_link = message.call_to_action.startswith(("https://", "http://"))
    link = message.call_to_action if is_link else ""
    parts = (message.subject, message.body, "" if is_link else message.call_to_action)
    text = "\n".join(part for part in parts if part)
    for kind, known in approved.items():
        found = filled(known, text)
        if found is not None:
            return Notice(found, kind, link)
    return None


def _most_of(name: str) -> int | None:
    """How many characters a value may have, by the kind that the platform's names begin with."""
    kind = _KIND.fullmatch(name)
    return None if kind is None else _lengths().get(kind[1])


def _lengths() -> Mapping[str, int]:
    suffix = "_characters"
    limits = taxonomy(PLATFORM).limits
    return {each.name.removesuffix(suffix): each.value for each in limits if each.name.endswith(suffix)}
