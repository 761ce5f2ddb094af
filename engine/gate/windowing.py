"""Stage 4, and 10 when asked under the lock: whether the platform takes a message to the contact now; pure.

A platform lets us write for a while to people who were heard on it, some of them only so many messages. What
was never heard keeps a window closed: nothing that is unknown opens one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from engine.gate.concerning import meter_name
from engine.gate.model import Answer, Intent, Verdict
from engine.gate.stages import Stage, allowed, usable_identity
from engine.gate.state import Moment, View
from engine.gate.windows import ChannelWindows, Heard, Opened, Window, opened

_NEVER: Mapping[str, Heard] = {}
_NOTHING: Mapping[str, Mapping[str, str]] = {}


def check_window(intent: Intent, view: View, now: Moment, channel: str) -> Answer:
    """4: whether a window is open for whatever message; of channels that may write first nobody can tell
    before the message is made."""
    said = view.rules.windows.get(channel)
    if said is None or said.writes_first:
        return allowed(Stage.IDENTITY, channel)
    return check_window_for(intent, view, now, channel, within=None)


def check_window_for(
    intent: Intent, view: View, now: Moment, channel: str, *, within: Collection[str] | None
) -> Answer:
    """Whether a window is open for a message whose preflight says `within`."""
    said = view.rules.windows.get(channel)
    if said is None or (within is not None and not within):
        return allowed(Stage.IDENTITY, channel)
    heard = _heard_on(view, channel)
    asked = said.for_message(within)
    known = [
        found
        for window, part in said.asked(within)
        if (found := opened(window, heard, _sent(intent, view, now, channel, window, part), part)) is not None
    ]
    if any(each.is_open(now.journey) for each in known):
        return allowed(Stage.IDENTITY, channel)
    spent = [each for each in known if not each.is_over(now.journey)]
    if spent:
        return _spent(max(spent, key=_latest), channel)
    return _closed(asked, max(known, key=_latest, default=None), said, channel)


def answerable(intent: Intent, view: View, now: Moment, channel: str) -> Mapping[str, Mapping[str, str]]:
    """What an answer on this channel has to name, by the windows that are open (`Message.reply_to`)."""
    said = view.rules.windows.get(channel)
    if said is None:
        return _NOTHING
    heard = _heard_on(view, channel)
    if not any(each.reply_to for each in heard.values()):
        return _NOTHING
    found = {}
    for window in said.windows:
        known = opened(window, heard, _sent(intent, view, now, channel, window, ""))
        if known is not None and known.is_open(now.journey) and (names := heard[known.by].reply_to):
            found[window.name] = names
    return found


def _heard_on(view: View, channel: str) -> Mapping[str, Heard]:
    identity = usable_identity(view, channel)
    return identity.heard.get(channel, _NEVER) if identity is not None else _NEVER


def _sent(intent: Intent, view: View, now: Moment, channel: str, window: Window, part: str) -> list[datetime]:
    """The moments of the contact's other messages that count in the window."""
    if window.allowance is None:
        return []
    name = meter_name(channel, window)
    return [
        place.at if place.is_confirmed else max(place.at, now.journey)
        for place in view.places
        if place.cap_id == name and place.part == part and place.intent_key != intent.key
    ]


def _latest(found: Opened) -> datetime:
    return found.at


def _spent(found: Opened, channel: str) -> Answer:
    evidence = {**_told(found.window), **_heard(found), "used": found.used}
    return _refused("channel.window_spent", channel, f"the contact is heard on {channel} again", evidence)


def _closed(asked: Collection[Window], last: Opened | None, said: ChannelWindows, channel: str) -> Answer:
    window = last.window if last is not None else next(iter(asked), None)
    evidence = {
        **(_told(window) if window is not None else {}),
        **(_heard(last) if last is not None else {"last_heard": None}),
        "opened_by": sorted({kind for each in asked for kind in each.opened_by}),
    }
    wanted = f"the contact is heard on {channel}"
    if last is not None:
        wanted += " again"
    if said.writes_first:
        wanted += ", or the text is one that the platform takes at any time, such as an approved template"
    return _refused("channel.window_closed", channel, wanted, evidence)


def _told(window: Window) -> dict[str, Any]:
    told: dict[str, Any] = {"window": window.name}
    if window.length is not None:
        told["length_s"] = window.length.total_seconds()
    if window.allowance is not None:
        told["allowance"] = window.allowance
    if window.per:
        told["per"] = window.per
    return {**told, "source": window.source, "as_of": window.as_of}


def _heard(found: Opened) -> dict[str, Any]:
    told: dict[str, Any] = {"last_heard": found.at.isoformat(), "heard_by": found.by}
    if found.closes_at is not None:
        told["closes_at"] = found.closes_at.isoformat()
    return told


def _refused(reason: str, channel: str, wanted: str, evidence: Mapping[str, Any]) -> Answer:
    return Answer(
        Verdict.SKIP, Stage.IDENTITY, reason, channel=channel, evidence=evidence, would_pass_if=wanted
    )
