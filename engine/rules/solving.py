"""Decides whether a formula over finitely many cases has any solution, within a bounded number of tries.

A variable has cases 0, 1, 2, …; a mask is a whole number whose bit n stands for case n. Nothing here knows
conditions or facts; `possibility` makes formulas of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass

Variable = Hashable
MOST_TRIES = 2_000
"""How many times one question may branch; beyond it the answer is "not known"."""


@dataclass(frozen=True)
class Among:
    """Holds when the case of a variable is one of those in the mask."""

    variable: Variable
    mask: int


@dataclass(frozen=True)
class Every:
    """Holds when every part does (without parts: always)."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True)
class Some:
    """Holds when one part does (without parts: never)."""

    parts: tuple[Formula, ...]


Formula = Among | Every | Some


def opposite(formula: Formula, sizes: Mapping[Variable, int]) -> Formula:
    """Holds exactly when `formula` does not; `sizes` is how many cases each variable has."""
    match formula:
        case Among(variable, mask):
            return Among(variable, ((1 << sizes[variable]) - 1) & ~mask)
        case Every(parts):
            return Some(tuple(opposite(part, sizes) for part in parts))
        case Some(parts):
            return Every(tuple(opposite(part, sizes) for part in parts))


def is_solvable(formulas: Iterable[Formula], domains: Mapping[Variable, int]) -> bool | None:
    """Whether all the formulas can hold at once, each variable within its domain (a mask).

    None when that could not be settled within MOST_TRIES; True and False are always right.
    """
    solver = _Solver()
    try:
        return solver.solve(dict(domains), list(formulas))
    except _GaveUpError:
        return None


class _GaveUpError(Exception):
    """More branches than are worth their time."""


class _Solver:
    def __init__(self) -> None:
        self._tries = 0

    def solve(self, domains: dict[Variable, int], formulas: list[Formula]) -> bool:
        self._tries += 1
        if self._tries > MOST_TRIES:
            raise _GaveUpError
        open_ones = _settled(domains, formulas)
        if open_ones is None:
            return False
        if not open_ones:
            return True
        choice = min(open_ones, key=lambda each: len(each.parts))
        rest: list[Formula] = [each for each in open_ones if each is not choice]
        return any(self.solve(dict(domains), [part, *rest]) for part in choice.parts)


def _settled(domains: dict[Variable, int], formulas: list[Formula]) -> list[Some] | None:
    """Narrow the domains by everything that leaves no choice; the choices that remain, None when stuck."""
    while True:
        before = dict(domains)
        choices: list[Some] = []
        ahead = list(formulas)
        while ahead:
            formula = ahead.pop()
            match formula:
                case Among(variable, mask):
                    domains[variable] &= mask
                    if not domains[variable]:
                        return None
                case Every(parts):
                    ahead.extend(parts)
                case Some(parts):
                    left = tuple(part for part in parts if not _is_out(part, domains))
                    if not left:
                        return None
                    if len(left) == 1:
                        ahead.append(left[0])
                    elif not any(_is_sure(part, domains) for part in left):
                        choices.append(Some(left))
        formulas = list(choices)
        if domains == before:
            return choices


def _is_out(formula: Formula, domains: Mapping[Variable, int]) -> bool:
    """Whether it plainly cannot hold any more."""
    match formula:
        case Among(variable, mask):
            return not domains[variable] & mask
        case Every(parts):
            return any(_is_out(part, domains) for part in parts)
        case Some(parts):
            return all(_is_out(part, domains) for part in parts)


def _is_sure(formula: Formula, domains: Mapping[Variable, int]) -> bool:
    """Whether it plainly holds whatever is chosen further."""
    match formula:
        case Among(variable, mask):
            return not domains[variable] & ~mask
        case Every(parts):
            return all(_is_sure(part, domains) for part in parts)
        case Some(parts):
            return any(_is_sure(part, domains) for part in parts)
