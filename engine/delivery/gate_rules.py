"""What the gate needs to know of a bundle."""

from __future__ import annotations

from engine.authoring.bundle import Bundle
from engine.contacts.computing import recomputes_on_send
from engine.gate.state import GateRules


def gate_rules(bundle: Bundle) -> GateRules:
    """The gate's part of a bundle."""
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
        paused_purposes=bundle.paused_purposes,
        paused_journeys=bundle.paused_journeys,
        hold_outs=bundle.hold_outs,
        providers=bundle.providers,
        quiet=bundle.quiet_hours,
        residence=bundle.workspace.residence,
        silence=bundle.silence,
        content_values=bundle.content_values,
        revivals=frozenset(name for name, program in bundle.programs.items() if program.revival),
        recomputes_on_send=recomputes_on_send(bundle),
    )
