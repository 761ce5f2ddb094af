"""Which caps, budgets and quiet hours are about a message: worked out once for each kind, not for each.

A kind is what rules can tell messages apart by before they know the contact: its purpose, its channels, its
journey and its content. A ruleset has few of them.
"""

from __future__ import annotations

from collections.abc import Collection

from engine.gate.budgets import Budget
from engine.gate.caps import applicable_caps, possible_caps
from engine.gate.hours import QuietRule
from engine.gate.model import Cap, Counts, Intent, Quota, WhenFull
from engine.gate.spending import cost_of, possible_budgets
from engine.gate.state import GateRules
from engine.gate.windows import MOST_COUNTED, Window


def caps_of(intent: Intent, rules: GateRules) -> tuple[Cap, ...]:
    """The caps that may apply to the intent, on whichever of its channels and with whatever tags; with them
    what counts the messages that leave through windows.

    None where the rules do not know its purpose.
    """

    def found() -> tuple[Cap, ...]:
        purpose = rules.purposes.get(intent.purpose)
        if purpose is None:
            return ()
        meters = [meter for channel in intent.channels for meter in _meters(rules, channel, None)]
        return (*possible_caps(rules.caps, intent, purpose), *meters)

    kind = ("caps", intent.purpose, intent.channels, intent.journey, intent.content)
    return rules.worked_out(kind, found)


def caps_on(intent: Intent, rules: GateRules, channel: str, tags: frozenset[str]) -> tuple[Cap, ...]:
    """The caps in which the intent needs a place on this channel, for a contact with these tags.

    KeyError where the rules do not know its purpose.
    """

    def found() -> tuple[tuple[Cap, ...], bool]:
        caps = applicable_caps(rules.caps, intent, rules.purposes[intent.purpose], channel, None)
        return caps, any(cap.counts.tags for cap in caps)

    caps, ask_tags = rules.worked_out(
        ("places", intent.purpose, channel, intent.journey, intent.content), found
    )
    if not ask_tags:
        return caps
    return tuple([cap for cap in caps if not cap.counts.tags or not tags.isdisjoint(cap.counts.tags)])


def places_on(
    intent: Intent, rules: GateRules, channel: str, tags: frozenset[str], within: Collection[str] | None
) -> tuple[Cap, ...]:
    """All in which the intent takes a place on this channel: `caps_on`, and what counts the messages of those
    of its windows through which it may leave (`Passage.within`).

    KeyError where the rules do not know its purpose.
    """
    return (*caps_on(intent, rules, channel, tags), *_meters(rules, channel, within))


def meter_name(channel: str, window: Window) -> str:
    """Names the places of messages that left through a window; no cap can be called so."""
    return f"window:{channel}:{window.name}"


def part_of(cap: Cap, channel: str, within: Collection[str] | None) -> str:
    """Which of its parts a message leaves through, where the cap counts those of a window that is several."""
    for each in within or ():
        name, _, part = each.partition(":")
        if part and cap.id == f"window:{channel}:{name}":
            return part
    return ""


def _meters(rules: GateRules, channel: str, within: Collection[str] | None) -> tuple[Cap, ...]:
    """What counts messages, of any purpose, in the channel's windows that allow only so many.

    A window opens anew when its contact is heard, so that it says for itself which of the places count:
    these are never asked whether they are full.
    """
    said = rules.windows.get(channel)
    if said is None:
        return ()
    return tuple(
        Cap(
            id=meter_name(channel, window),
            counts=Counts(None, (channel,), (), (), ()),
            limit=MOST_COUNTED if window.counts_each else window.allowance,
            window=None,
            min_gap=None,
            when_full=WhenFull.NEXT_CHANNEL,
            quota=Quota(window.source, window.as_of),
        )
        for window in said.for_message(within)
        if window.allowance is not None
    )


def budgets_of(intent: Intent, rules: GateRules) -> tuple[Budget, ...]:
    """The budgets that may have to pay for the intent, on whichever of its channels; in order of their ids.

    None where the rules do not know its purpose.
    """

    def found() -> tuple[Budget, ...]:
        purpose = rules.purposes.get(intent.purpose)
        return tuple(possible_budgets(rules.budgets, intent, purpose)) if purpose is not None else ()

    if not rules.budgets:
        return ()
    kind = ("budgets", intent.purpose, intent.channels, intent.journey, intent.content)
    return rules.worked_out(kind, found)


def costs_on(intent: Intent, rules: GateRules, channel: str) -> tuple[tuple[Budget, int], ...]:
    """The budgets that pay for the intent on this channel, by their ids, and what it costs each.

    KeyError where the rules do not know its purpose.
    """

    def found() -> tuple[tuple[Budget, int], ...]:
        purpose = rules.purposes[intent.purpose]
        costs = [(budget, cost_of(budget, intent, purpose, channel)) for budget in rules.budgets]
        return tuple(sorted(((each, cost) for each, cost in costs if cost), key=lambda pair: pair[0].id))

    if not rules.budgets:
        return ()
    return rules.worked_out(("costs", intent.purpose, channel, intent.journey, intent.content), found)


def quiet_on(intent: Intent, rules: GateRules, channel: str) -> tuple[QuietRule, ...]:
    """The rules that keep times quiet for such a message on this channel, wherever the contact lives.

    KeyError where the rules know neither its purpose nor the channel.
    """

    def found() -> tuple[QuietRule, ...]:
        kind = rules.purposes[intent.purpose].kind
        said = (intent.purpose, kind, channel, rules.platforms[channel], intent.journey, intent.content)
        return tuple(
            rule
            for rule in rules.quiet
            if rule.holds_back.concerns(*said)
            and not (rule.spared is not None and rule.spared.concerns(*said))
        )

    return rules.worked_out(("quiet", intent.purpose, channel, intent.journey, intent.content), found)
