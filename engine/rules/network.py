"""The only door to durable_rules: networks of conjunctions of integer comparisons on one fact.

Nothing else of the package is used: its joins, counts, timers, negation, patterns and hosts crash, hang or
answer wrongly, each in ways that were measured. What is used here stays inside limits that hold by
construction: every rule begins with a flag of its own, so at most `MOST_RULES` conditions are siblings, and a
document raises at most `MOST_FLAGS` of them, so the C walk never stacks more than that and no document has
more names than the C side takes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence

import durable_rules_engine as core

from engine.rules.normal_form import Relation

MOST_RULES = 240
"""Rules in one network. From 513 distinct siblings on, the C compiler never returns and holds the lock."""
MOST_FLAGS = 8
"""Rules one document may ask about. More than 64 waiting siblings overflow the C stack (error 303)."""
MOST_COMPARISONS = 24
"""Comparisons in one rule. With them a document has at most 201 names; the C side refuses 253 (error 302)."""

_WARM_UP = "w0"
_FACT = "d"  # one fixed id: hashing contents instead would collide at 32 bits
_RESERVED = ("id", "sid", "m", "$s", "$forward", _WARM_UP, _FACT)
_WRITTEN = {
    Relation.NE: "$neq",
    Relation.LT: "$lt",
    Relation.LTE: "$lte",
    Relation.GT: "$gt",
    Relation.GTE: "$gte",
}

NamedComparison = tuple[str, Relation, int]


class NetworkSpoilt(Exception):
    """The network did not behave and is thrown away; the caller must find the answer elsewhere."""


class Names:
    """Names for rules and columns that no author had a hand in.

    durable_rules tells names apart by a 32-bit hash only; a name whose hash is taken is passed over.
    """

    def __init__(self) -> None:
        self._taken = {_fnv32(name) for name in _RESERVED}

    def next(self, letter: str, number: int) -> str:
        """`letter` and the first number from `number` on, in steps that keep names unique."""
        for turn in range(1_000):
            name = f"{letter}{number}" if turn == 0 else f"{letter}{number}x{turn}"
            hashed = _fnv32(name)
            if hashed not in self._taken:
                self._taken.add(hashed)
                return name
        raise AssertionError("a thousand hashes in a row were taken")


def _fnv32(name: str) -> int:
    hashed = 0x811C9DC5
    for byte in name.encode():
        hashed = ((hashed ^ byte) * 0x01000193) & 0xFFFFFFFF
    return hashed


class Network:
    """Up to `MOST_RULES` rules as one durable_rules ruleset, compiled when it is first asked."""

    def __init__(self, rules: Mapping[str, Sequence[NamedComparison]]) -> None:
        """`rules`: name -> comparisons that must all hold, beside the rule's own flag of the same name."""
        longest = max((len(comparisons) for comparisons in rules.values()), default=0)
        if len(rules) > MOST_RULES or longest > MOST_COMPARISONS:
            raise ValueError(f"{len(rules)} rules of up to {longest} comparisons do not fit into one network")
        definition: dict[str, object] = {
            name: {"all": [{"m": {"$and": [{name: 1}, *map(_condition, comparisons)]}}]}
            for name, comparisons in rules.items()
        }
        definition[_WARM_UP] = {"all": [{"m": {"$and": [{_WARM_UP: 1}]}}]}
        self._definition = json.dumps(definition)
        self._lock = threading.Lock()
        self._handle: int | None = None
        self._sound = False
        self._closed = False
        self.rebuilt = 0
        """How often it had to be built again."""

    def decide(self, flags: Sequence[str], codes: Mapping[str, int]) -> list[str]:
        """The names of the rules among `flags` whose comparisons hold on `codes`, in no certain order.

        Raises NetworkSpoilt on any surprise; the next call then starts with a new network.
        """
        if len(flags) > MOST_FLAGS or len(codes) > MOST_FLAGS * MOST_COMPARISONS:
            raise ValueError("more names than one document may have")
        properties = [f',"{name}":1' for name in flags]
        properties += [f',"{name}":{code}' for name, code in codes.items()]
        document = f'{{"id":"{_FACT}"{"".join(properties)}}}'
        with self._lock:
            if self._closed:
                raise NetworkSpoilt("it is closed")
            if not self._sound:
                self._build()
            return self._ask(document)

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
        if self._handle is not None:
            self.rebuilt += 1
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
                core.retract_fact(self._handle, f'{{"id":"{_FACT}"}}')
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


def _condition(comparison: NamedComparison) -> dict[str, object]:
    name, relation, code = comparison
    return {name: code} if relation is Relation.EQ else {_WRITTEN[relation]: {name: code}}
