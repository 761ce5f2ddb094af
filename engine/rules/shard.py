"""One shard compiled: its columns, its sieve and its networks; and one decision through all three."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from engine.rules.condition import Rule, tests_of
from engine.rules.facts import Facts
from engine.rules.network import MOST_COMPARISONS, MOST_FLAGS, MOST_RULES, Names, Network, NetworkSpoilt
from engine.rules.normal_form import Conjunction, conjunctions, normal_form
from engine.rules.quantise import Quantiser
from engine.rules.sieve import Sieve

_MOST_CONJUNCTIONS = 16
"""Per rule; what would split further is folded into a column."""


@dataclass(frozen=True)
class _Conjunction:
    """One way for a rule to hold, as its network knows it."""

    rule: int
    name: str
    columns: frozenset[int]


class Shard:
    """The rules that are asked together, in definition order."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        quantiser = Quantiser(test for rule in rules for test in tests_of(rule.when))
        split: list[tuple[int, Conjunction]] = []
        for place, rule in enumerate(rules):
            formula = normal_form(rule.when, quantiser.settle)
            found = conjunctions(formula, quantiser.fold, most=_MOST_CONJUNCTIONS, longest=MOST_COMPARISONS)
            split.extend((place, conjunction) for conjunction in found)
        self._sieve = Sieve(quantiser.columns, [conjunction for _, conjunction in split])
        self._bits: dict[int, int] = {}
        for bit, (place, _) in enumerate(split):
            self._bits[place] = self._bits.get(place, 0) | 1 << bit
        self._all = (1 << len(split)) - 1
        names = Names()
        self._column_names = [names.next("p", number) for number in range(len(quantiser.columns))]
        self._conjunctions = [
            _Conjunction(place, names.next("r", bit), frozenset(each.column for each in conjunction))
            for bit, (place, conjunction) in enumerate(split)
        ]
        self.networks = [self._network(split, start) for start in range(0, len(split), MOST_RULES)]

    def _network(self, split: Sequence[tuple[int, Conjunction]], start: int) -> Network:
        return Network(
            {
                self._conjunctions[bit].name: [
                    (self._column_names[each.column], each.relation, each.code)
                    for each in sorted(split[bit][1], key=lambda each: (each.column, each.code))
                ]
                for bit in range(start, min(start + MOST_RULES, len(split)))
            }
        )

    def holding(self, facts: Facts, now: datetime, only: int | None = None) -> list[int]:
        """The places of the rules that are true (or just whether the one at place `only` is), in order.

        Raises NetworkSpoilt when a network did not agree with the sieve; then nothing can be said.
        """
        codes: dict[int, int] = {}
        asked = self._all if only is None else self._bits.get(only, 0)
        mask = self._sieve.survivors(asked, facts, now, codes)
        if not mask:
            return []
        bits = _bits(mask)
        start = 0
        while start < len(bits):
            place = bits[start] // MOST_RULES
            portion = [bit for bit in bits[start : start + MOST_FLAGS] if bit // MOST_RULES == place]
            self._confirm(self.networks[place], [self._conjunctions[bit] for bit in portion], codes)
            start += len(portion)
        return sorted({self._conjunctions[bit].rule for bit in bits})

    def _confirm(self, network: Network, candidates: list[_Conjunction], codes: Mapping[int, int]) -> None:
        """Have the network decide what passed the sieve."""
        names = self._column_names
        flags = [each.name for each in candidates]
        fired = network.decide(
            flags, {names[column]: codes[column] for each in candidates for column in each.columns}
        )
        if sorted(fired) != sorted(flags):
            network.distrust()
            raise NetworkSpoilt("it does not agree with the sieve")

    def close(self) -> None:
        for network in self.networks:
            network.close()


def _bits(mask: int) -> list[int]:
    """The places of the bits that are set, lowest first."""
    bits: list[int] = []
    while mask:
        lowest = mask & -mask
        bits.append(lowest.bit_length() - 1)
        mask ^= lowest
    return bits
