"""The only door to durable_rules: its Rete network, used for conjunctions of integer comparisons on one fact.

Nothing else of the package is used: its joins, counts, timers, negation, patterns and hosts crash, hang or
answer wrongly, each in ways that were measured. What is used here stays inside limits that hold by
construction: a network has few rules, every rule begins with a flag of its own, and all of them can be asked
about in one document, so that neither siblings, nor the C stack, nor a document's names come near them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence

import durable_rules_engine as core

from engine.rules.normal_form import Comparison, Relation

MOST_RULES = 8
"""Rules in one network, and so the most that a document asks about. More than 64 waiting siblings overflow
the C stack (error 303), and from 513 on the C compiler never returns and holds the interpreter's lock; it is
slow long before that, as it looks through all siblings and all rules again and again."""
MOST_COMPARISONS = 24
"""Comparisons in one rule. With them a document has at most 202 names; the C side refuses 253 (error 302)."""

_WARM_UP = "w"
_FACT = "d"  # one fixed id: hashing contents instead would collide at 32 bits
_RETRACTED = f'{{"id":"{_FACT}"}}'
_WRITTEN = {
    Relation.NE: "$neq",
    Relation.LT: "$lt",
    Relation.LTE: "$lte",
    Relation.GT: "$gt",
    Relation.GTE: "$gte",
}


class NetworkSpoilt(Exception):
    """The network did not behave and is thrown away; the caller must find the answer elsewhere."""


class Network:
    """Up to `MOST_RULES` rules as one durable_rules ruleset, compiled when it is first asked.

    Rules and columns go by names that no author had a hand in: a letter and a number. durable_rules
    tells names apart by a 32-bit hash only; a test shows that no two of the possible names share one.
    """

    def __init__(self, rules: Sequence[Sequence[Comparison]]) -> None:
        """`rules`: the comparisons that must all hold, rule by rule.

        Raises ValueError when they are more than what was found to be safe.
        """
        longest = max(map(len, rules), default=0)
        if len(rules) > MOST_RULES or longest > MOST_COMPARISONS:
            raise ValueError(
                f"{len(rules)} rules of up to {longest} comparisons do not fit into one network;"
                f" it takes {MOST_RULES} rules of {MOST_COMPARISONS}"
            )
        self._asking = [frozenset(each.column for each in comparisons) for comparisons in rules]
        columns = sorted(frozenset[int]().union(*self._asking))
        self._columns = {column: f"p{number}" for number, column in enumerate(columns)}
        self._rules = {f"r{place}": place for place in range(len(rules))}
        self._definition = json.dumps({
            **{f"r{place}": self._rule(place, comparisons) for place, comparisons in enumerate(rules)},
            _WARM_UP: {"all": [{"m": {"$and": [{_WARM_UP: 1}]}}]},
        })  # fmt: skip
        self._lock = threading.Lock()
        self._handle: int | None = None
        self._sound = False
        self._closed = False

    def _rule(self, place: int, comparisons: Sequence[Comparison]) -> dict[str, object]:
        conditions: list[dict[str, object]] = [{f"r{place}": 1}]
        for each in comparisons:
            asked: dict[str, object] = {self._columns[each.column]: each.code}
            conditions.append(asked if each.relation is Relation.EQ else {_WRITTEN[each.relation]: asked})
        return {"all": [{"m": {"$and": conditions}}]}

    def decide(self, asked: Sequence[int], code_of: Callable[[int], int]) -> list[int]:
        """Which of the rules at the places `asked` hold, in no certain order.

        `code_of` gives the code of a column; it is called once for each column that the rules compare.
        Raises NetworkSpoilt on any surprise; the next call then starts with a new network.
        """
        columns = self._columns
        names = [f'"r{place}":1' for place in asked]
        for column in frozenset().union(*[self._asking[place] for place in asked]):
            names.append(f'"{columns[column]}":{code_of(column)}')
        document = f'{{"id":"{_FACT}",{",".join(names)}}}'
        with self._lock:
            if self._closed:
                raise NetworkSpoilt("it is closed")
            if not self._sound:
                self._build()
            fired = self._ask(document)
        return [self._rules.get(name, -1) for name in fired]

    def prepare(self) -> None:
        """Compile now instead of with the first question. NetworkSpoilt when that fails."""
        with self._lock:
            if not self._sound and not self._closed:
                self._build()

    def distrust(self) -> None:
        """Have the network built anew before it is asked again."""
        with self._lock:
            self._sound = False

    def close(self) -> None:
        """Give the memory back; a closed network answers nothing more."""
        with self._lock:
            self._closed = True
            self._discard()

    def _build(self) -> None:
        self._discard()
        try:
            self._handle = core.create_ruleset("r", self._definition)
        except (core.error, MemoryError) as error:
            raise NetworkSpoilt(f"it does not compile: {error}") from error
        # Also sets up the C side's action context, without which deleting the state would free garbage.
        if self._ask(f'{{"id":"{_FACT}","{_WARM_UP}":1}}') != [_WARM_UP]:
            self._sound = False
            raise NetworkSpoilt("it fails its first question")

    def _ask(self, document: str) -> list[str]:
        """Put the one fact in, collect every rule that fires, take it out again.

        The network counts as unsound in between: an interruption half way leaves a lease behind under which
        later questions are silently answered with nothing.
        """
        self._sound = False
        fired: list[str] = []
        try:
            state, offset = core.assert_fact(self._handle, document)
            if state == 0:
                message = core.start_action_for_state(self._handle, offset)[1]
                while message is not None:
                    fired.append(message[2 : message.index('"', 2)])
                    message = core.complete_and_start_action(self._handle, offset)
                core.retract_fact(self._handle, _RETRACTED)
        except (core.error, MemoryError, TypeError, ValueError) as error:
            raise NetworkSpoilt(str(error)) from error
        if state not in (0, 1):  # 1: no rule fired, and nothing was kept
            raise NetworkSpoilt(f"it answered {state}")
        self._sound = True
        return fired

    def _discard(self) -> None:
        handle, self._handle = self._handle, None
        if handle is None:
            return
        if self._sound:  # the state of an interrupted one is left: freeing it was seen to crash
            core.delete_state(handle, "0")
        self._sound = False
        core.delete_ruleset(handle)
