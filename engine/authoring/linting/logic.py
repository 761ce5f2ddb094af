"""Conditions that can never or always hold, and cases of a branch that others before them use up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import TypeVar

from engine.authoring.compiling.conditions import Written
from engine.authoring.reading.source import dotted
from engine.errors import Problem
from engine.rules.condition import All, Any, Condition, FactRef, None_, Op, Test
from engine.rules.contradictions import written as as_written
from engine.rules.facts import Catalogue, Fact
from engine.rules.possibility import Space
from engine.rules.solving import Formula

_Part = TypeVar("_Part")
_Worth = Callable[[Condition], bool]


def check_conditions(conditions: Sequence[Written]) -> Iterator[Problem]:
    """RS130 and RW030 for every condition by itself, RS131 and RW031 for the cases of each branch."""
    for each in conditions:
        yield from _one(each)
    branches = [each for each in conditions if each.shard.startswith("branch:")]
    branches.sort(key=lambda each: (each.defined.source.file, each.shard))
    for _, cases in groupby(branches, key=lambda each: (each.defined.source.file, each.shard)):
        yield from _cases(sorted(cases, key=_number))


def _one(each: Written) -> Iterator[Problem]:
    if not _is_worth_it(each.condition, each.catalogue):
        return
    space = Space([each.condition], each.catalogue)
    # A part of it may be too plain to be looked into, as the whole is.
    worth = partial(_is_worth_it, catalogue=each.catalogue)
    never = [*_never(each.condition, space, worth)] or [*_dead(each.condition, (), space)]
    for node, beside in never:
        yield _never_problem(each, node, beside, space)
    if not never:
        for node in _always(each.condition, space, worth):
            yield _always_problem(each, node)


def _is_worth_it(condition: Condition, catalogue: Catalogue) -> bool:
    """Whether anything could be found: single tests of different open facts exclude nothing."""
    tests = [*_flat(condition)]
    paths = {test.path for test in tests}
    if len(paths) < len(tests) or any(isinstance(test.wanted, FactRef) for test in tests):
        return True
    for test in tests:
        fact = catalogue.get(test.path)
        if fact is not None and (fact.choices or fact.least is not None or fact.most is not None):
            return True
        if fact is not None and fact.always and test.op is Op.EXISTS:
            return True
    return False


def _flat(condition: Condition) -> Iterator[Test]:
    if isinstance(condition, Test):
        yield condition
    else:
        for part in condition.parts:
            yield from _flat(part)


def _never(node: Condition, space: Space, worth: _Worth) -> Iterator[tuple[Condition, tuple[Condition, ...]]]:
    """The smallest parts that no facts can make true."""
    if not worth(node):
        return
    found = [each for part in _parts(node) for each in _never(part, space, worth)]
    yield from found
    if not found and space.can_be(space.holds(node)) is False:
        yield node, ()


def _dead(
    node: Condition, beside: tuple[Condition, ...], space: Space
) -> Iterator[tuple[Condition, tuple[Condition, ...]]]:
    """Alternatives that could hold, but not together with what must hold besides."""
    if isinstance(node, All):
        for part in node.parts:
            yield from _dead(part, (*beside, *(other for other in node.parts if other is not part)), space)
    elif isinstance(node, Any) and beside:
        for part in node.parts:
            if space.can_be(space.holds(part), *(space.holds(other) for other in beside)) is False:
                yield part, beside


def _always(node: Condition, space: Space, worth: _Worth) -> Iterator[Condition]:
    """The smallest parts that no facts can make false."""
    if not worth(node):
        return
    found = [each for part in _parts(node) for each in _always(part, space, worth)]
    yield from found
    if not found and space.can_be(space.fails(node)) is False:
        yield node


def _parts(node: Condition) -> tuple[Condition, ...]:
    return () if isinstance(node, Test) else node.parts


def _never_problem(each: Written, node: Condition, beside: tuple[Condition, ...], space: Space) -> Problem:
    joined = (*beside, node) if beside else _joined(node)

    def clash(parts: Sequence[Condition]) -> bool:
        return space.can_be(*(space.holds(part) for part in parts)) is False

    core = _least(joined, clash)
    if beside:
        others = [part for part in core if part is not node]
        message = f"{_told(node, each)} can never hold beside {_list(others, each)}"
        return _problem(
            each, "RS130", node, message, "remove this alternative, or change what stands beside it"
        )
    if len(core) > 1:
        last = core[-1]
        message = f"{_told(last, each)} can never hold together with {_list(core[:-1], each)}"
        return _problem(each, "RS130", last, message, "put them under any when one of them is enough")
    only = core[0] if core else node
    if isinstance(only, Test):
        message = f"{_told(only, each)} can never hold"
        return _problem(each, "RS130", only, message, _range_of(each.catalogue.get(only.path)))
    return _problem(
        each, "RS130", only, f"{_told(only, each)} can never hold", "change one of the conditions in it"
    )


def _always_problem(each: Written, node: Condition) -> Problem:
    paths = sorted({test.path for test in _flat(node)})
    facts = [each.catalogue.get(path) for path in paths]
    if all(fact is not None and fact.always for fact in facts):
        message = f"{_told(node, each)} holds of everybody and everything"
        return _problem(each, "RW030", node, message, "leave it out, or write the limit that is meant")
    named = ", ".join(f"'{path}'" for path in paths)
    message = f"{_told(node, each)} always holds once {named} is known, whatever it is"
    hint = f"write {{{paths[0]}: {{exists: true}}}} when that is meant" if len(paths) == 1 else "leave it out"
    return _problem(each, "RW030", node, message, hint)


def _cases(cases: Sequence[Written]) -> Iterator[Problem]:
    space = Space([case.condition for case in cases], cases[0].catalogue)
    passed = [space.is_passed_over(case.condition) for case in cases]
    taken = False
    for place, case in enumerate(cases):
        holds = space.holds(case.condition)
        if not place or space.can_be(holds) is False or space.can_be(holds, *passed[:place]) is not False:
            continue

        def covers(earlier: Sequence[int], holds: Formula = holds) -> bool:
            return space.can_be(holds, *(passed[at] for at in earlier)) is False

        before = [cases[at] for at in _least(range(place), covers)]
        lines = " and ".join(f"line {each.line}" for each in before)
        noun = "the case" if len(before) == 1 else "the cases"
        verb = "takes" if len(before) == 1 else "take"
        message = f"this case is never taken: {noun} in {lines} {verb} everybody it is for"
        taken = True
        yield case.problem("RS131", message, "put the narrower case first, or remove this one")
    complete = [_number(case) for case in cases] == list(range(len(cases)))
    if not taken and complete and space.can_be(*passed) is False:
        yield from _no_else(cases[-1])


def _number(case: Written) -> int:
    """The place of a case among those of its branch, as its path says: (…, "cases", 2, "when")."""
    number = case.path[-2]
    return number if isinstance(number, int) else 0


def _no_else(last: Written) -> Iterator[Problem]:
    step = last.path[:-3]
    data = last.defined.source.at(step)
    if isinstance(data, dict) and data.get("else"):
        at = (*step, "else")
        place = last.defined.source.key_place(at)
        message = "these steps are never reached: the cases above take everybody"
        yield Problem(place, "RW031", dotted(at), message, "remove them, or one of the cases")


def _joined(node: Condition) -> tuple[Condition, ...]:
    """The parts that an AND joins, through nested ones."""
    if isinstance(node, All):
        return tuple(inner for part in node.parts for inner in _joined(part))
    return (node,)


def _least(parts: Sequence[_Part], clash: Callable[[Sequence[_Part]], bool]) -> list[_Part]:
    """As few of the parts as still clash, in their order."""
    kept = list(parts)
    for part in [*parts]:
        fewer = [each for each in kept if each != part]
        if fewer and clash(fewer):
            kept = fewer
    return kept


def _told(node: Condition, each: Written) -> str:
    if isinstance(node, Test):
        return f"'{node.path} {as_written(node)}'"
    word = {All: "all", Any: "any", None_: "none"}[type(node)]
    return f"what stands under '{word}' in line {each.defined.source.key_place(node.at).line}"


def _list(nodes: Sequence[Condition], each: Written) -> str:
    told = [_told(node, each) for node in nodes]
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"


def _range_of(fact: Fact | None) -> str:
    if fact is None:
        return ""
    if fact.choices:
        return f"'{fact.path}' is one of {', '.join(fact.choices)}"
    if fact.least is not None or fact.most is not None:
        noun = "a whole number" if fact.whole else "a number"
        low = f" from {fact.least:g}" if fact.least is not None else ""
        high = f" up to {fact.most:g}" if fact.most is not None else " on"
        return f"'{fact.path}' is {noun}{low}{high}"
    return f"'{fact.path}' is always known" if fact.always else ""


def _problem(each: Written, code: str, node: Condition, message: str, hint: str) -> Problem:
    return Problem(each.defined.source.key_place(node.at), code, dotted(node.at), message, hint)
