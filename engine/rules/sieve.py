"""Finds, in plain Python, the conjunctions that can hold: an exact filter in front of the network.

One bit stands for one conjunction. A decision is a few look-ups, one for each fact that the conjunctions
still standing ask about, and most decisions end with no bit left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from engine.rules.columns import UNKNOWN, Reader, label_turns, text_choice
from engine.rules.facts import Facts
from engine.rules.normal_form import Comparison, Conjunction, Relation
from engine.rules.quantise import Column

_Step = tuple[int, Reader, list[int] | None]
"""The bits that ask; what reads the fact; code -> surviving bits (None: the reader gives those itself)."""
_Users = dict[int, dict[int, list[Comparison]]]
"""Column -> bit -> what the conjunction asks of the column."""

_ANY_TIME = datetime.min.replace(tzinfo=UTC)


class Sieve:
    """The tables of one shard."""

    def __init__(self, columns: Sequence[Column], conjunctions: Mapping[int, Conjunction]) -> None:
        """`conjunctions`: by the bit that stands for each."""
        everything = _asking(conjunctions)
        users: _Users = {}
        for bit, conjunction in conjunctions.items():
            for each in conjunction:
                users.setdefault(each.column, {}).setdefault(bit, []).append(each)
        texts: dict[str, list[int]] = {}
        labels: dict[str, list[int]] = {}
        ranked: list[tuple[float, int, _Step]] = []
        for place in users:
            column = columns[place]
            if column.texts is not None:
                texts.setdefault(column.path, []).append(place)
            elif column.label is not None:
                labels.setdefault(column.path, []).append(place)
            else:
                table = _table(column.size, users[place], everything)
                ranked.append((_left(table), place, (_asking(users[place]), column.read, table)))
        for path, places in texts.items():
            step = _text_step(path, places, columns, users, everything)
            ranked.append((_left(step[2] or [0]), places[0], step))
        for path, places in labels.items():
            for step in _label_steps(path, places, columns, users, everything):
                ranked.append((float((everything & ~step[0]).bit_count()), places[0], step))
        # What leaves the fewest bits comes first, so that most decisions end soon.
        ranked.sort(key=lambda each: each[:2])
        self._steps = [step for _, _, step in ranked]

    def survivors(self, mask: int, facts: Facts, now: datetime) -> int:
        """The bits of `mask` whose conjunctions hold."""
        for asking, read, table in self._steps:
            if mask & asking:
                found = read(facts, now)
                mask &= found if table is None else table[found]
                if not mask:
                    return 0
        return mask


def _asking(users: Iterable[int]) -> int:
    return sum(1 << bit for bit in set(users))


def _left(table: list[int]) -> float:
    return sum(mask.bit_count() for mask in table) / len(table)


def _text_step(
    path: str, places: list[int], columns: Sequence[Column], users: _Users, everything: int
) -> _Step:
    """All columns that depend only on which of some texts a fact is, in one look-up."""
    texts = sorted(set().union(*(columns[place].texts or () for place in places)))
    other = "".join(texts) + " "  # longer than any of them
    situations: list[Facts] = [{path: text} for text in [*texts, other]]
    table = [everything] * (len(situations) + 1)
    for place in places:
        read, survivors = columns[place].read, _table(columns[place].size, users[place], everything)
        for code, facts in enumerate(situations):
            table[code] &= survivors[read(facts, _ANY_TIME)]
        table[UNKNOWN] &= survivors[UNKNOWN]
    asking = _asking(bit for place in places for bit in users[place])
    return asking, text_choice(path, texts), table


def _label_steps(
    path: str, places: list[int], columns: Sequence[Column], users: _Users, everything: int
) -> list[_Step]:
    """The labels of one fact in one pass, or as many as one conjunction asks for labels of it.

    Where each bit asks for one label at most, that label being there turns it round, whatever others are.
    """
    steps: list[_Step] = []
    asked: dict[int, list[tuple[str, bool]]] = {}
    for place in places:
        label = columns[place].label or ""
        for bit, comparisons in users[place].items():
            asked.setdefault(bit, []).extend((label, each.code == 1) for each in comparisons)
    for turn in range(max(map(len, asked.values()))):
        turns: dict[str, int] = {}
        without = asking = 0
        for bit, wishes in asked.items():
            if turn < len(wishes):
                label, wanted = wishes[turn]
                turns[label] = turns.get(label, 0) | 1 << bit
                asking |= 1 << bit
                without |= 0 if wanted else 1 << bit
        others = everything & ~asking
        steps.append((asking, label_turns(path, turns, others | without, others), None))
    return steps


def _table(size: int, users: dict[int, list[Comparison]], everything: int) -> list[int]:
    """Code -> surviving bits. The last entry, where UNKNOWN (-1) falls, keeps only those who do not ask."""
    turns = [0] * (size + 1)  # the bits that change between one code and the next
    for bit, asked in users.items():
        low, high = 0, size - 1
        holes: set[int] = set()
        for each in asked:
            code = each.code
            match each.relation:
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
    others = standing = everything & ~_asking(users)
    table: list[int] = []
    for turn in turns[:-1]:
        standing ^= turn
        table.append(standing)
    return [*table, others]
