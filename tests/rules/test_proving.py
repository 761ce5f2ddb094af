"""Rules are proved in a process of their own, which may crash, hang or answer wrongly without harm."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import durable_rules_engine
import pytest

from engine.rules.condition import All, Any, FactRef, None_, Op, Rule, Test
from engine.rules.evaluator import evaluate
from engine.rules.proving import Unproved, prove
from engine.rules.self_test import self_test, situations
from engine.rules.truth import Truth

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RULES = (
    Rule("first", "s", Test("event.amount", Op.GTE, 100)),
    Rule("second", "s", All((Test("event.amount", Op.GTE, 100), Test("event.city", Op.EQ, "上海")))),
    Rule("third", "t", None_((Test("contact.tags", Op.HAS, "vip"),))),
)
PATIENCE = timedelta(seconds=20)
DAY = timedelta(days=1)


@pytest.fixture
def faulty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Give child processes a durable_rules or standard library that has gone wrong, as Python text."""

    def put(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))

    return put


# The real one under another name, so that the faulty one can stand in front of it.
REAL = f"""
import importlib.machinery, importlib.util, sys
faulty = sys.modules[__name__]
loader = importlib.machinery.ExtensionFileLoader("durable_rules_engine", {durable_rules_engine.__file__!r})
real = importlib.util.module_from_spec(importlib.util.spec_from_loader("durable_rules_engine", loader))
loader.exec_module(real)
sys.modules[__name__] = faulty  # the real one puts itself there
globals().update({{name: getattr(real, name) for name in dir(real) if not name.startswith("__")}})
"""


def doubts(rules: tuple[Rule, ...], patience: timedelta = PATIENCE) -> Unproved:
    with pytest.raises(Unproved) as caught:
        prove(rules, patience)
    return caught.value


def test_rules_that_are_decided_rightly_are_proved() -> None:
    prove(RULES, PATIENCE)
    prove(())


def test_a_crash_is_survived_and_names_the_rule(faulty: Callable[[str, str], None]) -> None:
    faulty("durable_rules_engine", REAL + "import ctypes\nassert_fact = lambda *_: ctypes.string_at(0)\n")
    rules = (*RULES, Rule("crashing", "s", Test("event.n", Op.GT, 1)))

    doubt = doubts(rules)

    assert (doubt.rule, doubt.why) == ("first", "the matcher crashed (SIGSEGV)")


def test_a_crash_while_deciding_names_the_rule_that_was_decided(faulty: Callable[[str, str], None]) -> None:
    text = 'def assert_fact(handle, document):\n    "r1" in document and os.abort()\n'
    faulty("durable_rules_engine", f"{REAL}import os\n{text}    return real.assert_fact(handle, document)\n")

    doubt = doubts((*RULES, Rule("crashing", "s", Test("event.n", Op.GT, 2))))

    assert (doubt.rule, doubt.why) == ("second", "the matcher crashed (SIGABRT)")


def test_a_hang_ends_with_the_patience(faulty: Callable[[str, str], None]) -> None:
    text = "def create_ruleset(name, definition):\n    while True: pass\n"
    faulty("durable_rules_engine", REAL + text)

    doubt = doubts((Rule("hanging", "s", Test("event.n", Op.GT, 3)),), timedelta(seconds=1))

    assert (doubt.rule, doubt.why) == ("hanging", "it was not decided within 1 s")


def test_a_network_that_leaves_a_rule_out_is_found(faulty: Callable[[str, str], None]) -> None:
    text = (
        "def complete_and_start_action(handle, offset):\n    real.complete_and_start_action(handle, offset)\n"
    )
    faulty("durable_rules_engine", REAL + text)
    rules = tuple(Rule(name, "s", Test("event.n", Op.GT, 4)) for name in ("one", "two"))

    doubt = doubts(rules)

    assert doubt.why == "durable_rules answered wrongly or not at all"


def test_a_wrong_answer_of_all_but_the_reference_is_found(faulty: Callable[[str, str], None]) -> None:
    text = "import bisect\nreal = bisect.bisect_left\n"
    text += "def wrong(marks, value):\n    place = real(marks, value)\n"
    text += "    return place if place < len(marks) and marks[place] == value else 0\n"
    faulty("sitecustomize", text + "bisect.bisect_left = wrong\n")

    doubt = doubts((Rule("wrong", "s", Test("event.n", Op.GT, 5)),))

    assert (doubt.rule, doubt.why) == ("wrong", "it was decided wrongly")


def test_a_process_that_fails_says_with_what(faulty: Callable[[str, str], None]) -> None:
    faulty("durable_rules_engine", "raise ImportError('undefined symbol: PyEval_CallObject')\n")

    doubt = doubts((Rule("any", "s", Test("event.n", Op.GT, 6)),))

    assert (doubt.rule, doubt.why) == (
        "any",
        "the matcher failed (ImportError: undefined symbol: PyEval_CallObject)",
    )


def test_what_was_proved_is_not_proved_again(faulty: Callable[[str, str], None]) -> None:
    rules = (Rule("known", "s", Test("event.n", Op.GT, 7)),)
    prove(rules, PATIENCE)
    faulty("durable_rules_engine", "raise ImportError\n")

    prove(rules, PATIENCE)


def test_the_self_test_says_where_it_is() -> None:
    told: list[str] = []

    assert self_test(RULES, told.append) is None
    assert told == ["first", "first", "second", "third", "third"]


@pytest.mark.parametrize(
    "condition",
    [
        All((Test("event.n", Op.BETWEEN, (2, 5)), Test("event.n", Op.NE, 3))),
        All(
            (
                Test("event.at", Op.WITHIN, timedelta(days=3)),
                Test("event.at", Op.OLDER_THAN, timedelta(days=1)),
            )
        ),
        Any((Test("event.city", Op.STARTS_WITH, "上"), Test("event.city", Op.EXISTS, False))),
        None_((Test("event.city", Op.CONTAINS, "海"), Test("contact.tags", Op.HAS_ANY, ("a", "b")))),
        All((Test("contact.tags", Op.HAS_ALL, ("a", "b")), Test("contact.tags", Op.LACKS, "x"))),
        All((Test("event.n", Op.GT, FactRef("event.m", 1.5)), Test("event.flag", Op.EQ, False))),
    ],
    ids=str,
)
def test_the_situations_tried_hold_some_that_fit_and_some_that_do_not(condition: All) -> None:
    answers = {evaluate(condition, facts, NOW) for facts in situations(condition)}

    assert Truth.TRUE in answers
    assert len(answers) > 1


def test_the_lines_of_a_child_are_whole_before_they_are_read(faulty: Callable[[str, str], None]) -> None:
    # Killed in the middle of a line: the half of it is not looked at.
    half = json.dumps({"at": "half"})[:-3]
    faulty(
        "durable_rules_engine",
        f"import os, sys\nsys.stdout.write({half!r})\nsys.stdout.flush()\nos.abort()\n",
    )

    doubt = doubts((Rule("whole", "s", Test("event.n", Op.GT, 8)),))

    assert (doubt.rule, doubt.why) == ("whole", "the matcher crashed (SIGABRT)")
