"""Finds, in plain Python, the conjunctions that can hold: an exact filter in front of the network.

One bit stands for one conjunction. Each column has a table from its code to the bits that survive it, so a
decision is a few look-ups, and most decisions end with no bit left.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from datetime import datetime

from engine.rules.columns import Reader
from engine.rules.facts import Facts
from engine.rules.normal_form import Conjunction, Relation
from engine.rules.quantise import Column

_Step = tuple[int, int, Reader, list[int]]


class Sieve:
    """The tables of one shard."""

    def __init__(self, columns: Sequence[Column], conjunctions: Sequence[Conjunction]) -> None:
        by_column: dict[int, dict[int, list[tuple[Relation, int]]]] = {}
        for bit, conjunction in enumerate(conjunctions):
            for each in conjunction:
                by_column.setdefault(each.column, {}).setdefault(bit, []).append((each.relation, each.code))
        steps: list[_Step] = []
        for column, users in by_column.items():
            asking = sum(1 << bit for bit in users)
            table = _table(columns[column].size, users, (1 << len(conjunctions)) - 1 & ~asking)
            steps.append((column, asking, columns[column].read, table))
        # The column that leaves the fewest bits comes first, so that most decisions end soon.
        steps.sort(key=lambda step: (sum(mask.bit_count() for mask in step[3]) / len(step[3]), step[0]))
        self._steps = steps

    def survivors(self, mask: int, facts: Facts, now: datetime, codes: MutableMapping[int, int]) -> int:
        """The bits of `mask` whose conjunctions hold; `codes` receives every code needed for that."""
        for column, asking, read, table in self._steps:
            if mask & asking:
                code = read(facts, now)
                mask &= table[code]
                if not mask:
                    return 0
                codes[column] = code
        return mask


def _table(size: int, users: dict[int, list[tuple[Relation, int]]], others: int) -> list[int]:
    """Code -> surviving bits. The last entry, where UNKNOWN (-1) falls, keeps only those who do not ask."""
    turns = [0] * (size + 1)  # the bits that change between one code and the next
    for bit, asked in users.items():
        low, high = 0, size - 1
        holes: set[int] = set()
        for relation, code in asked:
            match relation:
                case Relation.EQ:
                    low, high = max(low, code), min(high, code)
                case Relation.NE:
                    holes.add(code)
                case Relation.LT:
                    high = min(high, code - 1)
                case Relation.LTE:
                    high = min(high, code)
                case Relation.GT:
                    low = max(low, code + 1)
                case Relation.GTE:
                    low = max(low, code)
        if low > high:
            continue  # contradicts itself: survives no code
        turns[low] ^= 1 << bit
        turns[high + 1] ^= 1 << bit
        for hole in holes:
            if low <= hole <= high:
                turns[hole] ^= 1 << bit
                turns[hole + 1] ^= 1 << bit
    table: list[int] = []
    standing = others
    for turn in turns[:-1]:
        standing ^= turn
        table.append(standing)
    return [*table, others]
