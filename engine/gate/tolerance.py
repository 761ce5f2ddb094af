"""How much a contact bears: caps scaled by what is known of them, and the pause after silence; pure.

What is not known of a contact never makes a cap wider: the factor is the least that any answer to an open
question would give.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from typing import Any

from engine.changing import changed
from engine.gate.model import Cap, Purpose, Scale, Silence
from engine.rules.evaluator import evaluate
from engine.rules.explaining import answers
from engine.rules.facts import Facts
from engine.rules.truth import Truth

_UNSCALED = 1.0


def tolerated(caps: Iterable[Cap], facts: Facts, now: datetime) -> list[Cap]:
    """The caps as this contact has them: limits scaled, and at least 1. A gap is the same for everybody."""
    found: list[Cap] = []
    asked: tuple[Scale, ...] = ()
    factor = _UNSCALED
    for cap in caps:
        if cap.limit is None or not cap.scale:
            found.append(cap)
            continue
        if cap.scale is not asked:  # those of one file share theirs
            asked, factor = cap.scale, _deciding(cap.scale, facts, now)[0]
        limit = scaled(cap.limit, factor)
        found.append(cap if limit == cap.limit else changed(cap, limit=limit))
    return found


@lru_cache(maxsize=4096)
def scaled(limit: int, factor: float) -> int:
    """The limit times the factor as it is written, rounded down, and at least 1."""
    return max(1, math.floor(limit * Fraction(str(factor))))


def most(cap: Cap) -> int:
    """What the cap allows whoever bears most; 1 for a gap."""
    if cap.limit is None:
        return 1
    if not cap.scale:
        return max(1, cap.limit)
    widest = _UNSCALED
    for scale in cap.scale:
        if scale.factor > widest:
            widest = scale.factor
    return scaled(cap.limit, widest)


def told(cap: Cap, facts: Facts, now: datetime) -> Mapping[str, Any]:
    """Why the contact has another limit than the file says; empty when they have that one."""
    if cap.limit is None or not cap.scale:
        return {}
    factor, scale = _deciding(cap.scale, facts, now)
    if scale is None:
        return {}
    return {
        "stated_limit": cap.limit,
        "factor": factor,
        "scaled_by": f"{scale.file}:{scale.line}",
        "tests": answers(scale.when, facts, now),
    }


def silent_until(silent_since: datetime | None, silence: Silence | None, now: datetime) -> datetime | None:
    """The end of the pause in which the contact is at `now`; None when there is none."""
    if silent_since is None or silence is None:
        return None
    begins = silent_since + silence.after
    ends = begins + silence.length
    return ends if begins <= now < ends else None


def after_send(
    silent_since: datetime | None, purpose: Purpose | None, silence: Silence | None, at: datetime
) -> datetime | None:
    """Since when the contact owes an answer once a message was handed over at `at`.

    Only marketing asks for one. When a pause is over, the first message after it begins a new round: whoever
    stays silent is left alone again.
    """
    if purpose is None or purpose.kind != "marketing":
        return silent_since
    if silent_since is None:
        return at
    is_over = silence is not None and at >= silent_since + silence.after + silence.length
    return at if is_over else silent_since


def after_activity(
    silent_since: datetime | None, last_send_at: datetime | None, happened_at: datetime
) -> datetime | None:
    """Since when the contact owes an answer once they gave a sign of life, which may be told late.

    What was sent after it stays unanswered; of that only the latest is known.
    """
    if silent_since is None or happened_at < silent_since:
        return silent_since
    return last_send_at if last_send_at is not None and last_send_at > happened_at else None


def _deciding(scales: Iterable[Scale], facts: Facts, now: datetime) -> tuple[float, Scale | None]:
    """The factor, and the entry that it comes from; None for nobody's."""
    least: tuple[float, Scale | None] | None = None
    for scale in scales:
        truth = evaluate(scale.when, facts, now)
        if truth is not Truth.FALSE and (least is None or scale.factor < least[0]):
            least = scale.factor, scale
        if truth is Truth.TRUE and least is not None:
            return least
    return least if least is not None and least[0] <= _UNSCALED else (_UNSCALED, None)
