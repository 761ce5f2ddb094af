"""Compiles what channels declare of their accounts at providers: rates and circuits."""

from __future__ import annotations

from collections.abc import Mapping

from engine.authoring.definitions import Definitions
from engine.authoring.models.channels import ChannelEntry
from engine.gate.rates import Circuit, Provider, Rate


def compile_providers(found: Definitions) -> Mapping[str, Provider]:
    """Channel -> its provider. Channels of one account share what any of them declares of it."""
    accounts: dict[str, list[ChannelEntry]] = {}
    for channel in found.channels.values():
        accounts.setdefault(_account(channel.item), []).append(channel.item)
    providers = {name: _provider(name, entries) for name, entries in accounts.items()}
    return {
        channel: provider
        for channel, each in found.channels.items()
        if (provider := providers[_account(each.item)]).rates or provider.circuit is not None
    }


def _account(entry: ChannelEntry) -> str:
    return entry.account or entry.id


def _provider(account: str, entries: list[ChannelEntry]) -> Provider:
    rates = {(rate.limit, rate.per): rate for entry in entries for rate in entry.rates}
    circuits = [entry.circuit for entry in entries if entry.circuit is not None]
    return Provider(
        account,
        tuple(Rate(rate.limit, rate.per, rate.source, rate.as_of) for rate in rates.values()),
        # Of several the one that opens soonest: it protects them all.
        min(
            (Circuit(circuit.failures, circuit.pause) for circuit in circuits),
            key=lambda circuit: circuit.failures,
            default=None,
        ),
    )
