"""Reason codes are a closed, described list."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.gate.reasons import FAMILIES, REASONS, describe

ENGINE = Path(__file__).parents[2] / "engine"
OURS = ("gate", "delivery")
CODE = re.compile(rf'"((?:{"|".join(FAMILIES)})\.[a-z_]+)"')


def codes_in_use() -> set[str]:
    found: set[str] = set()
    for folder in OURS:
        for path in (ENGINE / folder).rglob("*.py"):
            if path.name != "reasons.py":
                found |= set(CODE.findall(path.read_text(encoding="utf-8")))
    return found - {"channel.id"}


def test_every_code_in_use_is_described() -> None:
    assert codes_in_use() - set(REASONS) == set()


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
