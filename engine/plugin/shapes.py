"""Whether what a plugin offers has the form that the contracts ask for; each fault is a sentence."""

from __future__ import annotations

import inspect
import re
from datetime import timedelta

from pydantic import BaseModel

from engine.gate.windows import ChannelWindows
from engine.plugin.actions import Action
from engine.plugin.contracts import Capabilities, Channel, Check, Generator, Window

NAME = re.compile(r"[a-z][a-z0-9_]*")
SOONEST_POLL = timedelta(seconds=1)


def fault_of_channel(offer: object) -> str:
    """What is wrong with a channel, or nothing; so with the others below."""
    if isinstance(offer, type) or not isinstance(offer, Channel):
        return _not_a(offer, "Channel", Channel)
    model, capabilities = _looked_up(offer, "settings"), _looked_up(offer, "capabilities")
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        return f"channel {offer.name!r}: settings must be a pydantic model class"
    if not isinstance(capabilities, Capabilities):
        return f"channel {offer.name!r}: capabilities must be a Capabilities"
    for method in ("send", "close"):
        if not inspect.iscoroutinefunction(getattr(offer, method)):
            return f"channel {offer.name!r}: {method} must be `async def`"
    return (
        _fault_of_hearing(offer, capabilities)
        or _fault_of_windows(offer, capabilities)
        or _fault_of_name(offer.name)
    )


def _fault_of_hearing(offer: Channel, capabilities: Capabilities) -> str:
    """What is wrong with the parts that a channel need not have."""
    parse, poll = getattr(offer, "parse_callback", None), getattr(offer, "poll", None)
    if parse is not None and (not callable(parse) or inspect.iscoroutinefunction(parse)):
        return f"channel {offer.name!r}: parse_callback must be a plain `def`; it waits for nobody"
    if poll is not None and not inspect.iscoroutinefunction(poll):
        return f"channel {offer.name!r}: poll must be `async def`"
    if (poll is None) != (capabilities.poll_every is None):
        return f"channel {offer.name!r}: poll and capabilities.poll_every belong together"
    if capabilities.poll_every is not None and capabilities.poll_every < SOONEST_POLL:
        return f"channel {offer.name!r}: poll_every must be {SOONEST_POLL.total_seconds():g} s or longer"
    return ""


def _fault_of_windows(offer: Channel, capabilities: Capabilities) -> str:
    """What is wrong with the windows that a channel declares."""
    windows: object = capabilities.windows
    if not isinstance(windows, tuple) or not all(isinstance(each, Window) for each in windows):
        return f"channel {offer.name!r}: capabilities.windows must be a tuple of Window"
    if len({each.name for each in capabilities.windows}) < len(capabilities.windows):
        return f"channel {offer.name!r}: two windows of one name"
    for each in capabilities.windows:
        if not NAME.fullmatch(each.name):
            return f"channel {offer.name!r}: the window {each.name!r} is not named in lower_snake"
        if not each.opened_by:
            return f"channel {offer.name!r}: nothing opens the window {each.name!r}"
        if each.length is None and each.allowance is None and not each.closed_by:
            return (
                f"channel {offer.name!r}: the window {each.name!r} has neither a length nor an allowance, "
                "and nothing closes it"
            )
        if each.adds_up and each.allowance is None:
            return f"channel {offer.name!r}: the window {each.name!r} adds up and has no allowance"
        if each.length is not None and each.length <= timedelta(0):
            return f"channel {offer.name!r}: the window {each.name!r} must have a length above zero"
        if each.allowance is not None and each.allowance < 1:
            return f"channel {offer.name!r}: the window {each.name!r} must allow at least one message"
    counted = [each for each in capabilities.windows if each.counts_each]
    for kind in ChannelWindows(tuple(counted)).heard_by:
        if len({each.per for each in counted if kind in (*each.opened_by, *each.closed_by)}) > 1:
            return f"channel {offer.name!r}: windows of {kind!r} are several by different properties"
    if capabilities.writes_first and not capabilities.windows:
        return f"channel {offer.name!r}: capabilities.writes_first is said of channels with windows"
    return ""


def fault_of_action(offer: object) -> str:
    if isinstance(offer, type) or not isinstance(offer, Action):
        return _not_a(offer, "Action", Action)
    for name in ("settings", "values", "results"):
        model = _looked_up(offer, name)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            return f"action {offer.name!r}: {name} must be a pydantic model class"
    if not isinstance(_looked_up(offer, "idempotent"), bool):
        return f"action {offer.name!r}: idempotent must be True or False"
    for method in ("run", "close"):
        if not inspect.iscoroutinefunction(getattr(offer, method)):
            return f"action {offer.name!r}: {method} must be `async def`"
    return _fault_of_name(offer.name)


def fault_of_generator(offer: object) -> str:
    if isinstance(offer, type) or not isinstance(offer, Generator):
        return _not_a(offer, "Generator", Generator)
    model = getattr(offer, "settings", None)
    if model is not None and not (isinstance(model, type) and issubclass(model, BaseModel)):
        return f"generator {offer.name!r}: settings must be a pydantic model class, or not be there"
    if (model is None) != (not callable(getattr(offer, "configured", None))):
        return f"generator {offer.name!r}: settings and configured belong together"
    return _fault_of_async(offer, "generator", "generate") or _fault_of_name(offer.name)


def fault_of_check(offer: object) -> str:
    if isinstance(offer, type) or not isinstance(offer, Check):
        return _not_a(offer, "Check", Check)
    model = getattr(offer, "settings", None)
    if model is not None and not (isinstance(model, type) and issubclass(model, BaseModel)):
        return f"check {offer.name!r}: settings must be a pydantic model class, or not be there"
    score = getattr(offer, "score", None)
    if score is not None and (not callable(score) or inspect.iscoroutinefunction(score)):
        return f"check {offer.name!r}: score must be an ordinary method, or not be there"
    return _fault_of_async(offer, "check", "examine") or _fault_of_name(offer.name)


def _fault_of_async(offer: Generator | Check, kind: str, method: str) -> str:
    """Generators and checks run in threads; a coroutine would be made there and never awaited."""
    if inspect.iscoroutinefunction(getattr(offer, method)):
        return f"{kind} {offer.name!r}: {method} must be an ordinary `def`, it runs in a thread of its own"
    return ""


def _looked_up(offer: object, name: str) -> object:
    """An attribute whose declared type a stranger may not have kept."""
    return getattr(offer, name)


def _fault_of_name(name: object) -> str:
    if isinstance(name, str) and NAME.fullmatch(name):
        return ""
    return f"the name {name!r} is not lower_snake text such as 'my_channel'"


def _not_a(offer: object, what: str, protocol: type) -> str:
    if isinstance(offer, type):
        return f"{offer.__name__} is a class; return an instance of it"
    wanted = {*getattr(protocol, "__annotations__", ()), *vars(protocol)}
    missing = sorted(name for name in wanted if not name.startswith("_") and not hasattr(offer, name))
    return f"{type(offer).__name__} is not a {what}; it lacks {', '.join(missing)}"
