"""Generators that ask somebody else, as the bundle has them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from engine.authoring.bundle import GeneratorConfig, Price
from engine.authoring.models.generators import GeneratorEntry, PriceEntry
from engine.gate.telling import Ground

MILLION = 1_000_000


def compile_generator(entry: GeneratorEntry, settings: Mapping[str, Any]) -> GeneratorConfig:
    """The generator as it is asked; money is counted in millionths."""
    return GeneratorConfig(
        entry.id,
        entry.plugin,
        settings,
        entry.residents,
        entry.tokens_a_day,
        entry.located,
        tuple(Ground(each.residents, each.ground) for each in entry.transfers),
        None if entry.price is None else _price(entry.price),
    )


def _price(entry: PriceEntry) -> Price:
    return Price(
        entry.currency,
        _exact(entry.asked),
        _exact(entry.answered),
        entry.as_of,
        int(_exact(entry.a_day) * MILLION),
    )


def _exact(amount: float) -> Decimal:
    return Decimal(str(amount))
