"""Published breakers in plain memory: whom each lets pass, and the probes taken from those half open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from engine.gate.model import Answer
from engine.gate.stages import Stage, breaker_scopes, held_by, lets_through, share_of
from engine.gate.state import Claim, Moment, Probe, PublishedBreaker
from engine.simulation.wishes import Wish


class Breakers:
    """The breakers of a workspace by id and scope."""

    def __init__(self) -> None:
        self.published: dict[tuple[str, str], PublishedBreaker] = {}

    @property
    def not_closed(self) -> tuple[PublishedBreaker, ...]:
        return tuple([each for each in self.published.values() if each.state != "closed"])

    def publish(self, breaker: PublishedBreaker) -> None:
        """Put a breaker's state in force."""
        self.published[breaker.breaker_id, breaker.scope] = breaker

    def take_probes(self, claim: Claim, channel: str, now: Moment) -> tuple[Probe, ...] | Answer:
        """One probe of each half-open breaker that concerns the intent, or the hold of one without any."""
        scopes = breaker_scopes(claim.intent, channel)
        taken = []
        for breaker in self.published.values():
            if breaker.scope not in scopes or breaker.state == "closed":
                continue
            if not lets_through(breaker, claim.intent.key):
                return held_by(breaker, Stage.BREAKER, claim.view, now, channel)
            if breaker.state == "half_open" and breaker.ramp is None:
                taken.append(Probe(breaker.breaker_id, breaker.scope, breaker.epoch))
        for probe in taken:
            self._change(probe, -1)
        return tuple(taken)

    def give_back(self, probes: Iterable[Probe]) -> None:
        """Probes that were taken and not used."""
        for probe in probes:
            self._change(probe, +1)

    def _change(self, probe: Probe, by: int) -> None:
        name = (probe.breaker_id, probe.scope)
        breaker = self.published[name]
        if breaker.epoch == probe.epoch:
            self.published[name] = replace(breaker, probes_left=breaker.probes_left + by)


def let_pass(breaker: PublishedBreaker, held: Sequence[Wish]) -> Sequence[Wish]:
    """Those of what it holds that a breaker lets pass in its present state."""
    if breaker.state == "closed":
        return held
    if breaker.state != "half_open":
        return ()
    if breaker.ramp is None:
        return held[: breaker.probes_left]
    return [wish for wish in held if share_of(wish.intent.key) < breaker.ramp]
