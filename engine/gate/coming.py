"""Whether a message that is still to come could go at all when its moment comes, as things stand now; pure.

Nobody waits for a message that would be stopped itself: by a plan or a breaker, because the contact may not
be reached or has not agreed to it, because the hour is quiet then, or a budget allows it nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from engine.gate.arbitration import Rival, value_of
from engine.gate.budgeting import check_budgets
from engine.gate.model import Intent, Verdict
from engine.gate.quiet import check_quiet
from engine.gate.stages import check_consent, check_halt, check_identity, check_standing
from engine.gate.state import Moment, View
from engine.gate.windowing import check_window


def able_rivals(intent: Intent, view: View, now: Moment) -> tuple[Rival, ...]:
    """The rivals of higher value that could go, each with the channels on which it could.

    Caps are not asked: whether there is room for all of them is what they are looked at for.
    """
    contents = view.rules.content_values
    value = value_of(intent.priority, intent.content, contents)
    above = [each for each in view.rivals if value_of(each.priority, each.content, contents) > value]
    if not above:
        return ()
    # What the message itself holds of a budget already is not theirs; nor is who refused it theirs.
    theirs = replace(view, paid={}, refused_by={})
    return tuple(_able(above, intent, theirs, now))


def _able(rivals: list[Rival], intent: Intent, view: View, now: Moment) -> Iterator[Rival]:
    for rival in rivals:
        at = max(rival.due_at, now.journey)
        then = Moment(at, view.time.real(at))
        wish = _wish(rival, intent.contact_id, at)
        if any(
            stage(wish, view, then).verdict is not Verdict.ALLOW for stage in (check_halt, check_standing)
        ):
            continue
        channels = tuple(channel for channel in rival.channels if _passes(wish, view, then, channel))
        if channels:
            yield rival if channels == rival.channels else replace(rival, channels=channels)


def _passes(wish: Intent, view: View, then: Moment, channel: str) -> bool:
    """In the order of the gate: what comes later rests on what was asked before."""
    return all(
        stage(wish, view, then, channel).verdict is Verdict.ALLOW
        for stage in (check_identity, check_window, check_consent, check_quiet, check_budgets)
    )


def _wish(rival: Rival, contact_id: str, at: datetime) -> Intent:
    return Intent(
        key=rival.name,
        contact_id=contact_id,
        purpose=rival.purpose,
        priority=rival.priority,
        content=rival.content,
        channels=rival.channels,
        step_id=rival.step,
        visit=1,
        created_at=at,
        journey=rival.journey,
    )
