"""One shard compiled: its columns, its sieve and its networks; and one decision through all three."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from engine.rules.condition import Rule, tests_of
from engine.rules.facts import Facts
from engine.rules.network import MOST_COMPARISONS, MOST_RULES, Network, NetworkSpoilt
from engine.rules.normal_form import Comparison, Conjunction, conjunctions, normal_form
from engine.rules.quantise import Quantiser
from engine.rules.sieve import Sieve

_MOST_CONJUNCTIONS = MOST_RULES
"""Per rule, which is decided in one network; what would split further is folded into a column."""
_ASKED_AGAIN = 97
"""Each so many-th answer that is remembered is put to its network again."""


class Shard:
    """The rules that are asked together, in definition order."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        quantiser = Quantiser(test for rule in rules for test in tests_of(rule.when))
        # One list for each network, whose part of a mask is one byte; a conjunction's place there is its bit.
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
        """Network -> its part of a mask -> the ids; there are 255 such parts at most."""
        self._turn = 0

    def holding(self, facts: Facts, now: datetime, only: int | None = None) -> tuple[str, ...]:
        """The ids of the rules that are true (or just whether the one at place `only` is), in order.

        Raises NetworkSpoilt when a network did not agree with the sieve; then nothing can be said.
        """
        asked = self._all if only is None else self._bits[only]
        mask = self._sieve.survivors(asked, facts, now)
        if not mask:
            return ()
        found: tuple[str, ...] = ()
        for place, part in enumerate(mask.to_bytes(len(self.networks), "little")):
            if part:
                # The sieve is exact: what was once confirmed of these conjunctions holds whenever they pass.
                known = self._remembered[place].get(part)
                self._turn += 1
                if known is None or self._turn % _ASKED_AGAIN == 0:
                    known = self._decided(place, part, facts, now)
                found += known
        return found

    def _decided(self, place: int, part: int, facts: Facts, now: datetime) -> tuple[str, ...]:
        """What the network makes of the conjunctions that passed the sieve."""
        columns, network, ids = self._columns, self.networks[place], self._ids[place]
        passed = [bit for bit in range(MOST_RULES) if part >> bit & 1]
        fired = network.decide(passed, lambda column: columns[column].read(facts, now))
        if sorted(fired) != passed:
            network.distrust()
            self._remembered[place].clear()
            raise NetworkSpoilt("it does not agree with the sieve")
        found = self._remembered[place][part] = tuple(dict.fromkeys([ids[bit] for bit in passed]))
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
