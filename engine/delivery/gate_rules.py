"""What the gate needs to know of a bundle."""

from __future__ import annotations

from engine.authoring.bundle import Bundle
from engine.contacts.computing import recomputes_on_send
from engine.gate.state import GateRules

_MOST_KEPT = 16
_kept: dict[str, tuple[Bundle, GateRules]] = {}
"""By hash. The rules remember what is worked out of them, so they had better be the same each time."""


def gate_rules(bundle: Bundle) -> GateRules:
    """The gate's part of a bundle; made once for each of the bundles that are asked about."""
    known = _kept.get(bundle.hash)
    if known is not None and known[0] is bundle:
        return known[1]
    if len(_kept) >= _MOST_KEPT:
        _kept.clear()
    rules = _made(bundle)
    _kept[bundle.hash] = bundle, rules
    return rules


def _made(bundle: Bundle) -> GateRules:
    return GateRules(
        version=bundle.hash,
        timezone=bundle.workspace.timezone,
        purposes=bundle.purposes,
        platforms={channel.id: channel.identity for channel in bundle.channels.values()},
        caps=bundle.caps,
        resume_within={
            breaker.id: breaker.resume_within
            for breaker in bundle.breakers
            if breaker.resume_within is not None
        },
        metrics={breaker.id: breaker.metric.name for breaker in bundle.breakers},
        paused_purposes=bundle.paused_purposes,
        paused_journeys=bundle.paused_journeys,
        hold_outs=bundle.hold_outs,
        providers=bundle.providers,
        quiet=bundle.quiet_hours,
        residence=bundle.workspace.residence,
        silence=bundle.silence,
        budgets=bundle.budgets,
        contact_value=bundle.contact_value,
        content_values=bundle.content_values,
        revivals=frozenset(name for name, program in bundle.programs.items() if program.revival),
        reviews=bundle.reviews,
        recomputes_on_send=recomputes_on_send(bundle),
        windows=bundle.windows,
    )
