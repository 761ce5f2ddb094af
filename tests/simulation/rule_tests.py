"""Running one test of a ruleset, for those who test how such tests are run."""

from __future__ import annotations

from collections.abc import Callable

from engine.authoring.bundle import Bundle
from engine.plugin.registry import Registry
from engine.simulation.testing import TestReport, run_tests

Shop = Callable[..., Bundle]
SIGNED_UP = "events: [{at: 0d, event: signed_up, properties: {plan: gold}}]"


async def run_one(shop: Shop, registry: Registry, test: str) -> TestReport:
    return await run_tests(shop(f"- {{name: one, {test}}}\n"), registry)


async def faults(shop: Shop, registry: Registry, test: str) -> list[tuple[str, str]]:
    """What is wrong with one test: what it wanted and what was found."""
    (result,) = (await run_one(shop, registry, test)).results
    return [(failure.wanted, failure.found) for failure in result.failures]
