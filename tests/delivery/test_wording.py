"""What would have turned a decision, in words."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from engine.delivery.wording import in_words, pattern_in_words
from engine.rules.condition import Op, Test
from engine.rules.counterfactual import Change
from engine.rules.truth import Truth


def one(op: Op, wanted: Any, truth: Truth = Truth.TRUE) -> Change:
    return Change("contact.x", ((Test("contact.x", op, wanted, ()), truth),))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (one(Op.GTE, 3), "contact.x had been 3 or more"),
        (one(Op.GTE, 3, Truth.FALSE), "contact.x had been less than 3"),
        (one(Op.GT, 3, Truth.FALSE), "contact.x had been 3 or less"),
        (one(Op.EQ, "gold", Truth.FALSE), "contact.x had been anything but gold"),
        (one(Op.IN, ("上海", "北京")), "contact.x had been one of [上海, 北京]"),
        (one(Op.LACKS, "vip", Truth.FALSE), "contact.x had included vip"),
        (one(Op.OLDER_THAN, timedelta(days=30)), "contact.x had been more than 30d ago"),
        (one(Op.EXISTS, True, Truth.FALSE), "contact.x had not been known"),
        (one(Op.EXISTS, False), "contact.x had not been known"),
    ],
)
def test_one_fact_is_told_in_words(change: Change, words: str) -> None:
    assert in_words(change) == words


@pytest.mark.parametrize("op", Op)
@pytest.mark.parametrize("truth", [Truth.TRUE, Truth.FALSE])
def test_every_test_has_words_both_ways_and_never_its_sign(op: Op, truth: Truth) -> None:
    wanted: Any = {Op.EXISTS: True}.get(op, (1, 2) if op in {Op.BETWEEN, Op.IN, Op.NOT_IN} else 1)
    words = in_words(one(op, wanted, truth))
    assert words.startswith("contact.x had ")
    assert op.value not in words.split() or op in {Op.BEFORE, Op.AFTER, Op.WITHIN, Op.IN}


def test_several_tests_of_one_fact_are_one_wish() -> None:
    tests = tuple(
        (Test("event.amount", op, bound, ()), Truth.TRUE) for op, bound in ((Op.GTE, 100), (Op.LT, 900))
    )
    assert in_words(Change("event.amount", tests)) == (
        "event.amount had been 100 or more and been less than 900"
    )


def test_a_pattern_is_complete_or_not() -> None:
    has = Test("event.patterns", Op.HAS, "care", ())
    words = "3 times replied within 1d"
    assert pattern_in_words(Change("event.patterns", ((has, Truth.TRUE),)), words) == (
        "the pattern had been complete (3 times replied within 1d)"
    )
    assert "not been complete" in pattern_in_words(Change("event.patterns", ((has, Truth.FALSE),)), words)
