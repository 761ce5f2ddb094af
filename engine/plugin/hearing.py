"""What is wrong with what a channel heard from its platform, as the end of a sentence; or nothing.

One that parses what strangers send may hand on anything; what the engine then does with it must not break.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, get_args

from engine.plugin.answers import can_be_kept
from engine.plugin.callbacks import (
    HEARD,
    Callback,
    Happened,
    Inbound,
    Polled,
    Preference,
    Receipt,
    Refused,
    RefusedFor,
)

DEEPEST = 30
"""Levels of lists and mappings in a property."""


def fault_of_callback(said: object) -> str:
    """What is wrong with what `parse_callback` returned."""
    if isinstance(said, Refused):
        is_known = said.code in get_args(RefusedFor) and _are_texts(said.detail)
        return "" if is_known else f"returned a Refused for none of {', '.join(get_args(RefusedFor))}"
    if not isinstance(said, Callback):
        return f"returned {type(said).__name__}, not Callback or Refused"
    reply: object = said.reply
    if not isinstance(reply, bytes) or not _are_texts(said.media_type, said.id):
        return "returned a Callback whose reply is no bytes, or whose media_type or id is no text"
    return _fault_of_told(said.told)


def fault_of_polled(polled: object) -> str:
    """What is wrong with what `poll` returned."""
    if not isinstance(polled, Polled):
        return f"returned {type(polled).__name__}, not Polled"
    if not _is_moment(polled.until):
        return "returned a Polled whose `until` is no moment with its time zone"
    return _fault_of_told(polled.told)


def _fault_of_told(told: object) -> str:
    if not isinstance(told, tuple | list):
        return f"returned {type(told).__name__} as what was told, not a tuple"
    for each in told:
        fault = _fault_of(each)
        if fault:
            return f"returned {fault}"
    return ""


def _fault_of(told: object) -> str:
    match told:
        case Receipt():
            if not _are_texts(told.said) or told.said not in HEARD:
                return f"a receipt that says none of {', '.join(HEARD)}"
            if not _are_kept(told.provider_id, told.intent, told.code) or not _are_flags(told.permanent):
                return "a receipt whose provider_id, intent or code is no text, or permanent no bool"
            if not (told.provider_id or told.intent):
                return "a receipt that names no message"
        case Inbound():
            if not (_are_texts(told.address, told.text, told.provider_id) and _are_kept(told.answers)):
                return "an inbound message whose address, text, provider_id or answers is no text"
            if not (told.address and told.provider_id):
                return "an inbound message without an address or an id"
        case Happened():
            if not _are_texts(told.type, told.address, told.id):
                return "an event whose type, address or id is no text"
            if not (told.address and told.id and told.type):
                return "an event without a type, an address or an id"
        case Preference():
            if not _are_texts(told.address, told.id, told.said) or not _are_flags(told.wanted):
                return "a preference whose address, id or said is no text, or wanted no bool"
            if not (told.address and told.id):
                return "a preference without an address or an id"
        case _:
            return f"{type(told).__name__} among what was told"
    if not _is_moment(told.at):
        return f"{type(told).__name__} with an `at` that is no moment with its time zone"
    if isinstance(told, Inbound | Happened):
        return _fault_of_properties(told)
    return ""


def _fault_of_properties(told: Inbound | Happened) -> str:
    named: object = told.reply_to
    if not _is_plain(told.properties) or not isinstance(told.properties, Mapping):
        return f"{type(told).__name__} with properties that are no plain values by name"
    if not isinstance(named, Mapping) or not _are_texts(*named, *named.values()):
        return f"{type(told).__name__} with a reply_to that is no texts by name"
    return ""


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Whether JSON has it."""
    if value is None or isinstance(value, str | int | float):
        return True
    if depth >= DEEPEST:
        return False
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and _is_plain(inner, depth + 1) for name, inner in value.items())
    return isinstance(value, list | tuple) and all(_is_plain(inner, depth + 1) for inner in value)


def _is_moment(value: object) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


def _are_texts(*values: object) -> bool:
    return all(isinstance(value, str) for value in values)


def _are_flags(*values: object) -> bool:
    return all(isinstance(value, bool) for value in values)


def _are_kept(*values: object) -> bool:
    """Whether these are texts that can be looked for in a database."""
    return all(isinstance(value, str) and can_be_kept(value) for value in values)
