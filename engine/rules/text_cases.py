"""What tests say of a text by themselves, and of one another."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any as Anything

from engine.rules.condition import Op, Test
from engine.rules.evaluator import settle
from engine.rules.truth import Truth

_ANY_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def reads(test: Test, text: str) -> bool | None:
    """What a test says of a text; None where it is not looked into."""
    wanted: Anything = test.wanted
    match test.op:
        case Op.EQ | Op.NE:
            return (text == wanted) is (test.op is Op.EQ)
        case Op.IN | Op.NOT_IN:
            return (text in wanted) is (test.op is Op.IN)
        case _:
            answer = settle(test, {test.path: text}, _ANY_MOMENT)
            return None if answer is Truth.UNKNOWN else answer is Truth.TRUE


def follows(first: Test, second: Test) -> bool:
    """Whether every text that satisfies the first satisfies the second."""
    one, other = str(first.wanted), str(second.wanted)
    match first.op, second.op:
        case (Op.STARTS_WITH, Op.STARTS_WITH):
            return one.startswith(other)
        case (Op.ENDS_WITH, Op.ENDS_WITH):
            return one.endswith(other)
        case (Op.STARTS_WITH | Op.ENDS_WITH | Op.CONTAINS, Op.CONTAINS):
            return other in one
        case _:
            return False


def exclude(one: Test, other: Test) -> bool:
    """Whether no text satisfies both."""
    first, second = str(one.wanted), str(other.wanted)
    match one.op, other.op:
        case (Op.STARTS_WITH, Op.STARTS_WITH):
            return not (first.startswith(second) or second.startswith(first))
        case (Op.ENDS_WITH, Op.ENDS_WITH):
            return not (first.endswith(second) or second.endswith(first))
        case _:
            return False
