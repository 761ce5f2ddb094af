"""Every reason code is told in both languages, with what would have made it a yes and who can change it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.cli import run
from engine.gate.reason_table import reason_rows, reasons_markdown
from engine.gate.reason_words import WORDS
from engine.gate.reasons import CHANGED_BY_ZH, REASONS, titles, words

ROOT = Path(__file__).parents[2]
GOES_ON = {
    *("sent.accepted", "entry.entered", "task.opened", "task.decided", "call.done", "run.retimed"),
    *("run.repeated", "run.repeat_over", "run.completed", "run.goal", "run.moved", "sent.receipt"),
}
"""Codes of what did happen: nothing would have had to be otherwise."""


@pytest.mark.parametrize("code", REASONS)
def test_a_code_is_told_in_both_languages_with_a_way_out(code: str) -> None:
    told = WORDS[code]
    assert any("一" <= letter <= "鿿" for letter in told.sentence_zh)
    assert bool(told.otherwise) is bool(told.otherwise_zh) is (code not in GOES_ON)
    assert not told.otherwise.endswith(".")
    assert REASONS[code].changed_by in CHANGED_BY_ZH


def test_a_channels_own_detail_and_a_code_of_a_later_version_are_told_too() -> None:
    assert words("channel.outside_window") == words("channel.another")
    assert titles("weather.bad") == {"en": "weather.bad", "zh": "weather.bad"}


def test_the_document_in_the_repository_is_current() -> None:
    written = (ROOT / "rulesets" / "REASONS.md").read_text("utf-8")
    assert written == reasons_markdown(), "run: wayline reasons --format markdown > rulesets/REASONS.md"
    assert len(list(reason_rows())) == len(REASONS)


def test_the_command_tells_a_code_a_family_and_what_is_near_a_wrong_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(("reasons", "cap.full")) == 0
    assert capsys.readouterr().out == (
        "cap.full\n  a frequency cap has no place left · 频次上限已满\n"
        "  it would have passed if a place were free · 还有名额\n"
        "  can be changed by operations staff · 运营人员\n"
    )
    assert run(("reasons", "quiet", "--format", "json")) == 0
    assert '"quiet.hours"' in capsys.readouterr().out
    assert run(("reasons", "cap.ful")) == 2
    assert "did you mean 'cap.full'" in capsys.readouterr().err


def test_words_are_for_the_codes_that_there_are_and_no_others() -> None:
    assert set(WORDS) == set(REASONS)
