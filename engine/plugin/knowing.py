"""Asks plugins for the facts they declare: from memory where the same was asked before, and never for long.

A fact whose plugin is not there, raises, hangs or answers something else than it declares is missing, as
any fact of which nothing is known: conditions that need it are not true.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from functools import cached_property

from engine.plugin.calling import where, within
from engine.plugin.counting import Counting
from engine.plugin.declaring import ContactFact, Metric
from engine.plugin.patience import TooSlow
from engine.plugin.tallying import tally
from engine.rules.facts import Facts, FactType, FactValue, kind_of

PATIENCE = timedelta(milliseconds=250)
"""How long one answer may take; contacts are held meanwhile."""
_MOST_REMEMBERED = 50_000
_LONGEST = 10_000
"""Characters of a text, and of all labels together."""


class Knowing:
    """The facts of this installation's plugins, as functions; used from several threads."""

    def __init__(
        self,
        facts: Callable[[], Mapping[str, ContactFact]],
        metrics: Callable[[], Mapping[str, Metric]] = dict,
    ) -> None:
        """`facts` and `metrics` are called when one is asked for: to load plugins takes its time."""
        self._load = facts
        self.counting = Counting(metrics)
        """The same for metrics."""
        self._known: dict[object, FactValue | None] = {}

    @cached_property
    def _facts(self) -> Mapping[str, ContactFact]:
        return self._load()

    def values(self, names: Iterable[str], contact: Facts) -> dict[str, FactValue | None]:
        """The facts of these names by their paths, of a contact of whom this is known."""
        return {f"contact.{name}": self._value(self._facts.get(name), contact) for name in names}

    def _value(self, fact: ContactFact | None, contact: Facts) -> FactValue | None:
        if fact is None:
            return None
        read = [contact.get(f"contact.{name}") for name in fact.reads]
        # With their types: 1 and true are equal, and not the same.
        key = (fact.name, *read, *map(type, read))
        if key in self._known:
            return self._known[key]
        given = {name: value for name, value in zip(fact.reads, read, strict=True) if value is not None}
        try:
            value: object = within(PATIENCE, lambda: fact.compute(given), f"fact {fact.name}")
        except TooSlow:
            tally("fact", fact.name, "slow", f"did not answer within {PATIENCE.total_seconds():g} s")
            return None  # not remembered: the machine may have been busy
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises, its fact is missing
            tally("fact", fact.name, "raised", f"raised {where(error)}")
            value = None
        else:
            fault = fault_of_value(fact, value)
            tally("fact", fact.name, "nonsense" if fault else "", fault)
            value = None if fault else value
        kept = frozenset(value) if isinstance(value, set) else value
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[key] = kept  # type: ignore[assignment]  # its type was looked at
        return self._known[key]


NOBODY = Knowing(dict)
"""Where no plugins are at hand: what they would say is missing."""


def fault_of_value(fact: ContactFact, value: object) -> str:
    """What is wrong with an answer, as the end of a sentence; nothing when it is as declared."""
    if value is None:
        return ""
    if kind_of(value) is not FactType(fact.type):
        return f"returned {type(value).__name__}, which is no {fact.type}"
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"returned a text of more than {_LONGEST} characters"
    if isinstance(value, frozenset | set):
        if not all(isinstance(each, str) for each in value):
            return "returned labels that are not texts"
        if sum(map(len, value)) > _LONGEST:
            return f"returned labels of more than {_LONGEST} characters"
    if fact.choices and value not in fact.choices:
        return "returned a text that is none of its choices"
    return ""
