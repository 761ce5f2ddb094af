"""One shard compiled: its columns, its sieve and its networks; and one decision through all three."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from engine.rules.condition import Rule, tests_of
from engine.rules.facts import Facts
from engine.rules.network import MOST_ASKED, MOST_COMPARISONS, MOST_RULES, Network, NetworkSpoilt
from engine.rules.normal_form import Comparison, Conjunction, conjunctions, normal_form
from engine.rules.quantise import Quantiser
from engine.rules.sieve import Sieve

_MOST_CONJUNCTIONS = 16
"""Per rule; what would split further is folded into a column."""
_MOST_REMEMBERED = 256
"""Answers kept for each network."""
_ASKED_AGAIN = 97
"""Each so many-th answer that is remembered is put to its network again."""
_PART = (1 << MOST_RULES) - 1


class Shard:
    """The rules that are asked together, in definition order."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        quantiser = Quantiser(test for rule in rules for test in tests_of(rule.when))
        # One list for each network; a conjunction's place in it is its bit in that network's part of a mask.
        split: list[list[Conjunction]] = [[]]
        self._ids: list[list[str]] = [[]]
        """Network -> bit -> id of the rule that holds when that conjunction does."""
        self._bits: list[int] = []
        """Place of a rule -> the bits of its conjunctions in a whole mask."""
        for rule in rules:
            formula = normal_form(rule.when, quantiser.settle)
            found = conjunctions(formula, quantiser.fold, most=_MOST_CONJUNCTIONS, longest=MOST_COMPARISONS)
            if len(split[-1]) + len(found) > MOST_RULES:  # a rule is decided in one network
                split.append([])
                self._ids.append([])
            first = (len(split) - 1) * MOST_RULES + len(split[-1])
            self._bits.append(((1 << len(found)) - 1) << first)
            split[-1].extend(found)
            self._ids[-1].extend([rule.id] * len(found))
        self._all = sum(self._bits)
        self._columns = quantiser.columns
        self._sieve = Sieve(quantiser.columns, {
            place * MOST_RULES + bit: conjunction
            for place, part in enumerate(split)
            for bit, conjunction in enumerate(part)
        })  # fmt: skip
        self.networks = [Network([sorted(each, key=_order) for each in part]) for part in split]
        self._remembered: list[dict[int, tuple[str, ...]]] = [{} for _ in split]
        self._turn = 0

    def holding(self, facts: Facts, now: datetime, only: int | None = None) -> tuple[str, ...]:
        """The ids of the rules that are true (or just whether the one at place `only` is), in order.

        Raises NetworkSpoilt when a network did not agree with the sieve; then nothing can be said.
        """
        asked = self._all if only is None else self._bits[only]
        mask = self._sieve.survivors(asked, facts, now)
        found: tuple[str, ...] = ()
        place = 0
        while mask:
            part = mask & _PART
            if part:
                # The sieve is exact: what was once confirmed of these conjunctions holds whenever they pass.
                known = self._remembered[place].get(part)
                self._turn += 1
                if known is None or self._turn % _ASKED_AGAIN == 0:
                    known = self._decided(place, part, facts, now)
                found += known
            mask >>= MOST_RULES
            place += 1
        return found

    def _decided(self, place: int, part: int, facts: Facts, now: datetime) -> tuple[str, ...]:
        """What the network makes of the conjunctions that passed the sieve."""
        columns, network, remembered = self._columns, self.networks[place], self._remembered[place]
        passed = _places(part)
        for start in range(0, len(passed), MOST_ASKED):
            asked = passed[start : start + MOST_ASKED]
            fired = network.decide(asked, lambda column: columns[column].read(facts, now))
            if sorted(fired) != asked:
                network.distrust()
                remembered.clear()
                raise NetworkSpoilt("it does not agree with the sieve")
        ids = self._ids[place]
        found = tuple(dict.fromkeys([ids[bit] for bit in passed]))
        if len(remembered) >= _MOST_REMEMBERED:
            remembered.clear()
        remembered[part] = found
        return found

    def prepare(self) -> None:
        """Compile the networks now. NetworkSpoilt when that fails."""
        for network in self.networks:
            network.prepare()

    def close(self) -> None:
        """Give back what the networks hold; after that only NetworkSpoilt is answered."""
        for network in self.networks:
            network.close()
        for answers in self._remembered:
            answers.clear()


def _order(comparison: Comparison) -> tuple[int, int, str]:
    return comparison.column, comparison.code, comparison.relation.value


def _places(mask: int) -> list[int]:
    """The places of the bits that are set, lowest first."""
    places: list[int] = []
    while mask:
        lowest = mask & -mask
        places.append(lowest.bit_length() - 1)
        mask ^= lowest
    return places
