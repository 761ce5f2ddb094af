"""Reads the value that a test holds a fact against: its type, its writing, its references to other facts."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from engine.rules import faults
from engine.rules.condition import FactRef, Op, Wanted, YamlPath
from engine.rules.duration import parse_duration
from engine.rules.facts import Catalogue, Fact, FactType
from engine.rules.patterns import PatternRefusedError, check_pattern
from engine.rules.spelling import compared

Single = int | float | str | bool | datetime

_LISTS = {Op.IN, Op.NOT_IN, Op.HAS_ANY, Op.HAS_ALL, Op.BETWEEN}
_AGES = {Op.WITHIN, Op.OLDER_THAN}
_CHOSEN = {Op.EQ, Op.NE, Op.IN, Op.NOT_IN, Op.HAS, Op.LACKS, Op.HAS_ANY, Op.HAS_ALL}
_LONGEST_WRITTEN = 2_000
_MOST_VALUES = 1_000
_BIGGEST = 2**53  # beyond it whole numbers and decimals stop telling neighbours apart


@dataclass
class MisfitError(Exception):
    """Why a value cannot be used; `below` leads from the test to the place inside its value."""

    code: str
    message: str
    hint: str = ""
    below: YamlPath = ()


def shown(raw: object) -> str:
    """What the author wrote, on one line and not too long."""
    text = repr(raw) if isinstance(raw, str) else json.dumps(raw, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def read_wanted(fact: Fact, op: Op, raw: object, catalogue: Catalogue) -> Wanted:
    """The typed value of `{fact: {op: raw}}`; `op` is one that fits the fact's type.

    Raises MisfitError with what is wrong and where.
    """
    if isinstance(raw, dict):
        return _reference(fact, op, raw, catalogue)
    if op is Op.EXISTS:
        if not isinstance(raw, bool):
            raise MisfitError(faults.VALUE_UNFIT, f"'exists' needs true or false, not {shown(raw)}")
        return raw
    if op in _AGES:
        return _duration(op, raw)
    if op in _LISTS:
        return _several(fact, op, raw)
    if op is Op.MATCHES:
        return _pattern(raw)
    value = _single(fact, op, raw)
    if op in (Op.CONTAINS, Op.STARTS_WITH, Op.ENDS_WITH) and value == "":
        raise MisfitError(faults.EMPTY, f"{op.value!r} with empty text is true of every text")
    return value


def _single(fact: Fact, op: Op, raw: object) -> Single:
    match fact.type:
        case FactType.NUMBER:
            return _number(fact, op, raw)
        case FactType.INSTANT:
            return _instant(op, raw)
        case FactType.BOOLEAN:
            if not isinstance(raw, bool):
                raise MisfitError(
                    faults.VALUE_UNFIT, f"{fact.path!r} is true or false, {shown(raw)} is neither"
                )
            return raw
        case FactType.TEXT | FactType.LABELS:
            return _text(fact, op, raw)


def _number(fact: Fact, op: Op, raw: object) -> int | float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not math.isfinite(raw):
        raise MisfitError(
            faults.VALUE_UNFIT, f"{fact.path!r} is a number, {shown(raw)} is not", number_hint(raw)
        )
    if abs(raw) > _BIGGEST:
        raise MisfitError(faults.TOO_LARGE, f"{shown(raw)} is beyond what numbers are exact for ({_BIGGEST})")
    return raw


_NUMERALS = dict(zip("〇零一二两三四五六七八九十", (0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10), strict=True))


def number_hint(raw: object) -> str:
    """How to write the number that somebody wrote as text, as full-width digits or as a Chinese numeral."""
    if not isinstance(raw, str):
        return "write digits, as 3"
    if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", raw):
        return "take the quotes away"
    if (said := compared(raw)) is not None:
        return f"write {{{said[1]}: {said[2]}}}"
    if raw in _NUMERALS:
        return f"write digits: {_NUMERALS[raw]}"
    digits = re.match(r"-?\d+", raw)  # of any script
    return f"write the number alone, in plain digits: {int(digits[0])}" if digits else "write digits, as 3"


def _text(fact: Fact, op: Op, raw: object) -> str:
    if not isinstance(raw, str):
        if isinstance(raw, list) and fact.type is FactType.LABELS:
            hint = "use has_any or has_all for several labels"
        elif isinstance(raw, list) and op in (Op.EQ, Op.NE):
            hint = "use in or not_in for several values"
        elif isinstance(raw, int | float):
            hint = "put it in quotes"
        else:
            hint = ""
        kind = "labels are text" if fact.type is FactType.LABELS else f"{fact.path!r} is text"
        raise MisfitError(faults.VALUE_UNFIT, f"{kind}, {shown(raw)} is not", hint)
    if len(raw) > _LONGEST_WRITTEN:
        raise MisfitError(
            faults.TOO_LARGE, f"the text has {len(raw)} characters, more than {_LONGEST_WRITTEN}"
        )
    if fact.choices and op in _CHOSEN and raw not in fact.choices:
        raise MisfitError(
            faults.NOT_A_CHOICE,
            f"{shown(raw)} is not a value that {fact.path!r} can have",
            f"it is one of {', '.join(fact.choices)}",
        )
    return raw


def _several(fact: Fact, op: Op, raw: object) -> tuple[Single, ...]:
    if not isinstance(raw, list):
        needs = "two values, as [10, 20]" if op is Op.BETWEEN else "a list, as [a, b]"
        raise MisfitError(faults.VALUE_UNFIT, f"{op.value!r} needs {needs}, not {shown(raw)}")
    if not raw:
        raise MisfitError(faults.EMPTY, f"{op.value!r} has no values in it", "leave the test out or fill it")
    if len(raw) > _MOST_VALUES:
        raise MisfitError(faults.TOO_LARGE, f"{op.value!r} has {len(raw)} values, more than {_MOST_VALUES}")
    values: list[Single] = []
    for place, each in enumerate(raw):
        try:
            values.append(_single(fact, op, each))
        except MisfitError as misfit:
            misfit.below = (place, *misfit.below)
            raise
    if op is Op.BETWEEN:
        if len(values) != 2:
            raise MisfitError(faults.BAD_RANGE, f"'between' needs two values, {shown(raw)} has {len(values)}")
        low, high = cast(tuple[float, float], values)
        if low > high:
            hint = f"write [{_inside(raw[1])}, {_inside(raw[0])}]"
            raise MisfitError(faults.BAD_RANGE, f"'between' has its higher value first: {shown(raw)}", hint)
    return tuple(values)


def _inside(raw: object) -> str:
    return json.dumps(raw, ensure_ascii=False, default=str)


def _duration(op: Op, raw: object) -> timedelta:
    if not isinstance(raw, str):
        hint = f"write {raw}d for days" if isinstance(raw, int) and not isinstance(raw, bool) else ""
        raise MisfitError(
            faults.BAD_DURATION, f"{op.value!r} needs a duration such as 30d, not {shown(raw)}", hint
        )
    try:
        duration = parse_duration(raw)
    except ValueError as error:
        message, _, hint = str(error).partition("; ")
        raise MisfitError(faults.BAD_DURATION, message, hint) from error
    if not duration:
        raise MisfitError(faults.BAD_DURATION, f"{op.value!r} needs a duration above zero, not {shown(raw)}")
    return duration


def _instant(op: Op, raw: object) -> datetime:
    example = 'write it as "2026-03-01T00:00:00+08:00"'
    if not isinstance(raw, str):
        raise MisfitError(
            faults.BAD_INSTANT, f"{op.value!r} needs a moment in quotes, not {shown(raw)}", example
        )
    try:
        moment = datetime.fromisoformat(raw)
    except ValueError:
        hint = "use within or older_than for ages" if re.fullmatch(r"[0-9]+[smhdw]", raw) else example
        raise MisfitError(faults.BAD_INSTANT, f"{shown(raw)} is not a moment", hint) from None
    if moment.utcoffset() is None:
        said = f"{raw}T00:00:00" if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", raw) else raw
        hint = f'write it as "{said}+08:00", with the offset that is meant'
        raise MisfitError(faults.BAD_INSTANT, f"{shown(raw)} does not say at which offset from UTC", hint)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise MisfitError(faults.BAD_INSTANT, f"{shown(raw)} is outside the calendar", example) from None


def _pattern(raw: object) -> str:
    if not isinstance(raw, str):
        raise MisfitError(
            faults.VALUE_UNFIT, f"'matches' needs a regular expression in quotes, not {shown(raw)}"
        )
    if not raw:
        raise MisfitError(faults.EMPTY, "'matches' with an empty pattern is true of every text")
    try:
        check_pattern(raw)
    except PatternRefusedError as refused:
        hint = "use starts_with, ends_with, contains or in, or a simpler pattern"
        raise MisfitError(faults.SLOW_PATTERN, f"{shown(raw)} is refused: {refused}", hint) from refused
    except re.error as error:
        message = f"{shown(raw)} is not a regular expression: {error}"
        raise MisfitError(faults.BAD_PATTERN, message) from error
    return raw


def _reference(fact: Fact, op: Op, raw: dict[object, object], catalogue: Catalogue) -> FactRef:
    """`{fact: path, times: number}`: another fact of the same type stands for the value."""
    stray = [key for key in raw if key not in ("fact", "times")]
    if stray or "fact" not in raw:
        message = f"{shown(stray[0])} is not part of a value" if stray else "'fact' is missing"
        hint = f"write {{{op.value}: {{fact: path, times: 1.5}}}}"
        raise MisfitError(faults.BAD_REFERENCE, message, hint)
    if op in _LISTS | _AGES | {Op.EXISTS, Op.MATCHES}:
        raise MisfitError(faults.BAD_REFERENCE, f"{op.value!r} cannot be held against another fact")
    path = raw["fact"]
    other = catalogue.get(path) if isinstance(path, str) else None
    if other is None:
        near = catalogue.nearest(path) if isinstance(path, str) else None
        known = catalogue.known_in(path) if isinstance(path, str) else ""
        hint = f"did you mean {near!r}?" if near else known or "`wayline facts` lists what there is"
        raise MisfitError(faults.UNKNOWN_FACT, f"{shown(path)} is not a known fact", hint, ("fact",))
    needed = FactType.TEXT if fact.type is FactType.LABELS else fact.type
    if other.type is not needed:
        message = (
            f"{fact.path!r} cannot be held against {other.path!r}: {needed.value} against {other.type.value}"
        )
        raise MisfitError(faults.BAD_REFERENCE, message, below=("fact",))
    times = raw.get("times", 1.0)
    if isinstance(times, bool) or not isinstance(times, int | float) or not math.isfinite(times) or not times:
        message = f"'times' needs a number other than 0, not {shown(times)}"
        raise MisfitError(faults.BAD_REFERENCE, message, below=("times",))
    if "times" in raw and needed is not FactType.NUMBER:
        message = f"only numbers can be multiplied, {other.path!r} is {other.type.value}"
        raise MisfitError(faults.BAD_REFERENCE, message, below=("times",))
    if other.path == fact.path and times == 1.0:
        raise MisfitError(faults.NEVER_TRUE, f"{fact.path!r} is held against itself", "", ("fact",))
    return FactRef(other.path, float(times))
