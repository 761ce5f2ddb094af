"""Reason codes are a closed, described list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.gate.consent import ConsentState
from engine.gate.reasons import FAMILIES, REASONS, describe
from engine.risk.machine import State

ENGINE = Path(__file__).parents[2] / "engine"
NOT_REASONS = {"run.start", "run.signal", "run.cancel", "breaker.watch"}
"""Kinds of outbox rows, which look alike."""
CODE = re.compile(rf'"((?:{"|".join(FAMILIES)})\.[a-z_]+)"')


def codes_in_use() -> set[str]:
    found: set[str] = set()
    for path in ENGINE.rglob("*.py"):
        if path.name not in {"reasons.py", "reason_words.py"}:
            found |= set(CODE.findall(path.read_text(encoding="utf-8")))
    return found - NOT_REASONS


def test_every_code_in_use_is_described() -> None:
    assert codes_in_use() - set(REASONS) == set()


def test_every_state_of_consent_and_of_breakers_that_stops_is_described() -> None:
    stopping = {f"consent.{state}" for state in ConsentState if state is not ConsentState.GRANTED}
    stopping |= {f"breaker.{state}" for state in State if state is not State.CLOSED}
    assert stopping <= set(REASONS)


def test_codes_are_family_and_detail_of_a_known_family() -> None:
    for code in REASONS:
        family, _, detail = code.partition(".")
        assert family in FAMILIES
        assert re.fullmatch(r"[a-z_]+", detail)


def test_sentences_start_small_and_have_no_full_stop() -> None:
    for reason in REASONS.values():
        assert reason.sentence[0].islower()
        assert not reason.sentence.endswith(".")


def test_a_channels_own_detail_has_a_sentence_too() -> None:
    assert describe("channel.outside_window").sentence == "the channel cannot carry this message"
    with pytest.raises(KeyError):
        describe("weather.bad")
